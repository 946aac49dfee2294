//! What is no longer wanted ends in the database: deadlines, dropped futures, sinks that stop.

use std::time::{Duration, Instant};

use tidegate::engines::{Engine as _, EngineError, Query};

use super::{Collector, Out, engine, eventually, one, query, rows, run, running};

/// Longer than any test waits.
const FOREVER: &str = "SELECT COUNT(*) FROM information_schema.COLLATIONS a, \
                       information_schema.COLLATIONS b, information_schema.COLLATIONS c, \
                       information_schema.COLLATIONS d WHERE a.ID + b.ID <> c.ID * d.ID";

fn tagged(tag: &str, within_ms: u64) -> Query {
    let deadline = Instant::now() + Duration::from_millis(within_ms);
    Query { deadline, ..query(&format!("{FOREVER} /* {tag} */"), &[]) }
}

#[tokio::test]
async fn a_deadline_ends_the_query_in_the_database() {
    let engine = engine();
    let before = Instant::now();
    let (_, outcome) = run(&engine, tagged("c_deadline", 300)).await;
    assert!(matches!(outcome, Err(EngineError::Timeout)), "{outcome:?}");
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2), "{took:?}");
    eventually(&running("c_deadline"), 0).await;
    assert_eq!(one(&engine, "SELECT 1", &[]).await, Out::Int(1));
}

#[tokio::test]
async fn a_deadline_that_has_passed_asks_nothing() {
    let engine = engine();
    let (_, outcome) = run(&engine, tagged("c_passed", 0)).await;
    assert!(matches!(outcome, Err(EngineError::Timeout)), "{outcome:?}");
    assert_eq!(engine.stats().open, 0);
}

#[tokio::test]
async fn a_dropped_future_ends_the_query_in_the_database() {
    let engine = std::sync::Arc::new(engine());
    let running_engine = std::sync::Arc::clone(&engine);
    let task = tokio::spawn(async move { run(&running_engine, tagged("c_dropped", 60_000)).await });
    eventually(&running("c_dropped"), 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    eventually(&running("c_dropped"), 0).await;
    assert_eq!(one(&engine, "SELECT 1", &[]).await, Out::Int(1));
}

#[tokio::test]
async fn the_sessions_own_limit_is_a_second_line() {
    let config = tidegate::engines::EngineConfig { timeout_ms: 300, ..super::config() };
    let engine = tidegate::engines::mysql::MySql::new(config);
    let (_, outcome) = run(&engine, tagged("c_second_line", 20_000)).await;
    assert!(matches!(outcome, Err(EngineError::Timeout)), "{outcome:?}");
}

#[tokio::test]
async fn a_killed_query_is_a_timeout_and_costs_nothing_else() {
    let engine = std::sync::Arc::new(engine());
    let running_engine = std::sync::Arc::clone(&engine);
    let task = tokio::spawn(async move { run(&running_engine, tagged("c_killed", 60_000)).await });
    eventually(&running("c_killed"), 1).await;
    super::kill("QUERY", "c_killed").await;
    let (_, outcome) = task.await.unwrap();
    assert!(matches!(outcome, Err(EngineError::Timeout)), "{outcome:?}");
    assert_eq!(one(&engine, "SELECT 1", &[]).await, Out::Int(1));
}

#[tokio::test]
async fn a_stop_ends_what_still_runs() {
    let engine = engine();
    let sql = "SELECT 1 FROM information_schema.COLUMNS a, information_schema.COLUMNS b, \
               information_schema.COLUMNS c /* c_stop */";
    let sink = Collector { stop_after: Some(3), ..Collector::default() };
    let (sink, outcome) = engine.run(query(sql, &[]), sink).await;
    outcome.unwrap();
    assert_eq!(sink.rows.len(), 3);
    eventually(&running("c_stop"), 0).await;
    assert_eq!(one(&engine, "SELECT 1", &[]).await, Out::Int(1));
}

#[tokio::test]
async fn a_stop_near_the_end_keeps_the_connection() {
    let engine = engine();
    let id = rows(&engine, "SELECT CONNECTION_ID()", &[]).await;
    let sql = "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3";
    let sink = Collector { stop_after: Some(2), ..Collector::default() };
    let (sink, outcome) = engine.run(query(sql, &[]), sink).await;
    outcome.unwrap();
    assert_eq!(sink.rows, [[Out::Int(1)], [Out::Int(2)]]);
    assert_eq!(rows(&engine, "SELECT CONNECTION_ID()", &[]).await, id);
}

#[tokio::test]
async fn the_place_in_the_pool_comes_back() {
    let engine = engine();
    let most = engine.stats().max;
    let timed_out = |_| run(&engine, tagged("c_places", 200));
    for (_, outcome) in futures::future::join_all((0..most * 2).map(timed_out)).await {
        assert!(matches!(outcome, Err(EngineError::Timeout)), "{outcome:?}");
    }
    eventually(&running("c_places"), 0).await;
    let all = futures::future::join_all((0..most * 2).map(|_| one(&engine, "SELECT 1", &[]))).await;
    assert_eq!(all, vec![Out::Int(1); most * 2]);
    assert!(engine.stats().open <= most);
}
