//! Tests the way to a datasource step by step, so that people see what fails: the name, the address, TLS, the login, a query.

use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};

use super::registry::Source;
use super::{Column, Dialect, EngineError, Flow, LoginStep, Query, Row, RowSink};
use crate::definitions::spec::datasource::{Datasource, TlsMode};

/// A step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Dns,
    Tcp,
    Tls,
    Login,
    Query,
}

impl Step {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Query => "query",
        }
    }
}

/// How a step went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub step: Step,
    /// What failed.
    pub error: Option<String>,
    pub duration: Duration,
}

/// Takes the steps that there are to `spec`'s database, up to the first that fails; each within the datasource's time for
/// connecting, the query within its time for queries. A file has only the query.
pub async fn test(source: &Source, spec: &Datasource) -> Vec<Outcome> {
    let mut way = Way { outcomes: Vec::new(), limit: ms(spec.pool.connect_timeout_ms) };
    // What cannot be reached is no reason to go on.
    let _ = way.go(source, spec).await;
    way.outcomes
}

struct Way {
    outcomes: Vec<Outcome>,
    limit: Duration,
}

/// A step has failed.
struct Failed;

impl Way {
    async fn go(&mut self, source: &Source, spec: &Datasource) -> Result<(), Failed> {
        if let Some(port) = usual_port(source.dialect()) {
            let host = spec.host.as_deref().unwrap_or_default();
            // A path is a socket, which has neither name nor address.
            if !host.starts_with('/') {
                self.connect(host, spec.port.unwrap_or(port)).await?;
            }
            self.log_in(source, spec).await?;
        }
        let limit = ms(spec.limits.timeout_ms);
        let query = Query {
            sql: "SELECT 1".into(),
            binds: Vec::new(),
            deadline: Instant::now() + limit,
            read_only: true,
        };
        let started = Instant::now();
        let (_, done) = source.run(query, Nothing).await;
        self.step(Step::Query, started, done.map(drop).map_err(|error| error.to_string()))
    }

    async fn connect(&mut self, host: &str, port: u16) -> Result<(), Failed> {
        let started = Instant::now();
        let found = self.in_time(lookup_host((host, port))).await;
        let addresses: Vec<_> = match found {
            Ok(found) => found.collect(),
            Err(error) => return self.step(Step::Dns, started, Err(error)),
        };
        if addresses.is_empty() {
            return self.step(Step::Dns, started, Err("the name has no address".to_owned()));
        }
        self.step(Step::Dns, started, Ok(()))?;
        let started = Instant::now();
        let connected = self.in_time(TcpStream::connect(&*addresses)).await;
        self.step(Step::Tcp, started, connected.map(drop))
    }

    async fn log_in(&mut self, source: &Source, spec: &Datasource) -> Result<(), Failed> {
        let has_tls = spec.tls.as_ref().is_some_and(|tls| tls.mode != TlsMode::Disable);
        let started = Instant::now();
        let logged_in = tokio::time::timeout(self.limit, source.log_in()).await;
        let failure = match logged_in {
            Ok(Ok(())) => None,
            Ok(Err((step, error))) => Some((step, error.to_string())),
            Err(_) => Some((LoginStep::Login, self.too_late())),
        };
        if let Some((LoginStep::Tls, error)) = failure {
            return self.step(Step::Tls, started, Err(error));
        }
        if has_tls {
            // The driver does both at once, so that its time is the login's.
            self.step(Step::Tls, Instant::now(), Ok(()))?;
        }
        self.step(Step::Login, started, failure.map_or(Ok(()), |(_, error)| Err(error)))
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, String> {
        let done = tokio::time::timeout(self.limit, work).await.map_err(|_| self.too_late())?;
        done.map_err(|error| error.to_string())
    }

    fn too_late(&self) -> String {
        format!("no answer within {} ms", self.limit.as_millis())
    }

    fn step(
        &mut self,
        step: Step,
        started: Instant,
        result: Result<(), String>,
    ) -> Result<(), Failed> {
        let error = result.err();
        let failed = error.is_some();
        self.outcomes.push(Outcome { step, error, duration: started.elapsed() });
        if failed { Err(Failed) } else { Ok(()) }
    }
}

fn usual_port(dialect: Dialect) -> Option<u16> {
    match dialect {
        Dialect::Postgres => Some(super::postgres::DEFAULT_PORT),
        Dialect::MySql => Some(super::mysql::DEFAULT_PORT),
        Dialect::Sqlite => None,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Wants no rows.
struct Nothing;

impl RowSink for Nothing {
    fn columns(&mut self, _: &[Column]) -> Result<(), EngineError> {
        Ok(())
    }

    fn row<R: Row>(&mut self, _: &R) -> Result<Flow, EngineError> {
        Ok(Flow::Continue)
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}
