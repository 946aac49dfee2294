//! The interface that the first design shows, word for word, against known rows on all three engines.

use serde_json::{Value, json};

use crate::support::databases::{Bench, on_each};
use crate::support::{Answer, KEY, Tidegate};

/// Stores and days of `fact_sales`; each store sells this often a day.
const STORES: [(&str, u32); 2] = [("S001", 3), ("S002", 1)];
const DAYS: u32 = 31;
const SALES: &str = "/data-api/sales_daily_summary";
const JANUARY: &str = "startDate=2025-01-01&endDate=2025-01-31";

const DEFINITION: &str = r#"
{
  "code": "sales_daily_summary",
  "name": "每日销售汇总",
  "description": "按日期和门店维度汇总销售额与订单量。",
  "version": "1.0.0",
  "status": "active",
  "tags": ["sales", "report"],
  "owner": "BI-Team",
  "visibility": "internal",
  "path": "/data-api/sales_daily_summary",
  "method": "GET",
  "auth_required": true,
  "rate_limit": {"rps": 20, "burst": 100},
  "parameters": [
    {"name": "startDate", "in": "query", "type": "date", "required": true, "format": "yyyy-MM-dd", "description": "开始日期", "example": "2025-01-01"},
    {"name": "endDate", "in": "query", "type": "date", "required": true, "format": "yyyy-MM-dd", "description": "结束日期", "example": "2025-01-31"},
    {"name": "storeId", "in": "query", "type": "string", "required": false, "description": "门店ID"},
    {"name": "page", "in": "query", "type": "integer", "required": false, "default": 1, "minimum": 1},
    {"name": "pageSize", "in": "query", "type": "integer", "required": false, "default": 50, "maximum": 1000}
  ],
  "datasource_id": "dw_readonly",
  "query_type": "sql",
  "query_template": "SELECT date, store_id, SUM(amount) AS total_amount, COUNT(order_id) AS order_count FROM fact_sales WHERE date BETWEEN :startDate AND :endDate AND (:storeId IS NULL OR store_id = :storeId) GROUP BY date, store_id ORDER BY date LIMIT :pageSize OFFSET (:page - 1) * :pageSize",
  "param_binding": {
    "startDate": "$.parameters.startDate",
    "endDate": "$.parameters.endDate",
    "storeId": "$.parameters.storeId",
    "page": "$.parameters.page",
    "pageSize": "$.parameters.pageSize"
  },
  "timeout_ms": 20000,
  "safe_mode": true,
  "response_schema": {
    "type": "object",
    "properties": {
      "code": {"type": "string"},
      "message": {"type": "string"},
      "success": {"type": "boolean"},
      "data": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "date": {"type": "string", "format": "date"},
            "store_id": {"type": "string"},
            "total_amount": {"type": "number"},
            "order_count": {"type": "integer"}
          },
          "required": ["date", "store_id", "total_amount", "order_count"]
        }
      },
      "meta": {
        "type": "object",
        "properties": {
          "page": {"type": "integer"},
          "pageSize": {"type": "integer"},
          "total": {"type": "integer"},
          "hasNext": {"type": "boolean"}
        }
      }
    },
    "required": ["code", "message", "success", "data", "meta"]
  },
  "example": {
    "code": "OK",
    "message": "成功",
    "success": true,
    "data": [
      {"date": "2025-01-01", "store_id": "S001", "total_amount": 12345.67, "order_count": 321}
    ],
    "meta": {"page": 1, "pageSize": 50, "total": 1234, "hasNext": true}
  },
  "cache": {"enabled": true, "ttl_seconds": 60},
  "audit": true,
  "metrics": {"latency": true, "errorRate": true}
}
"#;

/// The definition, on a datasource whose table holds January, and a day of February that no call asks for.
fn serve(bench: &Bench) -> Tidegate {
    let mut rows = vec!["(0, '2025-02-01', 'S001', 7)".to_owned()];
    for day in 1..=DAYS {
        for (store, sales) in STORES {
            for sale in 0..sales {
                let id = rows.len();
                rows.push(format!("({id}, '2025-01-{day:02}', '{store}', {sale}.25)"));
            }
        }
    }
    bench.sql(&format!(
        "CREATE TABLE fact_sales (order_id INTEGER PRIMARY KEY, date DATE, store_id VARCHAR(10), amount DECIMAL(12,2));
         INSERT INTO fact_sales VALUES {};",
        rows.join(", ")
    ));

    let mut definition: Value = serde_json::from_str(DEFINITION).unwrap();
    definition["kind"] = "interface".into();
    bench.tree.write("definitions/sales.yaml", &definition.to_string());
    let datasource = bench.tree.root().join("datasources/db.yaml");
    let text =
        std::fs::read_to_string(datasource).unwrap().replace("id: db\n", "id: dw_readonly\n");
    bench.tree.write("datasources/db.yaml", &text);
    bench.serve()
}

fn call(gateway: &Tidegate, query: &str) -> Answer {
    gateway.get(&format!("{SALES}?{query}"))
}

/// The total of a store on any day, as a number.
fn total(store: &str) -> f64 {
    if store == "S001" { 3.75 } else { 0.25 }
}

#[test]
fn a_month_of_all_stores() {
    on_each(|bench| {
        let gateway = serve(bench);
        let answer = call(&gateway, &format!("{JANUARY}&pageSize=1000"));
        let json = answer.json();
        assert_eq!(
            json["meta"],
            json!({"page": 1, "pageSize": 1000, "total": 62, "hasNext": false})
        );
        let rows = json["data"].as_array().unwrap();
        assert_eq!(rows.len(), 62);
        for (i, row) in rows.iter().enumerate() {
            let store = row["store_id"].as_str().unwrap();
            assert_eq!(row["date"], format!("2025-01-{:02}", i / 2 + 1));
            assert_eq!(row["total_amount"].as_f64(), Some(total(store)));
            assert_eq!(row["order_count"], if store == "S001" { 3 } else { 1 });
        }
        let names: Vec<_> = rows[0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["date", "store_id", "total_amount", "order_count"], "in query order");
        assert_eq!((json["code"].as_str(), json["success"].as_bool()), (Some("OK"), Some(true)));
    });
}

#[test]
fn one_store_in_pages() {
    on_each(|bench| {
        let gateway = serve(bench);
        let mut days = Vec::new();
        for (page, rows, has_next) in
            [(1, 10, true), (2, 10, true), (3, 10, true), (4, 1, false), (5, 0, false)]
        {
            let query = format!("{JANUARY}&storeId=S001&page={page}&pageSize=10");
            let json = call(&gateway, &query).json();
            let meta = json!({"page": page, "pageSize": 10, "total": 31, "hasNext": has_next});
            assert_eq!(json["meta"], meta, "{query}");
            let data = json["data"].as_array().unwrap();
            assert_eq!(data.len(), rows, "{query}");
            assert!(data.iter().all(|row| row["store_id"] == "S001"));
            days.extend(data.iter().map(|row| row["date"].as_str().unwrap().to_owned()));
        }
        let expected: Vec<_> = (1..=DAYS).map(|day| format!("2025-01-{day:02}")).collect();
        assert_eq!(days, expected);
        let nothing = call(&gateway, &format!("{JANUARY}&storeId=nowhere")).json();
        assert_eq!(nothing["data"], json!([]));
        assert_eq!(
            nothing["meta"],
            json!({"page": 1, "pageSize": 50, "total": 0, "hasNext": false})
        );
        let day = call(&gateway, "startDate=2025-01-31&endDate=2025-01-31").json();
        assert_eq!(day["meta"]["total"], 2);
    });
}

#[test]
fn refusals_read_as_the_design_shows() {
    on_each(|bench| {
        let gateway = serve(bench);
        let chinese = [("x-api-key", KEY), ("accept-language", "zh-CN")];
        let wrong =
            gateway.get_with(&format!("{SALES}?startDate=31/01/2025&endDate=2025-01-31"), &chinese);
        assert_eq!(wrong.status, 400);
        let text = "参数 startDate 必须为 yyyy-MM-dd 格式";
        let expected = json!({
            "code": "INVALID_PARAM",
            "message": text,
            "success": false,
            "details": [{"field": "startDate", "error": "format", "message": text}],
        });
        assert_eq!(wrong.json(), expected);

        let both =
            gateway.get_with(&format!("{SALES}?page=0&pageSize=1001&storeId=1&x=1"), &chinese);
        let fault = |field: &str, error: &str| (field.to_owned(), error.to_owned());
        let faults = vec![
            fault("startDate", "required"),
            fault("endDate", "required"),
            fault("page", "minimum"),
            fault("pageSize", "maximum"),
            fault("x", "unknown"),
        ];
        assert_eq!(both.refusal(), (400, "INVALID_PARAM".into(), faults));
        assert_eq!(both.json()["message"], "参数校验失败，详见 details。");

        let well = gateway.get_with(&format!("{SALES}?{JANUARY}"), &chinese);
        assert_eq!(well.json()["message"], "成功");
        let refused = gateway.get_with(&format!("{SALES}?{JANUARY}"), &[]);
        assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
    });
}

#[test]
fn the_second_call_comes_from_the_cache() {
    on_each(|bench| {
        let gateway = serve(bench);
        let first = call(&gateway, JANUARY);
        let same = call(&gateway, "endDate=2025-01-31&page=1&startDate=2025-01-01");
        let other = call(&gateway, &format!("{JANUARY}&page=2"));
        let states = [&first, &same, &other].map(|answer| answer.header("x-cache"));
        assert_eq!(states, [Some("MISS"), Some("HIT"), Some("MISS")]);
        assert_eq!(first.body, same.body);
        assert_eq!(first.header("ratelimit-limit"), Some("100"));
    });
}
