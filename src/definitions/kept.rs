//! What of an earlier snapshot still holds for a tree, so that a reload costs what changed.
//!
//! A definition depends on the text of its file, on that of its query's file and on its datasource, on nothing else
//! (`interface.rs`); where all three are the same to the letter, it is taken over. Whatever looks at more than one definition
//! runs over the whole tree each time. Only a snapshot without errors is ever taken from, so that nothing has to be known of
//! files that have some.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::load::Files;
use super::query::beside;
use super::snapshot::{Datasource, Definition, Snapshot};
use crate::pace::{breathe, paced};

/// Definitions that may be taken over, by file. Never more than the snapshot has that they are of.
#[derive(Debug, Default)]
pub struct Kept<'a> {
    by_file: HashMap<&'a str, Vec<&'a Arc<Definition>>>,
}

impl<'a> Kept<'a> {
    /// Nothing: all is compiled.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What of `before` holds for `files` and `datasources`.
    pub fn new(
        before: &'a Snapshot,
        files: &Files,
        datasources: &BTreeMap<String, Arc<Datasource>>,
    ) -> Self {
        let same = same(&before.files, files);
        let holds = |definition: &Definition| {
            let datasource = datasources.get(&definition.datasource.spec.id);
            datasource.is_some_and(|now| Arc::ptr_eq(now, &definition.datasource))
                && query_file(definition).is_none_or(|file| same.contains(file.as_str()))
        };
        let mut by_file: HashMap<&str, Vec<_>> = HashMap::with_capacity(before.interfaces.len());
        for interface in paced(&before.interfaces) {
            let file = interface.place.file.as_str();
            by_file.entry(file).or_default().push(&interface.definition);
        }
        // A file is kept as a whole or read as a whole.
        by_file.retain(|file, all| {
            breathe();
            same.contains(file) && all.iter().all(|one| holds(one))
        });
        Self { by_file }
    }

    /// The definitions of a file, where none of them has to be compiled.
    pub fn of(&self, file: &str) -> Option<Vec<Arc<Definition>>> {
        let kept = self.by_file.get(file)?;
        Some(kept.iter().copied().cloned().collect())
    }
}

/// The files that are in both with the same text.
fn same<'a>(before: &'a Files, after: &Files) -> HashSet<&'a str> {
    // Both are in the order of their paths, so that one walk along both finds what would be a search for each.
    let mut after = after.iter().peekable();
    let same = paced(before).filter(|(path, text)| {
        while after.next_if(|(other, _)| other < path).is_some() {}
        after.peek().is_some_and(|now| *now == (*path, *text))
    });
    same.map(|(path, _)| path.as_str()).collect()
}

/// The file that a definition's query stands in, if it has one of its own.
fn query_file(definition: &Definition) -> Option<String> {
    let file = definition.source.get("query_file")?.as_str()?;
    Some(beside(&definition.place.file, file))
}
