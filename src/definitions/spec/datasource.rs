//! `kind: datasource` as written: a database the gateway may query.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Secret;

/// A database that interfaces query.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Datasource {
    /// Identity, used as `datasource_id` by interfaces.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"))]
    pub id: String,
    /// Name shown to people.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Database kind.
    #[serde(rename = "type")]
    pub engine: EngineKind,
    /// SQLite: the database file, relative to the root.
    #[serde(default)]
    pub path: Option<String>,
    /// SQLite: SQL file run once, when the database file is created.
    #[serde(default)]
    pub init: Option<String>,
    /// Host name or address.
    #[serde(default)]
    pub host: Option<String>,
    /// Port; default: the engine's usual one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Database (schema on MySQL).
    #[serde(default)]
    pub database: Option<String>,
    /// User to log in as.
    #[serde(default)]
    pub username: Option<String>,
    /// Where the password comes from.
    #[serde(default)]
    pub password: Option<Secret>,
    /// TLS to the database.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Sessions are read-only.
    #[serde(default = "yes")]
    pub read_only: bool,
    /// Closed to whatever no role grants by its `data`; else interfaces alone decide.
    #[serde(default)]
    pub governed: bool,
    /// Connection pool.
    #[serde(default)]
    pub pool: Pool,
    /// What one datasource may use.
    #[serde(default)]
    pub limits: Limits,
}

/// Database kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    Sqlite,
    Postgres,
    Mysql,
    Presto,
    Trino,
    Starrocks,
    Hive,
}

/// TLS to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `disable`: never; `require`: encrypted, certificate not checked; `verify`: certificate and host name checked.
    #[serde(default)]
    pub mode: TlsMode,
    /// PEM file of the authorities to trust, relative to the root; default: the web's.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// How strictly TLS is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    Disable,
    Require,
    #[default]
    Verify,
}

/// Connection pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Most connections at once.
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: u32,
    /// Longest wait for a new connection, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub connect_timeout_ms: u64,
    /// A connection idle for longer is closed, in milliseconds.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub idle_timeout_ms: u64,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max_connections: 8, connect_timeout_ms: 2_000, idle_timeout_ms: 300_000 }
    }
}

/// What one datasource may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most queries at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: u32,
    /// Most queries waiting; more are refused with 503.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_queue: u32,
    /// Longest query, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub timeout_ms: u64,
    /// Most rows of one answer under safe mode.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_rows: u64,
    /// Most bytes of one answer under safe mode.
    #[schemars(range(min = 1024, max = 1_099_511_627_776_u64))]
    pub max_result_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_queue: 256,
            timeout_ms: 30_000,
            max_rows: 100_000,
            max_result_bytes: 268_435_456,
        }
    }
}

fn yes() -> bool {
    true
}
