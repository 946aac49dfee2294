//! Pages: added by the gateway or by the template, counted or not, and the caps that cut a result.

use serde_json::{Value, json};

use crate::support::databases::{Bench, on_each};

const ROWS: u64 = 25;

fn fill(bench: &Bench) {
    let rows: Vec<_> = (1..=ROWS).map(|n| format!("({n}, {}, {n}.10)", n % 3)).collect();
    bench.sql(&format!(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, k INTEGER, amount DECIMAL(10,2)); INSERT INTO n VALUES {};",
        rows.join(", ")
    ));
}

fn ids(json: &Value) -> Vec<u64> {
    json["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn added_pages_walk_through_all_rows() {
    on_each(|bench| {
        fill(bench);
        bench.interface(
            "code: counted\npagination: {enabled: true, max_page_size: 10, default_page_size: 7}\n\
             query_template: SELECT id FROM n ORDER BY id -- all\n",
        );
        bench.interface(
            "code: uncounted\npagination: {max_page_size: 10, count: none}\nquery_template: SELECT id FROM n ORDER BY id\n",
        );
        bench.interface(
            "code: limited\npagination: {max_page_size: 10}\nquery_template: SELECT id FROM n ORDER BY id DESC LIMIT 12\n",
        );
        let gateway = bench.serve();
        for (code, expected) in [
            ("counted", (1..=ROWS).collect::<Vec<_>>()),
            ("uncounted", (1..=ROWS).collect()),
            ("limited", (14..=ROWS).rev().collect()),
        ] {
            let mut all = Vec::new();
            for page in 1.. {
                let json = gateway.get(&format!("/data-api/{code}?page={page}&pageSize=5")).json();
                let page_ids = ids(&json);
                let meta = &json["meta"];
                assert_eq!(
                    (meta["page"].as_u64(), meta["pageSize"].as_u64()),
                    (Some(page), Some(5))
                );
                let total = (code != "uncounted").then_some(expected.len() as u64);
                assert_eq!(meta["total"].as_u64(), total, "{code}");
                all.extend(page_ids);
                assert_eq!(meta["hasNext"], all.len() < expected.len(), "{code} page {page}");
                if meta["hasNext"] == false {
                    break;
                }
            }
            assert_eq!(all, expected, "{code}");
        }
        let usual = gateway.get("/data-api/counted").json();
        assert_eq!(usual["meta"], json!({"page": 1, "pageSize": 7, "total": 25, "hasNext": true}));
        assert_eq!(
            ids(&gateway.get("/data-api/uncounted").json()).len(),
            10,
            "no more than a page"
        );
    });
}

#[test]
fn pages_have_bounds() {
    on_each(|bench| {
        fill(bench);
        bench.interface("code: counted\npagination: {max_page_size: 10}\nquery_template: SELECT id FROM n ORDER BY id\n");
        bench.interface("code: uncounted\npagination: {max_page_size: 10, count: none}\nquery_template: SELECT id FROM n ORDER BY id\n");
        let gateway = bench.serve();
        for (query, field, error) in [
            ("page=0", "page", "minimum"),
            ("page=-1", "page", "minimum"),
            ("pageSize=0", "pageSize", "minimum"),
            ("pageSize=11", "pageSize", "maximum"),
            ("page=x", "page", "type"),
            ("page=1.0", "page", "type"),
            ("page=9223372036854775808", "page", "maximum"),
            ("page=1&page=2", "page", "repeated"),
        ] {
            let refusal = gateway.get(&format!("/data-api/counted?{query}")).refusal();
            assert_eq!(
                refusal,
                (400, "INVALID_PARAM".into(), vec![(field.into(), error.into())]),
                "{query}"
            );
        }
        for page in ["4", "1000000", "922337203685477580", "9223372036854775807"] {
            let counted = gateway.get(&format!("/data-api/counted?page={page}&pageSize=10")).json();
            let page: u64 = page.parse().unwrap();
            assert_eq!(
                counted["meta"],
                json!({"page": page, "pageSize": 10, "total": 25, "hasNext": false})
            );
            assert_eq!(counted["data"], json!([]));
            let blind = gateway.get(&format!("/data-api/uncounted?page={page}&pageSize=10")).json();
            assert_eq!(blind["meta"], json!({"page": page, "pageSize": 10, "hasNext": false}));
        }
    });
}

#[test]
fn templates_page_themselves() {
    on_each(|bench| {
        fill(bench);
        let parameters = "parameters:\n  - {name: k, type: integer}\n  - {name: page, type: integer, default: 1}\n  - {name: pageSize, type: integer, default: 4, maximum: 20}\n";
        let sql = "SELECT id FROM n WHERE (:k IS NULL OR k = :k) ORDER BY id LIMIT :pageSize OFFSET (:page - 1) * :pageSize";
        bench.interface(&format!("code: own\n{parameters}query_template: {sql}\n"));
        bench.interface(&format!(
            "code: blind\npagination: {{count: none}}\n{parameters}query_template: {sql}\n"
        ));
        bench.interface(&format!(
            "code: plain\npagination: {{enabled: false}}\n{parameters}query_template: {sql}\n"
        ));
        let gateway = bench.serve();
        for (query, expected, total, has_next) in [
            ("", vec![1, 2, 3, 4], 25, true),
            ("page=7", vec![25], 25, false),
            ("page=2&pageSize=20", vec![21, 22, 23, 24, 25], 25, false),
            ("k=0&pageSize=8", vec![3, 6, 9, 12, 15, 18, 21, 24], 8, false),
            ("k=1&pageSize=8", vec![1, 4, 7, 10, 13, 16, 19, 22], 9, true),
            ("k=9", vec![], 0, false),
        ] {
            let own = gateway.get(&format!("/data-api/own?{query}")).json();
            assert_eq!(ids(&own), expected, "{query}");
            assert_eq!(
                (own["meta"]["total"].as_u64(), &own["meta"]["hasNext"]),
                (Some(total), &json!(has_next)),
                "{query}"
            );
            let blind = gateway.get(&format!("/data-api/blind?{query}")).json();
            assert_eq!(ids(&blind), expected, "{query}");
            assert_eq!(
                (blind["meta"].get("total"), &blind["meta"]["hasNext"]),
                (None, &json!(has_next)),
                "{query}"
            );
            let plain = gateway.get(&format!("/data-api/plain?{query}")).json();
            assert_eq!((ids(&plain), &plain["meta"]), (expected, &json!({})), "{query}");
        }
        assert_eq!(gateway.get("/data-api/own?pageSize=21").refusal().2[0].1, "maximum");
    });
}

#[test]
fn bodies_page_too() {
    on_each(|bench| {
        fill(bench);
        bench.interface("code: posted\nmethod: POST\npagination: {max_page_size: 10}\nquery_template: SELECT id FROM n ORDER BY id\n");
        let gateway = bench.serve();
        let json = gateway.post("/data-api/posted", "{\"page\": 3, \"pageSize\": 10}").json();
        assert_eq!(ids(&json), [21, 22, 23, 24, 25]);
        assert_eq!(json["meta"]["hasNext"], false);
    });
}

#[test]
fn totals_and_summaries_stand_in_meta() {
    on_each(|bench| {
        fill(bench);
        bench.interface(
            "code: sums\nparameters: [{name: k, type: integer, required: true}]\npagination: {max_page_size: 10}\n\
             query_template: SELECT id, amount FROM n WHERE k = :k ORDER BY id\n\
             total: {query_template: 'SELECT COUNT(*) AS rows_in_all, MAX(id) AS last FROM n WHERE k = :k'}\n\
             transform: {summary: {amount: sum, id: max}}\n",
        );
        let gateway = bench.serve();
        let json = gateway.get("/data-api/sums?k=1&pageSize=2&page=2").json();
        assert_eq!(ids(&json), [7, 10]);
        assert_eq!(json["meta"]["totals"], json!({"rows_in_all": 9, "last": 25}), "over all rows");
        // Over the page, digits kept where the database has decimals.
        let summary = &json["meta"]["summary"];
        assert_eq!((summary["amount"].as_f64(), summary["id"].as_u64()), (Some(17.2), Some(10)));
        assert_eq!(json["meta"]["total"], 9);
        let none = gateway.get("/data-api/sums?k=7").json();
        assert_eq!(none["meta"]["totals"], json!({"rows_in_all": 0, "last": null}));
        assert_eq!(none["meta"]["summary"], json!({"amount": null, "id": null}));
    });
}

#[test]
fn caps_cut_and_say_so() {
    on_each(|bench| {
        fill(bench);
        bench.datasource("limits: {max_rows: 10, max_result_bytes: 2048}");
        let wide = bench.pick(
            "replace(hex(zeroblob(300)), '00', 'x')",
            "repeat('x', 300)",
            "repeat('x', 300)",
        );
        bench.interface("code: many\nquery_template: SELECT id FROM n WHERE id > 0 ORDER BY id\n");
        bench.interface("code: few\nquery_template: SELECT id FROM n WHERE id <= 10 ORDER BY id\n");
        bench.interface(&format!("code: wide\nquery_template: \"SELECT id, {wide} AS x FROM n WHERE id > 0 ORDER BY id\"\n"));
        bench.interface("code: paged\npagination: {max_page_size: 20}\nquery_template: SELECT id FROM n ORDER BY id\n");
        bench.interface(
            "code: free\nsafe_mode: false\nquery_template: SELECT id FROM n ORDER BY id\n",
        );
        let gateway = bench.serve();
        let many = gateway.get("/data-api/many");
        assert_eq!(ids(&many.json()), (1..=10).collect::<Vec<_>>());
        assert_eq!(
            (many.json()["meta"].clone(), many.header("x-truncated")),
            (json!({"truncated": true}), Some("true"))
        );
        let few = gateway.get("/data-api/few");
        assert_eq!(
            (ids(&few.json()).len(), few.json()["meta"].clone(), few.header("x-truncated")),
            (10, json!({}), None)
        );
        let wide = gateway.get("/data-api/wide");
        assert_eq!(wide.json()["meta"], json!({"truncated": true}));
        assert!((3..10).contains(&ids(&wide.json()).len()) && wide.body.len() < 3_000);
        let paged = gateway.get("/data-api/paged?pageSize=20").json();
        assert_eq!(ids(&paged).len(), 10);
        assert_eq!(
            paged["meta"],
            json!({"page": 1, "pageSize": 20, "total": 25, "hasNext": true, "truncated": true})
        );
        let csv = gateway.get("/data-api/many?format=csv");
        assert_eq!((csv.text().lines().count(), csv.header("x-truncated")), (11, Some("true")));
        assert_eq!(ids(&gateway.get("/data-api/free").json()).len(), 25, "no safe mode, no caps");
    });
}
