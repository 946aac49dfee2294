//! The parameters of an interface as written: what a call may say, and how people enter it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A parameter of a call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name, in the call and in the template.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"))]
    pub name: String,
    /// Where it stands in the call; default: `query`, for `method: POST` `body`.
    #[serde(default, rename = "in")]
    pub location: Option<Location>,
    /// Type it is coerced to.
    #[serde(default, rename = "type")]
    pub kind: ParamType,
    /// Type of the items of an `array`.
    #[serde(default)]
    pub items: Option<Items>,
    /// A call without it is refused.
    #[serde(default)]
    pub required: bool,
    /// Value where the call has none.
    #[serde(default)]
    pub default: Option<Value>,
    /// Allowed values; for an `array`, of its items.
    #[serde(default, rename = "enum")]
    pub allowed: Option<Vec<Value>>,
    /// Format: `yyyy-MM-dd` and the like for dates, `email`, `uuid`, `ipv4`, `ipv6`, `uri` for strings.
    #[serde(default)]
    pub format: Option<String>,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
    /// Label shown to people.
    #[serde(default)]
    pub title: Option<String>,
    /// An example.
    #[serde(default)]
    pub example: Option<Value>,
    /// Longest text, in characters; for an `array`, most items.
    #[serde(default)]
    pub max_length: Option<u64>,
    /// Shortest text, in characters; for an `array`, fewest items.
    #[serde(default)]
    pub min_length: Option<u64>,
    /// Largest value: a number, or a date as text.
    #[serde(default)]
    pub maximum: Option<Value>,
    /// Smallest value: a number, or a date as text.
    #[serde(default)]
    pub minimum: Option<Value>,
    /// Regular expression that the text must match.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Never shown in audit records and logs.
    #[serde(default)]
    pub sensitive: bool,
    /// How people enter it.
    #[serde(default)]
    pub control: Option<Control>,
    /// Values people choose from.
    #[serde(default)]
    pub options: Option<Options>,
    /// The parameter whose value narrows the options.
    #[serde(default)]
    pub depends_on: Option<String>,
}

/// Where a parameter stands in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    Path,
    Query,
    Header,
    Body,
}

/// Type of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    #[default]
    String,
    Number,
    Integer,
    Boolean,
    Date,
    Datetime,
    Array,
    Object,
}

/// Items of an array parameter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// Type of each item; not `array` or `object`.
    #[serde(default, rename = "type")]
    pub kind: ParamType,
}

/// How people enter a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    Date,
    Month,
    Select,
    MultiSelect,
    Text,
}

/// Values people choose from: fixed, or rows of another interface.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Fixed choices.
    #[serde(default)]
    pub values: Vec<Choice>,
    /// Code of the interface whose rows are the choices.
    #[serde(default)]
    pub interface: Option<String>,
    /// Column of that interface with the value.
    #[serde(default)]
    pub value_column: Option<String>,
    /// Column of that interface with the label.
    #[serde(default)]
    pub label_column: Option<String>,
}

/// A fixed choice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Value sent.
    pub value: Value,
    /// Label shown; default: the value.
    #[serde(default)]
    pub label: Option<String>,
}
