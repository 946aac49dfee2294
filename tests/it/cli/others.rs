//! `tidegate schema`, `tidegate key new`, and the help.

use std::path::Path;

use serde_json::Value;
use tidegate::definitions::{document, load};

use crate::support::{Tree, run, sha256};

#[test]
fn schemas_accept_the_demo() {
    let tree = load::load(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut seen = std::collections::BTreeSet::new();
    for kind in ["datasource", "interface", "consumer", "role", "jwt_issuer"] {
        let (code, out, _) = run(&["schema", kind]);
        assert_eq!(code, 0);
        let schema: Value = serde_json::from_str(&out).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{kind}");
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (file, text) in tree.yaml() {
            for document in document::parse(file, text).0 {
                let json = document.root.to_json();
                if json["kind"] == kind {
                    seen.insert(kind);
                    let errors: Vec<_> =
                        validator.iter_errors(&json).map(|error| error.to_string()).collect();
                    assert!(errors.is_empty(), "{file}: {errors:?}");
                    let mut wrong = json.clone();
                    wrong["no_such_key"] = Value::from(1);
                    assert!(!validator.is_valid(&wrong), "{kind} takes any key");
                }
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    let (code, _, error) = run(&["schema", "table"]);
    assert_eq!(code, 2);
    assert!(error.contains("table") && error.contains("jwt_issuer"), "{error}");
}

#[test]
fn a_new_key_works() {
    let (code, out, _) = run(&["key", "new", "--id", "ci: \"1\""]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().collect();
    let (key, line) = (lines[1].trim(), lines[3]);
    assert!(key.len() > 40 && key.is_ascii(), "{key}");
    assert!(line.contains(&sha256(key)), "{line}");
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: n\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree.write(
        "policies/new.yaml",
        &format!("kind: consumer\nname: new\nroles: [all]\napi_keys:\n{line}\n"),
    );
    let gateway = tree.serve();
    assert_eq!(gateway.get_with("/data-api/n", &[("x-api-key", key)]).status, 200);
    // Each is another.
    let (_, again, _) = run(&["key", "new"]);
    assert_ne!(again.lines().nth(1).unwrap().trim(), key);
    let month = jiff::Zoned::now().strftime("%Y-%m").to_string();
    assert!(again.contains(&month), "{again}");
}

#[test]
fn the_help_names_every_command() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for command in ["serve", "validate", "test", "schema", "key"] {
        assert!(out.contains(&format!("  {command} ")), "{out}");
        let (code, help, _) = run(&[command, "--help"]);
        assert_eq!(code, 0, "{command}");
        assert!(help.contains("Usage: tidegate "), "{help}");
    }
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("tidegate ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(&[]).0, 2);
    assert_eq!(run(&["nonsense"]).0, 2);
}
