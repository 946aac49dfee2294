//! `/api`: its token, and the management routes.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{KEY, Tree};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2), (3);");
    for (code, name) in [("alpha", "First"), ("beta", "第二"), ("gamma", "Third")] {
        tree.interface(&format!(
            "code: {code}\nname: {name}\ndatasource_id: lite\nparameters: [{{name: n, type: integer, required: true}}]\n\
             query_template: SELECT n FROM t WHERE n <= :n\n"
        ));
    }
    tree.interface(
        "code: beta\nversion: 2.0.0\ndatasource_id: lite\nquery_template: SELECT 2 AS version\n",
    );
    tree.interface(
        "code: draft\nstatus: draft\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n",
    );
    tree.interface(
        "code: closed\nstatus: disabled\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n",
    );
    tree
}

#[test]
fn nothing_is_said_without_the_token() {
    let tree = tree();
    let gateway = tree.serve();
    let routes =
        ["/api/status", "/api/dataservice/interfaces", "/api/dataservice/interfaces/alpha"];
    let wrong: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer ")],
        &[("authorization", &gateway.token)],
        &[("x-api-key", KEY)],
        &[("x-api-key", &gateway.token)],
    ];
    for path in routes {
        for headers in wrong {
            let answer = gateway.admin_get_with(path, headers);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "UNAUTHORIZED"),
                "{path} {headers:?}"
            );
        }
        assert_eq!(gateway.admin_get(path).status, 200, "{path}");
    }
    for path in ["/api/reload", "/api/dataservice/interfaces/alpha/test"] {
        let refused = ureq::post(gateway.admin_url(path)).send("{}");
        assert!(matches!(refused, Err(ureq::Error::StatusCode(401))), "{path}");
    }
    assert_eq!(gateway.admin_get("/api/nothing").status, 404);
    assert_eq!(gateway.admin_get("/nothing").code(), "NOT_FOUND");
    assert_eq!(gateway.admin_post("/api/status", "").status, 405);
    // The token of the admin address opens nothing on the data address.
    let bearer = format!("Bearer {}", gateway.token);
    let data = gateway.get_with("/data-api/beta?version=2.0.0", &[("authorization", &bearer)]);
    assert_eq!(data.status, 401);
    // And the data address has no admin routes.
    assert_eq!(gateway.get("/api/status").status, 404);
    assert_eq!(gateway.get("/metrics").status, 404);
}

#[test]
fn the_token_is_for_its_owner_and_stays() {
    let tree = tree();
    let mut gateway = tree.serve();
    let file = tree.root().join("data/admin-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(gateway.token.len() >= 40, "{}", gateway.token.len());
    assert!(!gateway.log().contains(&gateway.token), "the token is in the log");
    gateway.stop();
    let mut next = tree.serve();
    assert_eq!(next.token, gateway.token);
    next.stop();
    std::fs::write(&file, "").unwrap();
    let fresh = tree.serve();
    assert_ne!(fresh.token, gateway.token);
    assert_eq!(fresh.admin_get("/api/status").status, 200);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_status_tells_what_serves() {
    let tree = tree();
    let gateway = tree.serve();
    let status = gateway.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["draining"], &status["last_reload"]["ok"]), (&json!(false), &json!(true)));
    let counts =
        json!({"interfaces": 6, "datasources": 1, "consumers": 1, "roles": 1, "jwt_issuers": 0});
    assert_eq!(status["counts"], counts);
    let revision =
        gateway.get("/data-api/beta").header("x-definitions-revision").unwrap().to_owned();
    assert_eq!(status["revision"], json!(revision));
    let datasource = &status["datasources"][0];
    assert_eq!((&datasource["id"], &datasource["breaker"]), (&json!("lite"), &json!("closed")));
}

#[test]
fn interfaces_are_listed_in_pages() {
    let tree = tree();
    let gateway = tree.serve();
    let list = |query: &str| {
        let answer = gateway.admin_get(&format!("/api/dataservice/interfaces{query}"));
        let codes: Vec<String> = answer
            .data()
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["code"].as_str().unwrap().to_owned())
            .collect();
        (codes, answer.json()["meta"].clone())
    };
    let (all, meta) = list("");
    assert_eq!(all, ["alpha", "beta", "beta", "closed", "draft", "gamma"]);
    assert_eq!(meta, json!({"page": 1, "pageSize": 50, "total": 6, "hasNext": false}));
    let (page, meta) = list("?page=2&pageSize=4");
    assert_eq!(page, ["draft", "gamma"]);
    assert_eq!(meta, json!({"page": 2, "pageSize": 4, "total": 6, "hasNext": false}));
    assert_eq!(list("?page=1&pageSize=4").1["hasNext"], true);
    assert_eq!(list("?q=ET").0, ["beta", "beta"]);
    assert_eq!(list("?q=%E7%AC%AC").0, ["beta"], "by name");
    assert!(list("?q=nothing").0.is_empty());
    assert!(list("?page=99999999999999").0.is_empty());
    for bad in ["?page=0", "?page=x", "?pageSize=0", "?pageSize=-1"] {
        let answer = gateway.admin_get(&format!("/api/dataservice/interfaces{bad}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_PARAM"), "{bad}");
    }
}

#[test]
fn one_interface_is_shown_as_it_was_written() {
    let tree = tree();
    let gateway = tree.serve();
    let show = |path: &str| gateway.admin_get(&format!("/api/dataservice/interfaces/{path}"));
    let alpha = show("alpha");
    let data = alpha.data();
    assert_eq!((&data["code"], &data["name"]), (&json!("alpha"), &json!("First")));
    assert_eq!((&data["version"], &data["path"]), (&json!("1.0.0"), &json!("/data-api/alpha")));
    assert_eq!(data["parameters"][0]["name"], "n");
    assert!(data.get("kind").is_none());
    assert_eq!(alpha.json()["meta"]["file"], "definitions/alpha-1.0.0.yaml");
    assert_eq!(show("beta").data()["version"], "2.0.0", "the one that a call gets");
    assert_eq!(show("beta?version=1.0.0").data()["version"], "1.0.0");
    for nowhere in ["nothing", "beta?version=9.0.0", "beta?version=x"] {
        assert_eq!(
            (show(nowhere).status, show(nowhere).code().as_str()),
            (404, "NOT_FOUND"),
            "{nowhere}"
        );
    }
}

#[test]
fn an_interface_can_be_tried() {
    let tree = tree();
    let gateway = tree.serve();
    let run = |path: &str, body: &str| {
        gateway.admin_post(&format!("/api/dataservice/interfaces/{path}"), body)
    };
    let rows = json!([{"n": 1}, {"n": 2}]);
    for body in ["{\"n\": 2}", "{\"parameters\": {\"n\": 2}}"] {
        assert_eq!(run("alpha/test", body).data(), rows, "{body}");
    }
    let missing = run("alpha/test", "").refusal();
    assert_eq!(missing, (400, "INVALID_PARAM".into(), vec![("n".into(), "required".into())]));
    for bad in ["[]", "{", "7"] {
        assert_eq!(run("alpha/test", bad).status, 400, "{bad}");
    }
    assert_eq!(run("beta/test", "").data(), json!([{"version": 2}]));
    assert_eq!(run("beta/test?version=1.0.0", "{\"n\": 1}").data(), json!([{"n": 1}]));
    // A draft can be tried and not called; what is disabled can be neither.
    assert_eq!(gateway.get("/data-api/draft").status, 404);
    assert_eq!(run("draft/test", "{}").data(), json!([{"n": 1}]));
    assert_eq!(run("closed/test", "{}").status, 404);
    assert_eq!(run("nothing/test", "{}").status, 404);
    assert_eq!(Value::from(run("alpha/test", "{\"x\": 1, \"n\": 1}").code()), "INVALID_PARAM");
}
