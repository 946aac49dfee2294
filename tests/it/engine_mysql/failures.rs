//! Servers that are down, hang, die, come back; connections that break; pools that are full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use tidegate::definitions::secret::SecretText;
use tidegate::definitions::spec::datasource::{Pool, Tls, TlsMode};
use tidegate::engines::mysql::MySql;
use tidegate::engines::{
    Bind, Column, Engine as _, EngineConfig, EngineError, Flow, Query, Row, RowSink,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{
    Collector, Out, admin, change, config, engine, eventually, kill, one, prepare, query, run,
    running,
};

fn at(port: u16) -> EngineConfig {
    EngineConfig { host: "127.0.0.1".to_owned(), port: Some(port), ..config() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// What a [`Proxy`] does with the bytes of the server.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Pass,
    /// Takes connections and lets nothing through.
    Hang,
    /// Ends connections at once.
    Down,
}

/// A network between the engine and the server that fails on demand.
struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, seen) = watch::channel(Mode::Pass);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    let server = format!("{}:{}", config().host, config().port.unwrap());
                    let server = TcpStream::connect(server).await.unwrap();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let up = pump(from_client, to_server, seen.clone());
                    let down = pump(from_server, to_client, seen.clone());
                    tokio::select! {
                        () = up => {}
                        () = down => {}
                        _ = seen.wait_for(|mode| *mode == Mode::Down) => {}
                    }
                });
            }
        });
        Self { port, mode }
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_unavailable_and_keeps_its_secrets() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let wrong_password = Some(SecretText::new("not-the-password"));
    for config in [
        at(closed),
        EngineConfig { host: "no-such-host.invalid".to_owned(), ..config() },
        EngineConfig { password: wrong_password, ..config() },
        EngineConfig { username: Some("nobody".to_owned()), ..config() },
        EngineConfig { database: Some("no_such_database".to_owned()), ..config() },
    ] {
        let engine = MySql::new(config.clone());
        let before = Instant::now();
        let (sink, outcome) = run(&engine, query("SELECT 1", &[])).await;
        let Err(EngineError::Unavailable(message)) = outcome else { panic!("{outcome:?}") };
        assert!(!message.contains("not-the-password"), "{message}");
        assert!(sink.columns.is_none());
        assert!(before.elapsed() < Duration::from_secs(5));
        assert!(matches!(engine.ping(soon()).await, Err(EngineError::Unavailable(_))));
        assert_eq!((engine.stats().open, engine.stats().busy), (0, 0));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_bounded_by_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool { connect_timeout_ms: 300, ..config().pool };
    let engine = MySql::new(EngineConfig { pool, ..at(silent.local_addr().unwrap().port()) });
    let before = Instant::now();
    let (_, outcome) = run(&engine, query("SELECT 1", &[])).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "{outcome:?}");
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(2), "{took:?}");
    let short =
        Query { deadline: Instant::now() + Duration::from_millis(50), ..query("SELECT 1", &[]) };
    let (_, outcome) = run(&engine, short).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "ill, not slow: {outcome:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_bounded_by_the_deadline_and_recovers() {
    let proxy = Proxy::start().await;
    let pool = Pool { connect_timeout_ms: 500, ..config().pool };
    let engine = MySql::new(EngineConfig { pool, ..at(proxy.port) });
    assert_eq!(one(&engine, "SELECT 1", &[]).await, Out::Int(1));
    proxy.mode.send_replace(Mode::Hang);
    for attempt in 0..3 {
        let deadline = Instant::now() + Duration::from_millis(200);
        let (_, outcome) = run(&engine, Query { deadline, ..query("SELECT 2", &[]) }).await;
        // First a connection says nothing, then none can be had.
        let expected = match &outcome {
            Err(EngineError::Timeout) => attempt == 0,
            Err(EngineError::Unavailable(_)) => attempt > 0,
            _ => false,
        };
        assert!(expected, "{outcome:?} at attempt {attempt}");
        assert!(Instant::now() < deadline + Duration::from_secs(1));
    }
    proxy.mode.send_replace(Mode::Pass);
    assert_eq!(one(&engine, "SELECT 3", &[]).await, Out::Int(3));
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let proxy = Proxy::start().await;
    let engine = MySql::new(at(proxy.port));
    let all = (0..4).map(|_| one(&engine, "SELECT SLEEP(0.05)", &[]));
    futures::future::join_all(all).await;
    assert_eq!(engine.stats().open, 4, "several idle connections, all of which break");
    proxy.mode.send_replace(Mode::Down);
    let (_, outcome) = run(&engine, query("SELECT 1", &[])).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "{outcome:?}");
    proxy.mode.send_replace(Mode::Pass);
    for n in 0..8 {
        assert_eq!(one(&engine, &format!("SELECT {n}"), &[]).await, Out::Int(n));
    }
    let stats = engine.stats();
    assert_eq!((stats.busy, stats.open <= stats.max), (0, true));
}

/// Takes the network down at its tenth row.
struct Saboteur {
    rows: Collector,
    network: watch::Sender<Mode>,
}

impl RowSink for Saboteur {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.rows.columns(columns)
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        if self.rows.rows.len() == 10 {
            self.network.send_replace(Mode::Down);
        }
        self.rows.row(row)
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

#[tokio::test]
async fn a_connection_lost_between_rows_is_not_asked_again() {
    let proxy = Proxy::start().await;
    let engine = MySql::new(at(proxy.port));
    let sql = "SELECT a.TABLE_NAME FROM information_schema.COLUMNS a, \
               information_schema.COLUMNS b, information_schema.COLUMNS c";
    let sink = Saboteur { rows: Collector::default(), network: proxy.mode.clone() };
    let (sink, outcome) = engine.run(query(sql, &[]), sink).await;
    assert!(sink.rows.rows.len() > 10);
    let Err(EngineError::Unavailable(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("rows"), "{message}");
}

#[tokio::test]
async fn a_connection_killed_while_idle_is_not_noticed() {
    prepare(&["DROP TABLE IF EXISTS f_idle", "CREATE TABLE f_idle (a INT)"]).await;
    let engine = engine();
    for next in [query("SELECT 1", &[]), change("INSERT INTO f_idle VALUES (1)", &[])] {
        let Out::Int(id) = one(&engine, "SELECT CONNECTION_ID()", &[]).await else { panic!() };
        admin().await.query_drop(format!("KILL {id}")).await.unwrap();
        let gone = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {id}");
        eventually(&gone, 0).await;
        let (_, outcome) = run(&engine, next).await;
        outcome.unwrap();
    }
    assert_eq!(one(&engine, "SELECT COUNT(*) FROM f_idle", &[]).await, Out::Int(1));
    assert_eq!(engine.stats().open, 1);
}

#[tokio::test]
async fn a_connection_killed_while_it_works_is_asked_again_if_that_changes_nothing() {
    prepare(&["DROP TABLE IF EXISTS f_working", "CREATE TABLE f_working (a INT)"]).await;
    let engine = Arc::new(engine());
    let reading = query("SELECT SLEEP(1) /* f_reading */", &[]);
    let writing = change("INSERT INTO f_working SELECT SLEEP(1) /* f_writing */", &[]);
    for (query, tag) in [(reading, "f_reading"), (writing, "f_writing")] {
        let working = Arc::clone(&engine);
        let read_only = query.read_only;
        let task = tokio::spawn(async move { run(&working, query).await });
        eventually(&running(tag), 1).await;
        kill("CONNECTION", tag).await;
        let (sink, outcome) = task.await.unwrap();
        if read_only {
            outcome.unwrap();
            assert_eq!(sink.rows, [[Out::Int(0)]]);
        } else {
            assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "{outcome:?}");
        }
    }
    assert_eq!(one(&engine, "SELECT COUNT(*) FROM f_working", &[]).await, Out::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_never_holds_more_than_it_may() {
    let engine = Arc::new(engine());
    let most = engine.stats().max;
    let callers = (0..200).map(|n: i64| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            let stats = engine.stats();
            assert!(stats.open <= stats.max && stats.busy <= stats.open, "{stats:?}");
            let found = one(&engine, "SELECT ? + SLEEP(0.005) /* f_pool */", &[Bind::Int(n)]).await;
            assert_eq!(found, Out::Int(n));
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut conn = admin().await;
    let mut seen = 0;
    while callers.iter().any(|caller| !caller.is_finished()) {
        let now: Option<usize> = conn.query_first(running("f_pool")).await.unwrap();
        seen = seen.max(now.unwrap());
        assert!(seen <= most, "{seen} at once");
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(seen > 1, "several ran at once");
    let stats = engine.stats();
    assert_eq!((stats.busy, stats.open), (0, most));
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let pool = Pool { idle_timeout_ms: 200, ..config().pool };
    let engine = MySql::new(EngineConfig { pool, ..config() });
    let Out::Int(id) = one(&engine, "SELECT CONNECTION_ID()", &[]).await else { panic!() };
    assert_eq!(engine.stats().open, 1);
    let gone = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {id}");
    eventually(&gone, 0).await;
    assert_eq!(engine.stats().open, 0);
    let Out::Int(next) = one(&engine, "SELECT CONNECTION_ID()", &[]).await else { panic!() };
    assert_ne!(next, id);
}

#[test]
fn a_pool_outlives_the_runtime_of_a_caller() {
    let home = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let engine = MySql::new(EngineConfig { runtime: Some(home.handle().clone()), ..config() });
    for n in 0..3 {
        let caller = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(caller.block_on(one(&engine, &format!("SELECT {n}"), &[])), Out::Int(n));
        assert_eq!(engine.stats().open, 1);
    }
}

#[tokio::test]
async fn tls_is_used_where_it_is_asked_for() {
    let with = |mode| {
        let tls = Some(Tls { mode, ca_file: None });
        MySql::new(EngineConfig { tls, ..config() })
    };
    let secure: Option<String> = admin().await.query_first("SELECT @@have_ssl").await.unwrap();
    let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    let plain = super::rows(&with(TlsMode::Disable), cipher, &[]).await;
    assert_eq!(plain[0][1], super::text(""));
    let (sink, outcome) = run(&with(TlsMode::Require), query(cipher, &[])).await;
    if secure.as_deref() == Some("YES") {
        outcome.unwrap();
        assert_ne!(sink.rows[0][1], super::text(""));
    } else {
        assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "{outcome:?}");
    }
    let (_, outcome) = run(&with(TlsMode::Verify), query("SELECT 1", &[])).await;
    assert!(
        matches!(outcome, Err(EngineError::Unavailable(_))),
        "no authority of the web: {outcome:?}"
    );
}
