//! Safe mode: whatever is thrown together, what it lets through is one statement that SQLite itself finds harmless.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use tidegate::sql::dialect::Dialect;
use tidegate::sql::statement::Values;

use super::cases;
use super::trees::{Change, apply, change};
use crate::safety::compile;

/// Statements of all kinds over the table `t`; `E` stands for an expression, `Q` for a query.
fn statement() -> impl Strategy<Value = String> {
    let expression = prop_oneof![select(vec![
        "1",
        "a",
        "b",
        "t.a",
        "'x'",
        "NULL",
        "a + 1",
        "-b",
        "'it''s'",
        "\"a\"",
        "[b]",
        "`a`",
        "x'00'",
        "a || b",
        "abs(a)",
        "max(a)",
        "count(*)",
        "upper(b)",
        "load_extension('x')",
        "randomblob(9)",
        "a IN (1, 2)",
        "a BETWEEN 1 AND 2",
        "CASE WHEN a THEN 1 ELSE 2 END",
        "CAST(a AS TEXT)",
        "a IS NOT NULL",
        "b LIKE '%x'",
        "EXISTS (SELECT 1)",
    ]),]
    .prop_map(str::to_owned);
    let leaf = (expression.clone(), expression.clone())
        .prop_map(|(a, b)| format!("SELECT {a} AS x FROM t WHERE {b} LIMIT 5"));
    let query = leaf.prop_recursive(3, 8, 2, move |inner| {
        let (e, two) = (expression.clone(), (inner.clone(), inner.clone()));
        prop_oneof![
            (e.clone(), inner.clone())
                .prop_map(|(e, q)| format!("SELECT {e} AS x FROM ({q}) AS t WHERE x > 1 LIMIT 3")),
            (e.clone(), inner.clone()).prop_map(|(e, q)| format!(
                "WITH c AS ({q}) SELECT {e}, x FROM c, t WHERE a = 1 LIMIT 2"
            )),
            two.prop_map(|(p, q)| format!(
                "SELECT x FROM ({p}) AS p UNION ALL SELECT x FROM ({q}) AS q"
            )),
            inner.clone().prop_map(|q| format!("SELECT ({q}) AS x")),
            (e.clone(), e).prop_map(|(a, b)| format!(
                "SELECT {a} AS x, count(*) AS n FROM t GROUP BY {b} HAVING n > 1 ORDER BY 1"
            )),
            inner.clone().prop_map(|q| format!("INSERT INTO t {q}")),
            inner.clone().prop_map(|q| format!("CREATE TABLE u AS {q}")),
            inner.clone().prop_map(|q| format!(
                "WITH c AS ({q}) DELETE FROM t WHERE a IN (SELECT x FROM c)"
            )),
            inner.clone().prop_map(|q| format!("WITH c AS (UPDATE t SET a = 1 RETURNING a) {q}")),
            inner.prop_map(|q| format!("EXPLAIN {q}")),
        ]
    });
    let others = select(vec![
        "DELETE FROM t",
        "UPDATE t SET a = 1",
        "DROP TABLE t",
        "PRAGMA user_version",
        "PRAGMA user_version = 5",
        "ATTACH ':memory:' AS m",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "REINDEX",
        "ANALYZE",
        "VALUES (1)",
        "TABLE t",
        "SELECT * FROM pragma_table_info('t') WHERE cid > 0",
        "SELECT a FROM t WHERE a = 1 RETURNING a",
    ])
    .prop_map(str::to_owned);
    let one = prop_oneof![8 => query, 1 => others];
    let glue =
        select(vec!["; ", ";", " ; -- x\n", "/* */;", "\n", " UNION ", "--\n", "; --", " /* "]);
    let pair = (one.clone(), glue, one.clone()).prop_map(|(a, glue, b)| format!("{a}{glue}{b}"));
    prop_oneof![5 => one, 1 => pair]
}

/// A database that tells what a statement would do.
fn database() -> (rusqlite::Connection, Arc<Mutex<Vec<String>>>) {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch("CREATE TABLE t (a INTEGER, b TEXT)").unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let told = done.clone();
    let watch = move |context: AuthContext<'_>| {
        let harmless = matches!(
            context.action,
            AuthAction::Select
                | AuthAction::Read { .. }
                | AuthAction::Function { .. }
                | AuthAction::Recursive
        );
        if !harmless {
            told.lock().unwrap().push(format!("{:?}", context.action));
        }
        Authorization::Allow
    };
    database.authorizer(Some(watch)).unwrap();
    (database, done)
}

#[test]
fn what_passes_is_one_harmless_statement() {
    let (database, done) = database();
    let (passed, understood) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let strategy = (statement(), vec(change(), 0..3));
    let property = |(mut sql, changes): (String, Vec<Change>)| {
        changes.iter().for_each(|change| apply(&mut sql, change));
        let Ok(template) = compile(&sql, Dialect::Sqlite) else { return Ok(()) };
        passed.fetch_add(1, Ordering::Relaxed);
        // A Jinja template whose values have nothing to do with it may still not render.
        let values = [
            tidegate::sql::bind::Bind::Text("a".into()),
            tidegate::sql::bind::Bind::Array(Vec::new()),
        ];
        let Ok(rendered) = template.render(&values) else { return Ok(()) };
        let values = Values { names: &values, rendered: &rendered.values, grants: &[] };
        let text = rendered.statement.query.bind(&values).0.to_string();
        done.lock().unwrap().clear();
        let mut statements = rusqlite::Batch::new(&database, &text);
        let mut count = 0;
        // What the database does not understand does nothing.
        while let Ok(Some(statement)) =
            rusqlite::fallible_iterator::FallibleIterator::next(&mut statements)
        {
            count += 1;
            prop_assert!(statement.readonly(), "it writes: {}", text);
            prop_assert!(!text.contains("load_extension("), "a refused function: {}", text);
        }
        understood.fetch_add(usize::from(count == 1), Ordering::Relaxed);
        prop_assert!(count <= 1, "{} statements: {}", count, text);
        let done = done.lock().unwrap();
        prop_assert!(done.is_empty(), "{:?}: {}", done, text);
        Ok(())
    };
    let config = cases(600);
    let tried = config.cases as usize;
    TestRunner::new(config).run(&strategy, property).unwrap();
    let (passed, understood) = (passed.into_inner(), understood.into_inner());
    assert!(understood > tried / 20, "{understood} understood of {passed} passed of {tried}");
}
