//! Reads the definitions directory. The only file of the config path that does I/O.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::parallel;
use super::problem::{Place, Problem, ProblemCode};
use super::regular;
use crate::pace::{self, paced};

/// Folders below the root that hold definitions.
pub const FOLDERS: [&str; 3] = ["datasources", "definitions", "policies"];
/// Files of one tree.
pub const MAX_FILES: usize = 50_000;
/// Bytes of one file.
pub const MAX_FILE_BYTES: u64 = 4 << 20;
/// Bytes of all files.
pub const MAX_TREE_BYTES: u64 = 512 << 20;
/// Folders inside folders.
const MAX_FOLDER_DEPTH: usize = 16;
/// Tries to read a tree that somebody is writing to, and the pause between them.
const MAX_TRIES: usize = 20;
const RETRY_DELAY: Duration = Duration::from_millis(30);
/// How long an empty file is taken for one that is being written; less than all tries take.
const EMPTY_FOR: Duration = Duration::from_millis(500);

/// Texts by path relative to the root, with `/`.
pub type Files = BTreeMap<String, String>;

/// The files of a definitions directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Shared with what is made of them.
    pub files: Arc<Files>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// SHA-256 over paths and texts, and over what could not be read, in hexadecimal digits.
    pub hash: String,
    /// Names this tree to callers and operators: the git commit where there is one, and the hash.
    pub revision: String,
}

impl Tree {
    /// The YAML files.
    pub fn yaml(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_yaml = |path: &str| {
            Path::new(path).extension().is_some_and(|end| end == "yaml" || end == "yml")
        };
        self.files
            .iter()
            .filter(move |(path, _)| is_yaml(path))
            .map(|(p, t)| (p.as_str(), t.as_str()))
    }

    /// A tree of given files, as [`load`] would make of them.
    pub fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut tree = Self { files: Arc::new(files.into_iter().collect()), ..Self::default() };
        tree.seal(None);
        tree
    }

    fn seal(&mut self, commit: Option<String>) {
        let mut hash = Sha256::new();
        for (path, text) in paced(&*self.files) {
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        for problem in &self.problems {
            hash.update(&problem.place.file);
            hash.update(&problem.message);
        }
        self.hash = hex(&hash.finalize());
        self.revision = match commit {
            Some(commit) => format!("{}.{}", &commit[..commit.len().min(12)], &self.hash[..8]),
            None => self.hash[..12].to_owned(),
        };
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .filter_map(|d| char::from_digit(u32::from(d), 16))
        .collect()
}

/// Reads the YAML, SQL and JSON files below the folders of `root`.
pub fn load(root: &Path) -> Tree {
    let mut problems = Vec::new();
    let paths = paths(root, &mut problems);
    read_all(root, &paths, problems)
}

/// The same beside calls.
pub fn load_beside(root: &Path) -> Tree {
    pace::beside_calls(|| load(root))
}

/// Reads these files; `problems` are what was found already.
fn read_all(root: &Path, paths: &[PathBuf], problems: Vec<Problem>) -> Tree {
    let mut tree = Tree { problems, ..Tree::default() };
    let bytes = AtomicU64::new(0);
    let texts = parallel::map(paths, |path| {
        let text = read(path, MAX_TREE_BYTES.saturating_sub(bytes.load(Relaxed)));
        bytes.fetch_add(text.as_ref().map_or(0, |text| text.len() as u64), Relaxed);
        text
    });
    let mut files = Files::new();
    for (path, text) in paced(paths.iter().zip(texts)) {
        let name = relative(root, path);
        match text {
            Ok(text) => drop(files.insert(name, text)),
            Err(reason) => tree.problems.push(unreadable(name, &reason)),
        }
    }
    tree.files = Arc::new(files);
    tree.seal(commit(root));
    tree
}

/// Reads the tree while nobody writes to it: once more where a file changed meanwhile, git is at work, or a file has been empty
/// for no time, so that half of two versions is not taken for one. After some tries it takes what is there.
pub fn load_settled(root: &Path) -> Tree {
    let is_locked = || git_dir(root).is_some_and(|git| git.join("index.lock").exists());
    for _ in 1..MAX_TRIES {
        let before = Look::at(root);
        if !is_locked() && !before.is_being_written {
            // Where the second look finds the same, nothing has come or gone in between either.
            let tree = read_all(root, &before.paths, before.problems);
            if Look::at(root).stamp == before.stamp && !is_locked() {
                return tree;
            }
        }
        std::thread::sleep(RETRY_DELAY);
    }
    load(root)
}

/// A cheap mark of the tree and its commit: paths, sizes, times and identities of its files. Differs when the tree may have changed.
pub fn stamp(root: &Path) -> u64 {
    Look::at(root).stamp
}

/// What a look at the files tells, without reading them.
struct Look {
    stamp: u64,
    /// A file is empty and was written to a moment ago: who writes in place first makes it empty.
    is_being_written: bool,
    paths: Vec<PathBuf>,
    /// What cannot even be looked at.
    problems: Vec<Problem>,
}

impl Look {
    fn at(root: &Path) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        use std::os::unix::fs::MetadataExt;
        let (mut hasher, mut is_being_written) = (DefaultHasher::new(), false);
        commit(root).hash(&mut hasher);
        let mut problems = Vec::new();
        let paths = paths(root, &mut problems);
        problems.iter().for_each(|problem| problem.place.file.hash(&mut hasher));
        for path in paced(&paths) {
            path.as_os_str().hash(&mut hasher);
            let Ok(meta) = fs::metadata(path) else { continue };
            let modified = meta.modified().ok();
            let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            (meta.len(), since, meta.ino(), meta.ctime_nsec()).hash(&mut hasher);
            let age = || modified.and_then(|at| at.elapsed().ok());
            is_being_written |= meta.len() == 0 && age().is_some_and(|age| age < EMPTY_FOR);
        }
        Self { stamp: hasher.finish(), is_being_written, paths, problems }
    }
}

fn paths(root: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> =
        FOLDERS.iter().map(|folder| root.join(folder)).filter(|path| path.is_dir()).collect();
    let homes = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    let mut walk = Walk { root, homes, found: Vec::new(), problems };
    for folder in folders {
        walk.folder(&folder, 0);
    }
    walk.found
}

/// A walk through the folders of the definitions.
struct Walk<'a> {
    root: &'a Path,
    /// Where the folders really are: a link may lead nowhere else, or a commit could show any file of the machine.
    homes: Vec<PathBuf>,
    found: Vec<PathBuf>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn folder(&mut self, dir: &Path, depth: usize) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return self.complain(dir, &error.to_string()),
        };
        let mut sorted = BTreeMap::new();
        // One by one: to collect them would be to sort them all at a stretch.
        for entry in paced(entries.flatten()) {
            sorted.insert(entry.file_name(), entry);
        }
        for (name, entry) in paced(sorted) {
            let path = entry.path();
            let name = name.to_str().unwrap_or_default();
            // Editors and mounted volumes keep their own files behind a dot.
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let kind = entry.file_type();
            let is_link = kind.as_ref().is_ok_and(fs::FileType::is_symlink);
            // Where a link leads only a look at it tells.
            let is_dir = kind.is_ok_and(|kind| kind.is_dir()) || is_link && path.is_dir();
            let is_ours = is_dir
                || ["yaml", "yml", "sql", "json"]
                    .iter()
                    .any(|end| path.extension().is_some_and(|own| own == *end));
            if !is_ours {
                continue;
            }
            if is_link && !self.is_at_home(&path) {
                self.complain(&path, "it is a link that leads out of the definitions, or nowhere");
            } else if !is_dir && self.found.len() >= MAX_FILES {
                return self.complain(&path, "there are too many files");
            } else if !is_dir {
                self.found.push(path);
            } else if depth < MAX_FOLDER_DEPTH {
                self.folder(&path, depth + 1);
            } else {
                self.complain(&path, "folders nest too deep");
            }
        }
    }

    /// Whether a link leads into one of the folders.
    fn is_at_home(&self, link: &Path) -> bool {
        link.canonicalize().is_ok_and(|real| self.homes.iter().any(|home| real.starts_with(home)))
    }

    fn complain(&mut self, path: &Path, reason: &str) {
        self.problems.push(unreadable(relative(self.root, path), reason));
    }
}

fn read(path: &Path, left: u64) -> Result<String, String> {
    let file = regular::open(path).map_err(|error| error.to_string())?;
    let limit = MAX_FILE_BYTES.min(left);
    // Room for all of it and for finding its end; the texts stay, so none takes more than it needs.
    let size = file.metadata().map_or(0, |meta| meta.len().min(limit));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    bytes.shrink_to_fit();
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn unreadable(file: String, reason: &str) -> Problem {
    Problem::error(
        Place { file, line: 1, column: 1 },
        ProblemCode::Unreadable,
        format!("This cannot be read: {reason}."),
        "Check its permissions, size and encoding, or move it out of the definitions directory.",
    )
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn git_dir(root: &Path) -> Option<PathBuf> {
    root.ancestors().map(|dir| dir.join(".git")).find(|git| git.is_dir())
}

/// The commit that the work tree of `root` stands on.
fn commit(root: &Path) -> Option<String> {
    let git = git_dir(root)?;
    let head = regular::read_to_string(&git.join("HEAD")).ok()?;
    let is_commit = |text: &str| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned()).filter(|text| is_commit(text));
    };
    let loose =
        regular::read_to_string(&git.join(reference)).ok().map(|text| text.trim().to_owned());
    let packed = || {
        let packed = regular::read_to_string(&git.join("packed-refs")).ok()?;
        let line = packed.lines().find(|line| line.ends_with(&format!(" {reference}")))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    loose.or_else(packed).filter(|text| is_commit(text))
}
