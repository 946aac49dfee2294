//! Definitions change while the gateway serves: what is noticed, what is kept, and that nobody sees half of two trees.

mod load;
mod notice;
mod survive;
mod unchanged;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Tidegate, Tree};

/// The contract's bound, from the change to the first answer of the new definitions.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// What a busy machine may add to it.
const LOAD_SLACK: Duration = Duration::from_secs(4);

/// An interface `mark` that answers with a text.
fn mark(tree: &Tree, text: &str) {
    tree.interface(&mark_yaml(text));
}

fn mark_yaml(text: &str) -> String {
    format!("code: mark\ndatasource_id: lite\nquery_template: SELECT '{text}' AS mark\n")
}

fn marked(gateway: &Tidegate) -> String {
    gateway.get("/data-api/mark").data()[0]["mark"].as_str().unwrap_or_default().to_owned()
}

/// Makes a change and waits until it shows; it must show within the contract's time.
fn noticed(what: &str, change: impl FnOnce(), mut shows: impl FnMut() -> bool) {
    change();
    let changed = Instant::now();
    while !shows() {
        assert!(changed.elapsed() < PATIENCE, "{what} is never noticed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = changed.elapsed();
    assert!(took < NOTICED_WITHIN + LOAD_SLACK, "{what} is noticed after {took:?}");
}

/// Points a symbolic link elsewhere in one step.
fn swap(link: &Path, target: &str) {
    let beside = link.with_file_name("next~");
    symlink(target, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}
