//! Tokens: four algorithms, and the attacks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::KeyAlgorithm;
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::{Map, Value, json};

use super::issuer::{
    ISSUER, SECRET, SIGNERS, Signer, claims, encode_part, hs256, issuer, refused, seconds, signer,
    tree, unlimited,
};
use super::{me, whoami, with_token};
use crate::support::{Tree, eventually};

#[test]
fn good_tokens_pass() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    for signer in &*SIGNERS {
        let token = signer.sign(&claims(json!({})));
        assert_eq!(me(&with_token(&gateway, "who", &token)), "ann", "{:?}", signer.algorithm);
        // Again, when it is remembered.
        assert_eq!(with_token(&gateway, "who", &token).status, 200);
        for passes in [
            json!({"aud": ["other", "tidegate"]}),
            json!({"nbf": seconds(-10), "iat": seconds(-10)}),
            json!({"roles": "read all"}),
            json!({"exp": seconds(-20)}), // within the leeway
        ] {
            let answer = with_token(&gateway, "who", &signer.sign(&claims(passes.clone())));
            assert_eq!(answer.status, 200, "{passes}");
        }
        let without_kid = encode(&Header::new(signer.algorithm), &claims(json!({})), &signer.key);
        assert_eq!(with_token(&gateway, "who", &without_kid.unwrap()).status, 200);
    }
    let lower = format!("bearer {}", SIGNERS[0].sign(&claims(json!({}))));
    assert_eq!(gateway.get_with("/data-api/who", &[("authorization", &lower)]).status, 200);
    // Proven, yet not granted.
    for roles in [json!([]), json!(null), json!(["nothing"]), json!(7), json!([["all"]])] {
        let token = SIGNERS[1].sign(&claims(json!({ "roles": roles })));
        assert_eq!(with_token(&gateway, "who", &token).status, 403, "{roles}");
    }
}

#[test]
fn claims_that_do_not_hold() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    for signer in &*SIGNERS {
        for wrong in [
            json!({"iss": "https://evil.example.com"}),
            json!({"iss": null}),
            json!({"iss": [ISSUER]}),
            json!({"aud": "other"}),
            json!({"aud": ["other"]}),
            json!({"aud": null}),
            json!({"exp": seconds(-3600)}),
            json!({"exp": null}),
            json!({"exp": "tomorrow"}),
            json!({"nbf": seconds(3600)}),
        ] {
            refused(&gateway, &wrong.to_string(), &signer.sign(&claims(wrong.clone())));
        }
    }
    assert!(
        gateway.metric("tidegate_auth_failures_total{reason=\"expired_token\"}").unwrap() >= 3.0
    );
    assert!(
        gateway.metric("tidegate_auth_failures_total{reason=\"unknown_issuer\"}").unwrap() >= 3.0
    );
}

#[test]
fn signatures_that_do_not_hold() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let good = claims(json!({}));
    for word in ["none", "None", "NONE", "nOnE", ""] {
        let head = encode_part(&json!({"alg": word, "typ": "JWT"}));
        for signature in ["", "AAAA"] {
            refused(&gateway, "alg none", &format!("{head}.{}.{signature}", encode_part(&good)));
        }
    }
    for signer in &*SIGNERS {
        let kid = signer.public.common.key_id.as_deref();
        let token = signer.sign(&good);
        let [head, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
        // The public key as a shared secret, in every form an attacker has it.
        let n = serde_json::to_value(&signer.public).unwrap();
        let x = n["n"].as_str().or(n["x"].as_str()).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
        let pem = signer.public_pem.as_bytes();
        for secret in [pem, pem.trim_ascii_end(), x.as_bytes(), &raw, b""] {
            refused(&gateway, "key confusion", &hs256(secret, kid, &good));
            refused(&gateway, "key confusion without kid", &hs256(secret, None, &good));
        }
        let mut more = good.clone();
        more["roles"] = json!(["all", "admin"]);
        refused(&gateway, "tampered", &format!("{head}.{}.{signature}", encode_part(&more)));
        refused(&gateway, "no signature", &format!("{head}.{payload}."));
        refused(&gateway, "two parts", &format!("{head}.{payload}"));
        refused(&gateway, "four parts", &format!("{token}.{signature}"));
        refused(&gateway, "half", &token[..token.len() - 8]);
        // Somebody else's key under the issuer's name, also one that comes with the token.
        let other = Signer::new(if signer.algorithm == Algorithm::RS256 {
            Algorithm::EdDSA
        } else {
            signer.algorithm
        });
        let mut header = Header { kid: kid.map(str::to_owned), ..Header::new(other.algorithm) };
        refused(&gateway, "another key", &encode(&header, &good, &other.key).unwrap());
        header.jwk = Some(other.public.clone());
        refused(&gateway, "a key of its own", &encode(&header, &good, &other.key).unwrap());
        header = Header { kid: Some("unknown".into()), ..Header::new(signer.algorithm) };
        refused(&gateway, "an unknown kid", &encode(&header, &good, &signer.key).unwrap());
    }
    let rsa = signer(Algorithm::RS256);
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = encode(&Header::new(algorithm), &good, &rsa.key).unwrap();
        refused(&gateway, "another algorithm of the same key", &token);
    }
    for junk in ["", ".", "..", "a.b.c", "%C3%A9", &"A".repeat(20_000)] {
        refused(&gateway, "junk", junk);
    }
}

#[test]
fn only_pinned_algorithms_pass() {
    let tree = tree("algorithms: [ES256]\n");
    let gateway = unlimited(&tree);
    let token = |algorithm| signer(algorithm).sign(&claims(json!({})));
    assert_eq!(with_token(&gateway, "who", &token(Algorithm::ES256)).status, 200);
    refused(&gateway, "RS256 is not pinned", &token(Algorithm::RS256));
    refused(&gateway, "EdDSA is not pinned", &token(Algorithm::EdDSA));
}

#[test]
fn a_shared_secret_is_an_issuer_too() {
    let tree = tree("");
    tree.write("secrets/hs", &format!("{SECRET}\n"));
    issuer(&tree, "shared", "https://hs.example.com", "{hs256: {file: secrets/hs}}", "");
    let gateway = unlimited(&tree);
    let own = claims(json!({"iss": "https://hs.example.com"}));
    assert_eq!(with_token(&gateway, "who", &hs256(SECRET.as_bytes(), None, &own)).status, 200);
    refused(&gateway, "a wrong secret", &hs256(b"wrong", None, &own));
    refused(&gateway, "an empty secret", &hs256(b"", None, &own));
    refused(
        &gateway,
        "a secret of another issuer",
        &hs256(SECRET.as_bytes(), None, &claims(json!({}))),
    );
    refused(&gateway, "a key of another issuer", &signer(Algorithm::RS256).sign(&own));
    // The secret changes; the old one ends with the reload, tokens that were remembered too.
    tree.write("secrets/hs", "another secret, also long enough for this");
    gateway.reload();
    refused(&gateway, "the old secret", &hs256(SECRET.as_bytes(), None, &own));
    // Without its secret an issuer lets nobody in.
    std::fs::remove_file(tree.root().join("secrets/hs")).unwrap();
    gateway.reload();
    refused(&gateway, "no secret", &hs256(b"", None, &own));
}

#[test]
fn issuers_stand_for_themselves() {
    let (first, second) = (Signer::new(Algorithm::EdDSA), Signer::new(Algorithm::EdDSA));
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    whoami(&tree, "who", "");
    whoami(&tree, "open", "visibility: public\nauth_required: false");
    for (name, signer) in [("one", &first), ("two", &second)] {
        let set = json!({"keys": [signer.public]}).to_string();
        tree.write(&format!("policies/keys/{name}.json"), &set);
        let keys = format!("{{jwks_file: policies/keys/{name}.json}}");
        let more = "roles_claim: realm_access.roles\nname_claim: preferred_username\n";
        issuer(&tree, name, &format!("https://{name}.example.com"), &keys, more);
    }
    let gateway = unlimited(&tree);
    let of = |name: &str| {
        claims(json!({
            "iss": format!("https://{name}.example.com"), "roles": null,
            "realm_access": {"roles": ["all"]}, "preferred_username": format!("ann of {name}"),
        }))
    };
    assert_eq!(me(&with_token(&gateway, "who", &first.sign(&of("one")))), "ann of one");
    assert_eq!(me(&with_token(&gateway, "who", &second.sign(&of("two")))), "ann of two");
    refused(&gateway, "one signs for two", &first.sign(&of("two")));
    refused(&gateway, "two signs for one", &second.sign(&of("one")));
    // A claim with the usual name is not the nested one.
    let flat = claims(json!({"iss": "https://one.example.com"}));
    assert_eq!(with_token(&gateway, "who", &first.sign(&flat)).status, 403);
}

#[test]
fn a_remembered_token_ends_when_it_expires() {
    let tree = tree("leeway_seconds: 0\n");
    let gateway = unlimited(&tree);
    let token = signer(Algorithm::ES256).sign(&claims(json!({"exp": seconds(2)})));
    assert_eq!(with_token(&gateway, "who", &token).status, 200);
    eventually("the token expires", || with_token(&gateway, "who", &token).status == 401);
    refused(&gateway, "expired", &token);
}

#[test]
fn what_is_no_signing_key_signs_nothing() {
    let ed = signer(Algorithm::EdDSA);
    let tree = tree("");
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let mut encryption = serde_json::to_value(&ed.public).unwrap();
    encryption["use"] = json!("enc");
    let oct: Map<String, Value> =
        serde_json::from_value(json!({"kty": "oct", "k": secret, "kid": "s", "alg": "HS256"}))
            .unwrap();
    tree.write("policies/keys/all.json", &json!({"keys": [oct, encryption]}).to_string());
    let gateway = unlimited(&tree);
    refused(
        &gateway,
        "a secret among public keys",
        &hs256(SECRET.as_bytes(), Some("s"), &claims(json!({}))),
    );
    refused(&gateway, "a key for encryption", &ed.sign(&claims(json!({}))));
    assert_eq!(ed.public.common.key_algorithm, Some(KeyAlgorithm::EdDSA));
    let problems = gateway.status()["last_reload"]["problems"].clone();
    assert_eq!(problems[0]["code"], "UNSUPPORTED", "{problems}");
}
