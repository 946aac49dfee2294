//! Changes of the definitions: compiled before they are written, written to the files, and kept in git where there is one.
//!
//! ```text
//! change ─► lock ─► etag ─► compile the whole tree with it ─► write ─► commit ─► reload
//!                                                    └─ (on a branch) commit beside the work tree
//! ```

mod git;

use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

pub use self::git::{Commit, changes, log, state, uncommitted};
use crate::definitions::compile::compile_beside;
use crate::definitions::edit::EditError;
use crate::definitions::load::{FOLDERS, MAX_FILE_BYTES, Tree, hex, load_beside};
use crate::definitions::problem::Problem;
use crate::live::reload::Live;

/// Digits of an etag.
const ETAG_DIGITS: usize = 20;

/// Whether changes are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Written to the files, and to git where there is one.
    #[default]
    Direct,
    /// Not at all: the files come from elsewhere.
    ReadOnly,
}

/// One change at a time.
#[derive(Debug, Default)]
pub struct Edits {
    pub mode: Mode,
    one: Mutex<()>,
}

/// A change of one file.
#[derive(Clone, Debug)]
pub struct Change {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What it is to hold; `None` takes it away.
    pub text: Option<String>,
    /// The etag that the author saw; `None` where the file must not exist yet.
    pub seen: Seen,
}

/// What the author of a change saw of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There was no such file.
    Nothing,
    /// A file with this etag.
    Etag(String),
    /// Does not matter.
    Any,
}

/// Who changes what, and how it is kept.
#[derive(Clone, Debug)]
pub struct Author {
    pub username: Arc<str>,
    pub message: String,
    /// Where it is to be reviewed first: the branch that gets the commit instead of the files.
    pub branch: Option<String>,
}

/// What a change became.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The commit, where the root is a git work tree.
    pub commit: Option<String>,
    /// The revision that serves now.
    pub revision: String,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("editing is turned off here: the definitions come from elsewhere")]
    ReadOnly,
    #[error("`{0}` is no file that definitions may stand in")]
    Path(String),
    #[error("somebody else has changed `{0}` in the meantime")]
    Stale(String),
    #[error("the definitions would not load")]
    Problems(Vec<Problem>),
    #[error("{0}")]
    Edit(#[from] EditError),
    #[error("git: {0}")]
    Git(String),
    #[error("the file cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

/// The etag of a text.
pub fn etag(text: &str) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(text))[..ETAG_DIGITS])
}

/// Whether a path may be one of the definitions: below one of their folders, with an ending of theirs, and nothing hidden.
pub fn is_definition(path: &str) -> bool {
    let parts: Vec<Component<'_>> = Path::new(path).components().collect();
    let is_plain = |part: &Component<'_>| match part {
        Component::Normal(name) => {
            name.to_str().is_some_and(|name| !name.starts_with('.') && !name.ends_with('~'))
        }
        _ => false,
    };
    let folder = path.split('/').next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default();
    parts.len() >= 2
        && parts.iter().all(is_plain)
        && !path.contains(['\\', '\0'])
        && FOLDERS.contains(&folder)
        && ["yaml", "yml", "sql", "json"].contains(&ending)
}

/// The problems that the definitions would have with these changes.
///
/// # Errors
/// Where a path may not be written.
pub fn check(live: &Live, changes: &[Change]) -> Result<Vec<Problem>, ChangeError> {
    let tree = with(load_beside(live.root()), changes)?;
    Ok(match compile_beside(&tree, &live.current().snapshot) {
        Ok(snapshot) => snapshot.warnings,
        Err(problems) => problems,
    })
}

impl Edits {
    /// Takes changes as `mode` says.
    pub fn new(mode: Mode) -> Self {
        Self { mode, one: Mutex::default() }
    }

    /// Makes changes, all or none. Blocks.
    ///
    /// # Errors
    /// Why not.
    pub fn apply(
        &self,
        live: &Live,
        changes: &[Change],
        author: &Author,
    ) -> Result<Written, ChangeError> {
        if self.mode == Mode::ReadOnly {
            return Err(ChangeError::ReadOnly);
        }
        let _one = self.one.lock();
        let root = live.root();
        let tree = load_beside(root);
        for change in changes {
            let now = tree.files.get(&change.path).map(|text| etag(text));
            let is_seen = match (&change.seen, &now) {
                (Seen::Any, _) | (Seen::Nothing, None) => true,
                (Seen::Etag(seen), Some(now)) => seen == now,
                _ => false,
            };
            if !is_seen {
                return Err(ChangeError::Stale(change.path.clone()));
            }
        }
        let before: Vec<(PathBuf, Option<String>)> = changes
            .iter()
            .map(|change| (root.join(&change.path), tree.files.get(&change.path).cloned()))
            .collect();
        compile_beside(&with(tree, changes)?, &live.current().snapshot)
            .map_err(ChangeError::Problems)?;
        if let Some(branch) = &author.branch {
            let commit = git::commit_on_branch(root, changes, author, branch)?;
            let revision = live.current().snapshot.revision.clone();
            return Ok(Written { commit: Some(commit), revision });
        }
        let made = write_all(root, changes).and_then(|()| {
            let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
            git::commit(root, &paths, author)
        });
        let commit = made.inspect_err(|_| {
            // What could not be committed does not stay either.
            for (path, text) in &before {
                let restored = match text {
                    Some(text) => write(path, text),
                    None => fs::remove_file(path),
                };
                if let Err(error) = restored {
                    tracing::error!(%error, path = %path.display(), "a change that failed could not be taken back");
                }
            }
        })?;
        live.reload_if_changed(&author.username);
        Ok(Written { commit, revision: live.current().snapshot.revision.clone() })
    }
}

/// The tree as it would be.
fn with(tree: Tree, changes: &[Change]) -> Result<Tree, ChangeError> {
    let mut files = Arc::unwrap_or_clone(tree.files);
    for change in changes {
        let is_too_large =
            change.text.as_ref().is_some_and(|text| text.len() as u64 > MAX_FILE_BYTES);
        if !is_definition(&change.path) || is_too_large {
            return Err(ChangeError::Path(change.path.clone()));
        }
        match &change.text {
            Some(text) => files.insert(change.path.clone(), text.clone()),
            None => files.remove(&change.path),
        };
    }
    let mut changed = Tree::from_files(files);
    changed.problems = tree.problems;
    Ok(changed)
}

fn write_all(root: &Path, changes: &[Change]) -> Result<(), ChangeError> {
    let home = root.canonicalize()?;
    for change in changes {
        let path = root.join(&change.path);
        let parent = path.parent().ok_or_else(|| ChangeError::Path(change.path.clone()))?;
        fs::create_dir_all(parent)?;
        // A folder that is a link must not lead the change out of the root, nor a file that is one.
        let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        if !parent.canonicalize()?.starts_with(&home) || is_link {
            return Err(ChangeError::Path(change.path.clone()));
        }
        match &change.text {
            Some(text) => write(&path, text)?,
            None => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

/// Writes a file in one step, with the rights that it has.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.new~"));
    let mut file = fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(meta) = fs::metadata(path) {
        file.set_permissions(meta.permissions())?;
    }
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definitions_are_written() {
        for good in
            ["definitions/a.yaml", "policies/x/y.yml", "datasources/q.sql", "definitions/每日.json"]
        {
            assert!(is_definition(good), "{good}");
        }
        for bad in [
            "",
            "a.yaml",
            "definitions",
            "definitions/",
            "definitions/a.txt",
            "/definitions/a.yaml",
            "definitions/../a.yaml",
            "definitions/.a.yaml",
            "definitions/.git/a.yaml",
            "data/a.yaml",
            "definitions/a\\b.yaml",
            "./definitions/a.yaml",
            "definitions/a.yaml~",
        ] {
            assert!(!is_definition(bad), "{bad}");
        }
    }
}
