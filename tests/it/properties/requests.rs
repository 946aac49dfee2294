//! Requests made of what HTTP is made of, byte by byte: each has an answer that is nobody's failure, and the next one is served.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::cases;
use crate::support::raw::Raw;
use crate::support::{KEY, Tree};

/// A header of the kind that we read, and what it may hold.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let shaped = |name: &'static str, values: &'static str| {
        proptest::string::string_regex(values)
            .unwrap()
            .prop_map(move |value| format!("{name}: {value}").into_bytes())
    };
    let names = select(vec![
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "Cache-Control",
        "Content-Type",
        "If-None-Match",
        "Origin",
        "Access-Control-Request-Method",
        "Traceparent",
        "Tracestate",
        "X-Forwarded-For",
        "X-Request-Id",
        "Range",
        "Expect",
        "Cookie",
        "N",
    ]);
    let junk = (names, vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8, Just(b'\t')], 0..60));
    prop_oneof![
        3 => junk.prop_map(|(name, value)| [name.as_bytes(), b": ", &value].concat()),
        1 => shaped("Accept", "((text|application|\\*)/(csv|json|\\*|x-ndjson)(;q=[01.9]{0,4})?,? ?){0,5}"),
        1 => shaped("Accept-Encoding", "((gzip|br|zstd|identity|\\*)(;q=[01.9]{0,4})?,? ?){0,5}"),
        1 => shaped("Accept-Language", "((zh|en|zh-CN|\\*|de)(;q=[01.9-]{0,4})?,? ?){0,5}"),
        1 => shaped("If-None-Match", "(W/)?\"?[!-~]{0,20}\"?(, \"[a-f0-9]{0,9}\"){0,3}|\\*"),
        1 => shaped("Traceparent", "(00|ff|[0-9a-z]{2})-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{2}"),
        1 => shaped("X-Forwarded-For", "(([0-9]{1,3}\\.){3}[0-9]{1,3}(:[0-9]{1,6})?|\\[?[0-9a-f:]{0,20}\\]?|unknown|,| ){0,6}"),
        1 => shaped("Content-Type", "(application/(json|x-www-form-urlencoded)|multipart/form-data|text/plain)(; ?(charset|boundary)=[\"a-z0-9-]{0,12}){0,2}"),
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "/data-api/(get|post|n0|nothing)(\\?([xn%&=;+a0-9.\\[\\]-]{0,30}))?",
        1 => "/data-api(/[.%0-9a-zA-Z~]{0,8}){0,5}",
        1 => "/[!-~]{0,40}",
        1 => Just(format!("/data-api/get?{}", "x=1&".repeat(500))),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let part = "--b\r\nContent-Disposition: form-data; name=\"[xn\"\\\\;]{0,4}\"(; filename=\"[a-z./]{0,9}\")?\r\n\r\n[ -~]{0,20}\r\n";
    prop_oneof![
        2 => "\\{\"x\": ?(\"[a-z\\\\u0]{0,9}\"|[0-9eE.+-]{0,9}|null|\\[+|\\{\"a\":)[\\]}]{0,6}".prop_map(String::into_bytes),
        1 => "[xn]=[a-z%0-9+]{0,20}(&[xn]=[^&]{0,9}){0,4}".prop_map(String::into_bytes),
        1 => proptest::string::string_regex(&format!("({part}){{0,3}}(--b--)?(\r\n)?")).unwrap().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
        1 => Just("[".repeat(5_000).into_bytes()),
    ]
}

#[test]
fn every_request_has_an_answer() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    let rest = "datasource_id: lite\nparameters: [{name: x, type: string}, {name: n, type: integer, in: header}]\n\
                cache: {ttl_seconds: 5}\nquery_template: \"SELECT :x AS x, :n AS n\"\n";
    tree.interface(&format!("code: get\n{rest}"));
    tree.interface(&format!("code: post\nmethod: POST\n{rest}"));
    let gateway = tree.serve_with(&[
        "--trusted-proxies",
        "127.0.0.0/8",
        "--max-auth-failures-per-minute",
        "0",
        "--max-body-bytes",
        "4096",
    ]);
    let method =
        select(vec!["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "get", "FOO"]);
    let strategy = (method, target(), vec(header(), 0..5), any::<bool>(), body());
    let property =
        |(method, target, headers, has_key, body): (&str, String, Vec<Vec<u8>>, bool, Vec<u8>)| {
            let mut request =
                format!("{method} {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n")
                    .into_bytes();
            if has_key {
                request.extend(format!("X-API-Key: {KEY}\r\n").bytes());
            }
            for header in headers {
                request.extend(header);
                request.extend(b"\r\n");
            }
            request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            request.extend(&body);
            let mut raw = Raw::connect(&gateway);
            raw.send(&request);
            let shown = String::from_utf8_lossy(&request);
            let mut answer = raw.head();
            // One that waits is told to go on.
            if answer.as_ref().is_some_and(|answer| answer.status == 100) {
                answer = raw.head();
            }
            let Some(answer) = answer else {
                return Err(TestCaseError::fail(format!("no answer: {shown}")));
            };
            let expected =
                [200, 204, 304, 400, 401, 403, 404, 405, 406, 413, 414, 415, 417, 431, 503];
            prop_assert!(expected.contains(&answer.status), "{}: {}", answer.status, shown);
            Ok(())
        };
    TestRunner::new(cases(300)).run(&strategy, property).unwrap();
    assert_eq!(gateway.get("/data-api/get?x=1").status, 200);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}
