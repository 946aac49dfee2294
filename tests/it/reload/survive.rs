//! What did not change survives a reload: pools and cached answers. What did change does not. Secrets in files count.

use serde_json::{Value, json};

use crate::support::Tree;

const PID: &str = "code: pid\ndatasource_id: pg\nquery_template: SELECT pg_backend_pid() AS pid\n";

/// A tree whose datasource `pg` has one connection.
fn with_one_connection() -> Tree {
    let tree = Tree::new();
    tree.postgres();
    let file = tree.root().join("datasources/pg.yaml");
    let text = std::fs::read_to_string(file).unwrap() + "pool: {max_connections: 1}\n";
    tree.write("datasources/pg.yaml", &text);
    tree.interface(PID);
    tree
}

#[test]
fn connections() {
    let tree = with_one_connection();
    let gateway = tree.serve();
    let pid = || gateway.get("/data-api/pid").data();
    let first = pid();
    assert_eq!(pid(), first);
    tree.interface("code: other\ndatasource_id: pg\nquery_template: SELECT 1 AS n\n");
    tree.write("policies/more.yaml", "kind: role\nname: more\n");
    gateway.reload();
    assert_eq!(gateway.get("/data-api/other").status, 200);
    assert_eq!(pid(), first, "the pool was given up");
    let text = std::fs::read_to_string(tree.root().join("datasources/pg.yaml")).unwrap();
    tree.write("datasources/pg.yaml", &text.replace("connections: 1", "connections: 2"));
    gateway.reload();
    assert_ne!(pid(), first, "the pool is still the old one");
}

#[test]
fn a_password_in_a_file() {
    let tree = with_one_connection();
    let right = std::fs::read_to_string(tree.root().join("secrets/pg")).unwrap();
    tree.write("secrets/pg", "wrong");
    let gateway = tree.serve();
    let refused = gateway.get("/data-api/pid");
    assert_eq!((refused.status, refused.code().as_str()), (502, "DATASOURCE_ERROR"));
    assert!(!refused.text().contains("wrong") && !gateway.log().contains("password: wrong"));
    tree.write("secrets/pg", &format!("{right}\n"));
    gateway.reload();
    assert_eq!(gateway.get("/data-api/pid").status, 200);
    // A secret that goes away is a warning, not an end.
    std::fs::remove_file(tree.root().join("secrets/pg")).unwrap();
    gateway.reload();
    let problems = gateway.status()["last_reload"]["problems"].clone();
    assert_eq!(problems[0]["code"], "SECRET_MISSING", "{problems}");
    assert_eq!(problems[0]["severity"], "warning");
}

#[test]
fn cached_answers_of_what_did_not_change() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    let cached = |code: &str, column: &str| {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\ncache: {{ttl_seconds: 3600}}\n\
             query_template: SELECT random() AS {column}\n"
        ));
    };
    cached("a", "n");
    cached("b", "n");
    let gateway = tree.serve();
    let call = |code: &str| {
        let answer = gateway.get(&format!("/data-api/{code}"));
        (answer.data(), answer.header("x-cache").unwrap().to_owned())
    };
    let (first_a, first_b) = (call("a").0, call("b").0);
    cached("b", "m");
    gateway.reload();
    assert_eq!(call("a"), (first_a.clone(), "HIT".to_owned()));
    let (second_b, state) = call("b");
    assert_eq!(state, "MISS");
    assert_ne!(second_b, first_b);
    assert!(second_b[0]["m"].is_i64());
    // Another database behind the same definition is another answer.
    tree.write("datasources/lite.yaml", &tree_datasource("data/other.db"));
    gateway.reload();
    assert_eq!(call("a").1, "MISS");
    assert_ne!(call("a").0, first_a);
}

fn tree_datasource(path: &str) -> String {
    let value: Value = json!({
        "kind": "datasource", "id": "lite", "type": "sqlite", "path": path, "init": "datasources/lite.sql",
    });
    value.to_string()
}
