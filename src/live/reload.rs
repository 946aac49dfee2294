//! Reload: load, compile, prepare, swap. With any problem the old generation keeps serving.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::generation::Generation;
use super::history::{Changed, History, changed};
use super::retire::Retired;
use crate::access::mask_key::MaskKey;
use crate::definitions::compile::{compile, compile_beside};
use crate::definitions::load::{Tree, load_settled};
use crate::definitions::problem::{Place, Problem, ProblemCode};
use crate::observe::Observer;
use crate::observe::event::{DefinitionCounts, Event, ReloadFinished};
use crate::pace;

/// How much later a tree that has become smaller is read again.
const SHRUNK_DELAY: Duration = Duration::from_millis(100);

/// The generation that serves, and what the last reload found.
pub struct Live {
    root: PathBuf,
    runtime: Option<Handle>,
    observer: Observer,
    mask_key: Arc<MaskKey>,
    current: ArcSwap<Generation>,
    last: Mutex<LastReload>,
    history: Mutex<History>,
    retired: Retired,
    /// Held while a reload runs; `last` is not, so that it can be read meanwhile.
    reloading: Mutex<()>,
}

/// What the last reload did.
#[derive(Clone, Debug)]
pub struct LastReload {
    pub at: Timestamp,
    pub ok: bool,
    /// Hash of the tree it looked at.
    pub hash: String,
    /// Files of that tree.
    pub files: usize,
    pub revision: String,
    pub duration: Duration,
    /// Problems, errors and warnings.
    pub problems: Vec<Problem>,
    /// What began it, one of the words below, or who.
    pub by: String,
}

/// The start of the process.
pub const BY_START: &str = "start";
/// Files that changed.
pub const BY_WATCH: &str = "watch";
/// A signal.
pub const BY_SIGNAL: &str = "signal";

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Live {
    /// Loads the first generation. `runtime`: where the connections of datasources live.
    ///
    /// # Errors
    /// The problems of the tree: without a good one there is nothing to serve.
    pub fn start(
        root: &Path,
        runtime: Option<Handle>,
        observer: Observer,
        mask_key: Arc<MaskKey>,
    ) -> Result<Self, Vec<Problem>> {
        let started = Instant::now();
        let tree = load_settled(root);
        let snapshot = compile(&tree)?;
        let generation =
            Generation::prepare(snapshot, None, root, runtime.clone(), &observer, &mask_key);
        let problems = generation.warnings.clone();
        let last = LastReload::new(&tree, true, started, problems, BY_START);
        let live = Self {
            root: root.to_owned(),
            runtime,
            observer,
            mask_key,
            current: ArcSwap::from_pointee(generation),
            last: Mutex::new(last.clone()),
            history: Mutex::default(),
            retired: Retired::start(),
            reloading: Mutex::new(()),
        };
        // Of the first load everything is new.
        live.history.lock().keep(&tree, &last, Vec::new());
        live.report(&last);
        Ok(live)
    }

    /// The generation that serves now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Whether this is the generation that serves now.
    pub fn is_current(&self, generation: &Arc<Generation>) -> bool {
        Arc::ptr_eq(&self.current.load(), generation)
    }

    /// Where the definitions stand.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the last reload did.
    pub fn last(&self) -> LastReload {
        self.last.lock().clone()
    }

    /// The last reloads, the newest first, with the files that were not as the reload before had found them.
    pub fn history(&self) -> Vec<(LastReload, Vec<Changed>)> {
        self.history.lock().entries().cloned().collect()
    }

    /// Loads the tree and swaps it in if it is good. Reloads run one after another. `by`: who or what wants it.
    pub fn reload(&self, by: &str) -> LastReload {
        let started = Instant::now();
        let _one = self.reloading.lock();
        pace::beside_calls(|| self.take(&self.look(), started, by))
    }

    /// Reloads if content or commit differ from what the last reload looked at.
    pub fn reload_if_changed(&self, by: &str) -> Option<LastReload> {
        let started = Instant::now();
        let _one = self.reloading.lock();
        pace::beside_calls(|| {
            let tree = self.look();
            let last = self.last();
            let is_same = (&tree.hash, &tree.revision) == (&last.hash, &last.revision);
            (!is_same).then(|| self.take(&tree, started, by))
        })
    }

    /// Reads the tree; once more, a little later, where it has become smaller: a folder that is being replaced is not there
    /// for a moment.
    fn look(&self) -> Tree {
        let tree = load_settled(&self.root);
        if tree.files.len() >= self.last.lock().files {
            return tree;
        }
        thread::sleep(SHRUNK_DELAY);
        load_settled(&self.root)
    }

    /// Swaps a tree in if it is good, and reports what came of it.
    fn take(&self, tree: &Tree, started: Instant, by: &str) -> LastReload {
        let old = self.current.load_full();
        let last = match compile_beside(tree, &old.snapshot) {
            Ok(_) if tree.files.is_empty() && self.serves_anything() => {
                LastReload::new(tree, false, started, vec![vanished()], by)
            }
            Ok(snapshot) => {
                let next = Generation::prepare(
                    snapshot,
                    Some(&old),
                    &self.root,
                    self.runtime.clone(),
                    &self.observer,
                    &self.mask_key,
                );
                let problems = next.warnings.clone();
                self.current.store(Arc::new(next));
                LastReload::new(tree, true, started, problems, by)
            }
            Err(problems) => LastReload::new(tree, false, started, problems, by),
        };
        self.last.lock().clone_from(&last);
        let before = self.history.lock().files();
        let changed = changed(&before, &tree.files);
        self.history.lock().keep(tree, &last, changed);
        self.report(&last);
        if last.ok {
            self.retired.add(old);
        }
        last
    }

    fn serves_anything(&self) -> bool {
        !self.current.load().snapshot.interfaces.is_empty()
    }

    fn report(&self, last: &LastReload) {
        let generation = self.current();
        let snapshot = &generation.snapshot;
        let problems: Vec<String> = last
            .problems
            .iter()
            .filter(|problem| problem.is_error())
            .map(ToString::to_string)
            .collect();
        for warning in last.problems.iter().filter(|problem| !problem.is_error()) {
            tracing::warn!("{warning}");
        }
        self.observer.report(&Event::ReloadFinished(ReloadFinished {
            revision: &last.revision,
            hash: &last.hash,
            duration: last.duration,
            problems: &problems,
            counts: DefinitionCounts {
                interfaces: snapshot.interfaces.len() as u64,
                datasources: snapshot.datasources.len() as u64,
                consumers: snapshot.policies.consumers.len() as u64,
                roles: snapshot.policies.roles.len() as u64,
                jwt_issuers: snapshot.policies.issuers.len() as u64,
            },
        }));
        if last.ok {
            let interfaces = generation.names();
            self.observer
                .metrics()
                .retain(interfaces, snapshot.datasources.keys().map(String::as_str));
        }
    }
}

/// A directory that is gone is being replaced or was unmounted; nobody removes all definitions to serve nothing.
fn vanished() -> Problem {
    Problem::error(
        Place { file: ".".to_owned(), line: 1, column: 1 },
        ProblemCode::Unreadable,
        "All the definitions are gone.",
        "Put them back below the root; to serve nothing, stop the process.",
    )
}

impl LastReload {
    fn new(tree: &Tree, ok: bool, started: Instant, problems: Vec<Problem>, by: &str) -> Self {
        Self {
            at: Timestamp::now(),
            ok,
            hash: tree.hash.clone(),
            files: tree.files.len(),
            revision: tree.revision.clone(),
            duration: started.elapsed(),
            problems,
            by: by.to_owned(),
        }
    }
}
