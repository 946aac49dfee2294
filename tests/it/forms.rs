//! Forms of answers: JSON, CSV, NDJSON and workbooks, compressed and not, small and large, read and not read.

use std::fs;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::support::databases::{Bench, Kind, on_each};
use crate::support::raw::Raw;
use crate::support::{Answer, KEY, Tidegate, Tree, eventually};

fn decode(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    let body = &answer.body[..];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(async {
            match answer.header("content-encoding").unwrap() {
                "gzip" => GzipDecoder::new(body).read_to_end(&mut out).await,
                "br" => BrotliDecoder::new(body).read_to_end(&mut out).await,
                "zstd" => ZstdDecoder::new(body).read_to_end(&mut out).await,
                other => panic!("{other}"),
            }
        })
        .unwrap();
    out
}

/// `big` with many rows, and the interface `big` that gives all of them.
fn fill(bench: &Bench) -> Tidegate {
    let numbers = bench.pick(
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) SELECT n, n % 7, 'name ' || n FROM s",
        "SELECT n, n % 7, 'name ' || n FROM generate_series(1, 100000) AS s(n)",
        "SELECT seq, seq % 7, CONCAT('name ', seq) FROM seq_1_to_100000",
    );
    bench.sql(&format!("CREATE TABLE big (id INTEGER PRIMARY KEY, k INTEGER, name VARCHAR(40)); INSERT INTO big {numbers};"));
    bench.datasource("limits: {max_rows: 10000000}");
    bench.interface("code: big\nparameters: [{name: most, type: integer, default: 1000000}]\nquery_template: SELECT id, k, name FROM big WHERE id <= :most ORDER BY id\n");
    bench.serve()
}

#[test]
fn the_form_is_negotiated() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1), (2);");
    tree.interface("code: t\ndatasource_id: lite\nquery_template: SELECT id FROM t LIMIT 5\n");
    let gateway = tree.serve();
    let xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    for (query, accept, expected) in [
        ("", "", "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/csv", "text/csv; charset=utf-8"),
        ("", "application/x-ndjson", "application/x-ndjson"),
        ("", xlsx, xlsx),
        ("", "text/csv;q=0.5, application/json", "application/json"),
        ("", "image/png", "application/json"),
        ("?format=csv", "application/json", "text/csv; charset=utf-8"),
        ("?format=json", "text/csv", "application/json"),
        ("?format=xlsx", "", xlsx),
    ] {
        let mut headers = vec![("x-api-key", KEY)];
        if !accept.is_empty() {
            headers.push(("accept", accept));
        }
        let answer = gateway.get_with(&format!("/data-api/t{query}"), &headers);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(expected)),
            "{query} {accept}"
        );
        assert!(answer.header("vary").unwrap().contains("Accept"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(gateway.get("/data-api/t?format=csv").text(), "id\r\n1\r\n2\r\n");
    assert_eq!(gateway.get("/data-api/t?format=ndjson").text(), "{\"id\":1}\n{\"id\":2}\n");
    let refused = gateway.get("/data-api/t?format=pdf");
    assert_eq!(
        refused.refusal(),
        (400, "INVALID_PARAM".into(), vec![("format".into(), "enum".into())])
    );
    // A refusal is an envelope whatever form was asked for.
    let refused = gateway.get_with("/data-api/t", &[("accept", "text/csv")]);
    assert_eq!(
        (refused.code().as_str(), refused.header("content-type")),
        ("UNAUTHORIZED", Some("application/json"))
    );
}

#[test]
fn compressed_answers_hold_the_same_bytes() {
    on_each(|bench| {
        let gateway = fill(bench);
        // Too small to compress, at once, in parts of a whole, in parts as they come.
        for most in [1, 500, 3_000, 40_000] {
            for format in ["json", "csv", "ndjson"] {
                let path = format!("/data-api/big?most={most}&format={format}");
                let plain = gateway.get(&path);
                assert_eq!(plain.header("content-encoding"), None);
                for encoding in ["gzip", "br", "zstd"] {
                    let packed = gateway
                        .get_with(&path, &[("x-api-key", KEY), ("accept-encoding", encoding)]);
                    if most == 1 {
                        assert_eq!(
                            (packed.header("content-encoding"), &packed.body),
                            (None, &plain.body)
                        );
                        continue;
                    }
                    assert_eq!(packed.header("content-encoding"), Some(encoding));
                    assert!(packed.header("vary").unwrap().contains("Accept-Encoding"));
                    assert!(packed.body.len() < plain.body.len(), "{path} {encoding}");
                    assert!(decode(&packed) == plain.body, "{path} {encoding}");
                }
            }
        }
    });
}

#[test]
fn large_answers_are_whole() {
    on_each(|bench| {
        let gateway = fill(bench);
        let expected = bench.sql("SELECT id, k, name FROM big ORDER BY id;");
        let csv = gateway.get("/data-api/big?format=csv");
        assert_eq!(csv.header("transfer-encoding"), Some("chunked"));
        let body = csv.text();
        let (head, rows) = body.split_once("\r\n").unwrap();
        assert_eq!(head, "id,k,name");
        assert!(rows.replace(',', "\t").replace("\r\n", "\n") == expected, "CSV differs");

        let lines = gateway.get("/data-api/big?format=ndjson").text();
        let json = gateway.get("/data-api/big").text();
        let data = json
            .strip_prefix("{\"code\":\"OK\",\"message\":\"OK\",\"success\":true,\"data\":[")
            .and_then(|rest| rest.strip_suffix("],\"meta\":{}}"))
            .expect("an envelope around the rows");
        assert!(data.replace("},{", "}\n{") + "\n" == lines, "JSON and NDJSON differ");
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            format!("{}\t{}\t{}\n", row["id"], row["k"], row["name"].as_str().unwrap())
        };
        assert!(lines.lines().map(row).collect::<String>() == expected, "NDJSON differs");
        let sheet = crate::support::tables::sheet(
            &gateway.get("/data-api/big?most=20000&format=xlsx").body,
        );
        assert_eq!(sheet.len(), 20_001);
        assert_eq!(sheet[20_000], ["20000", "1", "name 20000"]);
    });
}

#[test]
fn head_is_get_without_the_body() {
    on_each(|bench| {
        let gateway = fill(bench);
        let mut raw = Raw::connect(&gateway);
        for (path, extra, whole) in [
            ("/data-api/big?most=3", "", true),
            ("/data-api/big?most=300", "Accept-Encoding: gzip\r\n", true),
            ("/data-api/big?format=csv", "", false),
            ("/data-api/nowhere", "", true),
        ] {
            raw.request(&format!("HEAD {path}"), extra);
            let head = raw.head().unwrap();
            raw.request(&format!("GET {path}"), extra);
            let get = raw.answer().expect("the connection goes on");
            assert_eq!(head.status, get.status, "{path}");
            for name in [
                "content-type",
                "content-length",
                "content-encoding",
                "content-disposition",
                "vary",
            ] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
            assert_eq!(head.header("content-length").is_some(), whole, "{path}");
        }
        assert!(!gateway.log().contains("went away"), "{}", gateway.log());
    });
}

#[test]
fn a_reader_that_goes_away_ends_the_query() {
    on_each(|bench| {
        // Rows without end, which only a cancel stops.
        let endless = bench.pick(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n, 'it_endless_rows' AS mark FROM s",
            "SELECT generate_series(1, 100000000000) AS n, 'it_endless_rows' AS mark",
            "SELECT a.seq AS n, 'it_endless_rows' AS mark FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
        );
        bench.datasource("limits: {max_rows: 1000000000, timeout_ms: 600000}");
        bench.interface(&format!(
            "code: endless\nsafe_mode: false\nquery_template: \"{endless}\"\n"
        ));
        let gateway = bench.serve();
        let in_flight = || gateway.metric("tidegate_datasource_in_flight{datasource=\"db\"}");
        for format in ["json", "csv"] {
            let mut raw = Raw::connect(&gateway);
            raw.request(&format!("GET /data-api/endless?format={format}"), "");
            assert_eq!(raw.head().unwrap().status, 200);
            assert!(raw.chunk().unwrap().is_some());
            assert_eq!(in_flight(), Some(1.0));
            if bench.kind != Kind::Sqlite {
                assert_eq!(bench.running("it_endless_rows"), 1);
            }
            drop(raw);
            eventually("the query has ended", || in_flight() == Some(0.0));
            if bench.kind != Kind::Sqlite {
                eventually("the server runs it no more", || bench.running("it_endless_rows") == 0);
            }
        }
        // Before the first byte, too.
        let mut raw = Raw::connect(&gateway);
        raw.request("GET /data-api/endless?format=xlsx", "");
        eventually("the query runs", || in_flight() == Some(1.0));
        drop(raw);
        eventually("the query has ended", || in_flight() == Some(0.0));
    });
}

/// Most memory the process has held, in KB.
fn peak_kb(gateway: &Tidegate) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_rows() {
    on_each(|bench| {
        let rows = bench.pick(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :most) SELECT n, hex(zeroblob(100)) AS pad FROM s",
            "SELECT n, repeat('0', 200) AS pad FROM generate_series(1, :most) AS s(n)",
            "SELECT seq AS n, repeat('0', 200) AS pad FROM seq_1_to_1000000 WHERE seq <= :most",
        );
        bench.datasource("limits: {max_rows: 10000000, timeout_ms: 600000}");
        bench.interface(&format!(
            "code: rows\nparameters: [{{name: most, type: integer, required: true}}]\nquery_template: \"{rows}\"\n"
        ));
        let gateway = bench.serve();
        let read = |most: u32| {
            let mut raw = Raw::connect(&gateway);
            raw.request(&format!("GET /data-api/rows?most={most}"), "");
            assert_eq!(raw.head().unwrap().status, 200);
            let mut bytes = 0;
            while let Some(chunk) = raw.chunk().expect("the answer is whole") {
                bytes += chunk.len();
            }
            bytes
        };
        read(20_000);
        let before = peak_kb(&gateway);
        let bytes = read(500_000);
        // The kernel counts roughly.
        let grown = peak_kb(&gateway).saturating_sub(before);
        assert!(bytes > 100_000_000, "{bytes}");
        assert!(grown < 30_000, "{grown} KB more for {bytes} bytes on {:?}", bench.kind);
    });
}

#[test]
fn a_slow_reader_slows_the_query() {
    on_each(|bench| {
        let rows = bench.pick(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000000) SELECT n, hex(zeroblob(100)) AS pad FROM s",
            "SELECT generate_series(1, 1000000) AS n, repeat('0', 200) AS pad",
            "SELECT seq AS n, repeat('0', 200) AS pad FROM seq_1_to_1000000",
        );
        bench.datasource("limits: {max_rows: 10000000, timeout_ms: 600000}");
        bench.interface(&format!("code: rows\nsafe_mode: false\nquery_template: \"{rows}\"\n"));
        let gateway = bench.serve();
        let before = peak_kb(&gateway);
        let mut raw = Raw::connect(&gateway);
        // With the beginning of another request behind it, which changes nothing.
        raw.request("GET /data-api/rows", "");
        raw.send("GET /data-api/rows HTTP/1.1\r\n");
        assert_eq!(raw.head().unwrap().status, 200);
        let mut bytes = raw.chunk().unwrap().unwrap().len();
        let mut held = peak_kb(&gateway);
        for calm in 0_u32.. {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let now = peak_kb(&gateway);
            if now == held && calm > 20 {
                break;
            }
            held = now;
        }
        let grown = held.saturating_sub(before);
        assert!(grown < 40_000, "{grown} KB for what nobody reads on {:?}", bench.kind);
        while let Some(chunk) = raw.chunk().expect("the answer is whole") {
            bytes += chunk.len();
        }
        assert!(bytes > 200_000_000, "{bytes}");
    });
}
