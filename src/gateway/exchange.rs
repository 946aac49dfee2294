//! One call from its first byte to its last: what is known of it, and what is reported at its end.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, Method};
use jiff::Timestamp;

use super::Gateway;
use super::headers::Headers;
use super::messages::Language;
use super::negotiate;
use crate::access::authorize::granting;
use crate::access::limit::Allowance;
use crate::access::principal::Principal;
use crate::access::rights::Granted;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::Audit;
use crate::live::generation::Generation;
use crate::observe::code::Code;
use crate::observe::event::{CacheState, Event, RequestFinished};
use crate::observe::series::InterfaceMetrics;
use crate::store::audit::{AuditError, AuditRecord, ExecuteKind, PrincipalKind};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Characters of a request id of our own.
const OWN_ID_CHARS: usize = 14 + 1 + 8;
/// Longest request id that is taken over from a caller.
const MAX_REQUEST_ID: usize = 128;
/// Databases quote so much of a value at least.
const MAX_QUOTED_CHARS: usize = 64;
/// Longest path in a record, in bytes.
const MAX_PATH: usize = 1_024;

/// The gateway with the generation that serves a call. A connection keeps one from call to call: references to it are counted
/// by that connection alone, those to what all share by all processors at once, which takes longer than many a stage.
pub struct Pinned {
    pub gateway: Arc<Gateway>,
    pub generation: Arc<Generation>,
}

impl Pinned {
    /// With the generation that serves now.
    pub fn new(gateway: &Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self { gateway: gateway.clone(), generation: gateway.live.current() })
    }
}

/// What is known of a call so far.
pub struct Exchange {
    pub pinned: Arc<Pinned>,
    pub started: Instant,
    pub at: Timestamp,
    pub request_id: String,
    pub ip: IpAddr,
    pub method: Method,
    pub path: String,
    pub language: Language,
    /// Index of the interface in the generation.
    pub index: Option<usize>,
    /// The code whose address it was though nothing answers there, or none; where that is to be recorded.
    pub missed: Option<String>,
    pub principal: Option<Arc<Principal>>,
    /// What the caller may see, on a governed datasource.
    pub granted: Option<Granted>,
    /// Parameters for the record, sensitive ones masked.
    pub params: Option<String>,
    /// Values of sensitive parameters, which databases quote in their errors.
    pub secrets: Vec<String>,
    pub cache: Option<CacheState>,
    pub cache_age_seconds: u64,
    pub kind: ExecuteKind,
    /// Origin to allow in the answer.
    pub origin: Option<String>,
    pub allowance: Option<Allowance>,
    /// Past the rate limit: from here on a strict record is waited for.
    pub passed: bool,
    is_finished: bool,
    /// One of the calls that the process may work on at once; the others are refused.
    pub is_admitted: bool,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub code: Code,
    pub status: u16,
    pub rows: u64,
    pub bytes: u64,
    pub error: Option<&'a str>,
}

impl Exchange {
    /// Begins a call, which `pinned` serves to its end.
    pub fn begin(
        pinned: &Arc<Pinned>,
        method: &Method,
        path: &str,
        headers: Headers<'_>,
        peer: IpAddr,
    ) -> Self {
        let at = Timestamp::now();
        let gateway = &pinned.gateway;
        let path: String = path[..path.floor_char_boundary(MAX_PATH.min(path.len()))].to_owned();
        Self {
            pinned: pinned.clone(),
            started: Instant::now(),
            at,
            request_id: request_id(headers, at),
            ip: super::admit::address(peer, headers, &gateway.settings),
            method: method.clone(),
            path,
            language: negotiate::language(headers),
            index: None,
            missed: None,
            principal: None,
            granted: None,
            params: None,
            secrets: Vec::new(),
            cache: None,
            cache_age_seconds: 0,
            kind: ExecuteKind::Query,
            origin: None,
            allowance: None,
            passed: false,
            is_finished: false,
            is_admitted: gateway.observer.request_started() <= gateway.settings.max_in_flight,
        }
    }

    /// The gateway it came to.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.pinned.gateway
    }

    /// The generation that serves it.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.pinned.generation
    }

    /// The interface that was found for it.
    pub fn interface(&self) -> Option<&Arc<Interface>> {
        self.generation().snapshot.interfaces.get(self.index?)
    }

    /// Reports the end of the call. With a strict record, returns once it is stored.
    ///
    /// # Errors
    /// Where a strict record could not be stored: then the answer must not leave.
    pub async fn finish(&mut self, outcome: &Outcome<'_>) -> Result<(), AuditError> {
        let stored = match self.audit_mode() {
            Audit::Strict if self.passed => match &self.gateway().audit {
                Some(audit) => audit.strict(self.record(outcome)).await,
                None => Ok(()),
            },
            Audit::Strict | Audit::Buffered => {
                self.buffer(outcome);
                Ok(())
            }
            Audit::Off => Ok(()),
        };
        if let Err(error) = &stored {
            self.report_lost(&error.to_string());
        } else {
            self.report(outcome);
        }
        stored
    }

    fn audit_mode(&self) -> Audit {
        match self.interface() {
            Some(interface) => interface.audit,
            None if self.missed.is_some() => Audit::Buffered,
            None => Audit::Off,
        }
    }

    fn buffer(&self, outcome: &Outcome<'_>) {
        if let Some(audit) = &self.gateway().audit
            && !audit.buffered(self.record(outcome))
        {
            self.report_lost("the queue is full");
        }
    }

    fn report_lost(&self, error: &str) {
        self.gateway().observer.report(&Event::AuditLost {
            interface: self.metrics(),
            request_id: &self.request_id,
            error,
        });
    }

    fn metrics(&self) -> &InterfaceMetrics {
        match self.interface() {
            Some(interface) => &self.generation().runtime(interface).metrics,
            None => self.gateway().observer.metrics().unknown_interface(),
        }
    }

    /// Counts and logs the end.
    pub fn report(&mut self, outcome: &Outcome<'_>) {
        self.is_finished = true;
        let interface = self.interface();
        let is_measured =
            |wanted: fn(&Interface) -> bool| interface.is_none_or(|interface| wanted(interface));
        self.gateway().observer.report(&Event::RequestFinished(RequestFinished {
            interface: self.metrics(),
            request_id: &self.request_id,
            principal: self.principal.as_ref().map_or("", |principal| &*principal.name),
            ip: Some(self.ip),
            method: self.method.as_str(),
            path: &self.path,
            code: outcome.code,
            status: outcome.status,
            cache: self.cache,
            duration: self.started.elapsed(),
            rows: outcome.rows,
            bytes: outcome.bytes,
            error: self.mask(outcome.error).as_deref(),
            is_counted: self.kind != ExecuteKind::Test,
            measures_latency: is_measured(|interface| interface.measures_latency),
            measures_codes: is_measured(|interface| interface.measures_codes),
        }));
    }

    /// A cause without what follows from the first sensitive value on.
    fn mask<'a>(&self, error: Option<&'a str>) -> Option<Cow<'a, str>> {
        let error = error?;
        let begin = |secret: &String| {
            let end =
                secret.char_indices().nth(MAX_QUOTED_CHARS).map_or(secret.len(), |(at, _)| at);
            error.find(&secret[..end])
        };
        Some(match self.secrets.iter().filter_map(begin).min() {
            Some(at) => Cow::Owned(format!("{}***", &error[..at])),
            None => Cow::Borrowed(error),
        })
    }

    fn record(&self, outcome: &Outcome<'_>) -> AuditRecord {
        let policies = &self.generation().snapshot.policies;
        let (interface, version) = match self.interface() {
            Some(interface) => {
                let runtime = self.generation().runtime(interface);
                (runtime.code.clone(), runtime.version.clone())
            }
            None => (Arc::from(self.missed.as_deref().unwrap_or_default()), Arc::from("")),
        };
        let principal = self.principal.as_deref();
        let roles = match (principal, self.interface()) {
            // Whoever was turned away has roles too, and they are the first thing to look at.
            (Some(principal), _) if !self.passed => {
                let roles = principal.roles.iter().filter_map(|role| policies.roles.get(*role));
                roles.map(|role| Arc::from(role.name.as_str())).collect()
            }
            (Some(principal), Some(interface)) => {
                let mut roles: Vec<Arc<str>> =
                    granting(principal, interface, policies).map(Arc::from).collect();
                for role in self.granted.iter().flat_map(|granted| &granted.rights.roles) {
                    if roles.iter().all(|known| **known != **role) {
                        roles.push(role.as_str().into());
                    }
                }
                roles
            }
            _ => Vec::new(),
        };
        AuditRecord {
            at: self.at,
            request_id: self.request_id.clone(),
            interface,
            version,
            principal_kind: principal.map_or(PrincipalKind::Anonymous, |principal| principal.kind),
            principal: principal.map_or_else(|| Arc::from(""), |principal| principal.name.clone()),
            issuer: principal.and_then(|principal| principal.issuer.clone()),
            roles,
            ip: Some(self.ip),
            method: self.method.as_str().to_owned(),
            path: self.path.clone(),
            params: self.params.clone(),
            code: outcome.code,
            status: outcome.status,
            rows: outcome.rows,
            bytes: outcome.bytes,
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            queue_us: None,
            database_us: None,
            cache: self.cache,
            revision: self.generation().revision.clone(),
            kind: self.kind,
            error: self.mask(outcome.error).map(Cow::into_owned),
            sql_fingerprint: None,
        }
    }
}

impl Drop for Exchange {
    /// A caller that goes away in mid-answer leaves a record too.
    fn drop(&mut self) {
        self.gateway().observer.request_ended();
        if self.is_finished {
            return;
        }
        let error = Some("the caller went away");
        let outcome = Outcome { code: Code::Ok, status: 499, rows: 0, bytes: 0, error };
        if self.audit_mode() != Audit::Off {
            self.buffer(&outcome);
        }
        self.report(&outcome);
    }
}

/// The caller's id where it is sane, else the trace id of `traceparent`, else one of our own that grows with time.
fn request_id(headers: Headers<'_>, at: Timestamp) -> String {
    let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_sane = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b))
    };
    if let Some(id) = header(&X_REQUEST_ID).filter(is_sane) {
        return id.to_owned();
    }
    if let Some(trace) = header(&TRACEPARENT).and_then(trace_id) {
        return trace.to_owned();
    }
    let mut id = String::with_capacity(OWN_ID_CHARS);
    push_hex(&mut id, at.as_microsecond().cast_unsigned(), 14);
    id.push('-');
    push_hex(&mut id, rand::random::<u32>().into(), 8);
    id
}

/// The last `digits` digits of a number.
fn push_hex(out: &mut String, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit)) & 15;
        out.push(char::from(b"0123456789abcdef"[nibble as usize]));
    }
}

/// The trace id of a W3C `traceparent`.
fn trace_id(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && trace.bytes().any(|b| b != b'0')
        && is_hex(span, 16)
        && is_hex(parts.next()?, 2);
    is_valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_sane() {
        let id = |name: &'static str, value: &'static str| {
            let headers =
                http::HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            request_id(Headers::of(&headers), Timestamp::now())
        };
        assert_eq!(id("x-request-id", "abc-1"), "abc-1");
        assert_ne!(id("x-request-id", "a b"), "a b");
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            id("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            trace
        );
        assert_ne!(
            id("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01").len(),
            32
        );
    }
}
