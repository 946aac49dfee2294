//! Every way in which people change files is noticed; what is broken keeps the old definitions and says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tidegate::definitions::load::load_settled;

use super::{mark, mark_yaml, marked, noticed, swap};
use crate::support::{Tidegate, Tree, eventually, run};

#[test]
fn saves_of_editors() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let gateway = tree.serve();
    assert_eq!(marked(&gateway), "one");
    noticed("a save by rename", || mark(&tree, "two"), || marked(&gateway) == "two");
    let file = tree.root().join("definitions/mark-1.0.0.yaml");
    let in_place = || fs::write(&file, format!("kind: interface\n{}", mark_yaml("three"))).unwrap();
    noticed("a save in place", in_place, || marked(&gateway) == "three");
}

#[test]
fn files_and_folders_come_and_go() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let gateway = tree.serve();
    let status = |code: &str| gateway.get(&format!("/data-api/{code}")).status;
    let late = "kind: interface\ncode: late\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n";
    let new = || _ = tree.write("definitions/new/deep/late.yaml", late);
    noticed("a file in a new folder", new, || status("late") == 200);
    let more =
        || _ = tree.write("definitions/new/more.yaml", &late.replace("code: late", "code: more"));
    noticed("a file beside it", more, || status("more") == 200);
    let remove = || fs::remove_dir_all(tree.root().join("definitions/new")).unwrap();
    noticed("a removed folder", remove, || status("late") == 404 && status("more") == 404);
    assert_eq!(marked(&gateway), "one");
}

#[test]
fn a_checkout_changes_everything_at_once() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.write(".gitignore", "data\n");
    let git = |line: &str| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let words = line.split(' ');
        let done = Command::new("git")
            .current_dir(tree.root())
            .args(identity)
            .args(words)
            .output()
            .unwrap();
        assert!(done.status.success(), "git {line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    let commit = |name: &str| {
        for i in 0..40 {
            let yaml = mark_yaml(name).replace("code: mark", &format!("code: mark{i}"));
            tree.interface(&yaml);
        }
        git("add -A");
        git(&format!("commit -q -m {name}"));
        git("rev-parse HEAD")
    };
    git("init -q -b main");
    let first = commit("first");
    let second = commit("second");
    let gateway = tree.serve();
    let serves = |name: &str, commit: &str| {
        let revision = gateway.status()["revision"].as_str().unwrap().to_owned();
        let all = (0..40)
            .all(|i| gateway.get(&format!("/data-api/mark{i}")).data() == json!([{"mark": name}]));
        all && revision.starts_with(&commit[..12])
    };
    assert!(serves("second", &second));
    let checkout = |commit: &str| drop(git(&format!("checkout -q {commit}")));
    noticed("a checkout", || checkout(&first), || serves("first", &first));
    noticed("a checkout back", || checkout("main"), || serves("second", &second));
    // The same files under another commit are another revision.
    let empty = || drop(git("commit -q --allow-empty -m third"));
    noticed("a commit", empty, || serves("second", &git("rev-parse HEAD")));
}

/// Copies the definitions of a tree; its data stay.
fn copy(from: &Path, to: &Path) {
    for folder in ["datasources", "definitions", "policies"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, to.join(folder).join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn the_root_is_a_symbolic_link() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    let releases = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        mark(&tree, name);
        copy(tree.root(), &releases.path().join(name));
    }
    let root = releases.path().join("current");
    symlink("one", &root).unwrap();
    let gateway = Tidegate::start(&root, &[]);
    assert_eq!(marked(&gateway), "one");
    noticed("a release", || swap(&root, "two"), || marked(&gateway) == "two");
    noticed("a roll-back", || swap(&root, "one"), || marked(&gateway) == "one");
    // The watch follows the link.
    let file = releases.path().join("one/definitions/mark-1.0.0.yaml");
    let save = || fs::write(&file, format!("kind: interface\n{}", mark_yaml("three"))).unwrap();
    noticed("a save behind the link", save, || marked(&gateway) == "three");
}

#[test]
fn a_mounted_volume_is_swapped() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    let volume = tree.root().join("definitions");
    for name in ["one", "two"] {
        let dir = volume.join(format!("..{name}"));
        fs::create_dir_all(&dir).unwrap();
        let yaml = format!("kind: interface\n{}", mark_yaml(name));
        fs::write(dir.join("mark.yaml"), yaml).unwrap();
    }
    symlink("..one", volume.join("..data")).unwrap();
    symlink("..data/mark.yaml", volume.join("mark.yaml")).unwrap();
    let gateway = tree.serve();
    assert_eq!(marked(&gateway), "one");
    noticed("a swap", || swap(&volume.join("..data"), "..two"), || marked(&gateway) == "two");
    noticed("a swap back", || swap(&volume.join("..data"), "..one"), || marked(&gateway) == "one");
}

#[test]
fn what_is_broken_keeps_the_last_good() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "good");
    let gateway = tree.serve();
    let before = gateway.status();
    let (revision, hash) = (before["revision"].as_str().unwrap(), before["hash"].as_str().unwrap());
    let info = format!("tidegate_config_info{{hash=\"{hash}\",revision=\"{revision}\"}}");
    let success = "tidegate_config_last_reload_success_timestamp_seconds";
    let first = gateway.metric(success).unwrap();
    let ok = || gateway.metric("tidegate_config_last_reload_successful").unwrap();
    assert_eq!((ok(), gateway.metric(&info)), (1.0, Some(1.0)));

    let file = tree.root().join("definitions/mark-1.0.0.yaml");
    let whole = fs::read_to_string(&file).unwrap();
    let unknown_key = format!("{whole}colour: red\n");
    let half = &whole[..whole.find("AS mark").unwrap() - 1].trim_end_matches('\'');
    for (what, text) in
        [("broken YAML", "kind: [\n"), ("an unknown key", &unknown_key), ("a half", half)]
    {
        let loaded = gateway.metric(success);
        noticed(
            what,
            || fs::write(&file, text).unwrap(),
            || gateway.status()["last_reload"]["ok"] == false && ok() == 0.0,
        );
        let status = gateway.status();
        let problem = &status["last_reload"]["problems"][0];
        assert_eq!(problem["file"], "definitions/mark-1.0.0.yaml", "{what}: {status}");
        for key in ["line", "column", "code", "message", "hint"] {
            assert!(!problem[key].is_null(), "{what}: {problem} has no {key}");
        }
        assert_eq!((&status["revision"], &status["hash"]), (&json!(revision), &json!(hash)));
        assert_eq!(gateway.metric(&info), Some(1.0), "{what}");
        assert_eq!(gateway.metric(success), loaded, "{what}");
        assert_eq!(marked(&gateway), "good", "{what}");
        fs::write(&file, &whole).unwrap();
        eventually("the good file is back", || {
            gateway.status()["last_reload"]["ok"] == true && ok() == 1.0
        });
    }
    assert!(gateway.log().contains("UNKNOWN_KEY"), "{}", gateway.log());
    assert!(gateway.metric(success).unwrap() > first);
}

/// Who writes in place first makes the file empty: what is read in between is half of two versions.
#[test]
fn a_file_is_not_taken_while_it_is_written() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let file = tree.root().join("definitions/mark-1.0.0.yaml");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    let loaded = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load_settled(tree.root()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        fs::write(&file, &whole).unwrap();
        loading.join().unwrap()
    });
    assert_eq!(loaded.files.get("definitions/mark-1.0.0.yaml"), Some(&whole));
    // One that stays empty is taken as it is.
    fs::write(&file, "").unwrap();
    let empty = load_settled(tree.root());
    assert_eq!(empty.files.get("definitions/mark-1.0.0.yaml").map(String::as_str), Some(""));
}

#[test]
fn a_reload_can_be_asked_for() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let gateway = tree.serve();
    mark(&tree, "two");
    let good = gateway.admin_post("/api/reload", "");
    assert_eq!(marked(&gateway), "two");
    assert_eq!(good.data()["revision"], gateway.status()["revision"]);
    tree.interface("code: a\ndatasource_id: nowhere\nquery_template: SELECT 1\n");
    tree.interface("code: b\ndatasource_id: lite\nquery_template: SELEC 1\n");
    let bad = gateway.admin_post("/api/reload", "");
    assert_eq!(bad.status, 422, "{}", bad.text());
    let body = bad.json();
    assert_eq!(body["success"], false);
    let problems = body["details"].as_array().unwrap();
    let found: Vec<_> = problems
        .iter()
        .map(|p| (p["file"].as_str().unwrap(), p["code"].as_str().unwrap()))
        .collect();
    assert!(found.contains(&("definitions/a-1.0.0.yaml", "DANGLING_REFERENCE")), "{found:?}");
    assert!(found.iter().any(|(file, _)| *file == "definitions/b-1.0.0.yaml"), "{found:?}");
    assert_eq!(marked(&gateway), "two");
}

#[test]
fn definitions_that_vanish_go_on_serving() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let gateway = tree.serve();
    assert_eq!(marked(&gateway), "one");
    let folders = ["datasources", "definitions", "policies"];
    let mv = |from: &str, to: &str| {
        for folder in folders {
            fs::rename(tree.root().join(from).join(folder), tree.root().join(to).join(folder))
                .unwrap();
        }
    };
    fs::create_dir(tree.root().join("away")).unwrap();
    mv("", "away");
    let gone = gateway.admin_post("/api/reload", "");
    assert_eq!(gone.status, 422, "{}", gone.text());
    assert_eq!(marked(&gateway), "one");
    mv("away", "");
    gateway.reload();
    assert_eq!(marked(&gateway), "one");
}

#[test]
fn what_cannot_be_read_is_a_failed_reload_until_it_is_gone() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    mark(&tree, "one");
    let gateway = tree.serve();
    let secret = tree.root().join("secret.yaml");
    fs::write(&secret, "kind: nothing\npassword: hunter2\n").unwrap();
    let file = tree.root().join("definitions/odd.yaml");
    let last = || gateway.status()["last_reload"].clone();
    let made: [(&str, &dyn Fn()); 3] = [
        ("not UTF-8", &|| fs::write(&file, b"code: \xff\n").unwrap()),
        ("larger than", &|| fs::write(&file, vec![b'#'; (4 << 20) + 1]).unwrap()),
        // Whoever may commit may not read whatever the process can.
        ("out of the definitions", &|| symlink(&secret, &file).unwrap()),
    ];
    for (reason, make) in made {
        noticed(reason, make, || last()["ok"] == false);
        let problem = &last()["problems"][0];
        assert_eq!(
            (&problem["code"], &problem["file"]),
            (&json!("UNREADABLE"), &json!("definitions/odd.yaml"))
        );
        assert!(problem["message"].as_str().unwrap().contains(reason), "{problem}");
        assert_eq!(marked(&gateway), "one");
        let shown = gateway.admin_get("/api/config/file?path=definitions/odd.yaml");
        assert_eq!(shown.status, 404, "{}", shown.text());
        noticed("it is gone", || fs::remove_file(&file).unwrap(), || last()["ok"] == true);
    }
}

#[test]
fn a_pipe_is_a_problem_and_nobody_waits_for_it() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    tree.interface("code: one\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    let gateway = tree.serve();
    for path in ["definitions/pipe.yaml", "definitions/pipe.sql", "policies/pipe.yml"] {
        let pipe = tree.root().join(path);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refused = gateway.admin_post("/api/reload", "");
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("no regular file"), "{}", refused.text());
        let (code, problems, _) = run(&["validate", "--root", tree.root().to_str().unwrap()]);
        assert!(code == 1 && problems.contains("UNREADABLE"), "{problems}");
        fs::remove_file(pipe).unwrap();
    }
    tree.interface("code: two\ndatasource_id: lite\nquery_template: SELECT 2 AS n\n");
    gateway.reload();
    assert_eq!(gateway.get("/data-api/two").status, 200);
}
