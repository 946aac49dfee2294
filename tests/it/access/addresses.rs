//! Addresses: white lists, trusted networks, proxies that are believed and those that are not.

use crate::support::{KEY, Tidegate, Tree};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    for (code, more) in [
        ("internal", ""),
        ("partner", "visibility: partner"),
        (
            "listed",
            "visibility: partner\nip_whitelist: [192.0.2.0/24, \"2001:db8::/32\", 198.51.100.7]",
        ),
        ("both", "ip_whitelist: [10.9.0.0/16, 192.0.2.0/24]"),
        ("open", "visibility: public\nauth_required: false\nip_whitelist: [192.0.2.1]"),
        ("local", "visibility: partner\nip_whitelist: [127.0.0.1]"),
    ] {
        tree.interface(&format!(
            "code: {code}\ndatasource_id: lite\nparam_binding: {{ip: $.request.ip}}\n\
             query_template: \"SELECT :ip AS ip\"\n{more}\n"
        ));
    }
    tree
}

fn from(gateway: &Tidegate, code: &str, chain: &str) -> (u16, String) {
    let headers = [("x-api-key", KEY), ("x-forwarded-for", chain)];
    let answer = gateway.get_with(&format!("/data-api/{code}"), &headers);
    let ip = if answer.status == 200 {
        answer.data()[0]["ip"].as_str().unwrap().to_owned()
    } else {
        answer.code()
    };
    (answer.status, ip)
}

#[test]
fn trusted_proxies_say_where_a_call_comes_from() {
    let tree = tree();
    let flags = [
        "--trusted-proxies",
        "127.0.0.0/8,203.0.113.9",
        "--trusted-networks",
        "10.0.0.0/8,fd00::/8",
    ];
    let gateway = tree.serve_with(&flags);
    let ok = |ip: &str| (200, ip.to_owned());
    let forbidden = (403, "FORBIDDEN".to_owned());
    for (code, chain, expected) in [
        ("internal", "10.1.2.3", ok("10.1.2.3")),
        ("internal", "fd00::1", ok("fd00::1")),
        ("internal", "::ffff:10.1.2.3", ok("10.1.2.3")),
        ("internal", "10.1.2.3:4711", ok("10.1.2.3")),
        ("internal", "192.0.2.1", forbidden.clone()),
        // What the caller wrote itself stands left of what the proxy saw.
        ("internal", "10.1.2.3, 192.0.2.1", forbidden.clone()),
        ("internal", "192.0.2.1, 10.1.2.3", ok("10.1.2.3")),
        ("internal", "10.1.2.3, 203.0.113.9", ok("10.1.2.3")),
        ("internal", "10.1.2.3, nonsense", forbidden.clone()),
        ("internal", "", forbidden.clone()),
        ("partner", "192.0.2.1", ok("192.0.2.1")),
        ("listed", "192.0.2.200", ok("192.0.2.200")),
        ("listed", "2001:db8:1::5", ok("2001:db8:1::5")),
        ("listed", "198.51.100.7", ok("198.51.100.7")),
        ("listed", "198.51.100.8", forbidden.clone()),
        ("listed", "2001:db9::5", forbidden.clone()),
        ("both", "10.9.1.1", ok("10.9.1.1")),
        ("both", "10.8.1.1", forbidden.clone()),
        ("both", "192.0.2.1", forbidden.clone()),
    ] {
        assert_eq!(from(&gateway, code, chain), expected, "{code} from {chain:?}");
    }
    // The address comes before the credentials.
    let stranger = [("x-forwarded-for", "192.0.2.2"), ("x-api-key", "wrong")];
    assert_eq!(gateway.get_with("/data-api/open", &stranger).status, 403);
    assert_eq!(gateway.get_with("/data-api/open", &[("x-forwarded-for", "192.0.2.1")]).status, 200);
    let denied = "tidegate_auth_failures_total{reason=\"address_not_allowed\"}";
    assert!(gateway.metric(denied).unwrap() >= 8.0);
}

#[test]
fn nobody_else_is_believed() {
    let tree = tree();
    let gateway = tree.serve_with(&["--trusted-networks", "10.0.0.0/8"]);
    assert_eq!(from(&gateway, "internal", "10.1.2.3").0, 403);
    assert_eq!(from(&gateway, "listed", "192.0.2.1").0, 403);
    assert_eq!(from(&gateway, "local", "192.0.2.1"), (200, "127.0.0.1".to_owned()));
}

#[test]
fn without_trusted_networks_the_credentials_decide() {
    let tree = tree();
    let gateway = tree.serve();
    assert_eq!(from(&gateway, "internal", "").0, 200);
    assert_eq!(gateway.get_with("/data-api/internal", &[]).status, 401);
}
