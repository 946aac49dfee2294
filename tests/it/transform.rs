//! What happens to rows after the query: names, labels, computed columns, figures, and what exports show.

use serde_json::json;

use crate::support::databases::on_each;
use crate::support::tables;

const TABLE: &str = "CREATE TABLE o (id INTEGER PRIMARY KEY, state INTEGER, amount DECIMAL(10,2), quantity INTEGER, note VARCHAR(20));
    INSERT INTO o VALUES (1, 0, 10.50, 2, 'a'), (2, 1, 20.25, 0, NULL), (3, 9, NULL, 5, 'c'), (4, NULL, 0.25, 1, 'a');";

#[test]
fn rows_are_transformed() {
    on_each(|bench| {
        bench.sql(TABLE);
        bench.interface(
            "code: t\nquery_template: SELECT id, state, amount, quantity, note FROM o ORDER BY id LIMIT 10\ntransform:\n\
             \x20 rename: {id: 编号, amount: total}\n  omit: [quantity]\n\
             \x20 value_map: {state: {'0': 待付款, '1': {name: paid, final: true}, 'null': 未知}, note: {a: 7}}\n\
             \x20 computed: {price: amount / quantity, text: \"note ~ '-' ~ id\", is_small: amount < 15, big: id * 3000000000}\n",
        );
        let gateway = bench.serve();
        let data = gateway.get("/data-api/t").data();
        let names: Vec<_> = data[0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["编号", "state", "total", "note", "big", "is_small", "price", "text"]);
        assert_eq!(
            data[0],
            json!({"编号": 1, "state": "待付款", "total": 10.5, "note": 7, "big": 3_000_000_000_u64, "is_small": true, "price": 5.25, "text": "a-1"})
        );
        assert_eq!(data[1]["state"], json!({"name": "paid", "final": true}));
        assert_eq!(
            (&data[2]["state"], &data[3]["state"]),
            (&json!(9), &json!("未知")),
            "codes without a label stay"
        );
        assert_eq!((&data[2]["note"], &data[1]["note"]), (&json!("c"), &json!(null)));
        assert_eq!(data[2]["price"], json!(null), "an expression over NULL");
        assert!(
            data[1]["price"].is_null() || data[1]["price"].is_string(),
            "a division by zero: {}",
            data[1]
        );
        let lines = gateway.get("/data-api/t?format=ndjson").text();
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(json!(lines), data);
    });
}

#[test]
fn figures_over_columns() {
    on_each(|bench| {
        bench.sql(TABLE);
        for (code, figure) in
            [("s", "sum"), ("a", "avg"), ("lo", "min"), ("hi", "max"), ("n", "count")]
        {
            bench.interface(&format!(
                "code: {code}\nquery_template: SELECT amount, quantity, note FROM o ORDER BY id LIMIT 10\n\
                 transform: {{rename: {{amount: total}}, summary: {{total: {figure}, quantity: {figure}, note: {}}}}}\n",
                if matches!(figure, "sum" | "avg") { "count" } else { figure }
            ));
        }
        let gateway = bench.serve();
        let summary = |code: &str| {
            gateway.get(&format!("/data-api/{code}")).json()["meta"]["summary"].clone()
        };
        assert_eq!(summary("s"), json!({"note": 3, "quantity": 8, "total": 31.0}));
        assert_eq!(summary("n"), json!({"note": 3, "quantity": 4, "total": 3}));
        assert_eq!(summary("lo"), json!({"note": "a", "quantity": 0, "total": 0.25}));
        assert_eq!(summary("hi"), json!({"note": "c", "quantity": 5, "total": 20.25}));
        let mean = summary("a");
        assert!((mean["total"].as_f64().unwrap() - 31.0 / 3.0).abs() < 1e-9);
        assert_eq!(mean["quantity"], 2.0);
        let raw = gateway.get("/data-api/s").text();
        let sum = bench.pick("\"total\":31", "\"total\":31.00", "\"total\":31.00");
        assert!(raw.contains(sum), "{raw}");
    });
}

#[test]
fn exports_show_titles_and_groups() {
    on_each(|bench| {
        bench.sql(TABLE);
        bench.interface(
            "code: x\nname: 订单/导出\nquery_template: SELECT id, state, amount, quantity, note FROM o ORDER BY id LIMIT 10\nfields:\n\
             \x20 - {name: id, title: 编号, type: plain_integer}\n  - {name: state, export: false}\n\
             \x20 - {name: amount, title: 金额, type: decimal, group: 销售}\n  - {name: quantity, title: 数量, type: integer, group: 销售}\n\
             \x20 - {name: note, title: 备注, show: false}\n",
        );
        let gateway = bench.serve();
        let book = gateway.get("/data-api/x?format=xlsx");
        let rows = tables::sheet(&book.body);
        assert_eq!(rows[0][..3], ["编号", "销售", ""]);
        assert_eq!(rows[1][1..3], ["金额", "数量"]);
        assert_eq!(rows[2].len(), 4, "`state` is no part of exports: {:?}", rows[2]);
        assert_eq!(
            (rows[2][0].as_str(), rows[2][1].parse(), rows[2][3].as_str()),
            ("1", Ok(10.5), "a")
        );
        let xml = tables::member(&book.body, "xl/worksheets/sheet1.xml");
        assert!(xml.contains("<mergeCell ref=\"B1:C1\"/>"), "{xml}");
        assert!(tables::member(&book.body, "xl/workbook.xml").contains("name=\"订单导出\""));

        let csv = tables::csv(&gateway.get("/data-api/x?format=csv").text());
        let names: Vec<_> = csv[0].iter().flatten().map(String::as_str).collect();
        assert_eq!(
            names,
            ["id", "amount", "quantity", "note"],
            "CSV is for programs: names, no titles"
        );
        let json = gateway.get("/data-api/x").data();
        assert_eq!(json[0]["state"], 0, "JSON has every column");
        assert_eq!(
            gateway
                .get("/data-api/x?format=ndjson")
                .text()
                .lines()
                .next()
                .unwrap()
                .matches(':')
                .count(),
            5
        );
    });
}

#[test]
fn names_that_repeat_get_numbers() {
    on_each(|bench| {
        bench.sql(TABLE);
        bench.interface("code: twice\nquery_template: SELECT a.id, b.id, a.id AS id_2, a.note FROM o a JOIN o b ON b.id = a.id + 1 WHERE a.id = 1\n");
        let gateway = bench.serve();
        let text = gateway.get("/data-api/twice").text();
        assert!(text.contains(r#""data":[{"id":1,"id_2":2,"id_2_2":1,"note":"a"}]"#), "{text}");
        let csv = gateway.get("/data-api/twice?format=csv").text();
        assert_eq!(csv, "id,id_2,id_2_2,note\r\n1,2,1,a\r\n");
    });
}

#[test]
fn schemas_are_enforced_where_asked() {
    on_each(|bench| {
        bench.sql(TABLE);
        let schema = "response_schema: {type: object, properties: {data: {type: array, items: {properties: {note: {type: string}}}}}}";
        bench.interface(&format!("code: strict\nvalidate_response: always\n{schema}\nparameters: [{{name: id, type: integer}}]\nquery_template: 'SELECT note FROM o WHERE id = :id'\n"));
        bench.interface(&format!("code: sampled\n{schema}\nparameters: [{{name: id, type: integer}}]\nquery_template: 'SELECT note FROM o WHERE id = :id'\n"));
        let gateway = bench.serve();
        assert_eq!(gateway.get("/data-api/strict?id=1").data(), json!([{"note": "a"}]));
        let mismatch = gateway.get("/data-api/strict?id=2");
        assert_eq!((mismatch.status, mismatch.code().as_str()), (500, "SCHEMA_MISMATCH"));
        assert!(!mismatch.text().contains("note"), "nothing of the data: {}", mismatch.text());
        assert_eq!(gateway.get("/data-api/sampled?id=2").data(), json!([{"note": null}]));
        crate::support::eventually("the sample is logged", || gateway.log().contains("sampled"));
    });
}
