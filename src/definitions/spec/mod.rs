//! Specs: the YAML kinds as written. They are used only to compile a snapshot, never at run time.

use schemars::JsonSchema;
use serde::Deserialize;

pub mod consumer;
pub mod datasource;
pub mod interface;
pub mod jwt_issuer;
pub mod output;
pub mod parameter;
pub mod role;

/// Where a secret comes from; exactly one of the two. The secret itself never stands in YAML.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Environment variable that holds it.
    #[serde(default)]
    pub env: Option<String>,
    /// File that holds it; a line break at the end does not count.
    #[serde(default)]
    pub file: Option<String>,
}
