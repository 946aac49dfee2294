//! The MySQL engine against a real server, whose URL is in `TIDEGATE_TEST_MYSQL_URL`.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees a test only in what has the attribute, not in its helpers"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use tidegate::definitions::secret::SecretText;
use tidegate::definitions::spec::datasource::Pool;
use tidegate::engines::mysql::MySql;
use tidegate::engines::{
    Bind, Cell, Column, Done, Engine, EngineConfig, EngineError, Flow, Query, Row, RowSink,
};

mod binds;
mod cancel;
mod failures;
mod statements;
mod types;

/// A cell that outlives its row.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Float32(f32),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Json(String),
}

impl From<Cell<'_>> for Out {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(b) => Self::Bool(b),
            Cell::Int(n) => Self::Int(n),
            Cell::UInt(n) => Self::UInt(n),
            Cell::Float(n) => Self::Float(n),
            Cell::Float32(n) => Self::Float32(n),
            Cell::Decimal(digits) => Self::Decimal(digits.to_owned()),
            Cell::Text(text) => Self::Text(text.to_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Cell::Json(json) => Self::Json(json.to_owned()),
        }
    }
}

fn text(text: &str) -> Out {
    Out::Text(text.to_owned())
}

fn decimal(digits: &str) -> Out {
    Out::Decimal(digits.to_owned())
}

/// Takes rows as they come, and no more than `stop_after`.
#[derive(Debug, Default)]
struct Collector {
    columns: Option<Vec<Column>>,
    rows: Vec<Vec<Out>>,
    stop_after: Option<usize>,
    scratch: String,
}

impl RowSink for Collector {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        assert!(self.columns.is_none(), "columns were announced twice");
        self.columns = Some(columns.to_vec());
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let count = self.columns.as_ref().expect("columns come first").len();
        let mut cells = Vec::with_capacity(count);
        for index in 0..count {
            cells.push(row.cell(index, &mut self.scratch)?.into());
        }
        self.rows.push(cells);
        let stop = self.stop_after.is_some_and(|most| self.rows.len() >= most);
        Ok(if stop { Flow::Stop } else { Flow::Continue })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

fn server() -> Opts {
    let url = std::env::var("TIDEGATE_TEST_MYSQL_URL").expect(
        "TIDEGATE_TEST_MYSQL_URL must name a MySQL or MariaDB server, such as mysql://user:password@127.0.0.1:3306/test",
    );
    Opts::from_url(&url).expect("TIDEGATE_TEST_MYSQL_URL is not a URL of a MySQL server")
}

fn config() -> EngineConfig {
    let server = server();
    EngineConfig {
        id: "test".to_owned(),
        path: std::path::PathBuf::new(),
        init: None,
        host: server.ip_or_hostname().to_owned(),
        port: Some(server.tcp_port()),
        database: server.db_name().map(str::to_owned),
        username: server.user().map(str::to_owned),
        password: server.pass().map(SecretText::new),
        tls: None,
        read_only: false,
        pool: Pool { max_connections: 4, connect_timeout_ms: 5_000, idle_timeout_ms: 60_000 },
        timeout_ms: 60_000,
        runtime: None,
    }
}

fn engine() -> MySql {
    MySql::new(config())
}

/// A connection of the test's own, to prepare and to look.
async fn admin() -> Conn {
    Conn::new(server()).await.expect("the server of TIDEGATE_TEST_MYSQL_URL must answer")
}

async fn prepare(statements: &[&str]) {
    let mut conn = admin().await;
    for statement in statements {
        conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.disconnect().await.unwrap();
}

fn query(sql: &str, binds: &[Bind]) -> Query {
    Query {
        sql: Arc::from(sql),
        binds: binds.to_vec(),
        deadline: Instant::now() + Duration::from_secs(30),
        read_only: true,
    }
}

fn change(sql: &str, binds: &[Bind]) -> Query {
    Query { read_only: false, ..query(sql, binds) }
}

async fn run(engine: &MySql, query: Query) -> (Collector, Result<Done, EngineError>) {
    engine.run(query, Collector::default()).await
}

/// The rows of a query that must succeed.
async fn rows(engine: &MySql, sql: &str, binds: &[Bind]) -> Vec<Vec<Out>> {
    let (sink, outcome) = run(engine, query(sql, binds)).await;
    outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
    sink.rows
}

async fn one(engine: &MySql, sql: &str, binds: &[Bind]) -> Out {
    let mut rows = rows(engine, sql, binds).await;
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}");
    rows.remove(0).remove(0)
}

/// Waits until `sql` gives `wanted` on the test's own connection; fails after ten seconds.
async fn eventually(sql: &str, wanted: i64) {
    let mut conn = admin().await;
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let got: Option<i64> = conn.query_first(sql).await.unwrap();
        if got == Some(wanted) {
            return;
        }
        assert!(Instant::now() < end, "{sql}: {got:?} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Counts the statements with `tag` in them that the server is running, this one not.
fn running(tag: &str) -> String {
    format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
         WHERE INFO LIKE '%{tag}%' AND ID <> CONNECTION_ID()"
    )
}

/// Kills the one statement with `tag` in it: `what` is `QUERY` or `CONNECTION`.
async fn kill(what: &str, tag: &str) {
    let mut conn = admin().await;
    let find = running(tag).replace("COUNT(*)", "ID");
    let id: u64 = conn.query_first(find).await.unwrap().expect("a statement with the tag runs");
    conn.query_drop(format!("KILL {what} {id}")).await.unwrap();
}
