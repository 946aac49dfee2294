//! SQL as publishers write it, on each engine: the rows, the pages and the count are those of the database's own client.

use serde_json::{Value, json};

use crate::support::databases::{Bench, Kind, on_each};
use crate::support::{Tidegate, Tree, run};

/// The same small shop on every engine.
fn fill(bench: &Bench) {
    let tables = "CREATE TABLE shop (id INTEGER PRIMARY KEY, name VARCHAR(50), region VARCHAR(20), opened DATE);
        INSERT INTO shop VALUES (1, '南京路店', 'east', '2024-01-05'), (2, '100%店', 'east', '2024-02-10'),
            (3, 'o''brien', 'north', '2025-03-01');
        CREATE TABLE sale (id INTEGER PRIMARY KEY, shop_id INTEGER, day DATE, amount NUMERIC(12,2), channel VARCHAR(9), name VARCHAR(9));
        INSERT INTO sale VALUES (1, 1, '2025-01-01', 10.5, 'app', 'x'), (2, 1, '2025-01-02', 20, 'store', NULL),
            (3, 2, '2025-01-02', 30.25, 'app', 'z'), (4, 3, '2025-02-01', 5, 'store', 'q');";
    bench.sql(tables);
}

/// A statement, the parameters with their types, the call, and the first column of its rows.
struct Case {
    sql: &'static str,
    parameters: &'static str,
    call: &'static str,
    rows: Value,
}

fn case(sql: &'static str, parameters: &'static str, call: &'static str, rows: Value) -> Case {
    Case { sql, parameters, call, rows }
}

/// What every engine takes.
fn common() -> Vec<Case> {
    vec![
        case(
            "SELECT id AS 编号, name AS 名称 FROM shop WHERE region = :r ORDER BY id",
            "r: string",
            "r=east",
            json!([1, 2]),
        ),
        case(
            "SELECT * FROM sale a JOIN shop b ON a.shop_id = b.id WHERE b.region = :r ORDER BY a.id",
            "r: string",
            "r=east",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT a.*, b.name FROM sale a LEFT JOIN shop b ON b.id = a.shop_id WHERE a.amount > :m ORDER BY a.id;",
            "m: number",
            "m=6",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT a.id, b.id, COUNT(*) AS n FROM sale a JOIN shop b ON a.shop_id = b.id GROUP BY a.id, b.id HAVING COUNT(*) >= :n ORDER BY a.id",
            "n: integer",
            "n=1",
            json!([1, 2, 3, 4]),
        ),
        case(
            "SELECT DISTINCT a.shop_id, b.id, b.id FROM sale a JOIN shop b ON a.shop_id = b.id WHERE a.id > :i ORDER BY a.shop_id",
            "i: integer",
            "i=0",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT a.id, b.id FROM sale a JOIN shop b ON a.shop_id = b.id WHERE a.id > :i ORDER BY a.id DESC LIMIT 3",
            "i: integer",
            "i=0",
            json!([4, 3, 2]),
        ),
        case(
            "SELECT id FROM shop WHERE id > :i ORDER BY id LIMIT 5 OFFSET 1",
            "i: integer",
            "i=0",
            json!([2, 3]),
        ),
        case(
            "WITH t AS (SELECT shop_id, SUM(amount) AS total FROM sale GROUP BY shop_id), u AS (SELECT * FROM t WHERE total > :m) SELECT u.shop_id, u.total, s.name FROM u JOIN shop s ON s.id = u.shop_id ORDER BY u.shop_id",
            "m: number",
            "m=10",
            json!([1, 2]),
        ),
        case(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :top) SELECT i FROM n ORDER BY i",
            "top: integer",
            "top=5",
            json!([1, 2, 3, 4, 5]),
        ),
        case(
            "SELECT id FROM shop WHERE region = 'east' UNION SELECT id FROM shop WHERE region = :r ORDER BY id",
            "r: string",
            "r=north",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT id, SUM(amount) OVER (PARTITION BY shop_id ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM sale WHERE id > :i ORDER BY id",
            "i: integer",
            "i=0",
            json!([1, 2, 3, 4]),
        ),
        case(
            "-- 门店 :no 'unclosed\nSELECT id /* :x 内 '注 */, name -- tail\nFROM shop WHERE id < :i -- last;\n ORDER BY id ;\n-- the end",
            "i: integer",
            "i=3",
            json!([1, 2]),
        ),
        case(
            "SELECT id, 'a:b' AS t, 'it''s :r' AS u FROM shop WHERE region = :r ORDER BY id",
            "r: string",
            "r=east",
            json!([1, 2]),
        ),
        case(
            "SELECT id FROM shop WHERE name LIKE '%100!%%' ESCAPE '!' AND id > :i ORDER BY id",
            "i: integer",
            "i=0",
            json!([2]),
        ),
        case(
            "SELECT id FROM sale WHERE day BETWEEN :a AND :b ORDER BY id",
            "a: date, b: date",
            "a=2025-01-02&b=2025-01-31",
            json!([2, 3]),
        ),
        case(
            "SELECT id FROM sale WHERE id NOT IN (:ids) ORDER BY id",
            "ids: array",
            "ids=1,3",
            json!([2, 4]),
        ),
        case(
            "SELECT id FROM sale WHERE (:s IS NULL OR channel = :s) AND (:m IS NULL OR amount >= :m) ORDER BY id",
            "s: string, m: number",
            "m=8",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT id, amount * 1.5 AS x, - -1 AS dd, 1 - -1 AS mm, 2 - (1 - 5) AS sub FROM sale WHERE id > :i ORDER BY id",
            "i: integer",
            "i=2",
            json!([3, 4]),
        ),
        case(
            "SELECT id FROM shop WHERE id > :i EXCEPT SELECT id FROM shop WHERE id = 2 ORDER BY id",
            "i: integer",
            "i=0",
            json!([1, 3]),
        ),
        case(
            "SELECT COUNT(*), MAX(id), MAX(id) FROM sale WHERE id > :i",
            "i: integer",
            "i=1",
            json!([3]),
        ),
    ]
}

fn of_sqlite() -> Vec<Case> {
    vec![
        case(
            "SELECT strftime('%Y-%m', day) AS m, group_concat(id, '|') AS g FROM sale WHERE id > :i GROUP BY 1 HAVING g <> '' ORDER BY m",
            "i: integer",
            "i=0",
            json!(["2025-01", "2025-02"]),
        ),
        case(
            "SELECT value, key FROM json_each('[7,8]') WHERE value > :i",
            "i: integer",
            "i=0",
            json!([7, 8]),
        ),
        case(
            "SELECT id FROM sale WHERE name IS :n AND channel IS NOT 'x' ORDER BY id",
            "n: string",
            "",
            json!([2]),
        ),
        case(
            "SELECT [id], `name`, \"region\" FROM [shop] WHERE id = :i",
            "i: integer",
            "i=3",
            json!([3]),
        ),
        case(
            "SELECT id FROM shop WHERE name LIKE '%' || :q || '%' ORDER BY id LIMIT 0, 9",
            "q: string",
            "q=店",
            json!([1, 2]),
        ),
        case(
            "WITH t AS MATERIALIZED (SELECT id FROM shop WHERE id > :i), u AS NOT MATERIALIZED (SELECT id FROM t) SELECT * FROM u ORDER BY id",
            "i: integer",
            "i=1",
            json!([2, 3]),
        ),
    ]
}

fn of_postgres() -> Vec<Case> {
    vec![
        case(
            "SELECT id FROM shop WHERE name ILIKE '%' || :q || '%' OR name LIKE ANY (ARRAY['%店', :q]) ORDER BY id",
            "q: string",
            "q=BRIEN",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT channel, COUNT(*) FILTER (WHERE amount > :m) AS big, array_agg(id ORDER BY id DESC) AS ids FROM sale GROUP BY channel ORDER BY channel",
            "m: number",
            "m=6",
            json!(["app", "store"]),
        ),
        case(
            "SELECT d::date::text AS day, COALESCE(SUM(s.amount), 0) FROM generate_series(:a::date, :b::date, '1 day') AS g(d) LEFT JOIN sale s ON s.day = g.d::date GROUP BY d ORDER BY d",
            "a: date, b: date",
            "a=2025-01-01&b=2025-01-03",
            json!(["2025-01-01", "2025-01-02", "2025-01-03"]),
        ),
        case(
            "SELECT DISTINCT ON (shop_id) shop_id, id, day FROM sale WHERE id > :i ORDER BY shop_id, day DESC",
            "i: integer",
            "i=0",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT date_trunc(:g, day)::date::text AS m, SUM(amount) FROM sale WHERE id > :i GROUP BY date_trunc(:g, day) ORDER BY date_trunc(:g, day)",
            "g: string, i: integer",
            "g=month&i=0",
            json!(["2025-01-01", "2025-02-01"]),
        ),
        case(
            "SELECT id, unnest(ARRAY[1, 2]) AS u FROM shop WHERE id < :i ORDER BY id, u",
            "i: integer",
            "i=3",
            json!([1, 1, 2, 2]),
        ),
        case(
            "SELECT s.id, l.amount FROM shop s, LATERAL (SELECT amount FROM sale WHERE shop_id = s.id ORDER BY amount DESC LIMIT 1) l WHERE s.id > :i ORDER BY s.id",
            "i: integer",
            "i=0",
            json!([1, 2, 3]),
        ),
        case(
            "SELECT id FROM shop WHERE id > :i ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
            "i: integer",
            "i=0",
            json!([1, 2]),
        ),
        case(
            "SELECT id, @ -5 AS ab, |/ 16.0 AS sq, $$dollar :x$$ AS d, E'a\\'b:c' AS e FROM shop WHERE id = ANY(:ids) AND day_of(opened) > 0 ORDER BY id",
            "ids: array",
            "ids=1,2",
            json!([1, 2]),
        ),
    ]
}

fn of_mariadb() -> Vec<Case> {
    vec![
        case(
            "SELECT id, DATE_FORMAT(day, '%Y-%m') AS 月, DATE_ADD(day, INTERVAL 1 DAY) FROM sale WHERE day >= :d - INTERVAL 1 MONTH ORDER BY id",
            "d: date",
            "d=2025-02-02",
            json!([2, 3, 4]),
        ),
        case(
            "SELECT channel, GROUP_CONCAT(DISTINCT id ORDER BY id DESC SEPARATOR '|') AS ids, IFNULL(MAX(name), '-') FROM sale WHERE id > :i GROUP BY channel ORDER BY channel",
            "i: integer",
            "i=0",
            json!(["app", "store"]),
        ),
        case(
            "SELECT `id`, 'it\\'s :q' AS e, \"dq :x\" AS d FROM `shop` AS `s` WHERE `s`.`name` LIKE CONCAT('%', :q, '%') ORDER BY `id` LIMIT 0, 9",
            "q: string",
            "q=店",
            json!([1, 2]),
        ),
        case(
            "SELECT id, id MOD 2 AS m, amount DIV 3 AS d, id <=> NULL AS n FROM sale WHERE id MOD 2 = :i ORDER BY id",
            "i: integer",
            "i=1",
            json!([1, 3]),
        ),
        case(
            "# 注释 :x\nSELECT SQL_NO_CACHE id FROM sale FORCE INDEX (PRIMARY) WHERE id > :i # tail\nORDER BY id",
            "i: integer",
            "i=2",
            json!([3, 4]),
        ),
        case(
            "SELECT a.*, b.*, CONCAT(a.id, '-', b.id) AS k FROM sale a, shop b WHERE a.shop_id = b.id AND a.id > :i ORDER BY a.id",
            "i: integer",
            "i=1",
            json!([2, 3, 4]),
        ),
        case(
            "(SELECT id FROM sale WHERE id > :i ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM shop WHERE id = 3)",
            "i: integer",
            "i=0",
            json!([1, 2, 3]),
        ),
    ]
}

#[test]
fn statements_give_what_the_database_gives() {
    on_each(|bench| {
        fill(bench);
        let mut cases = common();
        cases.extend(match bench.kind {
            Kind::Sqlite => of_sqlite(),
            Kind::Postgres => {
                bench.sql("CREATE FUNCTION day_of(d date) RETURNS int LANGUAGE sql IMMUTABLE RETURN extract(day FROM d)::int");
                of_postgres()
            }
            Kind::MariaDb => of_mariadb(),
        });
        for (i, case) in cases.iter().enumerate() {
            let parameters: String = case
                .parameters
                .split(", ")
                .map(|parameter| {
                    let (name, kind) = parameter.split_once(": ").unwrap();
                    let items = if kind == "array" { ", items: {type: integer}" } else { "" };
                    format!("  - {{name: {name}, type: {kind}{items}}}\n")
                })
                .collect();
            let sql = Value::from(case.sql);
            let keys = format!("parameters:\n{parameters}query_template: {sql}\n");
            // All in one page where the gateway does not cut.
            bench.interface(&format!("code: whole_{i}\n{keys}"));
            bench.interface(&format!("code: paged_{i}\n{keys}pagination: {{max_page_size: 50}}\n"));
        }
        let gateway = bench.serve();
        for (i, case) in cases.iter().enumerate() {
            check(&gateway, i, case);
        }
    });
}

fn first_cells(data: &Value) -> Vec<Value> {
    let rows = data.as_array().unwrap().iter();
    rows.map(|row| row.as_object().unwrap().values().next().unwrap().clone()).collect()
}

fn check(gateway: &Tidegate, i: usize, case: &Case) {
    let expected = case.rows.as_array().unwrap();
    let whole = gateway.get(&format!("/data-api/whole_{i}?{}", case.call));
    assert_eq!(first_cells(&whole.data()), *expected, "{}", case.sql);
    let mut seen = Vec::new();
    for page in 1..=expected.len().div_ceil(2).max(1) {
        let call = format!("/data-api/paged_{i}?{}&pageSize=2&page={page}", case.call);
        let answer = gateway.get(&call);
        let data = answer.data();
        seen.extend(first_cells(&data));
        let names =
            |data: &Value| data[0].as_object().map(|row| row.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&data), names(&whole.data()), "{}", case.sql);
        assert_eq!(answer.json()["meta"]["total"], expected.len(), "{}", case.sql);
    }
    assert_eq!(seen, *expected, "in pages: {}", case.sql);
}

#[test]
fn safe_mode_knows_what_writes_however_it_is_written() {
    let refused = [
        ("pg", "SELECT \"pg_sleep\"(1)"),
        ("pg", "SELECT U&\"pg\\005Fsleep\"(1)"),
        ("pg", "SELECT \"pg_catalog\".\"pg_sleep\"(1)"),
        ("pg", "SELECT Pg_Sleep /* x */ (1)"),
        ("pg", "SELECT * FROM ROWS FROM (pg_sleep(1)) AS x"),
        ("pg", "SELECT DISTINCT ON (pg_sleep(1)) id FROM shop WHERE id = 1"),
        ("pg", "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM shop"),
        ("pg", "SELECT id FROM shop WHERE id = 1 LIMIT (SELECT 1 FROM pg_sleep(1))"),
        (
            "pg",
            "WITH a AS (WITH d AS (DELETE FROM shop RETURNING id) SELECT * FROM d) SELECT * FROM a LIMIT 1",
        ),
        ("pg", "SELECT * FROM (SELECT * FROM shop WHERE id = 1 FOR UPDATE) AS x"),
        ("pg", "SELECT id INTO TEMP t2 FROM shop WHERE id = 1"),
        ("pg", "COPY (SELECT 1) TO PROGRAM 'id'"),
        ("pg", "EXPLAIN ANALYZE DELETE FROM shop"),
        ("pg", "TABLE shop"),
        ("pg", "SELECT pg_stat_reset()"),
        ("my", "SELECT * FROM shop WHERE id = 1 INTO OUTFILE '/x'"),
        ("my", "SELECT id FROM shop WHERE id = 1 INTO @x"),
        ("my", "SELECT @x := 1"),
        ("my", "SELECT 1 /*!50000 UNION SELECT SLEEP(1) */"),
        ("my", "SELECT 1 /*M!100100 , SLEEP(1) */"),
        ("my", "SELECT `sleep`(1)"),
        ("my", "SELECT GROUP_CONCAT(id ORDER BY SLEEP(1) SEPARATOR ',') FROM shop"),
        ("my", "SELECT NEXT VALUE FOR s"),
        ("my", "SELECT * FROM shop WHERE id = 1 LOCK IN SHARE MODE"),
        ("my", "HANDLER shop OPEN"),
        ("my", "SHOW TABLES"),
        ("my", "WITH x AS (SELECT 1) DELETE FROM shop"),
        ("lite", "PRAGMA writable_schema = 1"),
        ("lite", "ATTACH DATABASE 'x' AS y"),
        ("lite", "VACUUM INTO 'x'"),
        ("lite", "SELECT [load_extension]('x')"),
        ("lite", "WITH x AS (SELECT 1) INSERT INTO shop (id) SELECT * FROM x"),
    ];
    let taken = [
        ("pg", "SELECT U & 1 AS x FROM shop WHERE id = 1"),
        ("pg", "VALUES (1), (2)"),
        ("my", "SELECT id FROM shop WHERE id = 1 -- SLEEP(1)"),
        ("lite", "SELECT 'DELETE FROM shop' AS \"PRAGMA\""),
    ];
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE shop (id INTEGER);");
    for (id, kind) in [("pg", "postgres"), ("my", "mysql")] {
        tree.write(
            &format!("datasources/{id}.yaml"),
            &format!(
                "kind: datasource\nid: {id}\ntype: {kind}\nhost: 127.0.0.1\nport: 9\ndatabase: x\n"
            ),
        );
    }
    for (i, (datasource, sql)) in refused.iter().chain(&taken).enumerate() {
        let sql = Value::from(*sql);
        tree.interface(&format!(
            "code: q{i:02}\ndatasource_id: {datasource}\nquery_template: {sql}\n"
        ));
    }
    let (code, output, errors) =
        run(&["validate", "--root", tree.root().to_str().unwrap(), "--format", "json"]);
    assert_eq!(code, 1, "{errors}");
    for (i, (_, sql)) in refused.iter().enumerate() {
        assert!(output.contains(&format!("q{i:02}-")), "not refused: {sql}");
    }
    for (i, (_, sql)) in taken.iter().enumerate() {
        let file = format!("q{:02}-", refused.len() + i);
        assert!(!output.contains(&file), "refused: {sql}\n{output}");
    }
}
