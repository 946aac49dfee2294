//! Roles of a token: where its claim stands, what form it has, and what its values stand for.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::issuer::{claims, issuer, signer};
use super::{whoami, with_token};
use crate::support::{Tidegate, Tree};

/// A gateway that knows an issuer, and has roles `reader`, `writer` that grant an interface each.
fn serve(more: &str) -> (Tree, Tidegate) {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    for role in ["reader", "writer"] {
        whoami(&tree, role, "");
        tree.write(
            &format!("policies/{role}.yaml"),
            &format!("kind: role\nname: {role}\ninterfaces: [{role}]\n"),
        );
    }
    let keys = json!({"keys": [signer(Algorithm::EdDSA).public]}).to_string();
    tree.write("policies/keys/all.json", &keys);
    let keys = "{jwks_file: policies/keys/all.json}";
    issuer(&tree, "sso", super::issuer::ISSUER, keys, more);
    let gateway = tree.serve();
    (tree, gateway)
}

/// Which of the two interfaces such claims may call.
fn granted(gateway: &Tidegate, changes: Value) -> Vec<&'static str> {
    let mut changes = changes;
    changes.as_object_mut().unwrap().entry("roles").or_insert(Value::Null);
    let token = signer(Algorithm::EdDSA).sign(&claims(changes));
    let statuses =
        ["reader", "writer"].map(|code| (code, with_token(gateway, code, &token).status));
    let granted = statuses.into_iter().filter(|(_, status)| match status {
        200 => true,
        403 => false,
        other => panic!("{other}"),
    });
    granted.map(|(code, _)| code).collect()
}

#[test]
fn values_stand_for_what_the_map_says() {
    let map = "roles_map: {realm-admin: [reader, writer], \"team/a~b\": reader, none: []}\n";
    let (_tree, gateway) = serve(map);
    for (roles, expected) in [
        (json!(["realm-admin"]), &["reader", "writer"][..]),
        (json!(["team/a~b"]), &["reader"]),
        (json!("team/a~b other"), &["reader"]),
        (json!(["none", "other"]), &[]),
        // Names of roles are not the issuer's words.
        (json!(["reader", "writer"]), &[]),
        (json!("writer"), &[]),
        (json!(["Realm-Admin", "realm-admin "]), &[]),
        (json!([["realm-admin"]]), &[]),
        (json!({"realm-admin": true}), &[]),
    ] {
        assert_eq!(granted(&gateway, json!({"roles": roles})), expected, "{roles}");
    }
}

#[test]
fn without_a_map_values_are_names_of_roles() {
    let (_tree, gateway) = serve("");
    for (roles, expected) in [
        (json!(["reader"]), &["reader"][..]),
        (json!("reader writer"), &["reader", "writer"]),
        (json!("reader,writer"), &["reader", "writer"]),
        (json!(["reader writer"]), &[]),
        (json!(["READER"]), &[]),
        (json!(""), &[]),
    ] {
        assert_eq!(granted(&gateway, json!({"roles": roles})), expected, "{roles}");
    }
    let (_tree, gateway) = serve("roles_map: {}\n");
    assert!(
        granted(&gateway, json!({"roles": ["reader"]})).is_empty(),
        "an empty map maps nothing"
    );
}

#[test]
fn the_claim_may_be_nested_and_its_name_hold_dots() {
    for (path, claims) in [
        ("realm_access.roles", json!({"realm_access": {"roles": ["reader"]}})),
        ("realm_access.roles", json!({"realm_access": {"roles": "reader other"}})),
        ("realm_access.roles", json!({"realm_access.roles": ["reader"]})),
        ("https://example.com/roles", json!({"https://example.com/roles": ["reader"]})),
        (
            "resource_access.my.client.roles",
            json!({"resource_access": {"my.client": {"roles": ["reader"]}}}),
        ),
        ("scope", json!({"scope": "openid reader"})),
    ] {
        let (_tree, gateway) = serve(&format!("roles_claim: {path}\n"));
        assert_eq!(granted(&gateway, claims.clone()), ["reader"], "{path} {claims}");
        let elsewhere = json!({"roles": ["reader", "writer"]});
        assert!(granted(&gateway, elsewhere).is_empty(), "{path}");
    }
}
