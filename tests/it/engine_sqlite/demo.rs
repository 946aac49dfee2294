//! The data of the demo, as its first start makes it.

use std::path::Path;
use std::time::{Duration, Instant};

use tidegate::engines::{Bind, Engine};

use super::support::{Database, Keeper, LONG, Value, query, rows, value};

#[tokio::test]
async fn the_demo_s_data_are_made_quickly_and_add_up() {
    let mut database = Database::missing();
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasources/demo.sql");
    database.config.init = Some(init);
    let engine = database.open();
    let begin = Instant::now();
    engine.prepare().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "took {:?}", begin.elapsed());

    for (table, expected) in [
        ("stores", 20..=20),
        ("products", 200..=200),
        ("dim_customer", 500..=500),
        ("fact_sales", 45_000..=55_000),
    ] {
        let count = value(&engine, &format!("SELECT count(*) FROM {table}"), &[]).await;
        assert!(matches!(count, Value::Int(n) if expected.contains(&n)), "{table}: {count:?}");
    }
    let orphans = "SELECT count(*) FROM fact_sales s WHERE store_id NOT IN (SELECT store_id FROM stores) \
         OR product_id NOT IN (SELECT product_id FROM products) \
         OR customer_id NOT IN (SELECT customer_id FROM dim_customer) \
         OR amount <> quantity * (SELECT price FROM products p WHERE p.product_id = s.product_id)";
    assert_eq!(value(&engine, orphans, &[]).await, Value::Int(0));
    let inexact = "SELECT count(*) FROM fact_sales WHERE amount * 2 <> CAST(amount * 2 AS INTEGER)";
    assert_eq!(value(&engine, inexact, &[]).await, Value::Int(0));
}

#[tokio::test]
async fn the_demo_answers_the_sales_query() {
    let mut database = Database::missing();
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasources/demo.sql");
    database.config.init = Some(init);
    let engine = database.open();
    let sql = "SELECT date, store_id, SUM(amount) AS total_amount, COUNT(order_id) AS order_count FROM fact_sales \
         WHERE date BETWEEN ?1 AND ?2 AND (?3 IS NULL OR store_id = ?3) \
         GROUP BY date, store_id ORDER BY date LIMIT ?4 OFFSET (?5 - 1) * ?4";
    let date = |day| Bind::Date(jiff::civil::date(2025, 1, day));
    let page = |store, page| vec![date(1), date(31), store, Bind::Int(100), Bind::Int(page)];

    let (keeper, result) =
        engine.run(query(sql, &page(Bind::Null, 1), LONG), Keeper::default()).await;
    result.unwrap();
    let names: Vec<_> = keeper.columns.unwrap().into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["date", "store_id", "total_amount", "order_count"]);
    assert_eq!(keeper.rows.len(), 100);

    let store = Bind::Text("S001".into());
    let january = rows(&engine, sql, &page(store, 1)).await;
    assert!((25..=31).contains(&january.len()), "{} days", january.len());
    assert!(january.iter().all(|row| row[1] == Value::Text("S001".into())));
    assert!(rows(&engine, sql, &page(Bind::Null, 100)).await.is_empty());
}
