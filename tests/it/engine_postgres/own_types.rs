//! Arrays, and types of the database itself: enums, domains, composites, ranges, and those of extensions.

use super::compare::{exactly, same_as_json, same_as_text};
use super::support::{admin, engine, one, query, rows, run, server, writing};

#[tokio::test]
async fn arrays_are_nested_json() {
    let e = engine(|_| {});
    same_as_json(
        &e,
        "int4[]",
        &["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "{{{1},{2}},{{3},{4}}}", "[5:6]={1,2}"],
    )
    .await;
    same_as_json(
        &e,
        "text[]",
        &["{\"a\\\"b\",\"c\\\\d\",\"\",NULL,\"NULL\",\"潮\\n\"}", "{\"\u{1}\u{1f}\u{7f}\"}"],
    )
    .await;
    same_as_json(&e, "bool[]", &["{t,f,NULL}"]).await;
    same_as_json(&e, "jsonb[]", &["{\"{\\\"a\\\":1}\",\"[]\"}"]).await;
    same_as_json(&e, "uuid[]", &["{00000000-0000-0000-0000-000000000001}"]).await;
    same_as_json(&e, "int2vector", &["1 2 3"]).await;
    exactly(&e, "numeric[]", &[("{12.50,NaN,-0.05}", "[12.50,\"NaN\",-0.05]")]).await;
    exactly(&e, "float8[]", &[("{1,0.1,NaN,-inf,1e300}", "[1,0.1,\"NaN\",\"-Infinity\",1e300]")])
        .await;
    exactly(&e, "timestamptz[]", &[("{2025-01-31 10:00+08}", "[\"2025-01-31T02:00:00Z\"]")]).await;
    exactly(&e, "date[]", &[("{2025-01-31,NULL}", "[\"2025-01-31\",null]")]).await;
    exactly(&e, "bytea[]", &[("{\"\\\\x00ff\"}", "[\"AP8=\"]")]).await;
    exactly(&e, "int4range[]", &[("{\"[1,3)\"}", "[\"[1,3)\"]")]).await;
    exactly(&e, "box[]", &[("{(3,4),(1,2);(1,1),(0,0)}", "[\"(3,4),(1,2)\",\"(1,1),(0,0)\"]")])
        .await;
}

const SETUP: &str = "
    DROP SCHEMA IF EXISTS tg_types CASCADE; CREATE SCHEMA tg_types; SET search_path = tg_types;
    CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public; CREATE EXTENSION IF NOT EXISTS ltree SCHEMA public;
    CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE EXTENSION IF NOT EXISTS cube SCHEMA public;
    CREATE TYPE mood AS ENUM ('sad', 'ok', '高兴');
    CREATE DOMAIN cents AS numeric(12,2) CHECK (VALUE >= 0);
    CREATE DOMAIN tags AS text[];
    CREATE DOMAIN deep AS cents;
    CREATE TYPE place AS (\"city name\" text, pos point, at timestamptz);
    CREATE TYPE line_item AS (id int, price cents, doc jsonb, moods mood[], tags tags, place place, gone text);
    ALTER TYPE line_item DROP ATTRIBUTE gone;
    CREATE TYPE floatrange AS RANGE (subtype = float8);
    CREATE TYPE textrange AS RANGE (subtype = text);
    CREATE TABLE orders (id int PRIMARY KEY, item line_item);
    CREATE PROCEDURE twice(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n * 2; END';
    CREATE FUNCTION pairs(n int) RETURNS TABLE (a int, b text) LANGUAGE sql AS 'SELECT i, i::text FROM generate_series(1, n) i';";

#[tokio::test]
async fn types_of_the_database_itself() {
    admin().await.batch_execute(SETUP).await.unwrap();
    let e = engine(|_| {});
    exactly(&e, "tg_types.mood", &[("高兴", "\"高兴\"")]).await;
    exactly(&e, "tg_types.mood[]", &[("{sad,NULL}", "[\"sad\",null]")]).await;
    exactly(&e, "tg_types.cents", &[("1.5", "1.50")]).await;
    exactly(&e, "tg_types.deep[]", &[("{1.5}", "[1.50]")]).await;
    exactly(&e, "tg_types.tags", &[("{a,b}", "[\"a\",\"b\"]")]).await;
    same_as_text(&e, "tg_types.floatrange", &["[1.5,1e20)", "(-inf,0.00001]"]).await;
    same_as_text(&e, "tg_types.floatmultirange", &["{[1.5,1e20)}"]).await;
    same_as_text(
        &e,
        "tg_types.textrange",
        &["[a,b)", "[\"a b\",\"c\\\\\\\"d\")", "[\"\",z)", "[\"x,y\",)"],
    )
    .await;
    let item = "ROW(1, 2.5, '{\"k\": [1]}', '{ok}', '{t}', ROW('x\"y', '(1,2)', '2025-01-31 10:00+08'))::tg_types.line_item";
    let expected = "{\"id\":1,\"price\":2.50,\"doc\":{\"k\": [1]},\"moods\":[\"ok\"],\"tags\":[\"t\"],\"place\":\
                    {\"city name\":\"x\\\"y\",\"pos\":\"(1,2)\",\"at\":\"2025-01-31T02:00:00Z\"}}";
    assert_eq!(one(&e, query(&format!("SELECT {item}"))).await, expected);
    assert_eq!(
        one(&e, query(&format!("SELECT ARRAY[{item}, NULL]"))).await,
        format!("[{expected},null]")
    );
    assert_eq!(
        one(&e, query("SELECT ROW(NULL,NULL,NULL)::tg_types.place")).await,
        "{\"city name\":null,\"pos\":null,\"at\":null}"
    );
    same_as_text(&e, "citext", &["MiXed"]).await;
    same_as_text(&e, "ltree", &["a.b.c", ""]).await;
    exactly(&e, "hstore", &[("a=>1, \"b c\"=>NULL", "{\"a\":\"1\",\"b c\":null}")]).await;
    // Types without a binary form are printed by the server.
    same_as_text(&e, "cube", &["(1,2),(3,4)", "(1.5)"]).await;
    let acl = format!("=r/{}", server().get_user().unwrap());
    same_as_text(&e, "aclitem", &[&acl]).await;
    assert_eq!(one(&e, query("SELECT '{\"(1, 2)\"}'::cube[] AS c")).await, "[\"(1, 2)\"]");
    assert_eq!(
        one(&e, query("SELECT t FROM (SELECT 1 AS a, 'x' AS \"b\"\"c\") t;")).await,
        "{\"a\":1,\"b\\\"c\":\"x\"}"
    );
    assert_eq!(
        one(&e, query("SELECT ROW(1, 'a'::text, NULL)")).await,
        "{\"f1\":1,\"f2\":\"a\",\"f3\":null}"
    );
    assert_eq!(one(&e, query("SELECT ARRAY[ROW(1,2)]")).await, "[{\"f1\":1,\"f2\":2}]");
    assert_eq!(
        one(&e, writing("SELECT ROW(1, 'a'::text, 2.50)")).await,
        "{\"f1\":1,\"f2\":\"a\",\"f3\":2.50}"
    );
    assert_eq!(one(&e, query("SELECT pg_sleep(0)")).await, "null");
    assert_eq!(one(&e, query("SELECT pg_current_snapshot() IS NOT NULL")).await, "true");
    assert_eq!(one(&e, query("CALL tg_types.twice(21)")).await, "42");
    assert_eq!(
        rows(&e, query("SELECT * FROM tg_types.pairs(2)")).await,
        [["1", "\"1\""], ["2", "\"2\""]]
    );
    assert!(one(&e, query("EXPLAIN SELECT '1'::cube")).await.contains("Result"));
}

#[tokio::test]
async fn a_composite_that_changes_is_read_anew() {
    let admin = admin().await;
    admin
        .batch_execute("DROP TYPE IF EXISTS tg_changing; CREATE TYPE tg_changing AS (a int)")
        .await
        .unwrap();
    let e = engine(|c| c.pool.max_connections = 1);
    assert_eq!(one(&e, query("SELECT ROW(1)::tg_changing")).await, "{\"a\":1}");
    admin.batch_execute("ALTER TYPE tg_changing ADD ATTRIBUTE b text").await.unwrap();
    let sql = "SELECT jsonb_populate_record(NULL::tg_changing, '{\"a\":1,\"b\":\"x\"}')";
    let first = run(&e, query(sql)).await;
    let cell = if first.1.is_ok() { first.0.rows[0][0].clone() } else { one(&e, query(sql)).await };
    assert_eq!(cell, "{\"a\":1,\"b\":\"x\"}");
}
