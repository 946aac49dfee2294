//! `kind: role` as written: what a caller with the role may call, and what of the data it sees.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// What it sees of governed datasources; grants add up.
    #[serde(default)]
    pub data: Vec<DataGrant>,
}

/// What a role sees of some tables, or functions it may call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataGrant {
    /// Datasources, as a glob on their id.
    pub datasource: String,
    /// Tables and views, as a glob: `fact_sales`, `fact_*`, or with the schema (MySQL: database) `public.*`.
    #[serde(default)]
    pub table: Option<String>,
    /// Columns shown and masked; default: all, as they are.
    #[serde(default)]
    pub columns: Option<Columns>,
    /// Rows shown, as an SQL condition with `$principal.name` and `$principal.claims.NAME`; default: all.
    #[serde(default)]
    pub rows: Option<String>,
    /// Functions and procedures of the database itself that may be called, as globs on `name` or `schema.name`.
    #[serde(default)]
    pub functions: Vec<String>,
}

/// Columns of a grant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Only these are shown, and those that are masked.
    pub allow: Option<Vec<String>>,
    /// These are not shown.
    pub deny: Vec<String>,
    /// Column to mask: `null`, `redact`, `first4`, `last4`, `partial`, `hash`, `email`, `year`, `round`, `{partial: {prefix, suffix}}`,
    /// `{round: STEP}` or `{sql: EXPRESSION}`.
    #[schemars(schema_with = "masks")]
    pub mask: Map<String, Value>,
}

fn masks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["null", "string", "object"] } })
}
