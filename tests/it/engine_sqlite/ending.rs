//! How queries end: by deadline, by a caller who leaves, by a sink that has enough; and that none holds up another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tidegate::engines::{Bind, Engine, EngineError};

use super::support::{
    Database, ENDLESS, ENDLESS_COUNT, Keeper, LONG, Value, eventually, outcome, query, value,
};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_deadline_ends_an_endless_query() {
    let engine = Database::with("").max_connections(1).open();
    let begin = Instant::now();
    for sql in [ENDLESS, ENDLESS_COUNT] {
        let result = outcome(&engine, sql, SHORT).await;
        assert!(matches!(result, Err(EngineError::Timeout)), "{result:?}");
    }
    assert!(begin.elapsed() >= 2 * SHORT);
    assert_eq!(value(&engine, "SELECT 1", &[]).await, Value::Int(1));
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_deadline_in_the_past_runs_nothing() {
    let engine = Database::with("").open();
    let (keeper, result) =
        engine.run(query("SELECT 1", &[], Duration::ZERO), Keeper::default()).await;
    assert!(matches!(result, Err(EngineError::Timeout)), "{result:?}");
    assert!(keeper.rows.is_empty());
}

#[tokio::test]
async fn the_deadline_holds_in_the_queue() {
    let engine = Arc::new(Database::with("").max_connections(1).open());
    let slow = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { outcome(&engine, ENDLESS_COUNT, LONG).await }
    });
    eventually("the slow query runs", || engine.stats().busy == 1).await;
    let begin = Instant::now();
    assert!(matches!(outcome(&engine, "SELECT 1", SHORT).await, Err(EngineError::Timeout)));
    assert!(begin.elapsed() < Duration::from_secs(5));
    slow.abort();
}

#[tokio::test]
async fn a_caller_who_leaves_frees_the_worker() {
    let engine = Arc::new(Database::with("").max_connections(1).open());
    let keeper = || Keeper { stuck: true, ..Keeper::default() };
    for (sql, keeper) in [(ENDLESS_COUNT, Keeper::default()), (ENDLESS, keeper())] {
        let left = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.run(query(sql, &[], LONG), keeper).await.1 }
        });
        eventually("the query runs", || engine.stats().busy == 1).await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        eventually("the worker is free", || engine.stats().busy == 0).await;
    }
    assert_eq!(value(&engine, "SELECT 1", &[]).await, Value::Int(1));
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_held_to_the_deadline() {
    let engine = Database::with("").open();
    let keeper = Keeper { stuck: true, ..Keeper::default() };
    let (keeper, result) = engine.run(query(ENDLESS, &[], SHORT), keeper).await;
    assert!(matches!(result, Err(EngineError::Timeout)), "{result:?}");
    assert_eq!(keeper.rows.len(), 1);
}

#[tokio::test]
async fn a_sink_that_has_enough_stops_the_query() {
    let engine = Database::with("").open();
    let keeper = Keeper { stop_after: Some(3), ..Keeper::default() };
    let (keeper, result) = engine.run(query(ENDLESS, &[], LONG), keeper).await;
    result.unwrap();
    assert_eq!(keeper.rows, [[Value::Int(1)], [Value::Int(2)], [Value::Int(3)]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_get_their_own_answers() {
    let database = Database::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO t SELECT i, 'name ' || i FROM n",
    );
    let engine = Arc::new(database.engine());
    let callers = (0..200).map(|caller| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            for call in 0..20 {
                let id = (caller * 7 + call) % 1000 + 1;
                let name =
                    value(&engine, "SELECT name FROM t WHERE id = ?1", &[Bind::Int(id)]).await;
                assert_eq!(name, Value::Text(format!("name {id}")));
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let stats = engine.stats();
    assert!((1..=8).contains(&stats.open) && stats.max == 8, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_queries_do_not_hold_up_fast_ones() {
    let processors = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let slow_queries = processors + 1;
    let engine = Arc::new(Database::with("").max_connections(slow_queries + 1).open());
    let slow: Vec<_> = (0..slow_queries)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { outcome(&engine, ENDLESS_COUNT, LONG).await })
        })
        .collect();
    let all = usize::try_from(slow_queries).unwrap();
    eventually("the slow queries run", || engine.stats().busy == all).await;
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(value(&engine, "SELECT 1", &[]).await, Value::Int(1));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    assert!(slow.iter().all(|slow| !slow.is_finished()), "the slow ones still run");
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let mut database = Database::with("");
    database.config.pool.idle_timeout_ms = 20;
    let engine = database.engine();
    assert_eq!(engine.stats().open, 0);
    engine.ping(Instant::now() + LONG).await.unwrap();
    eventually("the connection is closed", || engine.stats().open == 0).await;
    assert_eq!(value(&engine, "SELECT 1", &[]).await, Value::Int(1));
}
