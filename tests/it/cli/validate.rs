//! `tidegate validate`.

use serde_json::{Value, json};

use super::on;
use crate::support::{Tree, run};

/// A tree with three problems in two files.
fn broken() -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: a\ndatasource_id: lyte\nquery_template: SELECT 1\n");
    tree.interface(
        "code: b\ndatasource_id: lite\nqery_template: SELECT 1\nquery_template: DELETE FROM t\n",
    );
    tree
}

fn good() -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: a\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree
}

#[test]
fn a_good_tree() {
    let tree = good();
    let (code, out, _) = on(&tree, &["validate"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("ok: 1 interfaces, 1 datasources, 1 consumers, 1 roles"), "{out}");
    let (code, out, _) = on(&tree, &["validate", "--format", "json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["problems"]), (0, &json!([])));
    assert!(json["revision"].as_str().is_some_and(|revision| revision.len() == 12), "{json}");
    let (code, out, _) = on(&tree, &["validate", "--format", "github"]);
    assert_eq!((code, out.as_str()), (0, ""));
    // Nothing is made by looking.
    assert!(!tree.root().join("data").exists());
}

#[test]
fn every_problem_at_its_place() {
    let tree = broken();
    let (code, out, _) = on(&tree, &["validate"]);
    assert_eq!(code, 1, "{out}");
    for line in [
        "definitions/a-1.0.0.yaml:3:16: error DANGLING_REFERENCE: ",
        "definitions/b-1.0.0.yaml:4:1: error UNKNOWN_KEY: ",
        "  hint: ",
        "`lite`?",
    ] {
        assert!(out.contains(line), "no {line:?} in:\n{out}");
    }
    assert!(out.lines().last().unwrap().ends_with("errors, 0 warnings"), "{out}");

    let (code, out, _) = on(&tree, &["validate", "--format", "json"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&out).unwrap();
    let first = &json["problems"][0];
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&json!("definitions/a-1.0.0.yaml"), &json!(3), &json!(16))
    );
    assert_eq!(
        (&first["severity"], &first["code"]),
        (&json!("error"), &json!("DANGLING_REFERENCE"))
    );
    assert!(first["message"].is_string() && first["hint"].is_string());

    let (code, out, _) = on(&tree, &["validate", "--format", "github"]);
    assert_eq!(code, 1);
    assert!(
        out.starts_with(
            "::error file=definitions/a-1.0.0.yaml,line=3,col=16,title=DANGLING_REFERENCE::"
        ),
        "{out}"
    );
    assert!(out.lines().all(|line| line.starts_with("::error ")), "{out}");
    assert_eq!(out.lines().count(), json["problems"].as_array().unwrap().len());
}

#[test]
fn a_warning_is_no_failure() {
    let tree = good();
    tree.write(
        "datasources/pg.yaml",
        "kind: datasource\nid: pg\ntype: postgres\nhost: h\ndatabase: d\nusername: u\npassword: {env: NO_SUCH_VARIABLE}\n",
    );
    let (code, out, _) = on(&tree, &["validate"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("warning SECRET_MISSING") && out.contains("NO_SUCH_VARIABLE"), "{out}");
    let (_, out, _) = on(&tree, &["validate", "--format", "github"]);
    assert!(out.starts_with("::warning file=datasources/pg.yaml,"), "{out}");
}

#[test]
fn what_cannot_run() {
    let tree = good();
    let nowhere = tree.root().join("nowhere");
    let (code, _, error) = run(&["validate", "--root", nowhere.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(error.contains("nowhere"), "{error}");
    assert_eq!(on(&tree, &["validate", "--format", "xml"]).0, 2);
    assert_eq!(on(&tree, &["validate", "--no-such-flag"]).0, 2);
}
