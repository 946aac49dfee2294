//! `kind: jwt_issuer` as written: whose tokens are believed, and how they are checked.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::Secret;

/// An issuer of tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtIssuer {
    /// Identity within the definitions.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim must hold this.
    pub audience: String,
    /// Keys that sign.
    pub keys: Keys,
    /// Algorithms that pass; default: those that the keys are for.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// Claim with the roles, dots for nesting: `realm_access.roles`.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// Value of the roles claim to a role, or to a list of them. Where it is given, values that it does not name give none.
    #[serde(default)]
    #[schemars(schema_with = "roles_map")]
    pub roles_map: Option<BTreeMap<String, MappedRoles>>,
    /// Claim with the caller's name.
    #[serde(default = "sub")]
    pub name_claim: String,
    /// How far clocks may differ, in seconds.
    #[serde(default = "leeway")]
    #[schemars(range(min = 0, max = 600))]
    pub leeway_seconds: u64,
}

/// Keys that sign; exactly one of the sources.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// JWKS file, relative to the root.
    #[serde(default)]
    pub jwks_file: Option<String>,
    /// JWKS by URL: `https`, or `http` on the own machine.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// PEM file of the authorities that `jwks_url` is trusted by, relative to the root; default: those of the web.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// Shared secret of HS256.
    #[serde(default)]
    pub hs256: Option<Secret>,
}

/// What a value of the roles claim stands for.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum MappedRoles {
    One(String),
    Several(Vec<String>),
}

/// Signature algorithms that can be pinned. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Algorithm {
    HS256,
    RS256,
    ES256,
    EdDSA,
}

/// A text or a list in one schema: of two, a wrong value would only be told what it is not.
fn roles_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "additionalProperties": { "type": ["string", "array"], "items": { "type": "string" } },
    })
}

fn roles() -> String {
    "roles".to_owned()
}

fn sub() -> String {
    "sub".to_owned()
}

fn leeway() -> u64 {
    60
}
