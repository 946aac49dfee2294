//! The git work tree that the definitions stand in, where they do.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{Author, Change, ChangeError};
use crate::definitions::load::FOLDERS;

/// Characters of git's own words that are shown.
const MAX_SHOWN: usize = 500;
/// Bytes of the differences of a commit that are shown.
const MAX_DIFF_BYTES: usize = 256 << 10;
/// Between the fields and at the end of an entry of the log.
const FIELD: char = '\u{1f}';
const ENTRY: char = '\u{1e}';

/// A commit.
#[derive(Clone, Debug)]
pub struct Commit {
    pub id: String,
    pub author: String,
    /// ISO 8601.
    pub at: String,
    pub message: String,
}

/// Commits the given paths, and nothing else; `None` where the root is no work tree or git ignores them.
pub(super) fn commit(
    root: &Path,
    paths: &[&str],
    author: &Author,
) -> Result<Option<String>, ChangeError> {
    if !is_work_tree(root) {
        return Ok(None);
    }
    let ignored = run(root, &[&["check-ignore", "-q", "--"], paths].concat(), &[])?;
    if ignored.status.success() {
        return Ok(None);
    }
    done(run(root, &[&["add", "-A", "--"], paths].concat(), &[])?)?;
    let staged = run(root, &[&["diff", "--cached", "--quiet", "--"], paths].concat(), &[])?;
    if staged.status.success() {
        return Ok(None);
    }
    let by = person(author);
    let message = message(author);
    let arguments = ["commit", "-q", "-o", "--author", &by, "-m", &message, "--"];
    let outcome = done(run(root, &[&arguments, paths].concat(), &committer())?);
    if outcome.is_err() {
        // The work tree is put back by the caller; the index must not keep the change either.
        let _ = run(root, &[&["reset", "-q", "--"], paths].concat(), &[]);
    }
    outcome?;
    head(root).map(Some)
}

/// Commits changes on a branch without touching the work tree; the branch begins where the work tree stands.
pub(super) fn commit_on_branch(
    root: &Path,
    changes: &[Change],
    author: &Author,
    branch: &str,
) -> Result<String, ChangeError> {
    if !is_work_tree(root) {
        return Err(ChangeError::Git(
            "the definitions stand in no work tree, so there are no branches".to_owned(),
        ));
    }
    let name = format!("refs/heads/{branch}");
    done(run(root, &["check-ref-format", "--branch", branch], &[])?)
        .map_err(|_| ChangeError::Git(format!("`{branch}` is no name of a branch")))?;
    let current = text(run(root, &["symbolic-ref", "-q", "HEAD"], &[])?);
    if current.is_ok_and(|current| current == name) {
        return Err(ChangeError::Git(format!(
            "`{branch}` is the branch that serves; leave it out to change it"
        )));
    }
    let parent =
        text(run(root, &["rev-parse", "--verify", "-q", &name], &[])?).or_else(|_| head(root))?;
    let prefix = text(run(root, &["rev-parse", "--show-prefix"], &[])?)?;
    let index = tempfile_in(root)?;
    let index_variable = ("GIT_INDEX_FILE", index.as_str());
    let outcome = (|| {
        done(run(root, &["read-tree", &parent], &[index_variable])?)?;
        for change in changes {
            let path = format!("{prefix}{}", change.path);
            let update = match &change.text {
                Some(content) => {
                    let blob = hash_object(root, content)?;
                    let entry = format!("100644,{blob},{path}");
                    run(root, &["update-index", "--add", "--cacheinfo", &entry], &[index_variable])?
                }
                None => run(
                    root,
                    &["rm", "-q", "--cached", "--", &format!(":/{path}")],
                    &[index_variable],
                )?,
            };
            done(update)?;
        }
        let tree = text(run(root, &["write-tree"], &[index_variable])?)?;
        let by = committer();
        let email = email(author);
        let mut variables = vec![
            ("GIT_AUTHOR_NAME", author.username.as_ref()),
            ("GIT_AUTHOR_EMAIL", email.as_str()),
        ];
        variables.extend(by);
        let commit = text(run(
            root,
            &["commit-tree", &tree, "-p", &parent, "-m", &message(author)],
            &variables,
        )?)?;
        done(run(root, &["update-ref", &name, &commit], &[])?)?;
        Ok(commit)
    })();
    let _ = std::fs::remove_file(&index);
    outcome
}

/// The latest commits, of one path or of all definitions.
///
/// # Errors
/// What git says; nothing where the root is no work tree.
pub fn log(root: &Path, path: Option<&str>, most: usize) -> Result<Vec<Commit>, ChangeError> {
    if !is_work_tree(root) {
        return Ok(Vec::new());
    }
    let most = format!("-{most}");
    let format = format!("--format=%H{FIELD}%an{FIELD}%aI{FIELD}%B{ENTRY}");
    let mut arguments = vec!["log", &most, &format, "--", path.unwrap_or(".")];
    if path.is_some() {
        arguments.insert(1, "--follow");
    }
    let out = run(root, &arguments, &[])?;
    // A work tree without a commit has no log.
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok(text.split(ENTRY).filter_map(entry).collect())
}

fn entry(text: &str) -> Option<Commit> {
    let mut fields = text.trim().splitn(4, FIELD).map(str::to_owned);
    Some(Commit {
        id: fields.next()?,
        author: fields.next()?,
        at: fields.next()?,
        message: fields.next()?.trim().to_owned(),
    })
}

/// What a commit changed in the definitions, line by line; `None` where there is no such commit.
///
/// # Errors
/// What git says.
pub fn changes(root: &Path, id: &str) -> Result<Option<(Commit, String)>, ChangeError> {
    let is_id = (4..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id || !is_work_tree(root) {
        return Ok(None);
    }
    let format = format!("--format=%H{FIELD}%an{FIELD}%aI{FIELD}%B{ENTRY}");
    let arguments = ["show", "--no-color", "--no-ext-diff", "--first-parent", &format, id, "--"];
    let out = run(root, &[&arguments[..], &FOLDERS[..]].concat(), &[])?;
    if !out.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let Some((head, diff)) = text.split_once(ENTRY) else { return Ok(None) };
    let diff = diff.trim_start_matches('\n');
    let cut = diff.floor_char_boundary(MAX_DIFF_BYTES);
    Ok(entry(head).map(|commit| (commit, diff[..cut].to_owned())))
}

/// Files of the definitions that are not as the last commit has them; nothing where the root is no work tree.
pub fn uncommitted(root: &Path) -> Vec<String> {
    let arguments = ["status", "--porcelain", "-z", "--no-renames", "-uall", "--"];
    let Ok(out) = run(root, &[&arguments[..], &FOLDERS[..]].concat(), &[]) else {
        return Vec::new();
    };
    if !out.status.success() {
        return Vec::new();
    }
    // Paths are told from the top of the work tree.
    let prefix = run(root, &["rev-parse", "--show-prefix"], &[]).and_then(text).unwrap_or_default();
    let text = String::from_utf8_lossy(&out.stdout);
    let lines = text.split('\0').filter_map(|line| line.get(3..));
    lines.map(|path| path.strip_prefix(prefix.as_str()).unwrap_or(path).to_owned()).collect()
}

/// The branch and commit that the work tree stands on.
pub fn state(root: &Path) -> Option<(String, String)> {
    if !is_work_tree(root) {
        return None;
    }
    let branch = run(root, &["branch", "--show-current"], &[]).ok().and_then(|out| text(out).ok());
    Some((branch.unwrap_or_default(), head(root).unwrap_or_default()))
}

fn is_work_tree(root: &Path) -> bool {
    run(root, &["rev-parse", "--is-inside-work-tree"], &[]).is_ok_and(|out| out.status.success())
}

fn head(root: &Path) -> Result<String, ChangeError> {
    text(run(root, &["rev-parse", "HEAD"], &[])?)
}

fn hash_object(root: &Path, content: &str) -> Result<String, ChangeError> {
    let mut child = command(root, &["hash-object", "-w", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(content.as_bytes())?;
    }
    text(child.wait_with_output()?)
}

/// A file for an index of our own, beside the real one.
fn tempfile_in(root: &Path) -> Result<String, ChangeError> {
    let dir = text(run(root, &["rev-parse", "--absolute-git-dir"], &[])?)?;
    let id = super::super::auth::secret::id()?;
    Ok(format!("{dir}/tidegate-index-{id}"))
}

fn message(author: &Author) -> String {
    let text = author.message.trim();
    if text.is_empty() { "Change definitions".to_owned() } else { text.to_owned() }
}

fn email(author: &Author) -> String {
    if author.username.contains('@') {
        author.username.to_string()
    } else {
        format!("{}@localhost", author.username)
    }
}

fn person(author: &Author) -> String {
    format!("{} <{}>", author.username, email(author))
}

fn committer() -> [(&'static str, &'static str); 2] {
    [("GIT_COMMITTER_NAME", "Tidegate"), ("GIT_COMMITTER_EMAIL", "tidegate@localhost")]
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    // Whoever owns the work tree, it is the one that this process serves.
    command
        .arg("-C")
        .arg(root)
        .args(["-c", "safe.directory=*", "-c", "core.quotePath=false"])
        .args(arguments);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

fn run(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output, ChangeError> {
    Ok(command(root, arguments).envs(variables.iter().copied()).output()?)
}

fn done(out: Output) -> Result<(), ChangeError> {
    text(out).map(drop)
}

fn text(out: Output) -> Result<String, ChangeError> {
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    Err(ChangeError::Git(said.trim().chars().take(MAX_SHOWN).collect()))
}
