//! `kind: jwt_issuer` as written: whose tokens are believed, and how they are checked.

use schemars::JsonSchema;
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
    /// JWKS by URL.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Shared secret of HS256.
    #[serde(default)]
    pub hs256: Option<Secret>,
}

/// Signature algorithms that can be pinned. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Algorithm {
    HS256,
    RS256,
    ES256,
    EdDSA,
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
