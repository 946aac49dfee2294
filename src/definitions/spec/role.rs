//! `kind: role` as written: what a caller with the role may call.

use schemars::JsonSchema;
use serde::Deserialize;

/// A named set of grants.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Identity, used by consumers and token claims.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Interfaces it may call, as globs on their code.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Interfaces it may call, by tag.
    #[serde(default)]
    pub tags: Vec<String>,
}
