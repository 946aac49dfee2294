//! Deadlines, dropped futures and stops end the query in the database, and only that query.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::engines::{Engine, EngineError, Query};
use tokio::sync::{Notify, mpsc};

use super::support::{
    Collected, Script, admin, engine, error, marker, one, query, run, wait_running, writing,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_cancels_in_the_database() {
    let (admin, e) = (admin().await, engine(|_| {}));
    for read_only in [true, false] {
        let marker = marker();
        let deadline = Instant::now() + Duration::from_millis(300);
        let sql = format!("SELECT pg_sleep(60) /* {marker} */");
        let failed = error(&e, Query { deadline, read_only, ..query(&sql) }).await;
        assert!(matches!(failed, EngineError::Timeout), "{failed}");
        assert!(Instant::now() < deadline + Duration::from_secs(5));
        wait_running(&admin, &marker, 0).await;
    }
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test]
async fn the_server_ends_what_outlives_its_own_limit() {
    let e = engine(|c| c.timeout_ms = 1);
    let failed = error(&e, query("SELECT pg_sleep(60)")).await;
    assert!(matches!(failed, EngineError::Timeout), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_future_cancels_in_the_database() {
    let (admin, e) = (admin().await, engine(|_| {}));
    for read_only in [true, false] {
        let marker = marker();
        let sql = format!("SELECT pg_sleep(60) /* {marker} */");
        let engine = e.clone();
        let task =
            tokio::spawn(async move { run(&engine, Query { read_only, ..query(&sql) }).await.1 });
        wait_running(&admin, &marker, 1).await;
        task.abort();
        wait_running(&admin, &marker, 0).await;
    }
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_cancels_in_the_database() {
    let (admin, e) = (admin().await, engine(|_| {}));
    let marker = marker();
    // Endless for the purpose: the stop alone ends it.
    let sql = format!("SELECT generate_series(1, 10000000000), repeat('x', 100) /* {marker} */");
    let sink = Collected {
        script: Script { stop_after: Some(3), ..Script::default() },
        ..Collected::default()
    };
    let (sink, result) = e.run(query(&sql), sink).await;
    result.unwrap();
    assert_eq!(sink.rows.len(), 3);
    wait_running(&admin, &marker, 0).await;
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stalls_holds_up_nobody_and_meets_the_deadline() {
    let (admin, e) = (admin().await, engine(|c| c.pool.max_connections = 2));
    let marker = marker();
    let sql =
        format!("SELECT i, repeat('x', 1000) FROM generate_series(1, 1000000) i /* {marker} */");
    let (seen, mut rows_seen) = mpsc::unbounded_channel();
    let gate = Some((500, Arc::new(Notify::new())));
    let sink = Collected {
        script: Script { gate, seen: Some(seen), ..Script::default() },
        ..Collected::default()
    };
    let engine = e.clone();
    let deadline = Instant::now() + Duration::from_secs(3);
    let stalled =
        tokio::spawn(async move { engine.run(Query { deadline, ..query(&sql) }, sink).await });
    while rows_seen.recv().await.unwrap() < 500 {}
    for i in 0..50 {
        assert_eq!(one(&e, query(&format!("SELECT {i}"))).await, i.to_string());
    }
    assert!(!stalled.is_finished());
    let (sink, result) = stalled.await.unwrap();
    assert!(matches!(result, Err(EngineError::Timeout)));
    assert_eq!(sink.rows.len(), 500);
    wait_running(&admin, &marker, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_ends_lets_the_rest_through() {
    let e = engine(|_| {});
    let gate = Arc::new(Notify::new());
    gate.notify_one();
    let sink = Collected {
        script: Script { gate: Some((10, gate)), ..Script::default() },
        ..Collected::default()
    };
    let (sink, result) = e.run(query("SELECT generate_series(1, 20000)"), sink).await;
    result.unwrap();
    assert_eq!(sink.rows.len(), 20_000);
    assert!(sink.rows.iter().enumerate().all(|(i, row)| row[0] == (i + 1).to_string()));
}

/// Many queries share one connection while others on it are cancelled at every moment of their lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_survive_cancels() {
    let e = engine(|c| c.pool.max_connections = 1);
    let neighbours: Vec<_> = (0..16)
        .map(|n| {
            let e = e.clone();
            tokio::spawn(async move {
                for i in 0..40 {
                    let sql = format!("SELECT i, {n} FROM generate_series(1, 200) i");
                    let rows = super::support::rows(&e, query(&sql)).await;
                    assert_eq!(rows.len(), 200, "round {i}");
                    assert!(rows.iter().enumerate().all(|(i, row)| row[0] == (i + 1).to_string()));
                }
            })
        })
        .collect();
    let mut cancelled = 0;
    for round in 0..60 {
        let e = e.clone();
        let victim = tokio::spawn(async move { run(&e, query("SELECT pg_sleep(0.02)")).await.1 });
        tokio::time::sleep(Duration::from_millis(round % 12)).await;
        victim.abort();
        cancelled += usize::from(victim.await.is_err());
    }
    for neighbour in neighbours {
        neighbour.await.unwrap();
    }
    assert!(cancelled > 0);
    assert_eq!(e.stats().max, 1);
}

/// However many are cancelled around a query: in the end it runs where no cancel of another can hit it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_cancels_fails_no_neighbour() {
    let e = engine(|c| c.pool.max_connections = 1);
    let storm: Vec<_> = (0..2)
        .map(|n| {
            let e = e.clone();
            tokio::spawn(async move {
                for round in 0..250 {
                    let query = query("SELECT pg_sleep(0.02)");
                    let life = Duration::from_millis((round + n) % 12);
                    let _ = tokio::time::timeout(life, run(&e, query)).await;
                }
            })
        })
        .collect();
    let storm = Arc::new(storm);
    let neighbours: Vec<_> = (0..16)
        .map(|_| {
            let (e, storm) = (e.clone(), storm.clone());
            tokio::spawn(async move {
                while storm.iter().any(|task| !task.is_finished()) {
                    let rows = super::support::rows(&e, query("SELECT generate_series(1, 200)"));
                    assert_eq!(rows.await.len(), 200);
                }
            })
        })
        .collect();
    for neighbour in neighbours {
        neighbour.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_cancelled_by_accident_runs_again_once() {
    let (admin, e) = (admin().await, engine(|_| {}));
    let marker = marker();
    admin.batch_execute("CREATE TABLE IF NOT EXISTS tg_lock (a int)").await.unwrap();
    // Waits for a lock, so that it can be cancelled while it has no row; then the lock goes.
    let locker = super::support::admin().await;
    locker.batch_execute("BEGIN; LOCK TABLE tg_lock").await.unwrap();
    let sql = format!("SELECT count(*) >= 0 FROM tg_lock /* {marker} */");
    let engine = e.clone();
    let task = tokio::spawn(async move { one(&engine, query(&sql)).await });
    let pids = wait_running(&admin, &marker, 1).await;
    let canceller = super::support::admin().await;
    canceller.query("SELECT pg_cancel_backend($1)", &[&pids[0]]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    locker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(task.await.unwrap(), "true");

    let marker = super::support::marker();
    let sql = format!("SELECT pg_sleep(60) /* {marker} */");
    let engine = e.clone();
    let task = tokio::spawn(async move { error(&engine, writing(&sql)).await });
    let pids = wait_running(&admin, &marker, 1).await;
    // Between preparing and running there is nothing to cancel, so once may not do.
    while !task.is_finished() {
        canceller.query("SELECT pg_cancel_backend($1)", &[&pids[0]]).await.unwrap();
    }
    let failed = task.await.unwrap();
    assert!(matches!(&failed, EngineError::Statement { code, .. } if code == "57014"), "{failed}");
}
