//! Live figures: the machine, and the last hour of the interfaces.

use serde_json::json;

use crate::support::Tree;

#[test]
fn the_last_hour_is_counted() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER); INSERT INTO ws_t VALUES (1);");
    tree.interface("code: ws_cached\ndatasource_id: lite\ncache: {ttl_seconds: 60}\nquery_template: SELECT 1 AS n");
    tree.interface("code: ws_plain\ndatasource_id: lite\nparameters: [{name: n, type: integer, required: true}]\nquery_template: SELECT :n AS n");
    tree.interface("code: ws_idle\ndatasource_id: lite\nquery_template: SELECT 1 AS n");
    let gateway = tree.serve();
    for _ in 0..4 {
        assert_eq!(gateway.get("/data-api/ws_cached").status, 200);
    }
    assert_eq!(gateway.get("/data-api/ws_plain?n=1").status, 200);
    assert_eq!(gateway.get("/data-api/ws_plain?n=x").status, 400);
    let rows = gateway.admin_get("/api/monitor/interfaces").data();
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    let (cached, plain) = (&rows[0], &rows[1]);
    assert_eq!((&cached["code"], &cached["version"]), (&json!("ws_cached"), &json!("1.0.0")));
    assert_eq!((&cached["requests"], &cached["cache_ratio"]), (&json!(4), &json!(0.75)));
    assert_eq!((&plain["requests"], &plain["error_ratio"]), (&json!(2), &json!(0.5)));
    assert_eq!(plain["cache_ratio"], json!(null));
    for name in ["rate", "p50_ms", "p95_ms", "p99_ms"] {
        assert!(cached[name].as_f64().unwrap() > 0.0, "{name}: {cached}");
    }
    let by = |query: &str| {
        let rows = gateway.admin_get(&format!("/api/monitor/interfaces{query}")).data();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(by("?sort=-error_ratio"), ["ws_plain", "ws_cached"]);
    assert_eq!(by("?sort=-requests"), ["ws_cached", "ws_plain"]);
    assert_eq!(by("?q=PLAIN"), ["ws_plain"]);
    let traffic = |query: &str| {
        let data = gateway.admin_get(&format!("/api/monitor/traffic{query}")).data();
        assert_eq!(data["step_seconds"], 15);
        let points = data["points"].as_array().unwrap().clone();
        assert_eq!(points.len(), 240);
        let sum = |name: &str| points.iter().map(|p| p[name].as_u64().unwrap()).sum::<u64>();
        (sum("requests"), sum("errors"))
    };
    assert_eq!(traffic(""), (6, 1));
    assert_eq!(traffic("?code=ws_cached"), (4, 0));
    assert_eq!(traffic("?code=ws_nothing"), (0, 0));
}

#[test]
fn the_machine_has_figures() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE ws_t (n INTEGER);");
    let gateway = tree.serve();
    let data = gateway.admin_get("/api/monitor/server").data();
    assert!(data["cpu"]["cores"].as_u64().unwrap() > 0);
    let memory = &data["memory"];
    assert!(memory["total"].as_u64().unwrap() > memory["process"].as_u64().unwrap(), "{memory}");
    assert_eq!(data["process"]["pid"], gateway.child.id());
    assert!(data["process"]["threads"].as_u64().unwrap() > 1);
    assert!(data["process"]["started_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(data["disk"][0]["total"].as_u64().unwrap() > 0);
    assert_eq!(data["load"].as_array().unwrap().len(), 3);
    assert!(data["network"].is_array());
}
