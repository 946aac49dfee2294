//! Credentials: of a valid one nothing passes but itself, and no bytes are a failure of ours.

use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::cases;
use super::trees::{Change, apply, change};
use crate::access::issuer::{ISSUER, SECRET, Signer};
use crate::support::{KEY, Tidegate, Tree};

/// A gateway that believes two issuers, and a token of each.
fn serve() -> (Tree, Tidegate, Vec<String>) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    tree.interface("code: n\ndatasource_id: lite\nquery_template: SELECT 1 AS n\n");
    let signer = Signer::new(Algorithm::EdDSA);
    tree.write("policies/keys/sso.json", &json!({"keys": [signer.public]}).to_string());
    tree.write("secrets/hs", SECRET);
    tree.write(
        "policies/issuers.yaml",
        &format!(
            "kind: jwt_issuer\nname: sso\nissuer: {ISSUER}\naudience: tidegate\nkeys: {{jwks_file: policies/keys/sso.json}}\n\
             roles_claim: roles\n---\nkind: jwt_issuer\nname: hs\nissuer: https://hs.example.com\naudience: tidegate\n\
             keys: {{hs256: {{file: secrets/hs}}}}\nroles_claim: roles\n"
        ),
    );
    let claims = |issuer: &str| json!({"iss": issuer, "aud": "tidegate", "sub": "ann", "exp": 4_102_444_800_u64, "roles": ["all"]});
    let secret = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(Algorithm::HS256);
    let hs = jsonwebtoken::encode(&header, &claims("https://hs.example.com"), &secret).unwrap();
    let gateway = tree.serve_with(&["--max-auth-failures-per-minute", "0"]);
    (tree, gateway, vec![signer.sign(&claims(ISSUER)), hs])
}

/// What is done to a token: to its text, or to what a part of it says.
#[derive(Clone, Debug)]
enum Forgery {
    Text(Vec<Change>),
    Inside(usize, Vec<Change>),
    Swap(usize),
    Header(&'static str),
}

fn forgery() -> impl Strategy<Value = Forgery> {
    let changes = || proptest::collection::vec(change(), 1..4);
    let headers = select(vec![
        r#"{"alg":"none"}"#,
        r#"{"alg":"None","typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS512","typ":"JWT"}"#,
        r#"{"alg":"RS256","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"../../secrets/hs"}"#,
        r#"{"alg":"EdDSA","crit":["x"],"kid":"EdDSA"}"#,
        r#"{"alg":["HS256"]}"#,
        "{}",
        "[]",
        "\u{0}",
    ]);
    prop_oneof![
        changes().prop_map(Forgery::Text),
        (0..3_usize, changes()).prop_map(|(part, changes)| Forgery::Inside(part, changes)),
        (0..3_usize).prop_map(Forgery::Swap),
        headers.prop_map(Forgery::Header),
    ]
}

fn forged(token: &str, other: &str, forgery: &Forgery) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    match forgery {
        Forgery::Text(changes) => {
            let mut text = token.to_owned();
            changes.iter().for_each(|change| apply(&mut text, change));
            return text;
        }
        Forgery::Inside(part, changes) => {
            // Bytes of a signature are taken for letters of Latin-1, so that they can be changed as texts are.
            let bytes = URL_SAFE_NO_PAD.decode(&parts[*part]).unwrap();
            let mut text: String = bytes.into_iter().map(char::from).collect();
            changes.iter().for_each(|change| apply(&mut text, change));
            let bytes: Vec<u8> = text.chars().map(|c| u32::from(c) as u8).collect();
            parts[*part] = URL_SAFE_NO_PAD.encode(bytes);
        }
        Forgery::Swap(part) => {
            other.split('.').nth(*part).unwrap().clone_into(&mut parts[*part]);
        }
        Forgery::Header(header) => parts[0] = URL_SAFE_NO_PAD.encode(header),
    }
    parts.join(".")
}

#[test]
fn a_changed_token_is_no_token() {
    let (_tree, gateway, tokens) = serve();
    let with = |token: &str| {
        gateway.get_with("/data-api/n", &[("authorization", &format!("Bearer {token}"))]).status
    };
    let property = |(which, forgery): (usize, Forgery)| {
        let (token, other) = (&tokens[which], &tokens[1 - which]);
        let forged = forged(token, other, &forgery);
        // What is no header's value cannot be sent; spaces at the ends are not part of it.
        if !forged.chars().all(|c| (' '..='~').contains(&c)) || forged.trim() == token {
            return Ok(());
        }
        prop_assert_eq!(with(&forged), 401, "{}", forged);
        Ok(())
    };
    TestRunner::new(cases(300)).run(&(0..2_usize, forgery()), property).unwrap();
    for token in &tokens {
        assert_eq!(with(token), 200, "the valid one passes");
    }
}

#[test]
fn no_text_is_a_credential_by_chance() {
    let (_tree, gateway, _) = serve();
    let scheme =
        select(vec!["Bearer ", "bearer  ", "Basic ", "Bearer", "", "Digest ", "Bearer a "]);
    let text = prop_oneof!["[ -~]{0,60}", "[A-Za-z0-9_.=-]{0,200}", Just(".".repeat(20_000))];
    let key = prop_oneof![
        "[ -~]{1,40}",
        Just(format!("{KEY}x")),
        Just(KEY.to_uppercase()),
        Just(KEY[1..].to_owned()),
        Just(crate::support::sha256(KEY)),
    ];
    let property = |(scheme, text, key): (&str, String, String)| {
        let value = format!("{scheme}{text}");
        let bearer = gateway.get_with("/data-api/n", &[("authorization", &value)]).status;
        // A head that is too large is refused as such.
        prop_assert!(matches!(bearer, 401 | 431), "{}: {}", value, bearer);
        if key.trim() != KEY {
            prop_assert_eq!(gateway.get_with("/data-api/n", &[("x-api-key", &key)]).status, 401);
            let both =
                gateway.get_with("/data-api/n", &[("authorization", &value), ("x-api-key", KEY)]);
            prop_assert!(matches!(both.status, 401 | 431), "two kinds at once");
        }
        Ok(())
    };
    TestRunner::new(cases(150)).run(&(scheme, text, key), property).unwrap();
    assert_eq!(gateway.get("/data-api/n").status, 200);
}
