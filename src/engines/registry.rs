//! The engines of a generation by datasource: built from definitions, kept across reloads, guarded by their limits.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::breaker::{Breaker, State};
use super::catalog::Shapes;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Column, Dialect, Done, Engine, EngineConfig, EngineError, PoolStats, Query, RowSink};
use crate::definitions::problem::{Problem, ProblemCode};
use crate::definitions::secret::{self, SecretText};
use crate::definitions::snapshot::Datasource;
use crate::observe::Observer;
use crate::observe::event::{BreakerState, Event, QueryOutcome};
use crate::observe::metrics::DatasourceGauges;
use crate::observe::series::DatasourceMetrics;

/// When to come back where the queue is full.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

enum AnyEngine {
    Sqlite(Sqlite),
    Postgres(Postgres),
    MySql(MySql),
}

/// Runs the same call on whichever engine it is.
macro_rules! with_engine {
    ($any:expr, $engine:ident => $call:expr) => {
        match $any {
            AnyEngine::Sqlite($engine) => $call,
            AnyEngine::Postgres($engine) => $call,
            AnyEngine::MySql($engine) => $call,
        }
    };
}

/// A datasource at work: its engine behind its limits and its breaker.
pub struct Source {
    id: String,
    engine: AnyEngine,
    fingerprint: u64,
    slots: Semaphore,
    max_in_flight: usize,
    max_queue: usize,
    waiting: AtomicUsize,
    breaker: Breaker,
    is_up: AtomicBool,
    observer: Observer,
    metrics: Arc<DatasourceMetrics>,
    shapes: Shapes,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Source {
    /// Runs a query within the datasource's limits.
    pub async fn run<S: RowSink>(&self, query: Query, sink: S) -> (S, Result<Done, EngineError>) {
        let slot = match self.admit(query.deadline).await {
            Ok(slot) => slot,
            Err(error) => {
                let outcome = match error {
                    EngineError::Timeout => QueryOutcome::Timeout,
                    _ => QueryOutcome::Refused,
                };
                self.finished(outcome, Duration::ZERO, 0);
                return (sink, Err(error));
            }
        };
        let (started, deadline) = (Instant::now(), query.deadline);
        let mut pending = Pending { source: self, started, done: false };
        let (sink, result) = with_engine!(&self.engine, engine => engine.run(query, sink).await);
        pending.done = true;
        drop(slot);
        self.settle(&result, started, sink.rows());
        // What counts for the health of the datasource; past the deadline its caller only hears that.
        let is_late = |error: &EngineError| error.is_ill_health() && Instant::now() >= deadline;
        (sink, result.map_err(|error| if is_late(&error) { EngineError::Timeout } else { error }))
    }

    /// The SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self.engine {
            AnyEngine::Sqlite(_) => Dialect::Sqlite,
            AnyEngine::Postgres(_) => Dialect::Postgres,
            AnyEngine::MySql(_) => Dialect::MySql,
        }
    }

    /// What is known of its tables.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Prepares a statement: the columns it would return.
    ///
    /// # Errors
    /// Where the datasource cannot be reached or refuses the statement.
    pub async fn describe(&self, sql: &str, deadline: Instant) -> Result<Vec<Column>, EngineError> {
        with_engine!(&self.engine, engine => engine.describe(sql, deadline).await)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self, deadline: Instant) -> Result<(), EngineError> {
        with_engine!(&self.engine, engine => engine.ping(deadline).await)
    }

    /// Its state now, for the scrape.
    pub fn gauges(&self) -> DatasourceGauges {
        let PoolStats { open, busy, .. } = with_engine!(&self.engine, engine => engine.stats());
        DatasourceGauges {
            id: self.id.clone(),
            idle_connections: open.saturating_sub(busy) as u64,
            busy_connections: busy as u64,
            in_flight: (self.max_in_flight - self.slots.available_permits()) as u64,
            in_flight_limit: self.max_in_flight as u64,
            queued: self.waiting.load(Relaxed) as u64,
            queue_limit: self.max_queue as u64,
            up: self.is_up.load(Relaxed),
            breaker: self.breaker_state(),
        }
    }

    fn breaker_state(&self) -> BreakerState {
        match self.breaker.state() {
            State::Closed => BreakerState::Closed,
            State::Open => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    async fn admit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, EngineError> {
        let busy = |retry_after| EngineError::Busy { retry_after };
        let slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => self.wait(deadline).await?,
        };
        self.breaker.admit(Instant::now()).map_err(busy)?;
        Ok(slot)
    }

    async fn wait(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, EngineError> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Relaxed) >= self.max_queue {
            drop(waiting);
            return Err(EngineError::Busy { retry_after: BUSY_RETRY_AFTER });
        }
        let slot = tokio::time::timeout_at(deadline.into(), self.slots.acquire()).await;
        drop(waiting);
        match slot {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(EngineError::Unavailable("the datasource is closed".into())),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    fn settle(&self, result: &Result<Done, EngineError>, started: Instant, rows: u64) {
        let ill = result.as_ref().is_err_and(EngineError::is_ill_health);
        let before = self.breaker.state();
        self.breaker.report(ill, Instant::now());
        if before != self.breaker.state() {
            let cause = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let state = self.breaker_state();
            self.observer.report(&Event::BreakerChanged {
                datasource: &self.metrics,
                state,
                cause: &cause,
            });
        }
        self.is_up.store(!ill, Relaxed);
        let outcome = match result {
            Ok(_) => QueryOutcome::Ok,
            Err(EngineError::Timeout) => QueryOutcome::Timeout,
            Err(EngineError::Busy { .. }) => QueryOutcome::Refused,
            Err(_) => QueryOutcome::Error,
        };
        self.finished(outcome, started.elapsed(), rows);
    }

    fn finished(&self, outcome: QueryOutcome, duration: Duration, rows: u64) {
        let datasource = &*self.metrics;
        self.observer.report(&Event::QueryFinished { datasource, outcome, duration, rows });
    }
}

/// Takes one off the waiting ones when it goes.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Settles a query whose caller went away before it ended.
struct Pending<'a> {
    source: &'a Source,
    started: Instant,
    done: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.source.breaker.abandon();
            self.source.finished(QueryOutcome::Cancelled, self.started.elapsed(), 0);
        }
    }
}

/// The datasources of a generation.
#[derive(Debug, Default)]
pub struct Registry {
    sources: BTreeMap<String, Arc<Source>>,
}

/// What engines are built with.
pub struct Surroundings<'a> {
    /// Paths in definitions are relative to it.
    pub root: &'a Path,
    /// Where connection tasks run.
    pub runtime: Option<Handle>,
    pub observer: &'a Observer,
}

impl Registry {
    /// Builds what is new or has changed, and keeps the rest of `previous`. Connects to nothing.
    pub fn build(
        datasources: &BTreeMap<String, Arc<Datasource>>,
        previous: Option<&Self>,
        surroundings: &Surroundings<'_>,
        warnings: &mut Vec<Problem>,
    ) -> Self {
        let mut sources = BTreeMap::new();
        for (id, datasource) in datasources {
            let password = password(datasource, surroundings.root, warnings);
            let mut hasher = DefaultHasher::new();
            datasource.fingerprint.hash(&mut hasher);
            password.as_ref().map(SecretText::expose).hash(&mut hasher);
            let fingerprint = hasher.finish();
            let kept = previous
                .and_then(|old| old.sources.get(id))
                .filter(|old| old.fingerprint == fingerprint);
            let source = match kept {
                Some(source) => source.clone(),
                None => Arc::new(source(datasource, password, fingerprint, surroundings)),
            };
            sources.insert(id.clone(), source);
        }
        Self { sources }
    }

    /// The datasource with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Source>> {
        self.sources.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Source>)> {
        self.sources.iter()
    }
}

fn password(
    datasource: &Datasource,
    root: &Path,
    warnings: &mut Vec<Problem>,
) -> Option<SecretText> {
    let secret = datasource.spec.password.as_ref()?;
    match secret::resolve(secret, root) {
        Ok(text) => Some(text),
        Err(error) => {
            let message =
                format!("The password of `{}` cannot be had: {error}.", datasource.spec.id);
            let hint = "Set it before queries run; until then logging in may fail.";
            warnings.push(
                Problem::error(datasource.place.clone(), ProblemCode::SecretMissing, message, hint)
                    .as_warning(),
            );
            None
        }
    }
}

fn source(
    datasource: &Datasource,
    password: Option<SecretText>,
    fingerprint: u64,
    surroundings: &Surroundings<'_>,
) -> Source {
    let spec = &datasource.spec;
    let absolute = |path: &String| surroundings.root.join(path);
    let mut tls = spec.tls.clone();
    if let Some(file) = tls.as_mut().and_then(|tls| tls.ca_file.as_mut()) {
        *file = absolute(file).to_string_lossy().into_owned();
    }
    let config = EngineConfig {
        id: spec.id.clone(),
        path: spec.path.as_ref().map(absolute).unwrap_or_default(),
        init: spec.init.as_ref().map(absolute),
        host: spec.host.clone().unwrap_or_default(),
        port: spec.port,
        database: spec.database.clone(),
        username: spec.username.clone(),
        password,
        tls,
        read_only: spec.read_only,
        pool: spec.pool.clone(),
        timeout_ms: spec.limits.timeout_ms,
        runtime: surroundings.runtime.clone(),
    };
    let engine = match datasource.dialect {
        Dialect::Sqlite => AnyEngine::Sqlite(Sqlite::new(config)),
        Dialect::Postgres => AnyEngine::Postgres(Postgres::new(config)),
        Dialect::MySql => AnyEngine::MySql(MySql::new(config)),
    };
    let max_in_flight = spec.limits.max_in_flight as usize;
    Source {
        id: spec.id.clone(),
        engine,
        fingerprint,
        slots: Semaphore::new(max_in_flight),
        max_in_flight,
        max_queue: spec.limits.max_queue as usize,
        waiting: AtomicUsize::new(0),
        breaker: Breaker::default(),
        is_up: AtomicBool::new(true),
        observer: surroundings.observer.clone(),
        metrics: surroundings.observer.metrics().datasource(&spec.id),
        shapes: Shapes::default(),
    }
}
