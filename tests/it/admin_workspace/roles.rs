//! Who may do what: the routes behind `require`, served to people of each role; governed datasources are for role `admin` alone.

use serde_json::{Value, json};

use crate::admin::people::{PASSWORD, Person, account};
use crate::support::{Tidegate, Tree};

/// A gateway with somebody of each role.
struct Served<'a> {
    people: Vec<(&'static str, Person<'a>)>,
}

fn serve<'a>(tree: &Tree, gateway: &'a Tidegate) -> Served<'a> {
    let person = |role: &'static str| {
        account(tree, role, role, PASSWORD);
        (role, Person::log_in(gateway, role))
    };
    Served { people: ["viewer", "developer", "operator", "admin"].map(person).into() }
}

impl Served<'_> {
    /// The statuses that viewer, developer, operator and admin get.
    fn statuses(&self, method: &str, path: &str, body: &Value) -> Vec<u16> {
        self.people.iter().map(|(_, person)| person.asks(method, path, &[], body).status).collect()
    }

    fn ask(&self, role: &str, method: &str, path: &str, body: &Value) -> Value {
        let (_, person) = self.people.iter().find(|(known, _)| *known == role).unwrap();
        person.asks(method, path, &[], body).json()
    }
}

#[test]
fn each_route_asks_for_its_role() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER); INSERT INTO ws_t VALUES (1);");
    let gateway = tree.serve();
    let served = serve(&tree, &gateway);
    let ask = json!({"datasource_id": "lite", "sql": "SELECT n FROM ws_t", "code": "c"});
    for path in [
        "/api/datasources",
        "/api/datasources/lite/databases",
        "/api/datasources/lite/tables",
        "/api/datasources/lite/tables/ws_t",
        "/api/logs/queries",
        "/api/monitor/server",
        "/api/monitor/interfaces",
        "/api/monitor/traffic",
    ] {
        assert_eq!(served.statuses("GET", path, &Value::Null), [200; 4], "{path}");
    }
    for path in ["", "/explain", "/export", "/draft"] {
        let path = format!("/api/dataservice/query{path}");
        assert_eq!(served.statuses("POST", &path, &ask), [403, 200, 200, 200], "{path}");
    }
    assert_eq!(
        served.statuses("DELETE", "/api/dataservice/query/x", &Value::Null),
        [403, 404, 404, 404]
    );
    assert_eq!(
        served.statuses("GET", "/api/datasources/lite/completion", &Value::Null),
        [403, 200, 200, 200]
    );
    assert_eq!(
        served.statuses("POST", "/api/datasources/lite/test", &Value::Null),
        [403, 403, 200, 200]
    );
    let refused = served.ask("viewer", "POST", "/api/dataservice/query", &ask);
    assert_eq!((&refused["code"], &refused["success"]), (&json!("FORBIDDEN"), &json!(false)));
}

#[test]
fn a_governed_datasource_is_queried_by_hand_by_admins_alone() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER); INSERT INTO ws_t VALUES (1);");
    let path = tree.root().join("datasources/lite.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    tree.write("datasources/lite.yaml", &format!("{text}governed: true\n"));
    let gateway = tree.serve();
    let served = serve(&tree, &gateway);
    let ask = json!({"datasource_id": "lite", "sql": "SELECT n FROM ws_t", "code": "c"});
    for path in ["", "/explain", "/export", "/draft"] {
        let path = format!("/api/dataservice/query{path}");
        assert_eq!(served.statuses("POST", &path, &ask), [403, 403, 403, 200], "{path}");
    }
    let refused = served.ask("developer", "POST", "/api/dataservice/query", &ask);
    assert_eq!(refused["code"], "FORBIDDEN");
    assert!(refused["message"].as_str().unwrap().contains("governed"), "{refused}");
    let log = served.ask("admin", "GET", "/api/logs/queries?username=developer", &Value::Null);
    assert_eq!(log["meta"]["total"], 4, "what was refused is logged too");
    assert!(log["data"][0]["error"].as_str().unwrap().contains("governed"), "{log}");
}
