//! The test of a connection says which step fails.

use serde_json::{Value, json};

use crate::support::{Server, Tidegate, Tree, free_port, server_url};

fn steps(gateway: &Tidegate, id: &str) -> (bool, Vec<(String, bool)>, String) {
    let data = gateway.admin_post(&format!("/api/datasources/{id}/test"), "").data();
    let steps = data["steps"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = steps.iter().map(|step| (text(&step["step"]), step["ok"] == true)).collect();
    (data["ok"] == true, found, text(&steps.last().unwrap()["error"]))
}

fn step(name: &str, ok: bool) -> (String, bool) {
    (name.to_owned(), ok)
}

#[test]
fn the_failing_step_is_named() {
    let servers = [
        ("postgres", server_url("TIDEGATE_TEST_POSTGRES_URL")),
        ("mysql", server_url("TIDEGATE_TEST_MYSQL_URL")),
    ];
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER);");
    for (kind, server) in &servers {
        let id = |what: &str| format!("{kind}_{what}");
        tree.server(&id("well"), kind, server);
        tree.server(&id("port"), kind, &Server { port: free_port(), ..server.clone() });
        tree.server(&id("password"), kind, &Server { password: "wrong".into(), ..server.clone() });
        tree.server(
            &id("host"),
            kind,
            &Server { host: "nowhere.invalid".into(), ..server.clone() },
        );
        tree.server(
            &id("database"),
            kind,
            &Server { database: "ws_none".into(), ..server.clone() },
        );
        let path = format!("datasources/{}.yaml", id("well"));
        let text = std::fs::read_to_string(tree.root().join(path)).unwrap();
        let tls = text.replace("_well\n", "_tls\n") + "tls: {mode: verify}\n";
        tree.write(&format!("datasources/{}.yaml", id("tls")), &tls);
    }
    tree.write(
        "datasources/gone.yaml",
        "kind: datasource\nid: gone\ntype: sqlite\npath: data/gone/gone.db\n",
    );
    let gateway = tree.serve();
    assert_eq!(steps(&gateway, "lite"), (true, vec![step("query", true)], String::new()));
    let (ok, found, error) = steps(&gateway, "gone");
    assert_eq!((ok, found), (false, vec![step("query", false)]), "{error}");
    for (kind, _) in &servers {
        let test = |what: &str| steps(&gateway, &format!("{kind}_{what}"));
        let all = ["dns", "tcp", "login", "query"].map(|name| step(name, true)).to_vec();
        assert_eq!(test("well"), (true, all, String::new()), "{kind}");
        let (ok, found, error) = test("port");
        assert_eq!((ok, found), (false, vec![step("dns", true), step("tcp", false)]), "{error}");
        let (ok, found, error) = test("host");
        assert_eq!((ok, found), (false, vec![step("dns", false)]), "{error}");
        for what in ["password", "database"] {
            let (ok, found, error) = test(what);
            let login = vec![step("dns", true), step("tcp", true), step("login", false)];
            assert_eq!((ok, found), (false, login), "{kind} {what}: {error}");
            assert!(!error.contains("wrong"), "{error}");
        }
        let (ok, found, error) = test("tls");
        let tls = vec![step("dns", true), step("tcp", true), step("tls", false)];
        assert_eq!((ok, found), (false, tls), "{kind}: {error}");
    }
    assert_eq!(gateway.admin_post("/api/datasources/none/test", "").code(), "NOT_FOUND");
    assert_eq!(gateway.admin_get("/api/datasources").json()["meta"]["total"], json!(14));
}
