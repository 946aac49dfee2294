//! Random queries of governed tables: where they have an answer, it is that of tables which hold nothing but what may be seen.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::cases;
use crate::governed::attacks::{ALL, SECRETS, SEEN, refused, rows};
use crate::governed::{Policy, governed};
use crate::support::databases::{Bench, Kind};

/// Columns that are seen, some of them masked, under the names that the tables have in the queries.
const SEEN_COLUMNS: [&str; 9] = [
    "c.id",
    "c.name",
    "c.phone",
    "c.region",
    "c.birth",
    "f.id",
    "f.customer_id",
    "f.region",
    "f.amount",
];
/// Columns that are not: most queries with one are refused.
const HIDDEN_COLUMNS: [&str; 4] = ["c.id_card", "f.note", "id_card", "note"];

fn column() -> impl Strategy<Value = String> {
    prop_oneof![30 => select(&SEEN_COLUMNS[..]), 1 => select(&HIDDEN_COLUMNS[..])]
        .prop_map(str::to_owned)
}

fn expression() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        6 => column(),
        2 => select(vec!["1", "2", "'east'", "'****0001'", "NULL", "'1%'", "20.5", "'SECRET'"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let one = || inner.clone();
        prop_oneof![
            (one(), select(vec!["+", "-", "*", "||", "%"]), one())
                .prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (select(vec!["lower", "upper", "length", "coalesce", "typeof", "abs"]), one())
                .prop_map(|(f, a)| {
                    if f == "coalesce" {
                        format!("coalesce({a}, 'none')")
                    } else {
                        format!("{f}({a})")
                    }
                }),
            (one(), one(), one())
                .prop_map(|(a, b, c)| format!("CASE WHEN {a} > {b} THEN {c} ELSE 0 END")),
            (one(), one()).prop_map(|(a, b)| format!("nullif({a}, {b})")),
            one().prop_map(|a| format!("(SELECT max(id) FROM dim_customer WHERE name > {a})")),
            one().prop_map(|a| format!("CAST({a} AS TEXT)")),
        ]
    })
    .boxed()
}

fn condition() -> impl Strategy<Value = String> {
    let compared =
        (expression(), select(vec!["=", "<>", "<", ">=", "IS", "LIKE", "IS NOT"]), expression())
            .prop_map(|(a, o, b)| format!("{a} {o} {b}"));
    let other = prop_oneof![
        expression().prop_map(|a| format!("{a} IN (SELECT phone FROM dim_customer)")),
        expression()
            .prop_map(|a| format!("EXISTS (SELECT 1 FROM fact_sales x WHERE x.region = {a})")),
        expression().prop_map(|a| format!("{a} IS NOT NULL")),
    ];
    let one = prop_oneof![3 => compared, 1 => other];
    (one.clone(), select(vec!["", " AND ", " OR ", " AND NOT "]), one)
        .prop_map(|(a, glue, b)| if glue.is_empty() { a } else { format!("{a}{glue}{b}") })
}

fn query() -> impl Strategy<Value = String> {
    let from = select(vec![
        "dim_customer c JOIN fact_sales f ON f.customer_id = c.id",
        "dim_customer c LEFT JOIN fact_sales f ON f.customer_id = c.id",
        "dim_customer AS c, fact_sales AS f",
        "(SELECT * FROM dim_customer) c CROSS JOIN fact_sales f",
        "dim_customer c LEFT JOIN (SELECT * FROM fact_sales WHERE amount > 1) f ON f.region = c.region",
    ]);
    let plain = (expression(), expression(), from.clone(), condition())
        .prop_map(|(a, b, from, on)| format!("SELECT {a} AS x, {b} AS y FROM {from} WHERE {on}"));
    let grouped = (
        column(),
        select(vec!["max", "min", "count", "sum"]),
        expression(),
        from.clone(),
        condition(),
    )
        .prop_map(|(by, f, a, from, on)| {
            format!("SELECT {by} AS x, {f}({a}) AS y FROM {from} WHERE {on} GROUP BY {by}")
        });
    let windowed = (expression(), from.clone(), condition()).prop_map(|(a, from, on)| {
        format!("SELECT c.id AS x, count(*) OVER (PARTITION BY {a}) AS y FROM {from} WHERE {on}")
    });
    let starred = (from, condition())
        .prop_map(|(from, on)| format!("SELECT c.*, f.* FROM {from} WHERE {on}"));
    let one = prop_oneof![4 => plain, 2 => grouped, 1 => windowed, 1 => starred].boxed();
    let both =
        (one.clone(), select(vec!["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]), one.clone())
            .prop_map(|(a, set, b)| format!("{a} {set} {b}"));
    let named = one
        .clone()
        .prop_map(|q| format!("WITH fact_sales AS ({q}) SELECT * FROM fact_sales WHERE 1 = 1"));
    prop_oneof![6 => one, 1 => both, 1 => named]
}

fn interface(bench: &Bench, code: &str, sql: &str) {
    bench.interface(&format!(
        "code: {code}\nsafe_mode: false\npagination: {{enabled: true, max_page_size: 1000}}\nquery_template: |\n  {sql}\n"
    ));
}

#[test]
fn random_queries_see_what_is_granted() {
    let config = cases(150);
    let count = config.cases;
    let mut runner = TestRunner::new(config);
    let queries: Vec<String> =
        (0..count).map(|_| query().new_tree(&mut runner).unwrap().current()).collect();
    let (all, seen) = (governed(Kind::Sqlite, ALL), Bench::new(Kind::Sqlite));
    Policy {
        claims: "region: east",
        roles: &["table: dim_customer, columns: {deny: [id_card], mask: {phone: last4, birth: year}}\n\
             table: fact_sales, columns: {deny: [note]}, rows: \"region = $principal.claims.region\""],
    }
    .write(&all);
    // A mask is an expression, and SQLite does not take the other side of a comparison to the type of one.
    seen.sql(&SEEN.replace("phone VARCHAR(20)", "phone").replace("birth DATE", "birth"));
    for bench in [&all, &seen] {
        for (i, sql) in queries.iter().enumerate() {
            interface(bench, &format!("q{i}"), sql);
        }
    }
    let refused: BTreeSet<String> = refused(&all).union(&refused(&seen)).cloned().collect();
    for file in &refused {
        std::fs::remove_file(all.tree.root().join(file)).unwrap();
        std::fs::remove_file(seen.tree.root().join(file)).unwrap();
    }
    let (gateway, yardstick) = (all.serve(), seen.serve());
    let (mut same, mut wrong) = (0, Vec::new());
    for (i, sql) in queries.iter().enumerate() {
        let code = format!("q{i}");
        if refused.contains(&format!("definitions/{code}-1.0.0.yaml")) {
            continue;
        }
        let got = rows(&gateway, &code);
        if got.0 == 200 {
            let wanted = rows(&yardstick, &code);
            if got == wanted {
                same += 1;
            } else {
                wrong.push(format!("{sql}\n  got {got:?}\n  not {wanted:?}"));
            }
        }
        let text =
            String::from_utf8_lossy(&gateway.get(&format!("/data-api/{code}?pageSize=1000")).body)
                .into_owned();
        // What the query says itself is no secret.
        if let Some(secret) =
            SECRETS.iter().find(|secret| text.contains(**secret) && !sql.contains(**secret))
        {
            wrong.push(format!("{sql}\n  shows {secret}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > count / 5, "only {same} of {count} queries gave the same");
}
