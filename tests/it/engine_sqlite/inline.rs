//! Short statements run on the thread that asks, and whatever is not short runs as if that had never been tried.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate::engines::sqlite::Sqlite;
use tidegate::engines::{Column, Engine, EngineError, Flow, Row, RowSink};

use super::support::{Database, ENDLESS_COUNT, Keeper, LONG, Value, eventually, outcome, query};

const ROWS: &str = "CREATE TABLE t (n INTEGER PRIMARY KEY);
    WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) INSERT INTO t SELECT n FROM c;";
/// Gives ten rows at once, and the last of them after much work.
const LATE: &str = "SELECT n FROM t WHERE n < 10 UNION ALL \
    SELECT count(*) FROM t AS a, t AS b WHERE a.n * b.n % 7 = 3";

/// Keeps rows, the thread they came on, and how often it had to begin anew.
#[derive(Default)]
struct Witness {
    keeper: Keeper,
    thread: Option<String>,
    rewinds: usize,
    /// Wants to be flushed after so many rows.
    flush_after: Option<usize>,
}

impl RowSink for Witness {
    const REWINDS: bool = true;

    fn rewind(&mut self) {
        self.keeper = Keeper::default();
        self.rewinds += 1;
    }

    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.thread = thread::current().name().map(str::to_owned);
        self.keeper.columns(columns)
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let flow = self.keeper.row(row)?;
        Ok(if self.flush_after == Some(self.keeper.rows.len()) { Flow::Flush } else { flow })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

impl Witness {
    fn was_inline(&self) -> bool {
        !self.thread.as_deref().is_some_and(|name| name.starts_with("sqlite-"))
    }

    fn numbers(&self) -> Vec<i64> {
        let number = |row: &Vec<Value>| match row[0] {
            Value::Int(n) => n,
            ref other => panic!("{other:?}"),
        };
        self.keeper.rows.iter().map(number).collect()
    }
}

async fn run(engine: &Sqlite, sql: &str, sink: Witness) -> Witness {
    let (sink, result) = engine.run(query(sql, &[], LONG), sink).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
    sink
}

/// Runs short statements until the connections for them are open.
async fn warm(engine: &Sqlite) {
    while !run(engine, "SELECT 1", Witness::default()).await.was_inline() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_short_statement_runs_where_it_is_asked_for() {
    let engine = Database::with(ROWS).open();
    assert!(!run(&engine, "SELECT 1", Witness::default()).await.was_inline(), "none is open yet");
    warm(&engine).await;
    let found = run(&engine, "SELECT n FROM t WHERE n = 7", Witness::default()).await;
    assert!(found.was_inline());
    assert_eq!((found.numbers(), found.rewinds), (vec![7], 0));
}

#[tokio::test]
async fn a_burst_of_short_statements_does_not_start_a_worker_each() {
    let engine = Database::with(ROWS).max_connections(32).open();
    let burst = (0..64).map(|_| run(&engine, "SELECT 1", Witness::default()));
    assert_eq!(futures::future::join_all(burst).await.len(), 64);
    let open = engine.stats().open;
    assert!(open < 16, "{open} connections are open");
}

#[tokio::test]
async fn a_long_statement_begins_anew_with_a_worker_and_is_known_then() {
    let engine = Database::with(ROWS).open();
    warm(&engine).await;
    let first = run(&engine, LATE, Witness::default()).await;
    assert_eq!((first.was_inline(), first.rewinds, first.numbers().len()), (false, 1, 10));
    assert_eq!(first.numbers()[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let second = run(&engine, LATE, Witness::default()).await;
    assert_eq!((second.was_inline(), second.rewinds), (false, 0));
    assert_eq!(first.numbers(), second.numbers());
}

#[tokio::test]
async fn nothing_waits_where_others_are_served() {
    let engine = Database::with(ROWS).open();
    warm(&engine).await;
    // A reader that must take something first.
    let sink = Witness { flush_after: Some(2), ..Witness::default() };
    let flushed = run(&engine, "SELECT n FROM t WHERE n < 4", sink).await;
    assert_eq!((flushed.was_inline(), flushed.rewinds), (false, 1));
    assert_eq!(flushed.numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn a_locked_file_is_waited_for_by_a_worker() {
    let database = Database::with(ROWS);
    let writer = rusqlite::Connection::open(&database.config.path).unwrap();
    let engine = database.open();
    warm(&engine).await;
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let unlocks = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        writer.execute_batch("COMMIT").unwrap();
    });
    let found = run(&engine, "SELECT count(*) FROM t", Witness::default()).await;
    assert_eq!((found.was_inline(), found.numbers()), (false, vec![2000]));
    unlocks.join().unwrap();
}

#[tokio::test]
async fn who_changes_something_or_has_few_connections_always_has_a_worker() {
    let engine = Database::with(ROWS).max_connections(1).open();
    for _ in 0..20 {
        assert!(!run(&engine, "SELECT 1", Witness::default()).await.was_inline());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let engine = Database::with(ROWS).writable().open();
    warm(&engine).await;
    let mut change = query("UPDATE t SET n = n WHERE n = 1 RETURNING n", &[], LONG);
    change.read_only = false;
    let (sink, result) = engine.run(change, Witness::default()).await;
    result.unwrap();
    assert!(!sink.was_inline());
}

#[tokio::test]
async fn an_error_is_the_workers() {
    let engine = Database::with(ROWS).open();
    warm(&engine).await;
    let (sink, result) =
        engine.run(query("SELECT nothing FROM t", &[], LONG), Witness::default()).await;
    assert!(matches!(result, Err(EngineError::Statement { .. })), "{result:?}");
    assert!(sink.keeper.rows.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_gives_way_to_workers() {
    let engine = Arc::new(Database::with(ROWS).max_connections(2).open());
    warm(&engine).await;
    let slow = [(); 2].map(|()| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { outcome(&engine, ENDLESS_COUNT, LONG).await })
    });
    eventually("both slow queries run", || engine.stats().busy == 2).await;
    assert!(engine.stats().open <= 2, "{:?}", engine.stats());
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed() {
    let mut database = Database::with(ROWS);
    database.config.pool.idle_timeout_ms = 20;
    let engine = database.engine();
    warm(&engine).await;
    eventually("the connections are closed", || engine.stats().open == 0).await;
    warm(&engine).await;
}
