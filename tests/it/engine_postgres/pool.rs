//! The pool: its limit, its sharing, its idle connections, its statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate::engines::{Bind, Engine, EngineError, Query};

use super::support::{admin, engine, error, marker, one, query, rows, wait_running, with, writing};

#[tokio::test]
async fn building_an_engine_connects_to_nothing() {
    let e = engine(|_| {});
    assert_eq!((e.stats().open, e.stats().busy, e.stats().max), (0, 0, 8));
    e.ping(Instant::now() + Duration::from_secs(10)).await.unwrap();
    assert_eq!((e.stats().open, e.stats().busy), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_holds_under_two_hundred_callers() {
    let (admin, e) = (admin().await, engine(|c| c.pool.max_connections = 5));
    let marker = marker();
    let highest = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..200)
        .map(|n| {
            let (e, highest, marker) = (e.clone(), highest.clone(), marker.clone());
            tokio::spawn(async move {
                for i in 0..10 {
                    let sql = match (n + i) % 20 {
                        0 => format!("SELECT $1::int FROM pg_sleep(0.01) /* {marker} */"),
                        _ => format!("SELECT $1::int /* {marker} */"),
                    };
                    let read_only = (n + i) % 7 != 0;
                    let query = Query { read_only, ..with(&sql, vec![Bind::Int(n)]) };
                    assert_eq!(one(&e, query).await, n.to_string());
                    highest.fetch_max(e.stats().open, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()";
    while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
        let sessions: i64 = admin.query_one(sql, &[&marker]).await.unwrap().get(0);
        assert!(sessions <= 5, "{sessions} sessions");
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!((1..=5).contains(&highest.load(Ordering::Relaxed)));
    // Places that queries moved away from are given back once the server has come to them.
    let limit = Instant::now() + Duration::from_secs(10);
    while e.stats().busy > 0 {
        assert!(Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_would_wait_for_each_other_spread_over_more_connections() {
    let e = engine(|_| {});
    // None of them is slow, but a row of them on one connection is.
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let e = e.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    let sql = format!("SELECT {n} FROM pg_sleep(0.002)");
                    assert_eq!(one(&e, query(&sql)).await, n.to_string());
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(e.stats().open >= 4, "{:?}", e.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_queries_hold_up_no_fast_one() {
    let (admin, e) = (admin().await, engine(|_| {}));
    for _ in 0..5 {
        assert_eq!(one(&e, query("SELECT 1")).await, "1");
    }
    let marker = marker();
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let (e, sql) = (e.clone(), format!("SELECT pg_sleep(60) /* {marker} */"));
            tokio::spawn(async move { super::support::run(&e, query(&sql)).await.1 })
        })
        .collect();
    // At the same time, so that some are sent behind a slow one before that is known to be slow.
    let fast: Vec<_> = (0..40)
        .map(|n| {
            let e = e.clone();
            tokio::spawn(async move { one(&e, query(&format!("SELECT {n}"))).await })
        })
        .collect();
    for (n, fast) in fast.into_iter().enumerate() {
        assert_eq!(fast.await.unwrap(), n.to_string());
    }
    wait_running(&admin, &marker, 4).await;
    assert!(slow.iter().all(|task| !task.is_finished()));
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    wait_running(&admin, &marker, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_waits_no_longer_than_the_deadline() {
    let (admin, e) = (admin().await, engine(|c| c.pool.max_connections = 1));
    let marker = marker();
    let (engine, sql) = (e.clone(), format!("SELECT pg_sleep(60) /* {marker} */"));
    let slow = tokio::spawn(async move { super::support::run(&engine, query(&sql)).await.1 });
    wait_running(&admin, &marker, 1).await;
    for read_only in [true, false] {
        let deadline = Instant::now() + Duration::from_millis(200);
        let failed = error(&e, Query { deadline, read_only, ..query("SELECT 1") }).await;
        assert!(matches!(failed, EngineError::Timeout), "{failed}");
    }
    slow.abort();
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_gets_its_turn_among_readers() {
    let e = engine(|c| c.pool.max_connections = 1);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (e, stop) = (e.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(one(&e, query("SELECT 1")).await, "1");
                }
            })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(one(&e, writing("SELECT 2")).await, "2");
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let e = engine(|c| c.pool.idle_timeout_ms = 100);
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
    assert_eq!(e.stats().open, 1);
    let limit = Instant::now() + Duration::from_secs(10);
    while e.stats().open > 0 {
        assert!(Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test]
async fn statements_are_kept_up_to_a_limit() {
    let e = engine(|c| c.pool.max_connections = 1);
    let count = "SELECT count(*) FROM pg_prepared_statements";
    for _ in 0..3 {
        assert_eq!(one(&e, query("SELECT 41 + 1")).await, "42");
    }
    let kept: usize = one(&e, query(count)).await.parse().unwrap();
    assert_eq!(kept, 2, "three runs make one statement");
    for i in 0..600 {
        assert_eq!(one(&e, query(&format!("SELECT {i}"))).await, i.to_string());
    }
    let kept: usize = one(&e, query(count)).await.parse().unwrap();
    assert!((200..=257).contains(&kept), "{kept}");
    // The one in use all the time stays.
    assert_eq!(e.stats().open, 1);
}

#[tokio::test]
async fn a_stale_statement_is_prepared_again() {
    let admin = admin().await;
    admin.batch_execute("DROP TABLE IF EXISTS tg_stale; CREATE TABLE tg_stale (a int); INSERT INTO tg_stale VALUES (1)").await.unwrap();
    let e = engine(|c| {
        c.pool.max_connections = 1;
        c.read_only = false;
    });
    let sql = "SELECT * FROM tg_stale";
    assert_eq!(rows(&e, query(sql)).await, [["1"]]);
    admin.batch_execute("ALTER TABLE tg_stale ADD b text DEFAULT 'x'").await.unwrap();
    assert_eq!(rows(&e, query(sql)).await, [["1", "\"x\""]]);
    admin.batch_execute("ALTER TABLE tg_stale DROP a").await.unwrap();
    assert_eq!(rows(&e, writing(sql)).await, [["\"x\""]]);
    super::support::run(&e, query("DEALLOCATE ALL")).await.1.unwrap();
    assert_eq!(rows(&e, query(sql)).await, [["\"x\""]]);
}

#[tokio::test]
async fn sessions_are_set_up() {
    let e = engine(|c| c.timeout_ms = 30_000);
    let sql = "SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('client_encoding'), \
               current_setting('application_name'), current_setting('default_transaction_read_only'), \
               current_setting('statement_timeout'), current_setting('IntervalStyle'), \
               current_setting('idle_in_transaction_session_timeout'), current_setting('standard_conforming_strings')";
    let row = rows(&e, query(sql)).await.remove(0);
    assert_eq!(
        row,
        [
            "\"UTC\"",
            "\"ISO, MDY\"",
            "\"UTF8\"",
            "\"tidegate\"",
            "\"on\"",
            "\"32s\"",
            "\"iso_8601\"",
            "\"32s\"",
            "\"on\""
        ]
    );
}

#[test]
fn connections_live_on_the_runtime_they_are_given() {
    let serving =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let handle = serving.handle().clone();
    let e = engine(|c| c.runtime = Some(handle));
    for _ in 0..2 {
        // The caller's runtime goes away; the connection stays.
        let passing = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(passing.block_on(one(&e, query("SELECT 1"))), "1");
        drop(passing);
        assert_eq!(e.stats().open, 1);
    }
    let count = "SELECT count(*) FROM pg_prepared_statements";
    let passing = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(passing.block_on(one(&e, query(count))), "2");
}
