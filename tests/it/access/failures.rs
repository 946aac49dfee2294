//! Failed attempts, limited by address.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::issuer::{claims, signer, tree};
use crate::support::{Answer, KEY, Tidegate, eventually};

const DENIED: &str = "tidegate_auth_failures_total{reason=\"too_many_failures\"}";

/// A call from an address, as a trusted proxy tells it.
fn from(gateway: &Tidegate, ip: &str, header: (&str, &str)) -> Answer {
    gateway.get_with("/data-api/who", &[("x-forwarded-for", ip), header])
}

fn serve(per_minute: &str) -> (crate::support::Tree, Tidegate) {
    let tree = tree("");
    let gateway = tree.serve_with(&[
        "--trusted-proxies",
        "127.0.0.0/8",
        "--max-auth-failures-per-minute",
        per_minute,
    ]);
    (tree, gateway)
}

#[test]
fn an_address_that_guesses_is_made_to_wait() {
    let (_tree, gateway) = serve("4");
    let bearer = |token: &str| format!("Bearer {token}");
    let sign = |name: &str| bearer(&signer(Algorithm::EdDSA).sign(&claims(json!({"sub": name}))));
    let (known, fresh) = (sign("known"), sign("fresh"));
    let guesser = "192.0.2.1";
    assert_eq!(from(&gateway, guesser, ("authorization", &known)).status, 200);
    // Every way to fail counts; to say nothing is not to fail.
    for header in [
        ("x-api-key", "wrong"),
        ("authorization", "Bearer wrong"),
        ("x-none", ""),
        ("authorization", "Basic d3Jvbmc6d3Jvbmc="),
        ("x-none", ""),
        ("x-api-key", ""),
    ] {
        assert_eq!(from(&gateway, guesser, header).status, 401, "{header:?}");
    }
    let before = gateway.metric(DENIED).unwrap();
    for header in
        [("x-api-key", "wrong"), ("authorization", "Bearer wrong"), ("authorization", &fresh)]
    {
        let answer = from(&gateway, guesser, header);
        assert_eq!((answer.status, answer.code().as_str()), (429, "RATE_LIMITED"), "{header:?}");
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=15).contains(&after), "{after}");
        assert!(answer.header("www-authenticate").is_none());
    }
    assert_eq!(gateway.metric(DENIED).unwrap(), before + 3.0);
    // The good ones behind the same address go on: a known key, a remembered token, and who says nothing.
    assert_eq!(from(&gateway, guesser, ("x-api-key", KEY)).status, 200);
    assert_eq!(from(&gateway, guesser, ("authorization", &known)).status, 200);
    assert_eq!(from(&gateway, guesser, ("x-none", "")).status, 401);
    // Other addresses do not wait.
    assert_eq!(from(&gateway, "192.0.2.2", ("authorization", &fresh)).status, 200);
    assert_eq!(from(&gateway, "192.0.2.2", ("x-api-key", "wrong")).status, 401);
    let zh = [("x-forwarded-for", guesser), ("x-api-key", "wrong"), ("accept-language", "zh")];
    let answer = gateway.get_with("/openapi.json", &zh);
    assert_eq!(answer.status, 429, "the description of the API too");
    assert!(answer.json()["message"].as_str().unwrap().contains("凭证错误次数过多"));
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let (_tree, gateway) = serve("2");
    let bad = ("x-api-key", "wrong");
    assert_eq!(from(&gateway, "2001:db8::1", bad).status, 401);
    assert_eq!(from(&gateway, "2001:db8::2", bad).status, 401);
    assert_eq!(from(&gateway, "2001:db8::3", bad).status, 429);
    assert_eq!(from(&gateway, "2001:db8:0:1::1", bad).status, 401);
}

#[test]
fn the_wait_ends_and_a_reload_does_not_end_it() {
    let (_tree, gateway) = serve("6");
    let bad = ("x-api-key", "wrong");
    for _ in 0..6 {
        assert_eq!(from(&gateway, "192.0.2.1", bad).status, 401);
    }
    gateway.reload();
    assert_eq!(from(&gateway, "192.0.2.1", bad).status, 429);
    let token = format!("Bearer {}", signer(Algorithm::ES256).sign(&claims(json!({}))));
    eventually("the address may try again", || {
        from(&gateway, "192.0.2.1", ("authorization", &token)).status == 200
    });
}

#[test]
fn zero_is_no_limit() {
    let (_tree, gateway) = serve("0");
    for _ in 0..200 {
        assert_eq!(from(&gateway, "192.0.2.1", ("x-api-key", "wrong")).status, 401);
    }
}
