//! Input that no well-behaved client sends: what reaches the gateway's own code is refused with an envelope.

use std::time::Duration;

use serde_json::Value;

use crate::support::raw::Raw;
use crate::support::{Answer, KEY, Tidegate, Tree};

/// A GET interface `get` and a POST interface `post`, both with one parameter.
fn serve(flags: &[&str]) -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface("code: get\ndatasource_id: lite\nparameters: [{name: x, type: string}]\nquery_template: 'SELECT :x AS x'\n");
    tree.interface("code: post\ndatasource_id: lite\nmethod: POST\nparameters: [{name: x, type: string}]\nquery_template: 'SELECT :x AS x'\n");
    let gateway = tree.serve_with(flags);
    (tree, gateway)
}

/// Checks that a refusal is an envelope with the headers of every answer.
fn envelope(answer: &Answer, status: u16, code: &str) {
    let json = answer.json();
    assert_eq!((answer.status, json["code"].as_str()), (status, Some(code)), "{json}");
    assert_eq!(json["success"], false);
    assert!(json["details"].is_array());
    assert!(!json["message"].as_str().unwrap().is_empty());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(
        answer.header("x-request-id").is_some()
            && answer.header("x-definitions-revision").is_some()
    );
}

#[test]
fn bodies_that_are_no_objects() {
    let (_tree, gateway) = serve(&[]);
    let deep = |n: usize| format!("{{\"x\":{}{}}}", "[".repeat(n), "]".repeat(n));
    let bad_utf8 = unsafe_text(&[b'{', b'"', b'x', b'"', b':', b'"', 0xff, b'"', b'}']);
    for body in [
        "{",
        "[]",
        "\"x\"",
        "1",
        "null",
        "{\"x\":}",
        "{\"x\":1}}",
        "{'x':1}",
        "{\"x\":\"\\ud800\"}",
        "\u{feff}{}",
        &deep(100),
        &deep(400_000),
    ] {
        envelope(&gateway.post("/data-api/post", body), 400, "INVALID_PARAM");
    }
    let mut raw = Raw::connect(&gateway);
    raw.request(
        "POST /data-api/post",
        &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", bad_utf8.len()),
    );
    raw.send(&bad_utf8);
    envelope(&raw.answer().unwrap(), 400, "INVALID_PARAM");
    let members: Vec<_> = (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect();
    envelope(
        &gateway.post("/data-api/post", &format!("{{{}}}", members.join(","))),
        400,
        "INVALID_PARAM",
    );
    assert_eq!(gateway.post("/data-api/post", "{\"x\":\"well\"}").data()[0]["x"], "well");
}

/// Bytes that are no text.
fn unsafe_text(bytes: &[u8]) -> Vec<u8> {
    assert!(std::str::from_utf8(bytes).is_err());
    bytes.to_vec()
}

#[test]
fn media_types() {
    let (_tree, gateway) = serve(&[]);
    let post = |media: &str| {
        gateway.post_with(
            "/data-api/post",
            "{\"x\":\"a\"}",
            &[("x-api-key", KEY), ("content-type", media)],
        )
    };
    for media in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
    ] {
        assert_eq!(post(media).status, 200, "{media}");
    }
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "x",
    ] {
        envelope(&post(media), 415, "INVALID_PARAM");
    }
}

#[test]
fn a_huge_body_is_refused_and_its_sender_reads_why() {
    let (_tree, gateway) = serve(&[]);
    let chunk = vec![b' '; 1 << 20];
    // By its length, and in chunks of which nobody knows how many follow.
    for chunked in [false, true] {
        let mut raw = Raw::connect(&gateway);
        let length = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", 1_u64 << 30)
        };
        raw.request(
            "POST /data-api/post",
            &format!("Content-Type: application/json\r\n{length}\r\n"),
        );
        for _ in 0..1 << 10 {
            let sent = if chunked {
                raw.send("100000\r\n") && raw.send(&chunk) && raw.send("\r\n")
            } else {
                raw.send(&chunk)
            };
            assert!(sent, "the body is taken to its end");
        }
        if chunked {
            raw.send("0\r\n\r\n");
        }
        let answer = raw.answer().unwrap();
        envelope(&answer, 413, "INVALID_PARAM");
        assert!(
            answer.json()["message"].as_str().unwrap().contains("1048576"),
            "{}",
            answer.text()
        );
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 300_000, "a gigabyte is not kept: {peak} KB");
}

#[test]
fn queries_that_do_not_decode() {
    let (_tree, gateway) = serve(&[]);
    let mut raw = Raw::connect(&gateway);
    for query in ["x=%", "x=%2", "x=%zz", "x=%ff", "%c3=1", "x=%ed%a0%80"] {
        raw.request(&format!("GET /data-api/get?{query}"), "");
        envelope(&raw.answer().unwrap(), 400, "INVALID_PARAM");
    }
    raw.request("GET /data-api/get?x=%00", "");
    assert_eq!(raw.answer().unwrap().refusal().2, [("x".to_owned(), "type".to_owned())]);
    let many: Vec<_> = (0..10_001).map(|n| format!("k{n}=1")).collect();
    envelope(
        &gateway.get(&format!("/data-api/get?{}", many[..5_000].join("&"))),
        400,
        "INVALID_PARAM",
    );
    let listed = gateway.get(&format!("/data-api/get?{}", many[..5_000].join("&")));
    assert_eq!(listed.json()["details"].as_array().unwrap().len(), 100, "no endless list");
    let long = "a".repeat(50_000);
    assert_eq!(gateway.get(&format!("/data-api/get?x={long}")).data()[0]["x"], Value::from(long));
    // What hyper refuses before the gateway sees it has no body.
    raw.send(b"GET /data-api/get?x=\xff HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(raw.answer().map(|answer| answer.status), Some(400));
}

#[test]
fn more_pairs_than_anyone_needs() {
    let (_tree, gateway) = serve(&[]);
    let pairs = "a&".repeat(10_001);
    envelope(&gateway.get(&format!("/data-api/get?{pairs}")), 400, "INVALID_PARAM");
    let pairs = "x=1&".repeat(10_000);
    assert_eq!(
        gateway.get(&format!("/data-api/get?{pairs}")).refusal().2,
        [("x".to_owned(), "repeated".to_owned())]
    );
}

#[test]
fn paths_and_methods() {
    let (_tree, gateway) = serve(&[]);
    let mut raw = Raw::connect(&gateway);
    for path in [
        "/",
        "/data-api",
        "/data-api/",
        "/data-api/nowhere",
        "/data-api/get/",
        "/data-api/get/x",
        "/data-api//get",
        "/data-api/GET",
        "/DATA-API/get",
        "/data-api/../data-api/get",
        "/data-api/%67et",
        "/data-api/get;x=1",
        "/favicon.ico",
        "/data-api/%2e%2e",
        "/data-api/get%00",
    ] {
        raw.request(&format!("GET {path}"), "");
        envelope(&raw.answer().unwrap(), 404, "NOT_FOUND");
    }
    for (method, path, allow) in [
        ("POST", "get", "GET, HEAD, OPTIONS"),
        ("PUT", "get", "GET, HEAD, OPTIONS"),
        ("DELETE", "get", "GET, HEAD, OPTIONS"),
        ("PATCH", "post", "POST, OPTIONS"),
        ("GET", "post", "POST, OPTIONS"),
        ("TRACE", "get", "GET, HEAD, OPTIONS"),
        ("BREW", "get", "GET, HEAD, OPTIONS"),
    ] {
        raw.request(&format!("{method} /data-api/{path}"), "");
        let answer = raw.answer().unwrap();
        envelope(&answer, 405, "NOT_FOUND");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    raw.request("HEAD /data-api/post", "");
    assert_eq!(raw.head().unwrap().status, 405);
    // A version that is none, a version that is not there.
    for version in ["2.0.0", "x", "", "1", "1.0.0%27"] {
        envelope(&gateway.get(&format!("/data-api/get?version={version}")), 404, "NOT_FOUND");
    }
}

#[test]
fn absurd_heads() {
    let (_tree, gateway) = serve(&[]);
    let answer = |headers: &str| {
        let mut raw = Raw::connect(&gateway);
        raw.request("GET /data-api/get?x=1", headers);
        raw.answer().map(|answer| answer.status)
    };
    let many = |n: usize| (0..n).map(|n| format!("X-H{n}: 1\r\n")).collect::<String>();
    assert_eq!(answer(&many(100)), Some(200));
    // Hyper's own limits: no envelope, but an answer.
    assert_eq!(answer(&many(200)), Some(431));
    assert_eq!(answer(&format!("X-Long: {}\r\n", "a".repeat(60_000))), Some(200));
    // What is not read of it resets the connection, perhaps before the answer is read.
    let huge = answer(&format!("X-Long: {}\r\n", "a".repeat(500_000)));
    assert!(matches!(huge, None | Some(431)), "{huge:?}");
    assert_eq!(answer("Bad Header: 1\r\n"), Some(400));
    assert_eq!(answer("X-Nul: a\0b\r\n"), Some(400));
    assert_eq!(answer("Content-Length: 1\r\nContent-Length: 2\r\n"), Some(400));
    assert_eq!(answer("Content-Length: x\r\n"), Some(400));
    assert_eq!(
        answer(
            "Accept-Language: ;;;q=x,,zh;q=9999\r\nAccept: ,,;\r\nAccept-Encoding: ;q=\r\nX-Request-Id: \r\n"
        ),
        Some(200)
    );
    for request in [
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /data-api/get HTTP/1.1 x\r\n\r\n",
    ] {
        let mut raw = Raw::connect(&gateway);
        raw.send(request);
        assert!(raw.answer().is_none_or(|answer| answer.status >= 400), "{request:?}");
    }
    let mut raw = Raw::connect(&gateway);
    raw.send(vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]);
    raw.end();
    assert!(raw.answer().is_none_or(|answer| answer.status == 400), "TLS where there is none");
    assert_eq!(gateway.get("/data-api/get?x=1").status, 200, "others are served on");
}

#[test]
fn headers_are_handed_back_with_care() {
    let (_tree, gateway) = serve(&[]);
    let id = |id: &str| {
        let answer = gateway.get_with("/data-api/get", &[("x-api-key", KEY), ("x-request-id", id)]);
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("trace-1"), "trace-1");
    for strange in ["a b", "<script>", "x\u{e9}", &"a".repeat(200)] {
        assert_ne!(id(strange), strange);
    }
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = gateway.get_with("/data-api/get", &[("x-api-key", KEY), ("traceparent", trace)]);
    assert_eq!(answer.header("x-request-id"), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn slow_and_pipelined_requests() {
    let (_tree, gateway) = serve(&[]);
    let body = "{\"x\":\"slow\"}";
    let head = format!(
        "POST /data-api/post HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut raw = Raw::connect(&gateway);
    for byte in format!("{head}{body}").bytes() {
        raw.send([byte]);
        std::thread::sleep(Duration::from_micros(500));
    }
    assert_eq!(raw.answer().unwrap().data()[0]["x"], "slow");
    // Answers in the order of the requests, whatever each comes to.
    let get = |x: usize| {
        format!("GET /data-api/get?x={x} HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n\r\n")
    };
    let all: String = (0..50)
        .map(|n| if n % 10 == 9 { get(n).replace("get?", "none?") } else { get(n) })
        .collect();
    raw.send(all);
    for n in 0..50 {
        let answer = raw.answer().unwrap();
        if n % 10 == 9 {
            envelope(&answer, 404, "NOT_FOUND");
        } else {
            assert_eq!(answer.data()[0]["x"], n.to_string());
        }
    }
    raw.send(format!(
        "GET /data-api/get?x=1 HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(raw.answer().unwrap().status, 200);
    assert!(raw.answer().is_none(), "closed, as asked");
}

#[test]
fn a_body_that_never_comes() {
    let (_tree, gateway) = serve(&[]);
    let mut raw = Raw::connect(&gateway);
    raw.request("POST /data-api/post", "Content-Type: application/json\r\nContent-Length: 100\r\n");
    raw.send("{\"x\":");
    raw.end();
    // Half a body is none; the connection may be gone before an answer.
    assert!(raw.answer().is_none_or(|answer| answer.status == 400));
    let mut raw = Raw::connect(&gateway);
    raw.request(
        "POST /data-api/post",
        "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 9\r\n",
    );
    assert_eq!(raw.head().unwrap().status, 100);
    raw.send("{\"x\":\"y\"}");
    assert_eq!(raw.answer().unwrap().data()[0]["x"], "y");
    // Refused by its length before a byte of it was sent.
    let mut raw = Raw::connect(&gateway);
    raw.request(
        "POST /data-api/post",
        "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n",
    );
    let first = raw.answer().unwrap();
    let answer = if first.status == 100 { raw.answer().unwrap() } else { first };
    envelope(&answer, 413, "INVALID_PARAM");
}
