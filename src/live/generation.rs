//! A snapshot at work: with its datasources, keys, limits and metrics. A request holds one from start to end.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::runtime::Handle;

use crate::access::authenticate::Authenticator;
use crate::access::limit::Limiter;
use crate::access::mask_key::MaskKey;
use crate::access::rights::RightsTable;
use crate::definitions::problem::Problem;
use crate::definitions::snapshot::{Interface, Snapshot};
use crate::engines::registry::{Registry, Source, Surroundings};
use crate::observe::Observer;
use crate::observe::series::InterfaceMetrics;
use crate::pace::{free, paced};
use crate::query::columns::Layouts;

/// Everything a request needs.
#[derive(Debug)]
pub struct Generation {
    pub snapshot: Snapshot,
    pub registry: Registry,
    pub authenticator: Authenticator,
    pub rights: RightsTable,
    /// By index of the interface; shared with the generation before where nothing about one has changed.
    runtime: Vec<Arc<Runtime>>,
    /// The revision as audit records share it.
    pub revision: Arc<str>,
    /// What is not as it should be, yet serves: of the snapshot and of its surroundings.
    pub warnings: Vec<Problem>,
}

/// What an interface has at run time.
pub struct Runtime {
    pub limiter: Option<Arc<Limiter>>,
    pub metrics: Arc<InterfaceMetrics>,
    pub code: Arc<str>,
    pub version: Arc<str>,
    /// Its datasource; there for every interface that compiled.
    pub source: Option<Arc<Source>>,
    pub layouts: Arc<Layouts>,
    answers: AtomicU64,
}

impl Runtime {
    /// Whether this is one of `every` answers, the first among them.
    pub fn is_sampled(&self, every: u64) -> bool {
        self.answers.fetch_add(1, Relaxed).is_multiple_of(every)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("code", &self.code).finish_non_exhaustive()
    }
}

impl Generation {
    /// Prepares a snapshot to serve; what has not changed since `previous` is taken over.
    pub fn prepare(
        snapshot: Snapshot,
        previous: Option<&Self>,
        root: &Path,
        runtime: Option<Handle>,
        observer: &Observer,
        mask_key: &Arc<MaskKey>,
    ) -> Self {
        let mut warnings = snapshot.warnings.clone();
        let surroundings = Surroundings { root, runtime, observer };
        let registry = Registry::build(
            &snapshot.datasources,
            previous.map(|old| &old.registry),
            &surroundings,
            &mut warnings,
        );
        let authenticator = Authenticator::prepare(
            &snapshot.policies,
            root,
            previous.map(|old| &old.authenticator),
            &mut warnings,
        );
        let before = previous.map(Self::at_work).unwrap_or_default();
        let runtime = paced(&snapshot.interfaces)
            .map(|interface| at_run_time(interface, &before, &registry, observer));
        let runtime = runtime.collect();
        let revision = snapshot.revision.as_str().into();
        let rights = RightsTable::new(mask_key.clone());
        Self { snapshot, registry, authenticator, rights, runtime, revision, warnings }
    }

    /// Drops it with room made for calls.
    pub fn free(self) {
        let Self { snapshot, runtime, .. } = self;
        free(runtime);
        free(snapshot.interfaces);
        free(snapshot.routes.entries);
        free(Arc::into_inner(snapshot.files).unwrap_or_default());
    }

    /// What the interface has at run time.
    pub fn runtime(&self, interface: &Interface) -> &Runtime {
        &self.runtime[interface.index]
    }

    /// Code and version of each interface.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.runtime.iter().map(|runtime| (&*runtime.code, &*runtime.version))
    }

    fn at_work(&self) -> AtWork<'_> {
        let pairs = self.snapshot.interfaces.iter().zip(&self.runtime);
        paced(pairs).map(|pair| ((pair.0.code.as_str(), &pair.0.version), pair)).collect()
    }
}

/// The interfaces of a generation by code and version, with what they have at run time.
type AtWork<'a> = HashMap<(&'a str, &'a semver::Version), (&'a Arc<Interface>, &'a Arc<Runtime>)>;

fn at_run_time(
    interface: &Interface,
    before: &AtWork<'_>,
    registry: &Registry,
    observer: &Observer,
) -> Arc<Runtime> {
    let source = registry.get(&interface.datasource.spec.id);
    let before = before.get(&(interface.code.as_str(), &interface.version));
    let is_same = |old: &Interface, kept: &Runtime| {
        Arc::ptr_eq(&old.definition, &interface.definition)
            && kept.source.as_ref().map(Arc::as_ptr) == source.map(Arc::as_ptr)
    };
    if let Some((_, kept)) = before.filter(|(old, kept)| is_same(old, kept)) {
        return (*kept).clone();
    }
    let version = interface.version.to_string();
    let limiter = interface.rate_limit.map(|rule| {
        let kept = before.and_then(|(_, kept)| kept.limiter.as_ref());
        match kept.filter(|kept| kept.rule() == rule) {
            Some(kept) => kept.clone(),
            None => Arc::new(Limiter::new(rule)),
        }
    });
    Arc::new(Runtime {
        limiter,
        metrics: observer.metrics().interface(&interface.code, &version),
        code: interface.code.as_str().into(),
        version: version.into(),
        source: source.cloned(),
        layouts: Arc::default(),
        answers: AtomicU64::new(0),
    })
}
