//! The functions that are known to only compute, held against what real engines say of theirs.

use std::collections::BTreeSet;

use tidegate::sql::dialect::Dialect;
use tidegate::sql::functions::is_known;

use crate::support::databases::{Bench, Kind};

#[test]
fn known_functions_of_postgres_take_no_names_and_change_nothing() {
    let bench = Bench::new(Kind::Postgres);
    // Volatile ones; those that take a table, an object's number or a cursor; those that anybody may not call; those
    // of other languages than the server's own.
    let doubtful = bench.sql(
        "SELECT DISTINCT proname FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND (
           provolatile = 'v' OR NOT has_function_privilege('pg_monitor', p.oid, 'EXECUTE')
           OR proargtypes::oid[] && ARRAY['regclass', 'regproc', 'regprocedure', 'regtype', 'regrole', 'regnamespace', 'refcursor']::regtype[]::oid[])
         ORDER BY 1;",
    );
    // They give another value each time, and that is all.
    let by_chance = [
        "array_sample",
        "array_shuffle",
        "clock_timestamp",
        "gen_random_uuid",
        "random",
        "random_normal",
        "timeofday",
        "uuidv4",
        "uuidv7",
    ];
    let known = doubtful.lines().filter(|name| is_known(name, Dialect::Postgres));
    let known: Vec<&str> = known.filter(|name| !by_chance.contains(name)).collect();
    assert_eq!(known, [""; 0], "known, and doubtful");
    assert!(doubtful.lines().count() > 100, "{doubtful}");
    let usual = bench.sql("SELECT DISTINCT proname FROM pg_proc WHERE prokind IN ('a', 'w');");
    let unknown: Vec<&str> =
        usual.lines().filter(|name| !is_known(name, Dialect::Postgres)).collect();
    assert_eq!(unknown, [""; 0], "aggregates and window functions that are not known");
}

#[test]
fn the_bundled_sqlite_has_no_function_that_nobody_looked_at() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement =
        database.prepare("SELECT DISTINCT lower(name) FROM pragma_function_list").unwrap();
    let names: BTreeSet<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let unknown: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !is_known(name, Dialect::Sqlite)).collect();
    // Operators; full text, which reads columns by number; counters of the session; what is refused.
    let left_out = [
        "->",
        "->>",
        "bm25",
        "changes",
        "fts3_tokenizer",
        "fts5",
        "fts5_get_locale",
        "fts5_insttoken",
        "fts5_locale",
        "fts5_source_id",
        "highlight",
        "last_insert_rowid",
        "load_extension",
        "match",
        "matchinfo",
        "offsets",
        "optimize",
        "rtreecheck",
        "rtreedepth",
        "rtreenode",
        "snippet",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "sqlite_log",
        "total_changes",
    ];
    assert_eq!(unknown, left_out);
}
