//! Parser and database read alike: of statements thrown together from quotes, comments and a refused function, none that
//! is let through calls it in the database.

use mysql_async::prelude::Queryable as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tidegate::sql::dialect::Dialect;
use tidegate::sql::statement::Values;

use super::compile;
use crate::support::databases::{Bench, Kind};

/// Statements tried on each engine; most do not load.
const TRIES: usize = 20_000;
/// Of them run by the engine at least, else the fragments make no sense any more.
const RUN_AT_LEAST: usize = 50;

const FRAGMENTS: [&str; 60] = [
    "'",
    "'",
    "''",
    "'''",
    "\"",
    "\"\"",
    "\\",
    "\\'",
    "\\\\",
    "\\\"",
    "--",
    "-- ",
    "-- x",
    "/*",
    "*/",
    "/**/",
    "/*/",
    "#",
    "\n",
    "\n",
    "\r",
    "\t",
    " ",
    " ",
    ",",
    ", ",
    "1",
    "1",
    "a",
    "e",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "N'",
    "X'",
    "B'",
    "$$",
    "$a$",
    "$",
    "`",
    "``",
    "[",
    "]",
    "[a",
    "@",
    "@a",
    "::text",
    "/*!",
    "/*!50000 ",
    "_utf8mb4",
    "+",
    "-",
    "*",
    "(",
    ")",
    " AS a",
    ".",
    ";",
    "\u{a0}",
];

/// Texts that load, each with nothing to bind.
fn accepted(dialect: Dialect, call: &'static str) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let fragment = prop_oneof![3 => select(&FRAGMENTS[..]), 1 => Just(call)];
    let texts = proptest::collection::vec(fragment, 1..9);
    let mut found = Vec::new();
    for _ in 0..TRIES {
        let text: String = texts.new_tree(&mut runner).unwrap().current().concat();
        if let Ok(template) = compile(&format!("SELECT {text}"), dialect) {
            let rendered = template.render(&[]).unwrap();
            let nothing = Values { names: &[], rendered: &[], grants: &[] };
            found.push(rendered.statement.query.bind(&nothing).0.to_string());
        }
    }
    let with_call = found.iter().filter(|text| text.contains(call)).count();
    assert!(with_call >= RUN_AT_LEAST, "{dialect:?}: {with_call} of {}", found.len());
    found
}

#[tokio::test]
async fn postgres_reads_what_the_parser_reads() {
    let bench = Bench::new(Kind::Postgres);
    bench.sql("CREATE SEQUENCE s; CREATE FUNCTION lo_call() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('s') $$;");
    let (client, driver) =
        tokio_postgres::connect(&bench.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    for text in accepted(Dialect::Postgres, "lo_call()") {
        // Whether the server takes it is not the question.
        let _ = client.query(&text, &[]).await;
        let row = client.query_one("SELECT is_called FROM s", &[]).await.unwrap();
        assert!(!row.get::<_, bool>(0), "it calls: {text:?}");
    }
}

#[tokio::test]
async fn mysql_reads_what_the_parser_reads() {
    let bench = Bench::new(Kind::MariaDb);
    bench.sql("CREATE SEQUENCE s NOCACHE;");
    let options = mysql_async::Opts::from_url(&bench.url()).unwrap();
    let mut conn = mysql_async::Conn::new(options.clone()).await.unwrap();
    let count = "SELECT next_not_cached_value FROM s";
    let before: Option<i64> = conn.query_first(count).await.unwrap();
    for text in accepted(Dialect::MySql, "NEXTVAL(s)") {
        // The driver has a mind of its own about colons, and hangs up.
        if let Err(mysql_async::Error::Driver(_)) = conn.exec_drop(&*text, ()).await {
            conn = mysql_async::Conn::new(options.clone()).await.unwrap();
        }
        let now: Option<i64> = conn.query_first(count).await.unwrap();
        assert_eq!(now, before, "it calls: {text:?}");
    }
    conn.disconnect().await.unwrap();
}

#[test]
fn sqlite_reads_what_the_parser_reads() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let flags = rusqlite::functions::FunctionFlags::SQLITE_UTF8;
    let call =
        |_: &rusqlite::functions::Context<'_>| Ok(CALLS.fetch_add(1, Ordering::Relaxed) as i64);
    database.create_scalar_function("usleep", 0, flags, call).unwrap();
    for text in accepted(Dialect::Sqlite, "usleep()") {
        if let Ok(mut statement) = database.prepare(&text) {
            let _ = statement.raw_query().next();
        }
        assert_eq!(CALLS.load(Ordering::Relaxed), 0, "it calls: {text:?}");
    }
}
