//! Cells beside what is expected, and beside what the server itself prints.

use tidegate::engines::postgres::Postgres;

use super::support::{one, plain, query, rows};

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The cells of `literals` as `ty`, each beside what `print` makes of it on the server.
pub async fn printed(
    engine: &Postgres,
    ty: &str,
    literals: &[&str],
    print: &str,
) -> Vec<(String, String)> {
    let values: Vec<String> =
        literals.iter().map(|text| format!("({}::{ty})", literal(text))).collect();
    let sql =
        format!("SELECT v, {} FROM (VALUES {}) q(v)", print.replace('#', "v"), values.join(","));
    let rows = rows(engine, query(&sql)).await;
    assert_eq!(rows.len(), literals.len());
    rows.into_iter().map(|mut row| (row.remove(0), row.remove(0))).collect()
}

pub async fn same_as_text(engine: &Postgres, ty: &str, literals: &[&str]) {
    for (i, (cell, text)) in
        printed(engine, ty, literals, "format('%s', #)").await.into_iter().enumerate()
    {
        assert_eq!(plain(&cell), plain(&text), "{ty} {}", literals[i]);
    }
}

/// As [`same_as_text`], where the cell is itself JSON.
pub async fn same_json_text(engine: &Postgres, ty: &str, literals: &[&str]) {
    for (cell, text) in printed(engine, ty, literals, "#::text").await {
        assert_eq!(cell, plain(&text), "{ty}");
    }
}

pub async fn same_as_json(engine: &Postgres, ty: &str, literals: &[&str]) {
    for (i, (cell, json)) in
        printed(engine, ty, literals, "to_json(#)").await.into_iter().enumerate()
    {
        let cell: serde_json::Value = serde_json::from_str(&cell).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(cell, json, "{ty} {}", literals[i]);
    }
}

pub async fn exactly(engine: &Postgres, ty: &str, pairs: &[(&str, &str)]) {
    for (text, expected) in pairs {
        let cell = one(engine, query(&format!("SELECT {}::{ty}", literal(text)))).await;
        assert_eq!(cell, *expected, "{ty} {text}");
    }
}
