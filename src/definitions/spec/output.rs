//! The output of an interface as written: transforms, totals, and how people see the columns.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What happens to rows after the query.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Transform {
    /// Column → new name.
    pub rename: BTreeMap<String, String>,
    /// Columns left out.
    pub omit: Vec<String>,
    /// Column → code → label.
    pub value_map: BTreeMap<String, BTreeMap<String, Value>>,
    /// New column → expression over the row.
    pub computed: BTreeMap<String, String>,
    /// Column → figure over the rows of the answer, into `meta.summary`.
    pub summary: BTreeMap<String, Aggregate>,
}

/// A figure over a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

/// A query for a totals row.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Total {
    /// The query; its first row is the totals.
    pub query_template: String,
}

/// How people see an output column.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Column of the answer.
    pub name: String,
    /// Header.
    #[serde(default)]
    pub title: Option<String>,
    /// What the column holds.
    #[serde(default, rename = "type")]
    pub kind: FieldType,
    /// Number or date format shown, such as `#,##0.00`.
    #[serde(default)]
    pub format: Option<String>,
    /// First header of a two-level header.
    #[serde(default)]
    pub group: Option<String>,
    /// Shown in tables.
    #[serde(default = "yes")]
    pub show: bool,
    /// Part of exports (CSV, XLSX).
    #[serde(default = "yes")]
    pub export: bool,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
}

/// What an output column holds and how it is shown (the seed's output data types).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    #[default]
    String,
    Integer,
    Decimal,
    Percent,
    PlainInteger,
    PlainDecimal,
    PlainPercent,
    Percent1,
    Decimal1,
    Year,
    Date,
    Month,
    Number,
    Boolean,
    Datetime,
    Json,
}

fn yes() -> bool {
    true
}
