//! Servers that refuse, vanish, hang or die in the midst of an answer.

use std::time::{Duration, Instant};

use tidegate::definitions::secret::SecretText;
use tidegate::engines::{Engine, EngineError, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::support::{
    Collected, Script, admin, engine, error, marker, one, query, run, wait_running, writing,
};

#[tokio::test]
async fn what_cannot_be_reached_is_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let engines = [
        engine(|c| c.password = Some(SecretText::new("sesame-street"))),
        engine(|c| c.username = Some("nobody_of_that_name".into())),
        engine(|c| c.database = Some("no_such_database".into())),
        engine(|c| (c.host, c.port) = ("127.0.0.1".into(), Some(closed))),
        engine(|c| c.host = "no-such-host.invalid".into()),
    ];
    for e in engines {
        for read_only in [true, false] {
            let failed = error(&e, Query { read_only, ..query("SELECT 1") }).await;
            assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
            assert!(!failed.to_string().contains("sesame-street"), "{failed}");
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        assert!(matches!(e.ping(deadline).await, Err(EngineError::Unavailable(_))));
        assert!(matches!(e.describe("SELECT 1", deadline).await, Err(EngineError::Unavailable(_))));
        assert_eq!(e.stats().open, 0);
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let e = engine(|c| {
        (c.host, c.port) = ("127.0.0.1".into(), Some(port));
        c.pool.connect_timeout_ms = 200;
    });
    let failed = error(&e, query("SELECT 1")).await;
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    let mut attempts = 0;
    while tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 1, "nobody else's attempt was to be waited for");
    let e = engine(|c| (c.host, c.port) = ("127.0.0.1".into(), Some(port)));
    let deadline = Instant::now() + Duration::from_millis(200);
    let failed = error(&e, Query { deadline, ..query("SELECT 1") }).await;
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    assert!(deadline.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_backend_is_replaced() {
    let (admin, e) = (admin().await, engine(|_| {}));
    let terminate = "SELECT pg_terminate_backend($1)";
    // Between queries, read-only and not.
    for read_only in [true, false, true, false] {
        let pid: i32 = one(&e, query("SELECT pg_backend_pid()")).await.parse().unwrap();
        admin.query(terminate, &[&pid]).await.unwrap();
        if !read_only {
            // A statement that writes is not run twice, so the loss must have been noticed.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        assert_eq!(one(&e, Query { read_only, ..query("SELECT 1") }).await, "1");
    }
    // During a query that has no row yet.
    let marker = marker();
    let (engine, sql) =
        (e.clone(), format!("SELECT pg_backend_pid() FROM pg_sleep(0.5) /* {marker} */"));
    let task = tokio::spawn(async move { one(&engine, query(&sql)).await });
    let pids = wait_running(&admin, &marker, 1).await;
    admin.query(terminate, &[&pids[0]]).await.unwrap();
    assert_ne!(task.await.unwrap(), pids[0].to_string());
    // A query that writes is not repeated.
    let marker = super::support::marker();
    let (engine, sql) = (e.clone(), format!("SELECT pg_sleep(60) /* {marker} */"));
    let task = tokio::spawn(async move { error(&engine, writing(&sql)).await });
    let pids = wait_running(&admin, &marker, 1).await;
    admin.query(terminate, &[&pids[0]]).await.unwrap();
    let failed = task.await.unwrap();
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_lost_after_the_first_row_fails_the_query() {
    let (admin, e) = (admin().await, engine(|_| {}));
    let marker = marker();
    let sql = format!("SELECT generate_series(1, 10000000000), repeat('x', 1000) /* {marker} */");
    let (seen, mut rows_seen) = tokio::sync::mpsc::unbounded_channel();
    let sink = Collected {
        script: Script { seen: Some(seen), ..Script::default() },
        ..Collected::default()
    };
    let engine = e.clone();
    let task = tokio::spawn(async move { engine.run(query(&sql), sink).await.1 });
    rows_seen.recv().await.unwrap();
    let pids = wait_running(&admin, &marker, 1).await;
    admin.query("SELECT pg_terminate_backend($1)", &[&pids[0]]).await.unwrap();
    let failed = task.await.unwrap().unwrap_err();
    assert!(matches!(failed, EngineError::Unavailable(_)), "{failed}");
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

/// Stands between the engine and the server, and stops passing bytes on when told to.
async fn relay() -> (u16, watch::Sender<bool>) {
    let server = super::support::config();
    let target = (server.host, server.port.unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hang, hung) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(target.clone()).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, hung.clone()));
            tokio::spawn(pass(far_in, near_out, hung.clone()));
        }
    });
    (port, hang)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut hung: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if hung.wait_for(|hung| !hung).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_costs_its_connections_and_no_more() {
    let (port, hang) = relay().await;
    let e = engine(|c| {
        (c.host, c.port) = ("127.0.0.1".into(), Some(port));
        c.pool.max_connections = 1;
        c.pool.connect_timeout_ms = 500;
    });
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
    hang.send(true).unwrap();
    let deadline = Instant::now() + Duration::from_millis(200);
    let failed = error(&e, Query { deadline, ..query("SELECT 1") }).await;
    assert!(matches!(failed, EngineError::Timeout), "{failed}");
    assert!(deadline.elapsed() < Duration::from_secs(1));
    // The grace over, the connection is gone although nothing was ever heard of it.
    let limit = Instant::now() + Duration::from_secs(20);
    while e.stats().open > 0 {
        assert!(Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    hang.send(false).unwrap();
    assert_eq!(one(&e, query("SELECT 1")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_outlives_an_outage() {
    let e = engine(|_| {});
    let admin = admin().await;
    for _ in 0..3 {
        let callers: Vec<_> = (0..32)
            .map(|_| {
                let e = e.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        // A second loss within one query is an error, never a hang or a wrong answer.
                        if let (collected, Ok(_)) = run(&e, query("SELECT 7")).await {
                            assert_eq!(collected.rows, [["7"]]);
                        }
                    }
                })
            })
            .collect();
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT 7'";
        admin.query(sql, &[]).await.unwrap();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(one(&e, query("SELECT 1")).await, "1");
    }
}
