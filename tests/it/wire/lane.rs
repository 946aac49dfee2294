//! Plain requests go a way of their own: nobody can tell by the answer.

use crate::support::raw::Raw;
use crate::support::{Answer, Tidegate, Tree};

/// More headers than a plain request has, so that the same request goes the long way.
fn fillers() -> String {
    (0..40).map(|i| format!("X-Filler-{i}: x\r\n")).collect()
}

fn serve() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');");
    let one = "datasource_id: lite\nparameters: [{name: id, type: integer, required: true}]\n";
    tree.interface(&format!(
        "code: one\n{one}query_template: 'SELECT id, name FROM t WHERE id = :id'\n"
    ));
    tree.interface(&format!(
        "code: kept\n{one}cache: {{enabled: true, ttl_seconds: 600}}\nrate_limit: {{rps: 100, burst: 100}}\nquery_template: 'SELECT id, name FROM t WHERE id = :id'\n"
    ));
    tree.interface(&format!(
        "code: post\nmethod: POST\ncors: {{allowed_origins: ['https://a.example']}}\n{one}query_template: 'SELECT :id AS id'\n"
    ));
    tree.interface(
        "code: many\ndatasource_id: lite\nsafe_mode: false\nquery_template: \"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40000) SELECT n, 'row' AS text FROM c\"\n",
    );
    let gateway = tree.serve();
    (tree, gateway)
}

/// What an answer says that does not depend on when it was made.
fn seen(answer: Option<Answer>) -> (u16, Vec<(String, String)>, usize) {
    let answer = answer.expect("an answer");
    // How far a stream compresses depends on the parts it came in.
    let length = if answer.header("content-encoding").is_none() { answer.body.len() } else { 0 };
    let changes = ["date", "x-request-id", "ratelimit-remaining", "ratelimit-reset", "age"];
    let mut headers = answer.headers;
    for (name, value) in &mut headers {
        if changes.contains(&name.as_str()) {
            assert!(!value.is_empty(), "{name}");
            value.clear();
        }
        if name == "cache-control" {
            value.retain(|c| !c.is_ascii_digit());
        }
    }
    headers.sort();
    (answer.status, headers, length)
}

#[test]
fn both_ways_answer_alike() {
    let (_tree, gateway) = serve();
    let tag = gateway.get("/data-api/kept?id=1").header("etag").unwrap().to_owned();
    let body = "Content-Type: application/json\r\nContent-Length: 8\r\n";
    let cases = [
        ("GET /data-api/one?id=1", String::new(), ""),
        ("GET /data-api/one?id=", String::new(), ""),
        ("GET /data-api/one?id=1&other=2", "Accept-Language: zh\r\n".to_owned(), ""),
        ("GET /data-api/kept?id=1", String::new(), ""),
        ("GET /data-api/kept?id=1", format!("If-None-Match: {tag}\r\n"), ""),
        ("GET /data-api/one?id=1&format=csv", String::new(), ""),
        ("GET /data-api/many", String::new(), ""),
        ("GET /data-api/many", "Accept-Encoding: gzip\r\n".to_owned(), ""),
        ("GET /data-api/nothing", String::new(), ""),
        ("DELETE /data-api/one?id=1", String::new(), ""),
        ("OPTIONS /data-api/one", String::new(), ""),
        (
            "OPTIONS /data-api/post",
            "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n".to_owned(),
            "",
        ),
        ("GET /openapi.json", String::new(), ""),
        ("POST /data-api/post", body.to_owned(), "{\"id\":1}"),
        ("POST /data-api/post", format!("{body}Origin: https://a.example\r\n"), "{\"id\":x}"),
        ("GET /data-api/%zz", String::new(), ""),
    ];
    for (line, headers, body) in &cases {
        let mut raw = Raw::connect(&gateway);
        let mut ask = |headers: &str| {
            let request = format!(
                "{line} HTTP/1.1\r\nHost: t\r\nX-API-Key: {}\r\n{headers}\r\n{body}",
                crate::support::KEY
            );
            raw.send(request);
            seen(raw.answer())
        };
        let (short, long) = (ask(headers), ask(&format!("{headers}{}", fillers())));
        assert_eq!(short, long, "{line} {headers}");
    }
    for line in ["HEAD /data-api/one?id=1", "HEAD /data-api/kept?id=1", "HEAD /data-api/many"] {
        let heads = ["", &fillers()].map(|fillers| {
            let mut raw = Raw::connect(&gateway);
            raw.request(line, fillers);
            let head = seen(raw.head());
            raw.request("GET /data-api/one?id=2", "");
            assert_eq!(
                raw.answer().map(|answer| answer.status),
                Some(200),
                "no body came before it"
            );
            head
        });
        assert_eq!(heads[0], heads[1], "{line}");
    }
}

#[test]
fn a_connection_goes_from_one_way_to_the_other_and_back() {
    let (_tree, gateway) = serve();
    let mut raw = Raw::connect(&gateway);
    for round in 0..2 {
        for headers in ["", &fillers(), "", "Connection: keep-alive\r\n"] {
            raw.request("GET /data-api/one?id=2", headers);
            assert_eq!(raw.answer().map(|answer| answer.status), Some(200), "round {round}");
        }
        // Quiet for longer than a connection is served without being asked.
        std::thread::sleep(std::time::Duration::from_millis(2_500));
    }
    raw.request("GET /data-api/one?id=2", "Connection: close\r\n");
    assert_eq!(raw.answer().map(|answer| answer.status), Some(200));
    assert!(raw.answer().is_none(), "the caller wanted it closed");
}

#[test]
fn a_connection_meets_each_new_generation() {
    let (tree, gateway) = serve();
    let mut raw = Raw::connect(&gateway);
    let mut revisions = Vec::new();
    for n in 1..=3 {
        tree.interface(&format!(
            "code: now\ndatasource_id: lite\nquery_template: SELECT {n} AS n\n"
        ));
        gateway.reload();
        raw.request("GET /data-api/now", "");
        let answer = raw.answer().unwrap();
        assert!(answer.text().contains(&format!("\"data\":[{{\"n\":{n}}}]")), "{}", answer.text());
        revisions.push(answer.header("x-definitions-revision").unwrap().to_owned());
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 3);
}

#[test]
fn a_caller_that_leaves_ends_its_query() {
    let (tree, gateway) = serve();
    tree.interface(
        "code: endless\ndatasource_id: lite\nsafe_mode: false\nquery_template: WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c\n",
    );
    gateway.reload();
    let mut raw = Raw::connect(&gateway);
    raw.request("GET /data-api/endless", "");
    let in_flight = || gateway.metric("tidegate_requests_in_flight").unwrap();
    crate::support::eventually("the call runs", || in_flight() > 0.5);
    drop(raw);
    crate::support::eventually("the call has ended", || in_flight() < 0.5);
    let ended = "tidegate_datasource_queries_total{datasource=\"lite\",outcome=\"cancelled\"}";
    assert_eq!(gateway.metric(ended), Some(1.0));
}
