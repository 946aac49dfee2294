//! What the stages of a request and the reloader report. An event names facts; what is counted or logged is
//! decided in `observe` alone.
//!
//! ```text
//! bytes ─ route ─ admit ─ authenticate ─ authorise ─ limit ─ params ─ cache ─ query ─ respond
//!           │       └─ AccessDenied ─────────┘    RateLimited        │  QueryFinished   └ RequestFinished
//!           └ Observer::request_started                     (state: in RequestFinished)
//! ```

use std::net::IpAddr;
use std::time::Duration;

use super::code::Code;
use super::label::label_enum;
use super::series::{DatasourceMetrics, InterfaceMetrics};

label_enum! {
    /// Where an answer came from: the `X-Cache` header.
    pub enum CacheState {
        Hit = "HIT",
        Miss = "MISS",
        Stale = "STALE",
        Bypass = "BYPASS",
    }
}

label_enum! {
    /// Why a caller was turned away by admit, authenticate or authorise.
    pub enum Denial {
        AddressNotAllowed = "address_not_allowed",
        OriginNotAllowed = "origin_not_allowed",
        MissingCredentials = "missing_credentials",
        MalformedCredentials = "malformed_credentials",
        UnknownKey = "unknown_key",
        ExpiredKey = "expired_key",
        UnknownIssuer = "unknown_issuer",
        InvalidToken = "invalid_token",
        ExpiredToken = "expired_token",
        /// The keys of a token's issuer cannot be fetched.
        KeysUnavailable = "keys_unavailable",
        /// Not looked at: too many failures from the same address.
        TooManyFailures = "too_many_failures",
        NotGranted = "not_granted",
        DataNotGranted = "data_not_granted",
    }
}

label_enum! {
    /// How one query against a datasource ended.
    pub enum QueryOutcome {
        Ok = "ok",
        /// The database answered with an error, or the connection broke.
        Error = "error",
        Timeout = "timeout",
        /// Nobody waited for the answer any more.
        Cancelled = "cancelled",
        /// Not sent: the queue was full or the breaker open.
        Refused = "refused",
    }
}

label_enum! {
    /// State of a datasource's breaker.
    pub enum BreakerState {
        Closed = "closed",
        HalfOpen = "half_open",
        Open = "open",
    }
}

/// Something that happened.
pub enum Event<'a> {
    /// The answer left, or its body ended.
    RequestFinished(RequestFinished<'a>),
    /// Admit, authenticate or authorise said no.
    AccessDenied { reason: Denial, request_id: &'a str, ip: Option<IpAddr> },
    /// The interface's rate limit said no.
    RateLimited { interface: &'a InterfaceMetrics },
    /// One query ended; `duration` counts from admission to the last row.
    QueryFinished {
        datasource: &'a DatasourceMetrics,
        outcome: QueryOutcome,
        duration: Duration,
        rows: u64,
    },
    /// An answer did not fit the interface's `response_schema`.
    SchemaMismatch { interface: &'a InterfaceMetrics, request_id: &'a str, detail: &'a str },
    /// A record did not reach the audit store; a strict call was refused for it, a buffered one was not.
    AuditLost { interface: &'a InterfaceMetrics, request_id: &'a str, error: &'a str },
    /// A datasource's breaker moved.
    BreakerChanged { datasource: &'a DatasourceMetrics, state: BreakerState, cause: &'a str },
    /// A reload ended, well or badly.
    ReloadFinished(ReloadFinished<'a>),
}

/// The end of one call.
pub struct RequestFinished<'a> {
    pub interface: &'a InterfaceMetrics,
    pub request_id: &'a str,
    /// Who called, as the log shows it; empty when anonymous.
    pub principal: &'a str,
    pub ip: Option<IpAddr>,
    pub method: &'a str,
    /// Path as sent, without the query string: that may hold values not meant for a log.
    pub path: &'a str,
    pub code: Code,
    /// HTTP status.
    pub status: u16,
    /// `None` for an interface without a cache, or a call that ended before it.
    pub cache: Option<CacheState>,
    pub duration: Duration,
    pub rows: u64,
    /// Body bytes, as sent.
    pub bytes: u64,
    /// Internal cause of a failure; never shown to the caller.
    pub error: Option<&'a str>,
    /// Whether it is a call of somebody's: a test run must not move the figures of those.
    pub is_counted: bool,
    /// Which series the interface wants: its `metrics.latency` and `metrics.errorRate`.
    pub measures_latency: bool,
    pub measures_codes: bool,
}

/// The end of one reload.
pub struct ReloadFinished<'a> {
    /// Where the definitions stand: a commit, or a counter.
    pub revision: &'a str,
    /// Content hash of the tree.
    pub hash: &'a str,
    pub duration: Duration,
    /// The problems, one rendered text each. Any problem means that the old generation keeps serving.
    pub problems: &'a [String],
    /// What the compiled tree holds; ignored when there are problems.
    pub counts: DefinitionCounts,
}

/// How many documents of each kind a generation holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefinitionCounts {
    pub interfaces: u64,
    pub datasources: u64,
    pub consumers: u64,
    pub roles: u64,
    pub jwt_issuers: u64,
}
