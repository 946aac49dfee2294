//! A storm of reloads: some hundred trees, good, bad and half written, while callers call.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde_json::Value;

use crate::support::raw::Raw;
use crate::support::{Tidegate, Tree, memory_kb};

const CYCLES: usize = 4;
const TREES_PER_CYCLE: usize = 60;
const CALLERS: usize = 3;
/// What the last cycles may add to what the first left, in KB; a generation that stayed would be about as much each.
const MAX_GROWTH_KB: u64 = 12_000;

/// Writes tree number `n`: `mark`, whose YAML and SQL must say the same, and interfaces, roles, keys and limits that come
/// and go with it. Folders are replaced whole, as a checkout in another place and a rename do.
fn write(root: &Path, n: usize) {
    let next = root.join("next~");
    let _ = fs::remove_dir_all(&next);
    fs::create_dir_all(&next).unwrap();
    let mark = format!(
        "kind: interface\ncode: mark\ndatasource_id: lite\nquery_file: mark.sql\n\
         transform: {{rename: {{mark: mark{n}}}}}\n"
    );
    fs::write(next.join("mark.yaml"), mark).unwrap();
    fs::write(next.join("mark.sql"), format!("SELECT 'mark{n}' AS mark")).unwrap();
    for i in 0..10 {
        let text = format!(
            "kind: interface\ncode: passing_{n}_{i}\ndatasource_id: lite\nrate_limit: {{rps: 5, burst: 5}}\n\
             cache: {{ttl_seconds: 60}}\nparameters: [{{name: x, type: integer}}]\n\
             query_template: \"SELECT :x AS x {{% if x %}} WHERE :x > 1 {{% endif %}}\"\n\
             response_schema: {{type: object, properties: {{data: {{type: array}}}}}}\n"
        );
        fs::write(next.join(format!("passing{i}.yaml")), text).unwrap();
    }
    match n % 6 {
        1 => fs::write(next.join("broken.yaml"), "kind: interface\ncode: [\n").unwrap(),
        3 => fs::write(next.join("mark.sql"), "SELEC").unwrap(),
        // Half of a file, as a writer leaves it that is not done.
        5 => fs::write(next.join("passing3.yaml"), "kind: interface\ncode: passing_").unwrap(),
        _ => {}
    }
    let (now, old) = (root.join("definitions/tree"), root.join("old~"));
    let _ = fs::remove_dir_all(&old);
    if now.exists() {
        fs::rename(&now, &old).unwrap();
    }
    fs::rename(&next, &now).unwrap();
}

/// Calls until it is told to stop; each answer is well and of one tree. How many there were.
fn calls(gateway: &Tidegate, is_over: &AtomicBool, count: &AtomicU64) {
    let mut raw = Raw::connect(gateway);
    while !is_over.load(Relaxed) {
        assert!(raw.request("GET /data-api/mark", ""), "the connection broke");
        let answer = raw.answer().expect("the connection broke");
        let data = answer.data();
        let (column, value) = data[0].as_object().unwrap().iter().next().unwrap();
        assert_eq!(value, column, "half of two trees");
        count.fetch_add(1, Relaxed);
    }
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_storm_costs_no_call_mixes_nothing_and_leaves_no_memory() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    fs::create_dir_all(tree.root().join("definitions")).unwrap();
    write(tree.root(), 0);
    let gateway = tree.serve();
    let (is_over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut held = Vec::new();
    std::thread::scope(|scope| {
        // Ends the callers also where this thread fails.
        let _end = Ending(&is_over);
        for _ in 0..CALLERS {
            scope.spawn(|| calls(&gateway, &is_over, &count));
        }
        for cycle in 0..CYCLES {
            for i in 1..=TREES_PER_CYCLE {
                let n = cycle * TREES_PER_CYCLE + i;
                write(tree.root(), n);
                if n.is_multiple_of(7) {
                    // Left to the watch.
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    continue;
                }
                let status = gateway.admin_post("/api/reload", "").status;
                assert_eq!(status, if n % 2 == 1 { 422 } else { 200 }, "tree {n}");
                // Uses what each generation makes when it is used.
                let passing = format!("/data-api/passing_{n}_{}", n % 10);
                let answer = gateway.get(&format!("{passing}?x=5"));
                assert_eq!(
                    answer.status,
                    if status == 200 { 200 } else { 404 },
                    "{}",
                    answer.text()
                );
            }
            held.push(memory_kb(&gateway, "VmRSS"));
        }
    });
    assert!(count.load(Relaxed) > 500, "hardly any call: {count:?}");
    let grown = held[CYCLES - 1].saturating_sub(held[0]);
    assert!(grown < MAX_GROWTH_KB, "{held:?} KB after each cycle");
    // Series of interfaces that are gone are gone.
    let metrics = gateway.admin_get("/metrics").text();
    assert!(!metrics.contains("passing_2_2"), "{metrics}");
    // The last tree is bad, and everybody can see why.
    write(tree.root(), 241);
    assert_eq!(gateway.admin_post("/api/reload", "").status, 422);
    let last = &gateway.status()["last_reload"];
    assert!(last["problems"][0]["file"].as_str().unwrap().ends_with("broken.yaml"), "{last}");
    assert_ne!(last["ok"], Value::Bool(true), "{last}");
}
