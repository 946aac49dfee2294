//! Key sets and settings that somebody broke: problems or warnings, never a panic, nothing unknown accepted.

use std::sync::LazyLock;

use jsonwebtoken::Algorithm;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use tidegate::access::authenticate::Authenticator;
use tidegate::definitions::compile::compile;
use tidegate::definitions::load::load;
use tidegate::settings::Given;

use super::cases;
use super::trees::{Change, apply, change};
use crate::access::issuer::Signer;
use crate::support::Tree;

static KEYS: LazyLock<String> = LazyLock::new(|| {
    let keys = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
        .map(|algorithm| Signer::new(algorithm).public);
    serde_json::to_string_pretty(&json!({"keys": keys})).unwrap()
});

const SETTINGS: &str = "listen: 127.0.0.1:9000\nadmin_listen: \"[::1]:9001\"\nthreads: 2\ndata_dir: data\n\
    trusted_proxies: [10.0.0.0/8, \"::1\"]\nmax_body_bytes: 1048576\ncache_bytes: 1000000\naudit_retention_days: 7\n\
    drain_timeout_ms: 500\nlog_format: json\nlog: info\n";

fn changed(text: &str, changes: &[Change]) -> String {
    let mut text = text.to_owned();
    changes.iter().for_each(|change| apply(&mut text, change));
    text
}

fn prepare(keys: &str) -> Result<usize, String> {
    let tree = Tree::new();
    tree.write("policies/keys.json", keys);
    tree.write(
        "policies/sso.yaml",
        "kind: jwt_issuer\nname: sso\nissuer: https://sso.example.com\naudience: a\nkeys: {jwks_file: policies/keys.json}\nroles_claim: r\n",
    );
    let snapshot = compile(&load(tree.root())).map_err(|problems| format!("{problems:?}"))?;
    let mut warnings = Vec::new();
    let _ = Authenticator::prepare(&snapshot.policies, tree.root(), None, &mut warnings);
    Ok(warnings.len())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn key_sets(changes in vec(change(), 1..5)) {
        let _ = prepare(&changed(&KEYS, &changes));
    }

    #[test]
    fn settings(changes in vec(change(), 1..4), unknown in "[a-z_]{3,12}", value in "[a-z0-9]{1,5}|\\[\\]|\\{\\}") {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidegate.yaml");
        std::fs::write(&file, changed(SETTINGS, &changes)).unwrap();
        let _ = Given::default().decide(dir.path());
        if !tidegate_keys().contains(&unknown) {
            std::fs::write(&file, format!("{SETTINGS}{unknown}: {value}\n")).unwrap();
            prop_assert!(Given::default().decide(dir.path()).is_err(), "{} is taken", unknown);
        }
    }
}

/// The keys of `tidegate.yaml`: the flags of `serve`, as its help lists them.
fn tidegate_keys() -> &'static std::collections::BTreeSet<String> {
    static KEYS: LazyLock<std::collections::BTreeSet<String>> = LazyLock::new(|| {
        let (_, help, _) = crate::support::run(&["serve", "--help"]);
        let flag = regex::Regex::new("--([a-z-]+)").unwrap();
        let keys: std::collections::BTreeSet<String> =
            flag.captures_iter(&help).map(|flag| flag[1].replace('-', "_")).collect();
        assert!(keys.contains("cache_bytes"));
        keys
    });
    &KEYS
}

#[test]
fn what_is_not_broken_is_taken() {
    assert_eq!(prepare(&KEYS), Ok(0));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tidegate.yaml"), SETTINGS).unwrap();
    Given::default().decide(dir.path()).unwrap();
}
