//! The last reloads, and which files each found changed.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use super::reload::LastReload;
use crate::definitions::load::Tree;

/// Reloads that are remembered.
const MAX_RELOADS: usize = 50;
/// Changed files named of one reload.
const MAX_CHANGED: usize = 100;

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The files that the last reload looked at, by path.
    files: BTreeMap<String, u64>,
    entries: VecDeque<(LastReload, Vec<String>)>,
}

impl History {
    /// Keeps a reload of a tree.
    pub fn keep(&mut self, tree: &Tree, reload: &LastReload) {
        let hash = |text: &String| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let files: BTreeMap<String, u64> =
            tree.files.iter().map(|(path, text)| (path.clone(), hash(text))).collect();
        let new = files
            .iter()
            .filter(|(path, hash)| self.files.get(*path) != Some(hash))
            .map(|(path, _)| path);
        let gone = self.files.keys().filter(|path| !files.contains_key(*path));
        // Of the first load everything is new.
        let changed = if self.entries.is_empty() {
            Vec::new()
        } else {
            new.chain(gone).take(MAX_CHANGED).cloned().collect()
        };
        self.files = files;
        self.entries.truncate(MAX_RELOADS - 1);
        self.entries.push_front((reload.clone(), changed));
    }

    /// The newest first.
    pub fn entries(&self) -> impl Iterator<Item = &(LastReload, Vec<String>)> {
        self.entries.iter()
    }
}
