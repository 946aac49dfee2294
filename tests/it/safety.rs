//! Safe mode, case by case: `tests/safety/ENGINE.txt` has one a line. What it lets through is run by the engine itself,
//! in a session that could write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;
use tidegate::sql::bind::Bind;
use tidegate::sql::dialect::Dialect;
use tidegate::sql::page::Paging;
use tidegate::sql::template::{Flaw, Name, Options, Template};

use crate::support::databases::{Bench, Kind, on_each};

mod injections;
mod known;
mod readings;

/// A line of a file: what becomes of the statement, and the statement.
struct Case {
    line: usize,
    outcome: String,
    sql: String,
}

/// The lines of a file of `tests/safety`, counted from 1, without comments; `⟨A0⟩` stands for U+00A0.
fn lines(file: &str) -> Vec<(usize, String)> {
    let path = format!("{}/tests/safety/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let coded = Regex::new("⟨([0-9A-F]+)⟩").unwrap();
    let character = |captures: &regex::Captures<'_>| {
        let code = u32::from_str_radix(&captures[1], 16).unwrap();
        char::from_u32(code).unwrap().to_string()
    };
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("# "));
    lines.map(|(i, line)| (i + 1, coded.replace_all(line, character).into_owned())).collect()
}

fn cases(engine: &str) -> Vec<Case> {
    let case = |(line, text): (usize, String)| {
        let (outcome, sql) = text.split_once(" | ").unwrap_or_else(|| panic!("{engine}: {text}"));
        Case { line, outcome: outcome.to_owned(), sql: sql.to_owned() }
    };
    lines(engine).into_iter().map(case).collect()
}

pub fn compile(sql: &str, dialect: Dialect) -> Result<Template, Flaw> {
    let name = |name: &str, is_array, sample: Bind| Name {
        name: name.to_owned(),
        is_array,
        is_closed: false,
        samples: vec![sample],
    };
    let text = Bind::Text("a".into());
    let options = Options {
        dialect,
        names: Arc::new([
            name("x", false, text.clone()),
            name("list", true, Bind::Array(vec![text])),
        ]),
        is_safe: true,
        is_procedure: false,
        paging: Paging::None,
        is_governed: false,
    };
    Template::compile(sql, options).map_err(|errors| errors[0].flaw.clone())
}

fn outcome(sql: &str, dialect: Dialect) -> &'static str {
    match compile(sql, dialect) {
        Ok(_) => "ok",
        Err(Flaw::Unsafe(_)) => "unsafe",
        Err(Flaw::UnboundedScan(_)) => "scan",
        Err(_) => "syntax",
    }
}

fn check(engine: &str, dialect: Dialect) {
    let mut wrong = Vec::new();
    let cases = cases(engine);
    assert!(cases.len() > 100, "the cases are gone");
    for Case { line, outcome: wanted, sql } in &cases {
        let got = outcome(sql, dialect);
        if got != wanted && !(wanted == "no" && got != "ok") {
            wrong.push(format!("{engine}.txt:{line}: {got}, not {wanted}: {sql}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn postgres_statements_are_told_apart() {
    check("postgres", Dialect::Postgres);
}

#[test]
fn mysql_statements_are_told_apart() {
    check("mysql", Dialect::MySql);
}

#[test]
fn sqlite_statements_are_told_apart() {
    check("sqlite", Dialect::Sqlite);
}

fn fill(bench: &Bench) {
    let sequence = bench.pick("", "CREATE SEQUENCE s;", "CREATE SEQUENCE s;");
    let name = bench.pick("TEXT", "text", "VARCHAR(50)");
    bench.sql(&format!(
        "CREATE TABLE t (id integer, name {name}); CREATE TABLE b (a integer, name {name}); {sequence}
         INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL); INSERT INTO b VALUES (1, 'a'), (2, 'x');"
    ));
}

fn contents(bench: &Bench) -> String {
    let sequence = bench.pick(
        "",
        "SELECT last_value, is_called FROM s;",
        "SELECT next_not_cached_value FROM s;",
    );
    bench.sql(&format!("SELECT * FROM t ORDER BY id; SELECT * FROM b ORDER BY a; {sequence}"))
}

#[test]
fn what_is_let_through_runs_and_changes_nothing() {
    on_each(|bench| {
        let engine = bench.pick("sqlite", "postgres", "mysql");
        fill(bench);
        bench.datasource("read_only: false");
        let cases: Vec<Case> =
            cases(engine).into_iter().filter(|case| case.outcome == "ok").collect();
        for Case { line, sql, .. } in &cases {
            let sql = Value::from(sql.as_str());
            bench.interface(&format!(
                "code: line{line}\nparameters: [{{name: x, type: string}}, {{name: list, type: array}}]\nquery_template: {sql}\n"
            ));
        }
        let before = contents(bench);
        let gateway = bench.serve();
        for Case { line, sql, .. } in &cases {
            let answer = gateway.get(&format!("/data-api/line{line}?x=a&list=a,b"));
            assert_eq!(answer.status, 200, "{engine}.txt:{line}: {sql}\n{}", answer.text());
        }
        assert_eq!(contents(bench), before);
        if bench.kind != Kind::Sqlite {
            assert!(before.lines().count() > 5, "{before}");
        }
    });
}

#[test]
fn without_safe_mode_the_session_still_holds() {
    on_each(|bench| {
        fill(bench);
        bench.datasource("limits: {timeout_ms: 400}");
        let writes: &[&str] = match bench.kind {
            Kind::Sqlite => &[
                "UPDATE t SET name = 'x'",
                "CREATE TEMP TABLE u (a)",
                "PRAGMA query_only = OFF",
                "PRAGMA writable_schema = ON",
                "ATTACH ':memory:' AS u",
                "VACUUM INTO 'copy.db'",
                "SELECT load_extension('x')",
            ],
            Kind::Postgres => &[
                "UPDATE t SET name = 'x'",
                "SELECT id INTO u FROM t",
                "SELECT nextval('s')",
                "SELECT * FROM t FOR UPDATE",
                "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d",
                "DO $$ BEGIN DELETE FROM t; END $$",
                "DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM t; END $$",
                "DO $$ BEGIN SET default_transaction_read_only = off; COMMIT; DELETE FROM t; END $$",
                "/* x */ DO $$ BEGIN SET default_transaction_read_only = off; COMMIT; DELETE FROM t; END $$",
                "SELECT set_config('transaction_read_only', 'off', true)",
            ],
            Kind::MariaDb => &[
                "UPDATE t SET name = 'x'",
                "TRUNCATE t",
                "CREATE TABLE u AS SELECT * FROM t",
                "SELECT NEXTVAL(s)",
                "EXECUTE IMMEDIATE 'DELETE FROM t'",
            ],
        };
        for (i, sql) in writes.iter().enumerate() {
            let sql = Value::from(*sql);
            bench.interface(&format!("code: write{i}\nsafe_mode: false\nquery_template: {sql}\n"));
        }
        let endless = bench.pick(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            "SELECT pg_sleep(60) /* endless */",
            "SELECT SLEEP(60) /* endless */",
        );
        bench.interface(&format!("code: endless\nsafe_mode: false\nquery_template: {endless}\n"));
        let before = contents(bench);
        let gateway = bench.serve();
        for (i, sql) in writes.iter().enumerate() {
            let answer = gateway.get(&format!("/data-api/write{i}"));
            assert_eq!(answer.status, 502, "{sql}: {}", answer.text());
        }
        assert_eq!(contents(bench), before);
        assert_eq!(gateway.get("/data-api/endless").status, 504);
        if bench.kind != Kind::Sqlite {
            let waiting = Instant::now() + Duration::from_secs(10);
            while bench.running("endless") > 0 {
                assert!(Instant::now() < waiting, "the query still runs");
            }
        }
    });
}
