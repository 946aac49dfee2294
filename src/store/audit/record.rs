//! One audited call, and how it lies in the table.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row as _;

use crate::observe::code::Code;
use crate::observe::event::CacheState;
use crate::observe::label_enum;
use crate::store::backend::Row;

/// Longest parameters kept, in bytes of JSON text.
pub const MAX_PARAMS_BYTES: usize = 16 * 1024;
/// Longest of any other text kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 4 * 1024;

label_enum! {
    /// What kind of caller it was.
    pub enum PrincipalKind {
        /// A consumer with an API key.
        Consumer = "consumer",
        /// The subject of a JWT.
        Token = "token",
        /// An operator, through the admin address or the command line.
        Admin = "admin",
        Anonymous = "anonymous",
    }
}

label_enum! {
    /// What the call was for.
    pub enum ExecuteKind {
        Query = "query",
        /// Another form than JSON: csv, xlsx, …
        Export = "export",
        /// A test run from the admin address.
        Test = "test",
    }
}

/// One audited call. Texts longer than the limits above are cut when the record is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When the call came in.
    pub at: Timestamp,
    pub request_id: String,
    /// Interface code and version.
    pub interface: Arc<str>,
    pub version: Arc<str>,
    pub principal_kind: PrincipalKind,
    /// Name of the consumer, subject of the token, operator; empty when anonymous.
    pub principal: Arc<str>,
    /// Name of the `jwt_issuer` that vouched for a token.
    pub issuer: Option<Arc<str>>,
    /// The roles that let the call pass; all of the caller's where none did.
    pub roles: Vec<Arc<str>>,
    pub ip: Option<IpAddr>,
    pub method: String,
    /// Path as sent, without the query string.
    pub path: String,
    /// The parameters as a JSON object, secrets already masked.
    pub params: Option<String>,
    pub code: Code,
    /// HTTP status.
    pub status: u16,
    pub rows: u64,
    /// Body bytes.
    pub bytes: u64,
    pub duration_us: u64,
    /// Time spent waiting for the datasource to take the query.
    pub queue_us: Option<u64>,
    /// Time the query ran.
    pub database_us: Option<u64>,
    pub cache: Option<CacheState>,
    /// Revision of the definitions that answered.
    pub revision: Arc<str>,
    pub kind: ExecuteKind,
    /// Why it failed: the cause that callers are not told, or what they were told, in English.
    pub error: Option<String>,
    /// Fingerprint of the statement that ran.
    pub sql_fingerprint: Option<String>,
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with time; never used twice.
    pub id: i64,
    pub record: AuditRecord,
}

/// The columns, in the order of [`AuditRecord::bind`].
pub(super) const COLUMNS: &str = "at, request_id, interface, version, principal_kind, principal, issuer, roles, ip, \
    method, path, params, code, status, row_count, byte_count, duration_us, queue_us, database_us, cache, revision, \
    kind, error, sql_fingerprint";

impl AuditRecord {
    /// Cuts texts to their limits, so that the queue is bounded in bytes too. Cut parameters stay valid JSON.
    pub(super) fn bounded(mut self) -> Self {
        let texts = [&mut self.request_id, &mut self.method, &mut self.path];
        let optional = [&mut self.error, &mut self.sql_fingerprint];
        for text in texts.into_iter().chain(optional.into_iter().flatten()) {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        }
        if let Some(params) = self.params.as_mut().filter(|params| params.len() > MAX_PARAMS_BYTES)
        {
            let head = &params[..params.floor_char_boundary(MAX_PARAMS_BYTES)];
            *params = serde_json::json!({ "truncated": head }).to_string();
        }
        self
    }
}

impl AuditEntry {
    /// Reads a row of `id` and [`COLUMNS`].
    pub(super) fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let optional = |column: &str| row.try_get::<Option<String>, _>(column);
        let count =
            |column: &str| Ok::<u64, sqlx::Error>(row.try_get::<i64, _>(column)?.cast_unsigned());
        let optional_count = |column: &str| {
            Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(i64::cast_unsigned))
        };
        let at: i64 = row.try_get("at")?;
        let roles: Vec<Arc<str>> = serde_json::from_str(&text("roles")?).map_err(decode)?;
        let ip = optional("ip")?.map(|ip| ip.parse().map_err(decode)).transpose()?;
        let cache =
            optional("cache")?.map(|text| known("cache", CacheState::parse(&text))).transpose()?;
        let record = AuditRecord {
            at: Timestamp::from_microsecond(at).map_err(decode)?,
            request_id: text("request_id")?,
            interface: text("interface")?.into(),
            version: text("version")?.into(),
            principal_kind: known(
                "principal_kind",
                PrincipalKind::parse(&text("principal_kind")?),
            )?,
            principal: text("principal")?.into(),
            issuer: optional("issuer")?.map(Into::into),
            roles,
            ip,
            method: text("method")?,
            path: text("path")?,
            params: optional("params")?,
            code: known("code", Code::parse(&text("code")?))?,
            status: u16::try_from(row.try_get::<i32, _>("status")?).map_err(decode)?,
            rows: count("row_count")?,
            bytes: count("byte_count")?,
            duration_us: count("duration_us")?,
            queue_us: optional_count("queue_us")?,
            database_us: optional_count("database_us")?,
            cache,
            revision: text("revision")?.into(),
            kind: known("kind", ExecuteKind::parse(&text("kind")?))?,
            error: optional("error")?,
            sql_fingerprint: optional("sql_fingerprint")?,
        };
        Ok(Self { id: row.try_get("id")?, record })
    }
}

/// SQL has no unsigned integers; what does not fit is as good as the largest that does.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn known<T>(column: &str, value: Option<T>) -> Result<T, sqlx::Error> {
    value.ok_or_else(|| sqlx::Error::Decode(format!("unknown {column}").into()))
}
