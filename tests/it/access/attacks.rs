//! Attacks on tokens and headers, as a table: none of them passes, also where nobody has to say who it is.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};

use super::issuer::{
    ISSUER, SIGNERS, Signer, claims, encode_part, hs256, issuer, refused, seconds, signer, tree,
    unlimited,
};
use super::{whoami, with_token};
use crate::support::raw::Raw;
use crate::support::{KEY, Tree};

/// A token whose head and payload are these very texts, rightly signed.
fn signed(signer: &Signer, head: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(message.as_bytes(), &signer.key, signer.algorithm).unwrap();
    format!("{message}.{signature}")
}

/// A head of the signer with more in it.
fn head(signer: &Signer, more: Value) -> String {
    let mut head = json!({"alg": signer.algorithm, "kid": signer.public.common.key_id});
    head.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    head.to_string()
}

#[test]
fn heads_that_promise_what_does_not_hold() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let good = claims(json!({})).to_string();
    let stranger = Signer::new(Algorithm::EdDSA);
    for signer in &*SIGNERS {
        let plain = signed(signer, &head(signer, json!({})), &good);
        assert_eq!(with_token(&gateway, "who", &plain).status, 200, "the control");
        // What must be understood, and is not.
        for crit in [json!(["exp"]), json!(["b64"]), json!(["x"]), json!([])] {
            let head = head(signer, json!({"crit": crit, "b64": true, "x": 1}));
            refused(&gateway, &format!("crit {crit}"), &signed(signer, &head, &good));
        }
        // Another head for the same signature.
        let [_, payload, signature] = plain.split('.').collect::<Vec<_>>()[..] else { panic!() };
        for alg in
            ["none", "NONE", "nOnE", "HS256", "RS512", "ES384", "", "rs256", "es256", "eddsa"]
        {
            let head = encode_part(&json!({"alg": alg}));
            refused(&gateway, alg, &format!("{head}.{payload}.{signature}"));
            refused(&gateway, alg, &format!("{head}.{payload}."));
            refused(&gateway, alg, &format!("{head}.{payload}"));
        }
        for head in
            [json!({}), json!([]), json!("RS256"), json!({"alg": ["RS256"]}), json!({"alg": null})]
        {
            let head = encode_part(&head);
            refused(&gateway, "a head without algorithm", &format!("{head}.{payload}.{signature}"));
        }
        // Keys that come with the token, or from where it says.
        let jwk = serde_json::to_value(&stranger.public).unwrap();
        for carried in [
            json!({"jwk": jwk}),
            json!({"jku": "http://127.0.0.1:9/keys.json"}),
            json!({"x5u": "http://127.0.0.1:9/cert.pem"}),
            json!({"x5c": ["AAAA"]}),
        ] {
            let mut head = json!({"alg": "EdDSA"});
            head.as_object_mut().unwrap().extend(carried.as_object().unwrap().clone());
            refused(&gateway, &carried.to_string(), &signed(&stranger, &head.to_string(), &good));
        }
    }
    let twice = r#"{"alg":"none","alg":"EdDSA"}"#;
    refused(&gateway, "two algorithms", &signed(signer(Algorithm::EdDSA), twice, &good));
}

#[test]
fn names_of_keys_lead_nowhere() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let rsa = signer(Algorithm::RS256);
    let good = claims(json!({}));
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "policies/keys/all.json",
        "file:///dev/null",
        "http://127.0.0.1:9/key",
        "RS256' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "RS256\u{0}",
        "rs256",
        " RS256",
        "",
        "RS256,EdDSA",
        &"k".repeat(4_000),
    ] {
        // Signed with what the path would hold, and with the right key under the wrong name.
        for secret in [&b""[..], b"secret", b"\0"] {
            refused(&gateway, kid, &hs256(secret, Some(kid), &good));
        }
        let head = head(rsa, json!({"kid": kid}));
        refused(&gateway, kid, &signed(rsa, &head, &good.to_string()));
    }
    // The right name, of a key for another algorithm.
    let ed = signer(Algorithm::EdDSA);
    for kid in [json!("RS256"), json!("ES256"), json!(7), json!(["EdDSA"])] {
        let head = head(ed, json!({"kid": kid}));
        refused(&gateway, &head, &signed(ed, &head, &good.to_string()));
    }
}

#[test]
fn payloads_that_do_not_hold() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let signer = signer(Algorithm::EdDSA);
    let head = head(signer, json!({}));
    let (now, later) = (seconds(0), seconds(600));
    let with = |exp: &str| {
        format!(r#"{{"iss":"{ISSUER}","aud":"tidegate","sub":"ann","roles":["all"],"exp":{exp}}}"#)
    };
    for exp in
        [&later.to_string(), &format!("{later}.5"), "9999999999", "2e11", &format!("{later}.0")]
    {
        let answer = with_token(&gateway, "who", &signed(signer, &head, &with(exp)));
        assert_eq!(answer.status, 200, "exp {exp}");
    }
    let past = seconds(-61);
    for exp in [
        &past.to_string(),
        &format!("{past}.9"),
        "0",
        "-1",
        "-9999999999",
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        &format!("\"{later}\""),
        &format!("[{later}]"),
        // No moment of any calendar.
        "1e300",
        "1e999",
        "18446744073709551615",
        "9223372036854775808",
        "99999999999999999999999999",
        &(later * 1_000).to_string(),
        "NaN",
        "Infinity",
        "0x7fffffff",
    ] {
        refused(&gateway, &format!("exp {exp}"), &signed(signer, &head, &with(exp)));
    }
    for nbf in ["\"0\"", "null", "[]", "true", "-1", "1e300", &seconds(120).to_string()] {
        let payload = with(&later.to_string()).replace('}', &format!(",\"nbf\":{nbf}}}"));
        refused(&gateway, &format!("nbf {nbf}"), &signed(signer, &head, &payload));
    }
    let good = with(&later.to_string());
    let table = [
        ("aud of another", good.replace("\"tidegate\"", "\"Tidegate\"")),
        ("aud with more", good.replace("\"tidegate\"", "\"tidegate \"")),
        ("aud beginning so", good.replace("\"tidegate\"", "\"tidegate.example.com\"")),
        ("aud of nobody", good.replace("\"tidegate\"", "[]")),
        ("aud in a list in a list", good.replace("\"tidegate\"", "[[\"tidegate\"]]")),
        ("aud of numbers too", good.replace("\"tidegate\"", "[7,\"tidegate\"]")),
        ("aud as an object", good.replace("\"tidegate\"", "{\"tidegate\":true}")),
        ("aud null", good.replace("\"tidegate\"", "null")),
        ("iss with a slash", good.replace(ISSUER, &format!("{ISSUER}/"))),
        ("iss in capitals", good.replace(ISSUER, "https://SSO.example.com")),
        ("iss in a list", good.replace(&format!("\"{ISSUER}\""), &format!("[\"{ISSUER}\"]"))),
        ("iss twice", good.replace("\"aud\"", &format!("\"iss\":\"{ISSUER}\",\"aud\""))),
        ("iss of two", good.replace("\"aud\"", "\"iss\":\"https://evil.example.com\",\"aud\"")),
        ("aud twice", good.replace("\"sub\"", "\"aud\":\"other\",\"sub\"")),
        ("exp twice", good.replace("\"sub\"", &format!("\"exp\":{now},\"sub\""))),
        ("nbf twice", good.replace("\"sub\"", "\"nbf\":0,\"nbf\":0,\"sub\"")),
        ("a list", "[]".to_owned()),
        ("a text", "\"ann\"".to_owned()),
        ("nothing", String::new()),
        ("more behind it", format!("{good} {{}}")),
        ("deep", good.replace("\"ann\"", &format!("{}{}", "[".repeat(500), "]".repeat(500)))),
        ("another token", SIGNERS[0].sign(&claims(json!({})))),
    ];
    for (what, payload) in table {
        refused(&gateway, what, &signed(signer, &head, &payload));
    }
    let everyone = good.replace("\"tidegate\"", "[\"other\",\"tidegate\"]");
    assert_eq!(with_token(&gateway, "who", &signed(signer, &head, &everyone)).status, 200);
}

#[test]
fn tokens_of_another_form() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let signer = signer(Algorithm::ES256);
    let token = signer.sign(&claims(json!({})));
    let [head, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let nested = encode_part(&json!({"alg": "ES256", "cty": "JWT"}));
    let other = signer.sign(&claims(json!({"sub": "bob"})));
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut flipped = bytes.clone();
    flipped[20] ^= 1;
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for (what, token) in [
        ("five parts", format!("{head}..{payload}.{signature}.{signature}")),
        ("five parts around a good token", format!("{token}.{payload}.{signature}")),
        ("a nested token", format!("{nested}.{}.{signature}", part(token.as_bytes()))),
        ("no signature", format!("{head}.{payload}.")),
        ("a signature of zeros", format!("{head}.{payload}.{}", part(&[0; 64]))),
        ("half a signature", format!("{head}.{payload}.{}", part(&bytes[..32]))),
        ("a longer signature", format!("{head}.{payload}.{}", part(&[&bytes[..], &[0]].concat()))),
        ("one bit", format!("{head}.{payload}.{}", part(&flipped))),
        (
            "the signature of another",
            format!("{head}.{payload}.{}", other.rsplit('.').next().unwrap()),
        ),
        (
            "the payload of another",
            format!("{head}.{}.{signature}", other.split('.').nth(1).unwrap()),
        ),
        ("padding", format!("{head}.{payload}.{}", URL_SAFE.encode(&bytes))),
        ("padding in the middle", format!("{head}.{payload}=.{signature}")),
        ("the other alphabet", format!("{head}.{payload}.{}=", STANDARD.encode(&bytes))),
        ("a dot before", format!(".{token}")),
        ("a dot behind", format!("{token}.")),
        ("a space inside", token.replacen('.', " .", 1)),
        ("a tab inside", token.replacen('.', "\t.", 1)),
        ("two tokens", format!("{token} {other}")),
        ("two with a comma", format!("{token}, {other}")),
        ("in quotes", format!("\"{token}\"")),
        (
            "as JSON",
            json!({"payload": payload, "protected": head, "signature": signature}).to_string(),
        ),
        ("long", format!("{head}.{}.{signature}", "A".repeat(20_000))),
        ("a long head", format!("{}.{payload}.{signature}", "A".repeat(20_000))),
        ("a long name", format!("Bearer {token}")),
    ] {
        refused(&gateway, what, &token);
    }
    assert_eq!(with_token(&gateway, "who", &token).status, 200);
}

#[test]
fn credentials_stand_in_one_place_and_once() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let token = signer(Algorithm::EdDSA).sign(&claims(json!({})));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let key = format!("X-API-Key: {KEY}\r\n");
    let send = |path: &str, headers: &str| {
        let mut raw = Raw::connect(&gateway);
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n{headers}\r\n"));
        raw.answer().unwrap().status
    };
    for path in ["/data-api/who", "/data-api/open", "/openapi.json"] {
        for good in [&bearer, &key] {
            assert_eq!(send(path, good), 200, "{path} {good}");
        }
        for bad in [
            format!("{bearer}{bearer}"),
            format!("{bearer}Authorization: Bearer x\r\n"),
            format!("Authorization: Bearer x\r\n{bearer}"),
            format!("{key}{key}"),
            format!("{key}X-API-Key: wrong\r\n"),
            // A key beside a token, good or bad: which of the two would count?
            format!("{key}{bearer}"),
            format!("{key}Authorization: Bearer x\r\n"),
            format!("{key}Authorization: \r\n"),
            format!("X-API-Key: wrong\r\n{bearer}"),
            format!("X-API-Key: {token}\r\n"),
            format!("X-API-Key: Bearer {token}\r\n"),
            format!("X-API-Key: {KEY},{KEY}\r\n"),
            format!("X-API-Key: {KEY} x\r\n"),
            format!("X-API-Key: {}\r\n", KEY.to_uppercase()),
            format!("X-API-Key: {KEY}\u{a0}\r\n"),
            "X-API-Key: ключ\r\n".to_owned(),
            "X-API-Key: 密钥\r\n".to_owned(),
            format!("Authorization: Bearer {KEY}\r\n"),
            format!("Authorization: {token}\r\n"),
            format!("Authorization: Bearer\t{token}\r\n"),
            format!("Authorization: Basic {token}\r\n"),
            format!("Authorization: Bearer密 {token}\r\n"),
            "Authorization: Bearer\r\n".to_owned(),
        ] {
            assert_eq!(send(path, &bad), 401, "{path} {bad}");
        }
    }
    // Nor in the address.
    for name in ["access_token", "token", "api_key", "x-api-key"] {
        assert_eq!(gateway.get_with(&format!("/data-api/who?{name}={KEY}"), &[]).status, 401);
        assert_eq!(gateway.get_with(&format!("/data-api/who?{name}={token}"), &[]).status, 401);
    }
}

#[test]
fn a_remembered_token_ends_with_what_let_it_pass() {
    let tree = tree("");
    let gateway = unlimited(&tree);
    let token = signer(Algorithm::ES256).sign(&claims(json!({})));
    let all = "{jwks_file: policies/keys/all.json}";
    let good = || {
        issuer(&tree, "sso", ISSUER, all, "");
        let keys: Vec<_> = SIGNERS.iter().map(|signer| &signer.public).collect();
        tree.write("policies/keys/all.json", &json!({ "keys": keys }).to_string());
        gateway.reload();
        assert_eq!(with_token(&gateway, "who", &token).status, 200);
        assert_eq!(with_token(&gateway, "who", &token).status, 200, "when it is remembered");
    };
    let rsa = &signer(Algorithm::RS256).public;
    let changes: [(&str, &dyn Fn()); 5] = [
        ("its key goes", &|| {
            tree.write("policies/keys/all.json", &json!({ "keys": [rsa] }).to_string());
        }),
        ("its algorithm goes", &|| issuer(&tree, "sso", ISSUER, all, "algorithms: [RS256]")),
        ("its issuer has another name", &|| {
            issuer(&tree, "sso", "https://new.example.com", all, "")
        }),
        ("its audience changes", &|| {
            let file = tree.root().join("policies/sso.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            tree.write("policies/sso.yaml", &text.replace("audience: tidegate", "audience: other"));
        }),
        ("its issuer goes", &|| {
            std::fs::remove_file(tree.root().join("policies/sso.yaml")).unwrap()
        }),
    ];
    for (what, change) in changes {
        good();
        change();
        gateway.reload();
        refused(&gateway, what, &token);
    }
    // Roles are those of the generation that serves.
    good();
    issuer(&tree, "sso", ISSUER, all, "roles_map: {}");
    gateway.reload();
    assert_eq!(with_token(&gateway, "who", &token).status, 403);
}

#[test]
fn an_empty_secret_signs_nothing() {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    whoami(&tree, "who", "");
    whoami(&tree, "open", "visibility: public\nauth_required: false");
    tree.write("secrets/empty", "\n").write("secrets/short", "short");
    issuer(&tree, "empty", ISSUER, "{hs256: {file: secrets/empty}}", "");
    issuer(&tree, "short", "https://short.example.com", "{hs256: {file: secrets/short}}", "");
    let gateway = unlimited(&tree);
    for secret in [&b""[..], b"\n", b"\0"] {
        refused(&gateway, "an empty secret", &hs256(secret, None, &claims(json!({}))));
    }
    let problems = gateway.status()["last_reload"]["problems"].clone();
    let codes: Vec<&str> =
        problems.as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["SECRET_MISSING", "BAD_VALUE"], "{problems}");
}
