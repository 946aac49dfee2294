//! `tidegate validate --live`: the databases are asked.

use std::fmt::Write as _;

use super::on;
use crate::support::{Tree, free_port};

/// Interfaces for each datasource: one that its database takes, and one with a column that is not there.
fn interfaces(tree: &Tree, datasources: &[&str]) {
    for id in datasources {
        tree.interface(&format!(
            "code: good_{id}\ndatasource_id: {id}\nparameters: [{{name: n, type: integer}}]\n\
             query_template: SELECT 1 AS one WHERE 1 = :n OR :n IS NULL\n"
        ));
    }
}

fn wrong(tree: &Tree, id: &str) {
    tree.interface(&format!(
        "code: wrong_{id}\ndatasource_id: {id}\nquery_template: SELECT no_such_column FROM (SELECT 1 AS n) AS t WHERE n = 1\n"
    ));
}

#[test]
fn every_database_is_asked() {
    let all = ["lite", "pg", "my"];
    let tree = Tree::new();
    tree.sqlite("SELECT 1").postgres().mysql();
    interfaces(&tree, &all);
    let (code, out, _) = on(&tree, &["validate", "--live"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("ok: 3 interfaces, 3 datasources"), "{out}");
    for id in all {
        wrong(&tree, id);
    }
    assert_eq!(on(&tree, &["validate"]).0, 0, "without --live nobody can know");
    let (code, out, _) = on(&tree, &["validate", "--live"]);
    assert_eq!(code, 1, "{out}");
    for id in all {
        let place = format!("definitions/wrong_{id}-1.0.0.yaml:");
        let line = out
            .lines()
            .find(|line| line.starts_with(&place))
            .unwrap_or_else(|| panic!("no {place} in:\n{out}"));
        assert!(line.contains("error SQL_REFUSED") && line.contains("no_such_column"), "{line}");
        assert!(!out.contains(&format!("good_{id}")), "{out}");
    }
}

#[test]
fn a_datasource_that_is_down_is_named_once() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    for kind in ["postgres", "mysql"] {
        let mut yaml = format!("kind: datasource\nid: {kind}\ntype: {kind}\nhost: 127.0.0.1\n");
        write!(yaml, "port: {}\ndatabase: d\nusername: u\n", free_port()).unwrap();
        tree.write(&format!("datasources/{kind}.yaml"), &yaml);
    }
    interfaces(&tree, &["lite", "postgres", "mysql"]);
    for id in ["lite", "postgres", "mysql"] {
        wrong(&tree, id);
    }
    let (code, out, _) = on(&tree, &["validate", "--live"]);
    assert_eq!(code, 1, "{out}");
    for kind in ["postgres", "mysql"] {
        let place = format!("datasources/{kind}.yaml:");
        assert_eq!(out.matches(&place).count(), 1, "{out}");
        assert!(!out.contains(&format!("wrong_{kind}")), "{out}");
    }
    // The others are asked all the same.
    assert!(out.contains("definitions/wrong_lite-1.0.0.yaml"), "{out}");
}
