//! A server to test against, a sink that collects, and short ways to run things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate::definitions::secret::SecretText;
use tidegate::definitions::spec::datasource::Pool;
use tidegate::engines::postgres::Postgres;
use tidegate::engines::{
    Bind, Cell, Column, Done, Engine, EngineConfig, EngineError, Flow, Query, Row, RowSink,
};
use tokio::sync::{Notify, mpsc};

pub const URL: &str = "TIDEGATE_TEST_POSTGRES_URL";

pub fn server() -> tokio_postgres::Config {
    let url = std::env::var(URL).unwrap_or_else(|_| {
        panic!("{URL} must name a server, as postgres://user:secret@host:port/db")
    });
    url.parse().unwrap_or_else(|error| panic!("{URL} is not a URL of PostgreSQL: {error}"))
}

pub fn config() -> EngineConfig {
    let server = server();
    let host = match &server.get_hosts()[0] {
        tokio_postgres::config::Host::Tcp(host) => host.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    };
    let password = server.get_password().map(|p| SecretText::new(String::from_utf8_lossy(p)));
    EngineConfig {
        id: "test".into(),
        path: "".into(),
        init: None,
        host,
        port: server.get_ports().first().copied(),
        database: server.get_dbname().map(str::to_owned),
        username: server.get_user().map(str::to_owned),
        password,
        tls: None,
        read_only: true,
        pool: Pool { max_connections: 8, connect_timeout_ms: 5_000, idle_timeout_ms: 300_000 },
        timeout_ms: 60_000,
        runtime: None,
    }
}

/// An engine whose sessions carry a name of their own, so that a test sees its connections and no other's.
pub fn engine(change: impl FnOnce(&mut EngineConfig)) -> Arc<Postgres> {
    let mut config = config();
    change(&mut config);
    Arc::new(Postgres::new(config))
}

/// A session outside the engine.
pub async fn admin() -> tokio_postgres::Client {
    let (client, driver) = server().connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// A text no other test uses, to be put into a query as a comment and looked for in `pg_stat_activity`.
pub fn marker() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("marker_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Sessions that run a query with `marker` in it now.
pub async fn running(admin: &tokio_postgres::Client, marker: &str) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
               AND query LIKE '%' || $1 || '%'";
    admin.query(sql, &[&marker]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until the number of sessions that run a query with `marker` is `wanted`.
pub async fn wait_running(admin: &tokio_postgres::Client, marker: &str, wanted: usize) -> Vec<i32> {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let pids = running(admin, marker).await;
        if pids.len() == wanted {
            return pids;
        }
        assert!(Instant::now() < limit, "{} instead of {wanted} run `{marker}`", pids.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn query(sql: &str) -> Query {
    Query {
        sql: sql.into(),
        binds: Vec::new(),
        deadline: Instant::now() + Duration::from_secs(30),
        read_only: true,
    }
}

pub fn with(sql: &str, binds: Vec<Bind>) -> Query {
    Query { binds, ..query(sql) }
}

pub fn writing(sql: &str) -> Query {
    Query { read_only: false, ..query(sql) }
}

/// What a test does between rows.
#[derive(Default)]
pub struct Script {
    /// Stop after so many rows.
    pub stop_after: Option<usize>,
    /// Ask for a flush after so many rows, which lasts until the gate is opened.
    pub gate: Option<(usize, Arc<Notify>)>,
    /// Told of each row as it comes.
    pub seen: Option<mpsc::UnboundedSender<usize>>,
}

/// Collects rows as JSON texts.
#[derive(Default)]
pub struct Collected {
    pub columns: Vec<Column>,
    pub columns_calls: usize,
    pub rows: Vec<Vec<String>>,
    pub script: Script,
}

impl RowSink for Collected {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.columns = columns.to_vec();
        self.columns_calls += 1;
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut scratch = "left over from another cell".to_owned();
        let cells = (0..self.columns.len())
            .map(|index| row.cell(index, &mut scratch).map(json))
            .collect::<Result<_, _>>()?;
        self.rows.push(cells);
        if let Some(seen) = &self.script.seen {
            let _ = seen.send(self.rows.len());
        }
        if self.script.stop_after == Some(self.rows.len()) {
            return Ok(Flow::Stop);
        }
        let at_gate = self.script.gate.as_ref().is_some_and(|(at, _)| *at == self.rows.len());
        Ok(if at_gate { Flow::Flush } else { Flow::Continue })
    }

    async fn flush(&mut self) -> Flow {
        if let Some((_, gate)) = &self.script.gate {
            gate.notified().await;
        }
        Flow::Continue
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".into(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Float(value) => format!("{value:?}"),
        Cell::Float32(value) => format!("{value:?}"),
        Cell::Decimal(text) => text.into(),
        Cell::Text(text) => quoted(text),
        Cell::Bytes(bytes) => {
            use base64::Engine as _;
            quoted(&base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Cell::Json(text) => {
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .unwrap_or_else(|error| panic!("`{text}` is not JSON: {error}"));
            text.into()
        }
    }
}

/// The cell as the text it is, without quotes where it is a string.
pub fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

pub async fn run(engine: &Postgres, query: Query) -> (Collected, Result<Done, EngineError>) {
    engine.run(query, Collected::default()).await
}

/// The rows of a query that must succeed.
pub async fn rows(engine: &Postgres, query: Query) -> Vec<Vec<String>> {
    let sql = query.sql.clone();
    let (collected, result) = run(engine, query).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(collected.columns_calls, 1, "{sql}");
    collected.rows
}

/// The first cell of the first row.
pub async fn one(engine: &Postgres, query: Query) -> String {
    rows(engine, query).await.remove(0).remove(0)
}

/// The error of a query that must fail.
pub async fn error(engine: &Postgres, query: Query) -> EngineError {
    let sql = query.sql.clone();
    run(engine, query).await.1.err().unwrap_or_else(|| panic!("{sql} succeeded"))
}
