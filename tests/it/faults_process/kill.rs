//! `kill -9` under load: whatever strict call was answered is in the store.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::support::{KEY, Tree, eventually};

const ROUNDS: usize = 5;
const CALLERS: usize = 4;

#[test]
fn no_acknowledged_record_is_lost_in_several_rounds() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER);");
    let strict = "datasource_id: lite\naudit: true\nquery_template: SELECT 1 AS n\n";
    tree.interface(&format!("code: strict\n{strict}"));
    tree.interface(&format!("code: cached\ncache: {{ttl_seconds: 60}}\n{strict}"));
    let acknowledged: Mutex<HashSet<String>> = Mutex::default();
    for round in 0..ROUNDS {
        let gateway = tree.serve();
        let goal = acknowledged.lock().unwrap().len() + 150;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (acknowledged, is_over) = (&acknowledged, &is_over);
                let code = if caller % 2 == 0 { "strict" } else { "cached" };
                let url = gateway.data_url(&format!("/data-api/{code}"));
                scope.spawn(move || {
                    let agent = ureq::Agent::new_with_defaults();
                    for i in 0.. {
                        let id = format!("{round}-{caller}-{i}");
                        let call = agent.get(&url).header("x-api-key", KEY);
                        let answer = call.header("x-request-id", &id).call();
                        // The process is gone.
                        let Ok(mut answer) = answer else { return };
                        if answer.body_mut().read_to_string().is_ok() {
                            acknowledged.lock().unwrap().insert(id);
                        }
                        if is_over.load(Relaxed) {
                            return;
                        }
                    }
                });
            }
            eventually("many were answered", || acknowledged.lock().unwrap().len() > goal);
            let pid = gateway.child.id().to_string();
            let killed = Command::new("kill").args(["-KILL", &pid]).status();
            assert!(killed.unwrap().success());
            is_over.store(true, Relaxed);
        });
    }
    // Opened by the next process, as after a crash.
    let next = tree.serve();
    let store = rusqlite::Connection::open(tree.root().join("data/tidegate.db")).unwrap();
    let mut statement = store.prepare("SELECT request_id FROM audit").unwrap();
    let stored: HashSet<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let lost: Vec<_> = acknowledged.lock().unwrap().difference(&stored).cloned().collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(next.get("/data-api/strict").status, 200);
}
