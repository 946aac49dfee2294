//! Queries that fail, are too slow or too many: what the caller reads, and that nothing is left behind.

use crate::support::databases::{Bench, Kind, on_each};
use crate::support::raw::Raw;
use crate::support::{Answer, Tidegate, eventually};

/// Checks a failure: an envelope with this status and code that tells nothing of what is behind the gateway.
pub fn failed(answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{text}");
    let json = answer.json();
    assert_eq!(
        (json["success"].as_bool(), json["details"].as_array().map(Vec::len)),
        (Some(false), Some(0))
    );
    for word in [
        "127.0.0.1",
        "SELECT",
        "select",
        "tidegate",
        "it_",
        "refused",
        "sqlite",
        "postgres",
        "mysql",
        "SQLSTATE",
        "no such",
        "exist",
        "os error",
    ] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

/// A query that runs for minutes and holds this mark, and never gives a row before its end.
pub fn slow(bench: &Bench, mark: &str) -> String {
    let sqlite = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000000000) SELECT COUNT(*) AS n, 'MARK' AS mark FROM s";
    let postgres = "SELECT pg_sleep(300), 'MARK' AS mark";
    let mariadb = "SELECT SLEEP(300) AS n, 'MARK' AS mark";
    bench.pick(sqlite, postgres, mariadb).replace("MARK", mark)
}

pub fn in_flight(gateway: &Tidegate) -> Option<f64> {
    gateway.metric("tidegate_datasource_in_flight{datasource=\"db\"}")
}

#[test]
fn statements_that_the_database_refuses() {
    on_each(|bench| {
        bench.interface("code: missing\nquery_template: SELECT x FROM it_nowhere WHERE x = 1\n");
        bench.interface("code: broken\nsafe_mode: false\nquery_template: SELEC 1 FRM\n");
        bench.interface("code: midway\nquery_template: |\n  SELECT 1 / (n - 3) AS x FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS s LIMIT 5\n");
        bench.interface("code: counting\npagination: {max_page_size: 10}\nquery_template: SELECT x FROM it_nowhere\n");
        bench.interface("code: one\nquery_template: SELECT 1 AS one\n");
        let gateway = bench.serve();
        for code in ["missing", "broken", "counting"] {
            failed(&gateway.get(&format!("/data-api/{code}")), 502, "DATASOURCE_ERROR");
            failed(&gateway.get(&format!("/data-api/{code}?format=csv")), 502, "DATASOURCE_ERROR");
        }
        let midway = gateway.get("/data-api/midway");
        if bench.kind == Kind::Postgres {
            failed(&midway, 502, "DATASOURCE_ERROR");
        } else {
            assert_eq!(
                midway.data()[2]["x"],
                serde_json::Value::Null,
                "a division by zero is NULL"
            );
        }
        for _ in 0..10 {
            failed(&gateway.get("/data-api/missing"), 502, "DATASOURCE_ERROR");
        }
        assert_eq!(
            gateway.get("/data-api/one").status,
            200,
            "a statement that fails is no ill health"
        );
        let log = gateway.log();
        assert!(
            log.contains("it_nowhere") || log.contains("SELEC"),
            "operators can read why: {log}"
        );
    });
}

#[test]
fn a_full_queue_refuses_at_once() {
    on_each(|bench| {
        bench.datasource("limits: {max_in_flight: 1, max_queue: 1, timeout_ms: 600000}");
        let query = slow(bench, "it_queue");
        bench.interface(&format!("code: slow\nsafe_mode: false\nquery_template: \"{query}\"\n"));
        bench.interface("code: one\nquery_template: SELECT 1 AS one\n");
        bench.interface("code: hasty\ntimeout_ms: 200\nquery_template: SELECT 1 AS one\n");
        let gateway = bench.serve();
        let queued = || gateway.metric("tidegate_datasource_queue{datasource=\"db\"}");
        let mut running = Raw::connect(&gateway);
        running.request("GET /data-api/slow", "");
        eventually("one runs", || in_flight(&gateway) == Some(1.0));
        failed(&gateway.get("/data-api/hasty"), 504, "TIMEOUT");
        let mut waiting = Raw::connect(&gateway);
        waiting.request("GET /data-api/one", "");
        eventually("one waits", || queued() == Some(1.0));
        let refused = gateway.get("/data-api/one");
        failed(&refused, 503, "DATASOURCE_ERROR");
        assert_eq!(refused.header("retry-after"), Some("1"));
        drop(running);
        assert_eq!(waiting.answer().unwrap().status, 200, "its turn has come");
        eventually("all is quiet", || in_flight(&gateway) == Some(0.0) && queued() == Some(0.0));
        assert_eq!(gateway.get("/data-api/one").status, 200);
    });
}

#[test]
fn deadlines_cancel_in_the_database() {
    on_each(|bench| {
        let waits = slow(bench, "it_waits");
        let works = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2000000000) SELECT COUNT(*) AS n, 'it_works' AS mark FROM s";
        let works = bench.pick(works, works, "SELECT COUNT(*) AS n, 'it_works' AS mark FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq * b.seq % 7 = 3");
        bench.interface(&format!(
            "code: waits\nsafe_mode: false\ntimeout_ms: 400\nquery_template: \"{waits}\"\n"
        ));
        bench.interface(&format!("code: works\ntimeout_ms: 400\nquery_template: \"{works}\"\n"));
        bench.interface("code: one\nquery_template: SELECT 1 AS one\n");
        let gateway = bench.serve();
        for (code, mark) in [("waits", "it_waits"), ("works", "it_works")] {
            let started = std::time::Instant::now();
            failed(&gateway.get(&format!("/data-api/{code}")), 504, "TIMEOUT");
            assert!(started.elapsed().as_millis() >= 400);
            if bench.kind != Kind::Sqlite {
                eventually("nothing is left", || bench.running(mark) == 0);
            }
            eventually("all is quiet", || in_flight(&gateway) == Some(0.0));
            assert_eq!(gateway.get("/data-api/one").status, 200, "the connection goes on");
        }
        // Many at once: as many are cancelled.
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let mut raw = Raw::connect(&gateway);
                raw.request("GET /data-api/works", "");
                raw
            })
            .collect();
        for mut raw in calls {
            failed(&raw.answer().unwrap(), 504, "TIMEOUT");
        }
        if bench.kind != Kind::Sqlite {
            eventually("nothing is left", || bench.running("it_works") == 0);
        }
        assert_eq!(gateway.get("/data-api/one").status, 200);
    });
}

#[test]
fn a_file_that_is_no_database() {
    let bench = Bench::new(Kind::Sqlite);
    bench.tree.write("data/db.db", &"this is no database ".repeat(100));
    bench.interface("code: one\nquery_template: SELECT id FROM t WHERE id = 1\n");
    let gateway = bench.serve();
    failed(&gateway.get("/data-api/one"), 502, "DATASOURCE_ERROR");
    std::fs::remove_file(bench.tree.root().join("data/db.db")).unwrap();
    eventually("a database that is not there is none", || {
        matches!(gateway.get("/data-api/one").status, 502 | 503)
    });
    assert!(!bench.tree.root().join("data/db.db").exists(), "none is made by asking");
    bench.sql("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1);");
    eventually("it is there", || gateway.get("/data-api/one").status == 200);
}
