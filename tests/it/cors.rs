//! Pages of other origins: preflights, exact origins, credentials.

use crate::support::raw::Raw;
use crate::support::{Answer, KEY, Tidegate, Tree};

const APP: &str = "https://app.example.com";

fn serve() -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    for (code, cors) in [
        (
            "exact",
            "cors: {allowed_origins: ['https://app.example.com', 'http://localhost:3000'], allowed_headers: [X-Own], allow_credentials: true, max_age_seconds: 60}",
        ),
        ("any", "cors: {allowed_origins: ['*']}"),
        ("none", "description: no pages"),
    ] {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\n{cors}\nparameters: [{{name: X-Region, in: header, type: string}}, {{name: n, type: integer, default: 1}}]\n\
             query_template: 'SELECT 1 AS one'\n"
        ));
    }
    let gateway = tree.serve();
    (tree, gateway)
}

fn preflight(gateway: &Tidegate, code: &str, origin: &str) -> Answer {
    let mut raw = Raw::connect(gateway);
    // No credentials: browsers send none with a preflight.
    raw.send(format!(
        "OPTIONS /data-api/{code} HTTP/1.1\r\nHost: api\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: x-api-key, x-own\r\n\r\n"
    ));
    raw.answer().unwrap()
}

fn call(gateway: &Tidegate, code: &str, origin: &str) -> Answer {
    gateway.get_with(&format!("/data-api/{code}"), &[("x-api-key", KEY), ("origin", origin)])
}

#[test]
fn preflights() {
    let (_tree, gateway) = serve();
    for origin in [APP, "http://localhost:3000"] {
        let answer = preflight(&gateway, "exact", origin);
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        let header = |name: &str| answer.header(name).map(str::to_owned);
        assert_eq!(header("access-control-allow-origin").as_deref(), Some(origin));
        assert_eq!(header("access-control-allow-credentials").as_deref(), Some("true"));
        assert_eq!(header("access-control-max-age").as_deref(), Some("60"));
        assert_eq!(header("access-control-allow-methods").as_deref(), Some("GET, HEAD, OPTIONS"));
        let allowed = header("access-control-allow-headers").unwrap();
        for name in ["X-API-Key", "Authorization", "X-Own", "X-Region"] {
            assert!(allowed.split(", ").any(|known| known == name), "{name} in {allowed}");
        }
        assert!(header("vary").is_some_and(|vary| vary.contains("Origin")), "{:?}", answer.headers);
    }
    let any = preflight(&gateway, "any", "https://anywhere.example");
    assert_eq!(any.header("access-control-allow-origin"), Some("*"));
    assert_eq!(any.header("access-control-allow-credentials"), None);
    // No policy: nothing is allowed, and a browser stops there.
    let none = preflight(&gateway, "none", APP);
    assert_eq!((none.status, none.header("access-control-allow-origin")), (204, None));
    assert_eq!(none.header("access-control-allow-methods"), None);
    assert_eq!(preflight(&gateway, "nowhere", APP).status, 404);
}

#[test]
fn origins_are_exact() {
    let (_tree, gateway) = serve();
    for origin in [
        "https://app.example.com.evil.test",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://APP.example.org",
        "null",
        "https://evil.test/https://app.example.com",
        "x",
    ] {
        for answer in [call(&gateway, "exact", origin), preflight(&gateway, "exact", origin)] {
            assert_eq!(answer.refusal(), (403, "FORBIDDEN".into(), vec![]), "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let well = call(&gateway, "exact", APP);
    assert_eq!((well.status, well.header("access-control-allow-origin")), (200, Some(APP)));
    assert!(well.header("vary").unwrap().contains("Origin"));
    assert!(well.header("access-control-expose-headers").unwrap().contains("X-Request-Id"));
    // A page of the gateway's own address, and a program that is no page.
    let own = gateway.data_url("");
    assert_eq!(call(&gateway, "exact", &own).status, 200);
    let program = gateway.get("/data-api/exact");
    assert_eq!((program.status, program.header("access-control-allow-origin")), (200, None));
    assert_eq!(call(&gateway, "none", APP).header("access-control-allow-origin"), None);
}

#[test]
fn a_page_may_read_refusals() {
    let (_tree, gateway) = serve();
    let unauthorized = gateway.get_with("/data-api/exact", &[("origin", APP)]);
    let invalid = gateway.get_with("/data-api/exact?n=x", &[("origin", APP), ("x-api-key", KEY)]);
    for (answer, status) in [(unauthorized, 401), (invalid, 400)] {
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (status, Some(APP))
        );
        assert!(
            answer.header("vary").is_some_and(|vary| vary.contains("Origin")),
            "{:?}",
            answer.headers
        );
    }
}
