//! The queries of `tests/governed/attacks.sql`, each in a governed database and in one that holds only what may be seen.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{Policy, governed};
use crate::support::databases::{Bench, KINDS, Kind};
use crate::support::{Tidegate, run};

/// What no answer may hold.
pub const SECRETS: [&str; 3] = ["SECRET", "HIDDEN", "138000"];

pub const ALL: &str = "
    CREATE TABLE dim_customer (id INTEGER PRIMARY KEY, name VARCHAR(40), phone VARCHAR(20), id_card VARCHAR(40), region VARCHAR(10), birth DATE);
    INSERT INTO dim_customer VALUES (1, 'Ann', '13800000001', 'SECRET-110101', 'east', '1990-05-06'), (2, 'Bob', '13800000002', 'SECRET-220202', 'west', '1985-01-02'),
      (3, 'Cid', NULL, NULL, 'west', NULL), (4, NULL, '139', 'SECRET-330303', NULL, '2001-12-31');
    CREATE TABLE fact_sales (id INTEGER PRIMARY KEY, customer_id INTEGER, region VARCHAR(10), amount DECIMAL(10, 2), sold_on DATE, note VARCHAR(40));
    INSERT INTO fact_sales VALUES (1, 1, 'east', 10.25, '2025-01-01', 'HIDDEN note'), (2, 2, 'west', 20.50, '2025-01-02', 'HIDDEN'),
      (3, 1, 'east', 30.75, '2025-01-03', 'HIDDEN'), (4, 3, 'west', 999.99, '2025-01-03', NULL), (5, 4, NULL, 5.00, '2025-01-04', 'HIDDEN');
    CREATE TABLE secret (id INTEGER PRIMARY KEY, word VARCHAR(40));
    INSERT INTO secret VALUES (1, 'SECRET word');";
/// The same as its caller sees it.
pub const SEEN: &str = "
    CREATE TABLE dim_customer (id INTEGER PRIMARY KEY, name VARCHAR(40), phone VARCHAR(20), region VARCHAR(10), birth DATE);
    INSERT INTO dim_customer VALUES (1, 'Ann', '****0001', 'east', '1990-01-01'), (2, 'Bob', '****0002', 'west', '1985-01-01'),
      (3, 'Cid', NULL, 'west', NULL), (4, NULL, '****', NULL, '2001-01-01');
    CREATE TABLE fact_sales (id INTEGER PRIMARY KEY, customer_id INTEGER, region VARCHAR(10), amount DECIMAL(10, 2), sold_on DATE);
    INSERT INTO fact_sales VALUES (1, 1, 'east', 10.25, '2025-01-01'), (3, 1, 'east', 30.75, '2025-01-03');";
/// Functions that read for their owner.
const FUNCTIONS_PG: &str = "
    CREATE FUNCTION reveal(i int) RETURNS text LANGUAGE sql AS 'SELECT word FROM secret WHERE id = i';
    CREATE FUNCTION reveal_rows() RETURNS SETOF text LANGUAGE sql AS 'SELECT word FROM secret'; CREATE SEQUENCE secret_seq;
    CREATE FUNCTION \"LOWER\"(t varchar) RETURNS text LANGUAGE sql AS 'SELECT word FROM secret';
    CREATE FUNCTION initcap(i int) RETURNS text LANGUAGE sql AS 'SELECT word FROM secret WHERE id = i';
    CREATE FUNCTION peek(r fact_sales) RETURNS text LANGUAGE sql AS 'SELECT word FROM secret';
    CREATE FUNCTION peek_any(r anyelement) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT word FROM secret); END';";
const FUNCTIONS_MY: &str = "
    CREATE FUNCTION reveal(i INT) RETURNS TEXT READS SQL DATA RETURN (SELECT word FROM secret WHERE id = i);
    CREATE TABLE `dual` (id INTEGER, w VARCHAR(20)); INSERT INTO `dual` VALUES (1, 'SECRET dual');";

/// The queries for an engine; the flag says that a query must be refused although its own tables would answer it.
fn attacks(kind: Kind) -> Vec<(String, bool)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/governed/attacks.sql");
    let text = std::fs::read_to_string(file).unwrap();
    let tag = match kind {
        Kind::Sqlite => "lite",
        Kind::Postgres => "pg",
        Kind::MariaDb => "my",
    };
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines
        .filter_map(|line| match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((tags, sql)) if ["lite", "pg", "my"].contains(&tags.trim_end_matches('!')) => {
                let (tags, is_refused) = (tags.trim_end_matches('!'), tags.ends_with('!'));
                (tags == tag).then(|| (sql.to_owned(), is_refused))
            }
            _ => Some((line.to_owned(), false)),
        })
        .collect()
}

fn interfaces(bench: &Bench, attacks: &[(String, bool)], without: &BTreeSet<String>) {
    for (i, (sql, _)) in attacks.iter().enumerate() {
        let code = format!("attack_{i}");
        if !without.contains(&format!("definitions/{code}-1.0.0.yaml")) {
            // Comparing with what an error does or does not do needs no cache.
            bench.interface(&format!(
                "code: {code}\npagination: {{enabled: true, max_page_size: 1000}}\nquery_template: |\n  {sql}\n"
            ));
        }
    }
}

/// The files whose definitions are refused at load.
pub fn refused(bench: &Bench) -> BTreeSet<String> {
    let root = bench.tree.root().to_str().unwrap();
    let (_, out, _) = run(&["validate", "--root", root, "--format", "json"]);
    let problems: Value = serde_json::from_str(&out).unwrap();
    let problems = problems["problems"].as_array().unwrap().clone();
    let errors = problems.iter().filter(|problem| problem["severity"] == "error");
    errors.map(|problem| problem["file"].as_str().unwrap().to_owned()).collect()
}

/// Status and rows (in an order of their own) with their count.
pub fn rows(gateway: &Tidegate, code: &str) -> (u16, Vec<String>, Value) {
    let answer = gateway.get(&format!("/data-api/{code}?pageSize=1000"));
    if answer.status != 200 {
        return (answer.status, Vec::new(), Value::Null);
    }
    let mut rows: Vec<String> =
        answer.data().as_array().unwrap().iter().map(ToString::to_string).collect();
    rows.sort();
    (200, rows, answer.json()["meta"]["total"].clone())
}

#[test]
fn what_is_seen_is_what_is_granted() {
    for kind in KINDS {
        println!("on {kind:?}");
        let all = governed(kind, ALL);
        match kind {
            Kind::Sqlite => {
                all.sql("CREATE VIRTUAL TABLE ft USING fts4(title, body); INSERT INTO ft VALUES ('SECRET title', 'HIDDEN body');");
            }
            Kind::Postgres => drop(all.sql(FUNCTIONS_PG)),
            Kind::MariaDb => drop(all.sql(FUNCTIONS_MY)),
        }
        Policy {
            claims: "region: east",
            roles: &["table: dim_customer, columns: {deny: [id_card], mask: {phone: last4, birth: year}}\n\
                 table: fact_sales, columns: {deny: [note]}, rows: \"region = $principal.claims.region\"\n\
                 table: ft, columns: {deny: [title]}"],
        }
        .write(&all);
        let seen = Bench::new(kind);
        seen.sql(SEEN);
        let attacks = attacks(kind);
        interfaces(&all, &attacks, &BTreeSet::new());
        let at_load = refused(&all);
        for file in &at_load {
            std::fs::remove_file(all.tree.root().join(file)).unwrap();
        }
        interfaces(&seen, &attacks, &BTreeSet::new());
        let unseen = refused(&seen);
        assert!(
            unseen.is_subset(&at_load),
            "refused at load only where nothing is governed: {unseen:?}"
        );
        for file in &unseen {
            std::fs::remove_file(seen.tree.root().join(file)).unwrap();
        }
        let (gateway, yardstick) = (all.serve(), seen.serve());
        let (mut same, mut wrong) = (0, Vec::new());
        for (i, (sql, is_refused)) in attacks.iter().enumerate() {
            let code = format!("attack_{i}");
            if at_load.contains(&format!("definitions/{code}-1.0.0.yaml")) {
                println!("refused at load: {sql}");
                // What the tables alone would answer is refused only where it is said to be.
                if rows(&yardstick, &code).0 == 200 && !is_refused {
                    wrong.push(format!("{sql}\n  does not load"));
                }
                continue;
            }
            let (got, wanted) = (rows(&gateway, &code), rows(&yardstick, &code));
            match (got.0, wanted.0) {
                (200, 200) if got == wanted && !is_refused => same += 1,
                (403, 200) if *is_refused => println!("refused: {sql}"),
                (200, _) | (_, 200) => {
                    wrong.push(format!("{sql}\n  got {got:?}\n  not {wanted:?}"))
                }
                (403, _) => println!("refused: {sql}"),
                (status, _) => println!("{status}: {sql}"),
            }
            for format in ["json", "csv", "ndjson", "xlsx"] {
                let answer = gateway.get(&format!("/data-api/{code}?format={format}"));
                let text = String::from_utf8_lossy(&answer.body);
                if let Some(secret) = SECRETS.iter().find(|secret| text.contains(**secret)) {
                    wrong.push(format!("{sql}\n  shows {secret} as {format}"));
                }
            }
        }
        assert!(wrong.is_empty(), "on {kind:?}:\n{}", wrong.join("\n"));
        assert!(same > 60, "only {same} queries gave the same");
    }
}
