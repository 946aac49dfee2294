//! A log that cannot be written: nobody waits for it, and nothing ends because of it.

use std::fs::{File, OpenOptions};
use std::process::Command;

use crate::support::raw::Raw;
use crate::support::{Server, Tidegate, Tree, eventually, free_port, tidegate};

/// Lines that a pipe and the queue hold, and some more.
const CALLS: usize = 6_000;

/// An interface that is well, and one whose database is not there.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    let text = |name: &str| name.to_owned();
    let server = Server {
        host: text("127.0.0.1"),
        port: free_port(),
        user: text("u"),
        password: text("p"),
        database: text("d"),
    };
    tree.server("dead", "postgres", &server);
    tree.interface("code: well\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree.interface("code: dead\ndatasource_id: dead\nquery_template: SELECT 1 AS n\n");
    tree
}

#[test]
fn nobody_waits_for_a_reader_of_the_log() {
    let tree = tree();
    let pipe = tree.root().join("log");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let line = format!("SERVE 2>'{}'", pipe.display());
    let flags = ["--log", "info,access=info"];
    let mut gateway = Tidegate::start_in_shell(tree.root(), &flags, &line);
    let mut raw = Raw::connect(&gateway);
    for _ in 0..CALLS {
        raw.request("GET /data-api/well", "");
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    assert!([502, 503].contains(&gateway.get("/data-api/dead").status));
    assert!(gateway.metric("tidegate_log_lines_left_out_total") > Some(0.0));
    gateway.reload();
    assert_eq!(gateway.stop().code(), Some(0));
    drop(reader);
}

#[test]
fn a_full_disk_for_the_log_changes_no_answer() {
    let tree = tree();
    let mut gateway = Tidegate::start_in_shell(tree.root(), &[], "SERVE 2>/dev/full");
    for _ in 0..20 {
        assert!([502, 503].contains(&gateway.get("/data-api/dead").status));
        assert_eq!(gateway.get("/data-api/well").status, 200);
    }
    tree.interface("code: more\ndatasource_id: lite\nquery_template: SELECT 2 AS n\n");
    gateway.reload();
    assert_eq!(gateway.get("/data-api/more").status, 200);
    assert_eq!(gateway.stop().code(), Some(0));
}

#[test]
fn failures_are_told_with_a_limit() {
    let tree = tree();
    let gateway = tree.serve();
    for _ in 0..1_000 {
        assert!([502, 503].contains(&gateway.get("/data-api/dead").status));
    }
    let told = || gateway.log().lines().filter(|line| line.contains("DATASOURCE_ERROR")).count();
    eventually("some are told", || told() >= 100);
    // A hundred a second, and those calls took a few.
    assert!(told() < 900, "{}", told());
}

#[test]
fn commands_do_not_panic_where_nobody_reads() {
    for arguments in
        [vec!["schema", "interface"], vec!["key", "new"], vec!["validate", "--root", "."]]
    {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let errors = tempfile::NamedTempFile::new().unwrap();
        let written = File::create(errors.path()).unwrap();
        tidegate().args(&arguments).stdout(full()).stderr(written).status().unwrap();
        let errors = std::fs::read_to_string(errors.path()).unwrap();
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
        let status = tidegate().args(&arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_ne!(status.code(), Some(101), "{arguments:?}");
    }
}
