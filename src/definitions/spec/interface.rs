//! `kind: interface` as written: a parameterised query and how it is served.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use super::output::{Aggregate, Field, FieldType, Total, Transform};
pub use super::parameter::{Choice, Control, Items, Location, Options, ParamType, Parameter};

/// A data interface: a query template served as an HTTP API under `/data-api/`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Stable identity, unique together with `version`.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$"))]
    pub code: String,
    /// Name shown to people.
    #[serde(default)]
    pub name: Option<String>,
    /// What the interface answers.
    #[serde(default)]
    pub description: Option<String>,
    /// Semantic version.
    #[serde(default = "first_version")]
    pub version: String,
    /// Serve this version where a call names none.
    #[serde(default)]
    pub default: bool,
    /// Life cycle.
    #[serde(default)]
    pub status: Status,
    /// When a deprecated interface became so: `YYYY-MM-DD`.
    #[serde(default)]
    pub deprecated_at: Option<String>,
    /// When a deprecated interface will go: `YYYY-MM-DD`.
    #[serde(default)]
    pub sunset_at: Option<String>,
    /// Business domains or systems; roles may grant by tag.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Person or team in charge.
    #[serde(default)]
    pub owner: Option<String>,
    /// Who may call at all.
    #[serde(default)]
    pub visibility: Visibility,
    /// Address; `{name}` segments are parameters with `in: path`. Default: `/data-api/{code}`.
    #[serde(default)]
    pub path: Option<String>,
    /// HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Callers must prove who they are.
    #[serde(default = "yes")]
    pub auth_required: bool,
    /// Requests per second and burst.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Addresses or networks that may call; empty: all.
    #[serde(default)]
    pub ip_whitelist: Vec<String>,
    /// Cross-origin policy.
    #[serde(default)]
    pub cors: Option<Cors>,
    /// Parameters of a call.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Accept parameters that are not declared, and ignore them.
    #[serde(default)]
    pub allow_unknown: bool,
    /// Datasource to query.
    pub datasource_id: String,
    /// How the query is written.
    #[serde(default)]
    pub query_type: QueryType,
    /// The query.
    #[serde(default)]
    pub query_template: Option<String>,
    /// File with the query, beside the YAML file.
    #[serde(default)]
    pub query_file: Option<String>,
    /// Names in the template: `$.parameters.x`, `$.principal.name`, `$.principal.claims.x`, `$.request.ip`, `$.now`.
    #[serde(default)]
    pub param_binding: BTreeMap<String, String>,
    /// Deadline of a request, in milliseconds; default: the datasource's `limits.timeout_ms`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: Option<u64>,
    /// One read-only statement, no unconditional scan, capped results.
    #[serde(default = "yes")]
    pub safe_mode: bool,
    /// Pages.
    #[serde(default)]
    pub pagination: Option<Pagination>,
    /// JSON Schema of the whole answer.
    #[serde(default)]
    pub response_schema: Option<Map<String, Value>>,
    /// How often answers are checked against `response_schema`.
    #[serde(default)]
    pub validate_response: ValidateResponse,
    /// What happens to rows after the query.
    #[serde(default)]
    pub transform: Option<Transform>,
    /// A query for a totals row, answered in `meta.totals`.
    #[serde(default)]
    pub total: Option<Total>,
    /// How people see the output columns.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// An example answer.
    #[serde(default)]
    pub example: Option<Map<String, Value>>,
    /// Cache of answers.
    #[serde(default)]
    pub cache: Option<Cache>,
    /// Record of calls.
    #[serde(default)]
    pub audit: Audit,
    /// What is measured.
    #[serde(default)]
    pub metrics: Option<MetricsSwitch>,
    /// Tests run by `tidegate test`.
    #[serde(default)]
    pub tests: Vec<TestCase>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<String>,
    /// Who made it.
    #[serde(default)]
    pub created_by: Option<String>,
    /// Who last changed it.
    #[serde(default)]
    pub updated_by: Option<String>,
}

/// Life cycle of an interface version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Draft,
    #[default]
    Active,
    Deprecated,
    Disabled,
}

/// Who may call at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    #[default]
    Internal,
    Partner,
    Public,
}

/// HTTP method of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Post,
}

/// How the query is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryType {
    #[default]
    Sql,
    StoredProc,
    Aggregation,
    Dsl,
}

/// Requests per second and burst.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second, on average.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    pub rps: f64,
    /// Requests at once; default: `rps`, at least 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// What is counted together.
    #[serde(default)]
    pub by: LimitBy,
}

/// What a rate limit counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitBy {
    #[default]
    Caller,
    Ip,
    Interface,
}

/// Cross-origin policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Exact origins (`https://app.example.com`), or `*` for any.
    pub allowed_origins: Vec<String>,
    /// Request headers a page may send, beyond the usual.
    #[serde(default)]
    pub allowed_headers: Vec<String>,
    /// Pages may send credentials.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a browser may keep the preflight, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub max_age_seconds: Option<u32>,
}

/// Pages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// Answers come in pages.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Most rows of a page.
    #[serde(default = "page_cap")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_page_size: u64,
    /// Rows of a page where the call does not say.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub default_page_size: Option<u64>,
    /// Whether all rows are counted.
    #[serde(default)]
    pub count: Count,
}

/// Whether all rows are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    #[default]
    Auto,
    None,
}

/// How often answers are checked against the response schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValidateResponse {
    Off,
    #[default]
    Sample,
    Always,
}

/// Cache of answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Answers are kept.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How long an answer is fresh, in seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub ttl_seconds: u64,
    /// How long after that the old answer may still be given while a new one is made, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub stale_seconds: u64,
}

/// Record of calls: `true` strict, `buffered`, or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audit {
    Off,
    #[default]
    Buffered,
    Strict,
}

impl<'de> Deserialize<'de> for Audit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(true) => Ok(Self::Strict),
            Value::Bool(false) => Ok(Self::Off),
            Value::String(text) if text == "buffered" => Ok(Self::Buffered),
            _ => Err(serde::de::Error::custom("expected true, false or buffered")),
        }
    }
}

impl JsonSchema for Audit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Audit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Record of calls: `true` is strict (stored before the answer leaves), `buffered` does not wait, `false` is off.",
            "enum": [true, "buffered", false],
        })
    }
}

/// What is measured.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsSwitch {
    /// Latency histogram.
    #[serde(default = "yes")]
    pub latency: bool,
    /// Errors by code.
    #[serde(default = "yes", rename = "errorRate")]
    pub error_rate: bool,
}

/// A test of the interface.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// Who calls: a consumer or role by name, or a token with `roles` and `claims`; none: anonymous.
    #[serde(default, rename = "as")]
    pub caller: Option<Caller>,
    /// Claims of the caller, over those it has; without `as`: a token without roles.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Parameters of the call.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
}

/// Who calls in a test.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Caller {
    /// A consumer, else a role.
    Name(String),
    /// A token.
    Token(TokenCaller),
}

/// A token that calls in a test.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenCaller {
    /// Its subject.
    pub name: Option<String>,
    /// Roles it has.
    pub roles: Vec<String>,
    /// Claims it has.
    pub claims: Map<String, Value>,
}

/// What an answer must be; what is not given is not looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// HTTP status.
    pub status: Option<u16>,
    /// Code of the envelope.
    pub code: Option<String>,
    /// Number of rows.
    pub rows: Option<u64>,
    /// The whole `data`.
    pub data: Option<Value>,
    /// JSON path → value at it.
    pub json_path: Map<String, Value>,
}

fn first_version() -> String {
    "1.0.0".to_owned()
}

fn yes() -> bool {
    true
}

fn page_cap() -> u64 {
    1_000
}
