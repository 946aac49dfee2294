//! What may fail for a row, and what has a value for every one.

use super::*;
use crate::sql::grammar::parse;
use sqlparser::ast::Statement;

fn fails(sql: &str, dialect: Dialect) -> bool {
    match parse(sql, dialect) {
        Ok(Statement::Query(query)) => {
            let types =
                [("a", ColumnType::Number), ("b", ColumnType::Number), ("d", ColumnType::Date)];
            may_fail(
                &query,
                dialect,
                &types.map(|(name, kind)| (name.to_owned(), kind)).into(),
                false,
            )
        }
        _ => panic!("{sql} is no query"),
    }
}

#[test]
fn what_may_fail_for_a_row() {
    for sql in [
        "SELECT a FROM t WHERE 1 / a > 0",
        "SELECT a FROM t WHERE a + b > 0",
        "SELECT a FROM t WHERE a * 1000 > 0",
        "SELECT a FROM t WHERE a + 2147483000 > 0",
        "SELECT a FROM t WHERE CAST(a AS INT) = 1",
        "SELECT a FROM t WHERE a LIKE :t0",
        "SELECT a FROM t WHERE a LIKE 'x\\'",
        "SELECT a FROM t WHERE CAST(:t0 AS DATE) < b",
        "SELECT a FROM t WHERE CAST(CAST('x' AS TEXT) AS DATE) < b",
        "SELECT a FROM t WHERE TIMESTAMP WITH TIME ZONE '2025-01-01' + INTERVAL '1 day' < b",
        "SELECT a FROM t WHERE d + INTERVAL '300000 years' < b",
        "SELECT a FROM t WHERE EXTRACT(HOUR FROM d) = 1",
        "SELECT a FROM t WHERE a / 0.0000000001 > 1",
        "SELECT a FROM t WHERE d + INTERVAL '9999 centuries' < b",
        "SELECT a FROM t WHERE d - INTERVAL '6700 years' < b",
        "SELECT a FROM t WHERE a - 1000000 - 1000000 > b",
        "SELECT a FROM t WHERE a * 999999.5 * 999999.5 > b",
        "SELECT a FROM t WHERE j - 1 > b",
        "SELECT a FROM (SELECT j AS a FROM t) AS x WHERE a - 1 > 2",
        "SELECT a FROM t WHERE t = (1, 'x')",
        "SELECT x.a FROM t AS x WHERE x IS NOT NULL AND x = x",
        "SELECT a FROM t WHERE LENGTH(c, 'nothing') = 1",
        "SELECT a FROM t WHERE f(a) = 1",
        "SELECT a FROM t WHERE 1000 % a >= 0",
        "SELECT a FROM t WHERE ((a, c), 1) = ((2, 5), 1)",
        "SELECT a FROM t WHERE COALESCE((a, c), (1, 2)) = (1, 2)",
        "SELECT a FROM t WHERE (SELECT SUM(CASE WHEN t.c = 'x' THEN 1e308 ELSE 1 END) FROM u) > 0",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM generate_series(1, 3, t.a) AS s)",
        "SELECT a FROM t WHERE a * 0.0000000000000000000000001 >= 0",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u LIMIT CASE WHEN t.a = 1 THEN -1 ELSE 1 END)",
        "SELECT a FROM t GROUP BY a HAVING NOT (1 / a < -5 OR COUNT(*) < 0)",
        "SELECT a FROM t GROUP BY a HAVING (1 / a > 0 AND COUNT(*) > 0) OR (1 / a > 0 AND COUNT(*) > 1)",
        "SELECT a FROM t WHERE SUBSTR(a, 1, -1) = 'x'",
        "SELECT a FROM t JOIN u ON t.a / u.a = 1",
        "SELECT a FROM t WHERE a = (SELECT a FROM u WHERE u.b = t.b)",
        "SELECT a, (SELECT MAX(b) FROM u WHERE 1 / u.a > 0) FROM t",
        "SELECT q FROM (SELECT 1 / a AS q FROM t) AS d",
        "SELECT q FROM (SELECT 1 / a AS q, COUNT(*) AS n FROM t GROUP BY 1 / a) AS d WHERE q > 0",
        "WITH d AS (SELECT 1 / a AS q FROM t) SELECT q FROM d",
        "SELECT a FROM t WHERE a > (SELECT SUM(1 / u.a) FROM u WHERE u.b = t.b)",
        "SELECT a FROM t GROUP BY a HAVING 1 / a > 0",
    ] {
        assert!(fails(sql, Dialect::Postgres), "{sql}");
    }
}

#[test]
fn what_has_a_value_for_every_row() {
    for sql in [
        "SELECT 1 / a, a::int FROM t WHERE a = :t0 ORDER BY 1 / a LIMIT (:t1 - 1) * :t2",
        "SELECT DATE_TRUNC('month', d), SUM(a * b) / COUNT(*) FROM t GROUP BY DATE_TRUNC('month', d)",
        "SELECT a FROM t WHERE a LIKE 'x%' AND LOWER(b) = 'x' AND COALESCE(c, 0) > 1 OR NOT a IS NULL",
        "SELECT a FROM t WHERE d >= CAST('1995-01-01' AS DATE) AND d < DATE '1995-01-01' + INTERVAL '1 year'",
        "SELECT a FROM t WHERE m BETWEEN 1200 AND 1200 + 11 AND a * 1.1 > b AND a / 2 > b AND d + INTERVAL '30 days' > d AND LEFT(c, 2) = 'ab'",
        "SELECT a FROM t WHERE a < (SELECT 0.2 * AVG(u.a) FROM u WHERE u.b = t.b)",
        "SELECT k FROM t GROUP BY ROLLUP(k) HAVING SUM(a) > 2 * SUM(b + c) AND MAX(a) * 1.000 > 1",
        "SELECT s FROM (SELECT k, SUM(a * (1 - b)) AS s FROM t GROUP BY k) AS d WHERE s > 10",
        "WITH d AS (SELECT k, SUM(a) / COUNT(*) AS s FROM t GROUP BY k) SELECT s FROM d WHERE k IN (SELECT k FROM u)",
    ] {
        assert!(!fails(sql, Dialect::Postgres), "{sql}");
    }
    for sql in
        ["SELECT a FROM t WHERE 1 / a > 0", "SELECT a FROM t WHERE CAST(a AS INTEGER) + a > 1"]
    {
        assert!(!fails(sql, Dialect::Sqlite), "{sql}");
    }
    assert!(!fails("SELECT a FROM t WHERE YEAR(d) = 2025 AND a / 2 > 1", Dialect::MySql));
    for sql in [
        "SELECT a FROM t WHERE a / b > 1",
        "SELECT a FROM t WHERE a / 1e-307 > 1",
        "SELECT a FROM t WHERE CAST(a AS JSON) IS NULL",
        "SELECT a FROM t WHERE CASE WHEN c = 'x' THEN 1e300 / 1e-300 ELSE 1 END > 0",
    ] {
        assert!(fails(sql, Dialect::MySql), "{sql}");
    }
    let pattern = "SELECT a FROM t WHERE 'a' LIKE CASE WHEN a = 1 THEN 'x' ELSE 'y' END";
    assert!(fails(pattern, Dialect::Sqlite));
    assert!(fails("SELECT a FROM t WHERE a - 10 > 0", Dialect::MySql));
}
