//! Readers that stop reading, and readers that go away: what they hold is bounded, and their query ends.

use std::time::Duration;

use crate::support::databases::{Bench, Kind, on_each};
use crate::support::raw::Raw;
use crate::support::{Tidegate, eventually, memory_kb};

const MARK: &str = "it_wire_rows";
/// What a stalled answer may hold: buffers of the gateway, of the driver and of the encoders; the rows would be hundreds of MB.
const MAX_HELD_KB: u64 = 24_000;
const FORMS: [(&str, &str); 7] = [
    ("json", ""),
    ("json", "gzip"),
    ("csv", ""),
    ("csv", "gzip"),
    ("ndjson", ""),
    ("ndjson", "zstd"),
    ("xlsx", ""),
];

/// Rows of a kilobyte without end that do not compress well, under the interface `rows`.
fn serve(bench: &Bench, keys: &str, flags: &[&str]) -> Tidegate {
    let rows = bench.pick(
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n, 'it_wire_rows' AS mark, hex(randomblob(500)) AS pad FROM s",
        "SELECT n, 'it_wire_rows' AS mark, md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || repeat(md5((n + 3)::text), 28) AS pad FROM (SELECT generate_series(1, 100000000000) AS n) s",
        "SELECT a.seq AS n, 'it_wire_rows' AS mark, CONCAT(MD5(a.seq), MD5(b.seq), REPEAT(MD5(a.seq + b.seq), 30)) AS pad FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
    );
    bench.datasource(
        "limits: {max_rows: 1000000000, max_result_bytes: 1000000000000, timeout_ms: 600000}",
    );
    bench.interface(&format!("code: rows\nsafe_mode: false\n{keys}query_template: \"{rows}\"\n"));
    bench.tree.serve_with(flags)
}

fn in_flight(gateway: &Tidegate) -> f64 {
    gateway.metric("tidegate_datasource_in_flight{datasource=\"db\"}").unwrap()
}

/// Nothing of the query is left, neither here nor in the database.
fn is_over(bench: &Bench, gateway: &Tidegate) {
    eventually("the query has ended", || in_flight(gateway) == 0.0);
    if bench.kind != Kind::Sqlite {
        eventually("the server runs it no more", || bench.running(MARK) == 0);
    }
}

/// Begins to read the rows, and stops.
fn begin(gateway: &Tidegate, form: &str, encoding: &str) -> Raw {
    let mut raw = Raw::connect(gateway);
    let accept = if encoding.is_empty() { "identity" } else { encoding };
    raw.request(
        &format!("GET /data-api/rows?format={form}"),
        &format!("Accept-Encoding: {accept}\r\n"),
    );
    let head = raw.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-encoding").unwrap_or_default(), encoding);
    assert!(raw.chunk().unwrap().is_some());
    raw
}

/// Waits until the process holds no more than before, some time in a row: everything is full.
fn stalls(gateway: &Tidegate) {
    let mut last = 0;
    eventually("the memory stands still", || {
        std::thread::sleep(Duration::from_millis(150));
        let now = memory_kb(gateway, "VmRSS");
        let is_still = now <= last + 64;
        last = now;
        is_still
    });
}

#[test]
fn a_reader_that_stops_holds_little_and_one_that_goes_away_nothing() {
    on_each(|bench| {
        let gateway = serve(bench, "timeout_ms: 600000\n", &[]);
        // What runs once is there from now on.
        drop(begin(&gateway, "json", "gzip"));
        is_over(bench, &gateway);
        for (form, encoding) in FORMS {
            let before = memory_kb(&gateway, "VmRSS");
            let raw = begin(&gateway, form, encoding);
            stalls(&gateway);
            let held = memory_kb(&gateway, "VmRSS").saturating_sub(before);
            assert!(held < MAX_HELD_KB, "{held} KB for {form} {encoding} on {:?}", bench.kind);
            assert!(in_flight(&gateway) > 0.5, "the query waits: {form} {encoding}");
            if bench.kind != Kind::Sqlite {
                assert_eq!(
                    bench.running(MARK),
                    1,
                    "and it waits in the database: {form} {encoding}"
                );
            }
            drop(raw);
            is_over(bench, &gateway);
        }
    });
}

#[test]
fn a_reader_that_stalls_is_cut_off() {
    on_each(|bench| {
        let gateway = serve(bench, "timeout_ms: 600000\n", &["--write-timeout-ms", "500"]);
        for (form, encoding) in [("json", ""), ("csv", "gzip"), ("xlsx", "")] {
            let _stalled = begin(&gateway, form, encoding);
            is_over(bench, &gateway);
        }
        let series = "tidegate_connections_overdue_total{reason=\"write\"}";
        eventually("each is counted", || gateway.metric(series) == Some(3.0));
    });
}

#[test]
fn a_reader_that_reads_on_is_never_late() {
    let bench = Bench::new(Kind::Sqlite);
    let gateway = serve(&bench, "timeout_ms: 600000\n", &["--write-timeout-ms", "700"]);
    let mut raw = begin(&gateway, "csv", "");
    // Longer than the limit in sum, and always some progress.
    for _ in 0..15 {
        std::thread::sleep(Duration::from_millis(100));
        for _ in 0..40 {
            assert!(raw.chunk().expect("the answer goes on").is_some());
        }
    }
}

#[test]
fn the_deadline_of_a_call_holds_while_its_answer_leaves() {
    on_each(|bench| {
        let gateway = serve(bench, "timeout_ms: 1500\n", &[]);
        // Read as fast as it comes: it breaks off, and nobody takes half an answer for a whole one.
        let mut raw = begin(&gateway, "csv", "");
        while raw
            .chunk()
            .is_some_and(|chunk| chunk.expect("the answer seems whole").len() < usize::MAX)
        {
        }
        is_over(bench, &gateway);
        // Not read at all.
        let _stalled = begin(&gateway, "csv", "");
        is_over(bench, &gateway);
    });
}
