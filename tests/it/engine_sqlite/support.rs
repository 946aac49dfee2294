//! A database file for a test, and a sink that keeps what it gets.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::engines::sqlite::Sqlite;
use tidegate::engines::{
    Bind, Cell, Column, Done, Engine, EngineConfig, EngineError, Flow, Query, Row, RowSink,
};

/// Rows without an end.
pub const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
/// Work without an end, and never a row.
pub const ENDLESS_COUNT: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
/// Long enough for everything that ends by itself.
pub const LONG: Duration = Duration::from_secs(30);

/// A folder that goes away with the test, and the settings of an engine on `test.db` in it.
pub struct Database {
    pub folder: TempDir,
    pub config: EngineConfig,
}

impl Database {
    /// The file does not exist yet.
    pub fn missing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = EngineConfig {
            id: "test".to_owned(),
            path: folder.path().join("test.db"),
            read_only: true,
            timeout_ms: 30_000,
            ..EngineConfig::default()
        };
        Self { folder, config }
    }

    /// The file is made by `sql`.
    pub fn with(sql: &str) -> Self {
        let database = Self::missing();
        let file = rusqlite::Connection::open(&database.config.path).unwrap();
        file.execute_batch(&format!("PRAGMA user_version = 1; {sql}")).unwrap();
        database
    }

    /// The file is missing and `init` would make it.
    pub fn with_init(sql: &str) -> Self {
        let mut database = Self::missing();
        database.config.init = Some(database.write("init.sql", sql));
        database
    }

    pub fn max_connections(mut self, max: u32) -> Self {
        self.config.pool.max_connections = max;
        self
    }

    pub fn writable(mut self) -> Self {
        self.config.read_only = false;
        self
    }

    pub fn engine(&self) -> Sqlite {
        Sqlite::new(self.config.clone())
    }

    /// An engine that keeps the folder with it.
    pub fn open(self) -> Open {
        Open { engine: self.engine(), _folder: self.folder }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The names of the files in the folder, sorted.
    pub fn files(&self) -> Vec<String> {
        names(self.folder.path())
    }
}

/// An engine and the folder with its file.
pub struct Open {
    engine: Sqlite,
    _folder: TempDir,
}

impl std::ops::Deref for Open {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.engine
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A cell that outlives its row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Json(String),
}

pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Keeps columns and rows; answers each row as told.
#[derive(Default)]
pub struct Keeper {
    pub columns: Option<Vec<Column>>,
    pub rows: Vec<Vec<Value>>,
    /// Stops after so many rows.
    pub stop_after: Option<usize>,
    /// Wants to be flushed after each row, and never comes back from it.
    pub stuck: bool,
}

impl RowSink for Keeper {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        assert!(self.columns.is_none(), "columns come once");
        self.columns = Some(columns.to_vec());
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let width = self.columns.as_ref().expect("columns come before rows").len();
        let mut scratch = String::new();
        let mut cells = Vec::with_capacity(width);
        for index in 0..width {
            cells.push(match row.cell(index, &mut scratch)? {
                Cell::Null => Value::Null,
                Cell::Bool(b) => Value::Bool(b),
                Cell::Int(n) => Value::Int(n),
                Cell::Float(x) => Value::Float(x),
                Cell::Text(text) => Value::Text(text.to_owned()),
                Cell::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
                Cell::Json(json) => Value::Json(json.to_owned()),
                other => panic!("SQLite has no {other:?}"),
            });
        }
        self.rows.push(cells);
        Ok(match self.stop_after {
            Some(rows) if self.rows.len() >= rows => Flow::Stop,
            _ if self.stuck => Flow::Flush,
            _ => Flow::Continue,
        })
    }

    async fn flush(&mut self) -> Flow {
        std::future::pending().await
    }
}

pub fn query(sql: &str, binds: &[Bind], within: Duration) -> Query {
    Query {
        sql: sql.into(),
        binds: binds.to_vec(),
        deadline: Instant::now() + within,
        read_only: true,
    }
}

/// Runs a query to its end and gives what the sink kept.
pub async fn rows(engine: &Sqlite, sql: &str, binds: &[Bind]) -> Vec<Vec<Value>> {
    let (keeper, result) = engine.run(query(sql, binds, LONG), Keeper::default()).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
    keeper.rows
}

/// The one value of a query.
pub async fn value(engine: &Sqlite, sql: &str, binds: &[Bind]) -> Value {
    rows(engine, sql, binds).await.remove(0).remove(0)
}

/// How a query ends.
pub async fn outcome(engine: &Sqlite, sql: &str, within: Duration) -> Result<Done, EngineError> {
    engine.run(query(sql, &[], within), Keeper::default()).await.1
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
