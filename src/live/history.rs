//! The last reloads, and what each found changed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::reload::LastReload;
use crate::definitions::diff::unified;
use crate::definitions::load::{Files, Tree};
use crate::pace::paced;

/// Reloads that are remembered.
const MAX_RELOADS: usize = 50;
/// Changed files named of one reload.
const MAX_CHANGED: usize = 100;
/// Bytes of differences kept of one reload; files beyond are only named.
const MAX_DIFF_BYTES: usize = 64 << 10;

/// A file that was not as the reload before had found it.
#[derive(Clone, Debug)]
pub struct Changed {
    pub path: String,
    /// Line by line; empty where that would be too long.
    pub diff: String,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The files that the last reload looked at.
    files: Arc<Files>,
    entries: VecDeque<(LastReload, Vec<Changed>)>,
}

impl History {
    /// The files that the last reload looked at.
    pub fn files(&self) -> Arc<Files> {
        self.files.clone()
    }

    /// Keeps a reload of a tree, with what it found [`changed`].
    pub fn keep(&mut self, tree: &Tree, reload: &LastReload, changed: Vec<Changed>) {
        self.files = tree.files.clone();
        self.entries.truncate(MAX_RELOADS - 1);
        self.entries.push_front((reload.clone(), changed));
    }

    /// The newest first.
    pub fn entries(&self) -> impl Iterator<Item = &(LastReload, Vec<Changed>)> {
        self.entries.iter()
    }
}

/// The files that are not in `new` as they were in `old`.
pub(super) fn changed(old: &Files, new: &Files) -> Vec<Changed> {
    let is_other = |path: &&String| old.get(*path) != new.get(*path);
    let gone = paced(old.keys()).filter(|path| !new.contains_key(*path));
    let mut left = MAX_DIFF_BYTES;
    let changed = paced(new.keys()).filter(is_other).chain(gone).take(MAX_CHANGED).map(|path| {
        let text = |files: &Files| files.get(path).cloned().unwrap_or_default();
        let (before, after) = (text(old), text(new));
        let diff = if before.len() + after.len() > 8 * left {
            String::new()
        } else {
            unified(&before, &after)
        };
        let diff = if diff.len() > left { String::new() } else { diff };
        left -= diff.len();
        Changed { path: path.clone(), diff }
    });
    changed.collect()
}
