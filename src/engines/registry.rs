//! The engines of a generation by datasource: built from definitions, kept across reloads, guarded by their limits.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::any::{AnyEngine, with_engine};
use super::catalog::Shapes;
use super::gate::{self, Gate, Pass};
use super::health::{Health, Standing};
use super::turn::let_others_go;
use super::{
    Column, Dialect, Done, Engine, EngineConfig, EngineError, LoginStep, PoolStats, Query, RowSink,
};
use crate::definitions::problem::{Problem, ProblemCode};
use crate::definitions::secret::{self, SecretText};
use crate::definitions::snapshot::Datasource;
use crate::observe::Observer;
use crate::observe::event::{Event, QueryOutcome};
use crate::observe::metrics::DatasourceGauges;
use crate::observe::series::DatasourceMetrics;

/// A datasource at work: its engine behind its limits and its breaker.
pub struct Source {
    id: String,
    engine: Arc<AnyEngine>,
    fingerprint: u64,
    gate: Gate,
    health: Arc<Health>,
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
        let pass = match self.admit(&query).await {
            Ok(pass) => pass,
            Err(error) => {
                self.finished(Err(&error), Duration::ZERO, 0);
                return (sink, Err(error));
            }
        };
        let (started, deadline) = (Instant::now(), query.deadline);
        let mut pending = Pending { source: self, started, done: false };
        let (sink, result) = with_engine!(&*self.engine, engine => engine.run(query, sink).await);
        pending.done = true;
        let (took, rows) = (started.elapsed(), sink.rows());
        if result.is_ok() {
            pass.took(took);
        }
        drop(pass);
        self.health.settle(result.as_ref().err(), started, rows == 0);
        self.finished(result.as_ref().map(drop), took, rows);
        // What counts for the health of the datasource; past the deadline its caller only hears that.
        let is_late = |error: &EngineError| error.is_ill_health() && Instant::now() >= deadline;
        let_others_go().await;
        (sink, result.map_err(|error| if is_late(&error) { EngineError::Timeout } else { error }))
    }

    /// The SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        self.engine.dialect()
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
        self.health.admit(Instant::now(), deadline, self.gate.in_flight() == 0).await?;
        with_engine!(&*self.engine, engine => engine.describe(sql, deadline).await)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self, deadline: Instant) -> Result<(), EngineError> {
        with_engine!(&*self.engine, engine => engine.ping(deadline).await)
    }

    /// Logs in on a connection of its own, whatever the breaker says. Bounded by its caller.
    ///
    /// # Errors
    /// Where that fails, and at which step.
    pub async fn log_in(&self) -> Result<(), (LoginStep, EngineError)> {
        let done = with_engine!(&*self.engine, engine => engine.log_in().await);
        if done.is_ok() {
            // What a probe would have found out, so nobody need wait for one.
            self.health.vouch();
        }
        done
    }

    /// How it has been, and since when.
    pub fn standing(&self) -> Standing {
        self.health.standing()
    }

    /// Its state now, for the scrape.
    pub fn gauges(&self) -> DatasourceGauges {
        let PoolStats { open, busy, .. } = with_engine!(&*self.engine, engine => engine.stats());
        DatasourceGauges {
            id: self.id.clone(),
            idle_connections: open.saturating_sub(busy) as u64,
            busy_connections: busy as u64,
            in_flight: self.gate.in_flight() as u64,
            in_flight_limit: self.gate.limits().max_in_flight as u64,
            queued: self.gate.queued() as u64,
            queue_limit: self.gate.limits().max_queue as u64,
            up: self.health.is_up(),
            breaker: self.health.breaker(),
        }
    }

    async fn admit(&self, query: &Query) -> Result<Pass<'_>, EngineError> {
        let is_idle = self.gate.in_flight() == 0;
        let because = |error| self.health.because(error);
        let admitted = self.health.admit(Instant::now(), query.deadline, is_idle).await;
        admitted.map_err(because)?;
        let shares = with_engine!(&*self.engine, engine => engine.shares(query));
        let entered = self.gate.enter(!shares, query.deadline, || self.health.refusal()).await;
        entered.map_err(because)
    }

    fn finished(&self, result: Result<(), &EngineError>, duration: Duration, rows: u64) {
        let outcome = match result {
            Ok(()) => QueryOutcome::Ok,
            Err(EngineError::Timeout) => QueryOutcome::Timeout,
            Err(EngineError::Busy { .. } | EngineError::Shut { .. }) => QueryOutcome::Refused,
            Err(_) => QueryOutcome::Error,
        };
        self.report(outcome, duration, rows);
    }

    fn report(&self, outcome: QueryOutcome, duration: Duration, rows: u64) {
        let datasource = &*self.metrics;
        self.observer.report(&Event::QueryFinished { datasource, outcome, duration, rows });
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
            self.source.health.abandoned(self.started);
            self.source.report(QueryOutcome::Cancelled, self.started.elapsed(), 0);
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
    let engine = Arc::new(AnyEngine::new(datasource.dialect, config));
    let metrics = surroundings.observer.metrics().datasource(&spec.id);
    let connect_limit = Duration::from_millis(spec.pool.connect_timeout_ms);
    let observer = surroundings.observer.clone();
    Source {
        id: spec.id.clone(),
        fingerprint,
        gate: Gate::new(gate::Limits {
            max_in_flight: spec.limits.max_in_flight as usize,
            max_alone: with_engine!(&*engine, engine => engine.max_alone()),
            max_queue: spec.limits.max_queue as usize,
        }),
        health: Health::new(engine.clone(), connect_limit, observer.clone(), metrics.clone()),
        engine,
        observer,
        metrics,
        shapes: Shapes::default(),
    }
}
