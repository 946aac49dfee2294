//! The description of the admin API is that of its routes.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::support::Tree;

/// Methods and paths of `router.rs`, where a route stands with its methods on a line or a few.
fn routes() -> BTreeSet<String> {
    let text = std::fs::read_to_string("src/admin/router.rs").unwrap();
    let route =
        Regex::new(r#"(?s)\.route\(\s*"(/api/[^"]+)",\s*([a-z]+)(.*?)\)\s*;?\s*\n"#).unwrap();
    let method = Regex::new(r"\b(get|post|put|patch|delete)\(").unwrap();
    let named = |name: &str| {
        let definition = Regex::new(&format!(r"(?s)let {name} =(.*?);")).unwrap();
        definition.captures(&text).map(|found| found[1].to_owned())
    };
    let mut found = BTreeSet::new();
    for captures in route.captures_iter(&text) {
        let (path, first) = (&captures[1], &captures[2]);
        let methods = named(first).unwrap_or_else(|| format!("{first}{})", &captures[3]));
        found.extend(method.captures_iter(&methods).map(|method| format!("{} {path}", &method[1])));
    }
    found
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    let gateway = tree.serve();
    let document = gateway.admin_get("/api/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let mut routes = routes();
    assert!(routes.len() > 50, "routes are not recognised any more: {routes:?}");
    assert!(routes.remove("get /api/openapi.json"));
    assert_eq!(described, routes);
    let login = &paths["/api/session"]["post"];
    assert_eq!(login["security"], Value::Array(Vec::new()));
    assert_eq!(
        login["requestBody"]["content"]["application/json"]["schema"]["required"][0],
        "username"
    );
}
