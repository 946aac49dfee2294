//! HTTP manners: connections, credentials, and what stays out of the log.

use crate::support::raw::Raw;
use crate::support::{KEY, Tidegate, Tree, eventually};

fn serve() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    tree.interface("code: get\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    tree.interface("code: post\ndatasource_id: lite\nmethod: POST\nparameters: [{name: x, type: integer}]\nquery_template: 'SELECT :x AS x'\n");
    let gateway = tree.serve();
    (tree, gateway)
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let (_tree, gateway) = serve();
    let mut raw = Raw::connect(&gateway);
    raw.send(format!(
        "GET /data-api/get HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n\r\nGET /data-api/ge"
    ));
    assert_eq!(raw.answer().unwrap().status, 200);
    raw.send(format!("t HTTP/1.1\r\nHost: t\r\nX-API-Key: {KEY}\r\n\r\nnonsense\r\n\r\n"));
    assert_eq!(raw.answer().unwrap().status, 200);
    assert_eq!(raw.answer().unwrap().status, 400);
    assert!(raw.answer().is_none());
}

#[test]
fn of_two_credentials_none_counts() {
    let (_tree, gateway) = serve();
    for headers in [
        "X-API-Key: no\r\n".to_owned(),
        format!("X-API-Key: {KEY}\r\n"),
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n".to_owned(),
    ] {
        let mut raw = Raw::connect(&gateway);
        let key = if headers.starts_with('A') { "" } else { KEY };
        let own = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
        raw.send(format!("GET /data-api/get HTTP/1.1\r\nHost: t\r\n{own}{headers}\r\n"));
        assert_eq!(raw.answer().unwrap().status, 401, "{headers}");
    }
}

#[test]
fn a_compressed_body_is_refused_by_its_name() {
    let (_tree, gateway) = serve();
    let headers =
        [("x-api-key", KEY), ("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(gateway.post_with("/data-api/post", "{\"x\":1}", &headers).status, 415);
}

#[test]
fn an_unchanged_answer_varies_as_the_whole_one_does() {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    let public =
        "datasource_id: lite\nvisibility: public\nauth_required: false\ncache: {ttl_seconds: 60}\n";
    tree.interface(&format!("code: all\n{public}query_template: SELECT 1 AS n\n"));
    tree.interface(&format!(
        "code: own\n{public}param_binding: {{who: $.principal.name}}\nquery_template: 'SELECT :who AS who'\n"
    ));
    let gateway = tree.serve();
    let whole = gateway.get_with("/data-api/all", &[]);
    let etag = whole.header("etag").unwrap();
    let unchanged = gateway.get_with("/data-api/all", &[("if-none-match", etag)]);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    for name in ["vary", "etag", "x-cache"] {
        assert!(unchanged.header(name).is_some(), "{name}");
    }
    assert!(whole.header("cache-control").unwrap().starts_with("public"));
    // Open to all, yet made for one: no shared cache may keep it.
    let own = gateway.get("/data-api/own");
    assert_eq!(own.data()[0]["who"], "tester");
    assert!(own.header("cache-control").unwrap().starts_with("private"));
}

#[test]
fn sensitive_values_stay_out_of_the_log() {
    let tree = Tree::new();
    tree.postgres();
    tree.interface(
        "code: card\ndatasource_id: pg\npath: /data-api/card/{number}\nparameters:\n  \
         - {name: number, in: path, sensitive: true}\n  - {name: plain, default: x}\n\
         query_template: \"SELECT CAST(CAST(:number AS text) AS integer) AS n, CAST(:plain AS text) AS p\"\n",
    );
    tree.interface(
        "code: shape\ndatasource_id: pg\nquery_template: SELECT '13800001111' AS phone\nvalidate_response: always\n\
         response_schema: {properties: {data: {items: {properties: {phone: {type: integer}}}}}}\n",
    );
    let gateway = tree.serve();
    let answer = gateway.get("/data-api/card/31010119900307%0A771X");
    assert_eq!((answer.status, answer.code().as_str()), (502, "DATASOURCE_ERROR"));
    assert!(!answer.text().contains("310101"));
    assert_eq!(gateway.get("/data-api/shape").code(), "SCHEMA_MISMATCH");
    eventually("both are logged", || {
        let log = gateway.log();
        log.contains("DATASOURCE_ERROR") && log.contains("SCHEMA_MISMATCH")
    });
    let log = gateway.log();
    assert!(log.contains("path=\"/data-api/card/{number}\""), "{log}");
    assert!(!log.contains("310101") && !log.contains("13800001111"), "{log}");
}
