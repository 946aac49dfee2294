//! Responses: status, headers, envelope.

use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{Method, StatusCode};

use super::answer::{self, Answered};
use super::body::{Body, compress};
use super::error::ApiError;
use super::exchange::{Exchange, Outcome};
use super::head::{Head, Reply};
use super::headers::Headers;
use super::messages::Message;
use super::negotiate::{self, Encoding};
use crate::definitions::snapshot::{Binding, Interface};
use crate::observe::code::Code;
use crate::observe::event::{CacheState, Event};
use crate::query::encode::Format;

/// What a cache must look at beside the address; on refusals and 304 too.
pub const VARY: &str = "vary: Accept, Accept-Encoding, Accept-Language, Origin\r\n";
const NO_SNIFFING: &str = "x-content-type-options: nosniff\r\n";
/// Headers that the scripts of pages may read, beyond the usual.
const EXPOSED: &str = "X-Request-Id, X-Definitions-Revision, X-Cache, X-Truncated, Age, ETag, Retry-After, \
    RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Deprecation, Sunset, Link, Content-Disposition";

/// An answer that is well.
pub async fn well(
    mut exchange: Exchange,
    answered: Answered,
    format: Format,
    headers: Headers<'_>,
) -> Reply {
    let encoding = if format == Format::Xlsx { None } else { negotiate::encoding(headers) };
    let (body, entry, rows, truncated) = match answered {
        Answered::Whole { body, rows, truncated } => (body, None, rows, truncated),
        Answered::Kept(entry) => {
            let (rows, truncated) = (entry.rows, entry.truncated);
            (entry.body.clone(), Some(entry), rows, truncated)
        }
        Answered::Parts(running) => return in_parts(exchange, running, format, encoding).await,
    };
    let etag = entry.as_ref().map(|entry| &*entry.etag);
    let matched = etag.is_some_and(|etag| matches(headers, etag));
    let (status, bytes) = if matched { (304, 0) } else { (200, body.len() as u64) };
    let outcome = Outcome { code: Code::Ok, status, rows, bytes, error: None };
    if let Err(error) = exchange.finish(&outcome).await {
        return unrecorded(exchange, &error.to_string());
    }
    if matched {
        let mut head = fresh(&exchange, StatusCode::NOT_MODIFIED);
        put_etag(&mut head, etag);
        return Reply::new(head, Body::empty());
    }
    let (body, encoding) = compress(Body::Full(body), encoding).await;
    let mut head = fresh(&exchange, StatusCode::OK);
    describe(&mut head, &exchange, format, encoding);
    put_etag(&mut head, etag);
    if truncated {
        head.put("x-truncated", "true");
    }
    Reply::new(head, body)
}

async fn in_parts(
    mut exchange: Exchange,
    running: answer::Running,
    format: Format,
    encoding: Option<Encoding>,
) -> Reply {
    let mut head = fresh(&exchange, StatusCode::OK);
    describe(&mut head, &exchange, format, encoding);
    if exchange.method == Method::HEAD {
        // Nobody takes the parts, and the call is well all the same.
        drop(running);
        let outcome = Outcome { code: Code::Ok, status: 200, rows: 0, bytes: 0, error: None };
        if let Err(error) = exchange.finish(&outcome).await {
            return unrecorded(exchange, &error.to_string());
        }
        return Reply::new(head, Body::Stream(Box::pin(futures::stream::empty())));
    }
    let parts = Body::Stream(answer::parts(running, exchange, 200));
    let (body, _) = compress(parts, encoding).await;
    Reply::new(head, body)
}

/// What the body is.
fn describe(head: &mut Head, exchange: &Exchange, format: Format, encoding: Option<Encoding>) {
    head.put_known("content-type", &[format.media_type()]);
    put_encoding(head, encoding);
    if let (true, Some(interface)) = (format.is_export(), exchange.interface()) {
        let extension = if format == Format::Csv { ".csv\"" } else { ".xlsx\"" };
        head.put_parts(
            "content-disposition",
            &["attachment; filename=\"", &interface.code, extension],
        );
    }
}

/// Says how the body is compressed.
pub fn put_encoding(head: &mut Head, encoding: Option<Encoding>) {
    if let Some(encoding) = encoding {
        head.put("content-encoding", encoding.as_str());
    }
}

fn put_etag(head: &mut Head, etag: Option<&str>) {
    if let Some(etag) = etag {
        head.put_known("etag", &[etag]);
    }
}

fn matches(headers: Headers<'_>, etag: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(&IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || plain(tag) == plain(etag))
}

/// An answer that is not well.
pub async fn failed(mut exchange: Exchange, error: ApiError) -> Reply {
    if let Some(reason) = error.denial {
        let (request_id, ip) = (exchange.request_id.as_str(), Some(exchange.ip));
        exchange.gateway().observer.report(&Event::AccessDenied { reason, request_id, ip });
    }
    let body = Bytes::from(error.to_json(exchange.language).to_string());
    let (bytes, reason) = (body.len() as u64, error.reason());
    let outcome =
        Outcome { code: error.code, status: error.status, rows: 0, bytes, error: Some(&reason) };
    if let Err(lost) = exchange.finish(&outcome).await {
        return unrecorded(exchange, &lost.to_string());
    }
    refusal(&exchange, &error, body)
}

/// The strict record could not be stored, so the answer stays here.
fn unrecorded(mut exchange: Exchange, cause: &str) -> Reply {
    let error = ApiError::new(Code::InternalError, Message::Internal).because(cause);
    let body = Bytes::from(error.to_json(exchange.language).to_string());
    exchange.report(&Outcome {
        code: error.code,
        status: error.status,
        rows: 0,
        bytes: body.len() as u64,
        error: Some(cause),
    });
    refusal(&exchange, &error, body)
}

fn refusal(exchange: &Exchange, error: &ApiError, body: Bytes) -> Reply {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut head = base(exchange, status);
    head.put_lines(VARY);
    head.put("content-type", "application/json");
    head.put("cache-control", "no-store");
    if let Some(allow) = error.allow {
        head.put("allow", allow);
    }
    if let Some(after) = error.retry_after {
        head.put_number("retry-after", seconds(after));
    }
    // Whoever sent what is malformed may have meant another request, so nothing behind it is taken for one.
    head.is_last = error.message == Message::MalformedRequest;
    if error.code == Code::Unauthorized {
        head.put("www-authenticate", "Bearer");
    }
    Reply::new(head, Body::Full(body))
}

/// Whole seconds, rounded up, at least one.
pub fn seconds(duration: std::time::Duration) -> u64 {
    duration.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
}

/// The headers of an answer with data: those of all, and how long it may be kept.
fn fresh(exchange: &Exchange, status: StatusCode) -> Head {
    let mut head = base(exchange, status);
    head.put_lines(VARY);
    let Some(interface) = exchange.interface() else { return head };
    let (Some(state), Some(policy)) = (exchange.cache, interface.cache) else { return head };
    if state != CacheState::Bypass {
        head.put_number("age", exchange.cache_age_seconds);
        let scope = if is_for_all(interface) { "public" } else { "private" };
        let left = policy.ttl.as_secs().saturating_sub(exchange.cache_age_seconds);
        let mut digits = itoa::Buffer::new();
        let left = digits.format(left);
        head.put_known("cache-control", &[scope, ", max-age=", left]);
    }
    head
}

/// The headers that every answer has.
pub fn base(exchange: &Exchange, status: StatusCode) -> Head {
    let at_seconds = u64::try_from(exchange.at.as_second()).unwrap_or_default();
    let mut head = Head::new(status, at_seconds);
    head.put_known("x-request-id", &[&exchange.request_id]);
    head.put_known("x-definitions-revision", &[&exchange.generation().revision]);
    head.put_lines(NO_SNIFFING);
    if let Some(origin) = &exchange.origin {
        head.put("access-control-allow-origin", origin);
        head.put("access-control-expose-headers", EXPOSED);
        let cors = exchange.interface().and_then(|interface| interface.cors.as_ref());
        if cors.is_some_and(|cors| cors.allow_credentials) {
            head.put("access-control-allow-credentials", "true");
        }
    }
    if let Some(allowance) = exchange.allowance {
        head.put_number("ratelimit-limit", allowance.limit);
        head.put_number("ratelimit-remaining", allowance.remaining);
        head.put_number("ratelimit-reset", seconds(allowance.reset));
    }
    if let Some(interface) = exchange.interface() {
        of_interface(&mut head, exchange, interface);
    }
    head
}

fn of_interface(head: &mut Head, exchange: &Exchange, interface: &Interface) {
    if let Some(deprecation) = &interface.deprecation {
        head.put("deprecation", &deprecation.since);
        if let Some(sunset) = &deprecation.sunset {
            head.put("sunset", sunset);
        }
        if let Some((path, version)) = &interface.successor {
            // A pattern with segments is no address; a version at the same path is where this call went.
            let path = if *path == interface.path { &exchange.path } else { path };
            let link = ["<", path, "?version=", version, ">; rel=\"successor-version\""];
            head.put_parts("link", &link);
        }
    }
    if let (Some(state), Some(_)) = (exchange.cache, interface.cache) {
        head.put_known("x-cache", &[state.as_str()]);
    }
}

/// Whether every caller may get the same answer: nobody need say who it is, and nothing is made of who it is.
fn is_for_all(interface: &Interface) -> bool {
    let is_of_caller = |binding: &Binding| {
        matches!(binding, Binding::PrincipalName | Binding::Claim(_) | Binding::RequestIp)
    };
    !interface.auth_required && !interface.query.bindings.iter().any(is_of_caller)
}
