//! Reloads under load: the tree flips between good and bad versions while callers call.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::swap;
use crate::support::Tree;

const FLIPS: usize = 240;
const CALLERS: usize = 4;
/// Every so many versions one is bad.
const BAD_EVERY: usize = 3;

/// Versions of `mark`, whose YAML and SQL say which they are: the SQL in a value, the YAML in the name of a column.
/// The files change together, by the swap of one link.
fn versions(tree: &Tree) {
    let volume = tree.root().join("definitions");
    for i in 0..2 * BAD_EVERY {
        let dir = volume.join(format!("..v{i}"));
        fs::create_dir_all(&dir).unwrap();
        let yaml = format!(
            "kind: interface\ncode: mark\ndatasource_id: lite\nquery_file: mark.sql\n\
             transform: {{rename: {{mark: mark{i}}}}}\n"
        );
        let bad = i % BAD_EVERY == BAD_EVERY - 1;
        let sql = if bad { "SELEC".to_owned() } else { format!("SELECT 'mark{i}' AS mark") };
        // Folders between the two files make the way from one to the other long.
        fs::write(dir.join("mark.yaml"), yaml).unwrap();
        fs::write(dir.join("mark.sql"), sql).unwrap();
        fs::write(dir.join("filler.yaml"), format!("# {i}\n")).unwrap();
    }
    symlink("..v0", volume.join("..data")).unwrap();
    for file in ["mark.yaml", "mark.sql", "filler.yaml"] {
        symlink(format!("..data/{file}"), volume.join(file)).unwrap();
    }
}

#[test]
fn costs_no_request_and_mixes_nothing() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    versions(&tree);
    let gateway = tree.serve();
    let (done, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    // What each revision answered; a revision names exactly one tree.
    let seen: Mutex<BTreeMap<String, String>> = Mutex::default();
    std::thread::scope(|scope| {
        let caller = || {
            while !done.load(Relaxed) {
                let answer = gateway.get("/data-api/mark");
                assert_eq!(answer.status, 200, "{}", answer.text());
                let data = answer.data();
                let (column, value) = data[0].as_object().unwrap().iter().next().unwrap();
                assert_eq!(value, column, "half of two trees");
                let revision = answer.header("x-definitions-revision").unwrap().to_owned();
                let known =
                    seen.lock().unwrap().entry(revision).or_insert_with(|| column.clone()).clone();
                assert_eq!(known, *column, "a revision of two trees");
                calls.fetch_add(1, Relaxed);
            }
        };
        // Ends the callers also where this thread fails.
        let _end = Ending(&done);
        for _ in 0..CALLERS {
            scope.spawn(caller);
        }
        for flip in 1..=FLIPS {
            let version = flip % (2 * BAD_EVERY);
            swap(&tree.root().join("definitions/..data"), &format!("..v{version}"));
            if flip % 5 == 0 {
                // Left to the watch.
                std::thread::sleep(std::time::Duration::from_millis(10));
                continue;
            }
            let answer = gateway.admin_post("/api/reload", "");
            let bad = version % BAD_EVERY == BAD_EVERY - 1;
            assert_eq!(answer.status, if bad { 422 } else { 200 }, "{}", answer.text());
        }
    });
    let good = 2 * BAD_EVERY - 2;
    assert_eq!(seen.lock().unwrap().len(), good, "{:?}", seen.lock().unwrap());
    assert!(calls.load(Relaxed) > FLIPS as u64, "hardly any call: {}", calls.load(Relaxed));
    assert!(gateway.metric("tidegate_config_reloads_total{result=\"failed\"}").unwrap() > 10.0);
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
