//! How the process refuses to start.

use std::fs;

use super::slow;
use crate::support::{Tree, free_port, run, tidegate};

#[test]
fn a_port_in_use_is_named() {
    let tree = slow(0.0);
    let gateway = tree.serve();
    let root = tree.root().to_str().unwrap();
    let (data, admin) = (gateway.data_port, gateway.admin_port);
    for (listen, admin_listen, used) in [(data, free_port(), data), (free_port(), admin, admin)] {
        let listen = format!("127.0.0.1:{listen}");
        let admin_listen = format!("127.0.0.1:{admin_listen}");
        let data_dir = tree.root().join("other").display().to_string();
        let (code, _, error) = run(&[
            "serve",
            "--root",
            root,
            "--listen",
            &listen,
            "--admin-listen",
            &admin_listen,
            "--data-dir",
            &data_dir,
        ]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("cannot listen") && error.contains(&used.to_string()), "{error}");
    }
    assert_eq!(gateway.get("/data-api/slow").status, 200);
}

#[test]
fn a_broken_tree_does_not_start() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: a\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    tree.interface("code: b\ndatasource_id: lite\ncolour: red\nquery_template: SELECT 1\n");
    tree.write("policies/c.yaml", "kind: consumer\nname: c\nroles: [no_such]\n");
    let listen = format!("127.0.0.1:{}", free_port());
    let admin = format!("127.0.0.1:{}", free_port());
    let root = tree.root().to_str().unwrap();
    let (code, _, error) =
        run(&["serve", "--root", root, "--listen", &listen, "--admin-listen", &admin]);
    assert_eq!(code, 2, "{error}");
    for expected in [
        "definitions/a-1.0.0.yaml:",
        "DANGLING_REFERENCE",
        "nowhere",
        "definitions/b-1.0.0.yaml:",
        "UNKNOWN_KEY",
        "colour",
        "policies/c.yaml:",
        "no_such",
    ] {
        assert!(error.contains(expected), "no {expected} in:\n{error}");
    }
}

#[test]
fn settings_that_cannot_be_taken_are_named() {
    let tree = slow(0.0);
    let root = tree.root().to_str().unwrap();
    let nowhere = tree.root().join("nowhere");
    for (args, expected) in [
        (vec!["serve", "--root", nowhere.to_str().unwrap()], "nowhere"),
        (vec!["serve", "--root", root, "--trusted-networks", "here"], "here"),
        (vec!["serve", "--root", root, "--tls-cert", "a.pem"], "tls_cert"),
        (vec!["serve", "--root", root, "--log-format", "xml"], "xml"),
        (vec!["serve", "--root", root, "--audit-durability", "disk"], "disk"),
        (vec!["serve", "--root", root, "--edit", "maybe"], "maybe"),
        (vec!["serve", "--root", root, "--store-url", "oracle://x/y"], "oracle"),
        (vec!["serve", "--root", root, "--listen", "nonsense"], "nonsense"),
    ] {
        let admin = format!("127.0.0.1:{}", free_port());
        let output = tidegate().args(&args).env("TIDEGATE_ADMIN_LISTEN", admin).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert!(!nowhere.exists(), "a wrong root was made");
    fs::write(tree.root().join("tidegate.yaml"), "lisen: 127.0.0.1:1\n").unwrap();
    let (code, _, error) = run(&["serve", "--root", root]);
    assert_eq!(code, 2);
    assert!(error.contains("tidegate.yaml") && error.contains("lisen"), "{error}");
}
