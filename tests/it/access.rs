//! Who may call: keys, tokens, roles, visibility, addresses. What does not prove itself does not pass.

mod addresses;
mod attacks;
mod failures;
pub mod issuer;
mod jwks;
mod keys;
mod roles_map;
mod tokens;
mod usage;

use serde_json::Value;

use crate::support::{Answer, Tidegate, Tree};

/// An interface that answers with its caller's name.
fn whoami(tree: &Tree, code: &str, more: &str) {
    tree.interface(&format!(
        "code: {code}\ndatasource_id: lite\nparam_binding: {{me: $.principal.name}}\n\
         query_template: \"SELECT :me AS me\"\n{more}\n"
    ));
}

fn me(answer: &Answer) -> Value {
    answer.data()[0]["me"].clone()
}

/// Status of a call with an API key.
fn with_key(gateway: &Tidegate, code: &str, key: &str) -> u16 {
    gateway.get_with(&format!("/data-api/{code}"), &[("x-api-key", key)]).status
}

/// Answer to a call with a token.
fn with_token(gateway: &Tidegate, code: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    gateway.get_with(&format!("/data-api/{code}"), &[("authorization", &bearer)])
}
