//! `kind: consumer` as written: a calling system and its API keys.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A calling system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// Identity, shown in audit records.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Roles it has.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What queries may read of it as `$.principal.claims.…`.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Keys it may use; several at once, so that one can replace another without a gap.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
}

/// An API key, known by its hash only.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Name of the key within its consumer.
    pub id: String,
    /// SHA-256 of the key, as 64 hexadecimal digits.
    pub sha256: String,
    /// Last day or moment it works: `YYYY-MM-DD` or RFC 3339; none: for ever.
    #[serde(default)]
    pub expires_at: Option<String>,
}
