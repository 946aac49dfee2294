//! The repository's own tree: what the README promises.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Tidegate, eventually, run};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A copy of the demo, so that its data are not made in the repository.
fn demo() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["datasources", "definitions", "policies"] {
        copy(&Path::new(REPOSITORY).join(folder), &root.path().join(folder));
    }
    root
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn it_is_valid_and_passes_its_tests() {
    let root = demo();
    let root = root.path().to_str().unwrap();
    for args in [&["validate", "--root", root][..], &["validate", "--live", "--root", root]] {
        let (code, out, error) = run(args);
        assert_eq!(code, 0, "{out}{error}");
        assert!(out.starts_with("ok: ") && out.contains(" 0 warnings"), "{out}");
    }
    let (code, out, error) = run(&["test", "--root", root]);
    assert_eq!(code, 0, "{out}{error}");
    let passed: u32 = out.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(passed > 20, "{out}");
}

#[test]
fn it_warns_of_its_keys_and_answers_the_calls_of_the_readme() {
    let root = demo();
    let gateway = Tidegate::start(root.path(), &[]);
    eventually("it warns of its keys", || {
        let log = gateway.log();
        ["WARN", "DEMO KEY", "tidegate-demo-key"].iter().all(|word| log.contains(word))
    });
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let calls: Vec<String> =
        blocks(&readme).into_iter().filter(|block| block.starts_with("curl ")).collect();
    assert!(calls.len() >= 2, "{calls:?}");
    for call in calls {
        let call = call
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", gateway.data_port))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", gateway.admin_port));
        let done =
            Command::new("sh").args(["-c", &call]).current_dir(root.path()).output().unwrap();
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
            panic!("{call}: {error}: {}", String::from_utf8_lossy(&done.stderr))
        });
        assert_eq!(answer["success"], true, "{call}: {answer}");
        assert!(answer["data"].as_array().is_none_or(|rows| !rows.is_empty()), "{call}: {answer}");
    }
    assert_eq!(gateway.get_with("/data-api/sales_daily_summary", &[]).status, 401);
}

/// The shell blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    page.split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(str::to_owned)
        .collect()
}
