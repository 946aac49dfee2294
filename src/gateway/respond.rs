//! Responses: status, headers, envelope.

use bytes::Bytes;
use http::header::{
    AGE, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, LINK, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::answer::{self, Answered};
use super::body::{Body, compress};
use super::error::ApiError;
use super::exchange::{Exchange, Outcome};
use super::messages::Message;
use super::negotiate::{self, Encoding};
use crate::definitions::snapshot::{Binding, Interface};
use crate::observe::code::Code;
use crate::observe::event::{CacheState, Event};
use crate::query::encode::Format;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REVISION: HeaderName = HeaderName::from_static("x-definitions-revision");
const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Headers of most answers: room for them is made once. (A map for twelve has no more room than this.)
const USUAL_HEADERS: usize = 12;
const X_TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");
/// What a cache must look at beside the address; on refusals and 304 too.
const VARIES_BY: &str = "Accept, Accept-Encoding, Accept-Language, Origin";
/// Headers that the scripts of pages may read, beyond the usual.
const EXPOSED: &str = "X-Request-Id, X-Definitions-Revision, X-Cache, X-Truncated, Age, ETag, Retry-After, \
    RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Deprecation, Sunset, Link, Content-Disposition";

/// An answer that is well.
pub async fn well(
    mut exchange: Exchange,
    answered: Answered,
    format: Format,
    headers: &HeaderMap,
) -> Response<Body> {
    let encoding = if format == Format::Xlsx { None } else { negotiate::encoding(headers) };
    let (body, etag, truncated) = match answered {
        Answered::Whole { body, rows, truncated, etag } => {
            let matched = etag.as_deref().is_some_and(|etag| matches(headers, etag));
            let (status, body) = if matched { (304, Bytes::new()) } else { (200, body) };
            let outcome =
                Outcome { code: Code::Ok, status, rows, bytes: body.len() as u64, error: None };
            if let Err(error) = exchange.finish(&outcome).await {
                return unrecorded(exchange, &error.to_string());
            }
            if matched {
                let mut response = base(&exchange, StatusCode::NOT_MODIFIED, Body::empty());
                set_etag(&mut response, etag.as_deref());
                return response;
            }
            (Body::Full(body), etag, truncated)
        }
        Answered::Parts(running) => return in_parts(exchange, running, format, encoding).await,
    };
    let (body, encoding) = compress(body, encoding).await;
    let mut response = base(&exchange, StatusCode::OK, body);
    describe(&mut response, &exchange, format, encoding);
    set_etag(&mut response, etag.as_deref());
    if truncated {
        response.headers_mut().insert(X_TRUNCATED, HeaderValue::from_static("true"));
    }
    response
}

async fn in_parts(
    mut exchange: Exchange,
    running: answer::Running,
    format: Format,
    encoding: Option<Encoding>,
) -> Response<Body> {
    let mut response = base(&exchange, StatusCode::OK, Body::empty());
    describe(&mut response, &exchange, format, encoding);
    if exchange.method == Method::HEAD {
        // Nobody takes the parts, and the call is well all the same.
        drop(running);
        let outcome = Outcome { code: Code::Ok, status: 200, rows: 0, bytes: 0, error: None };
        if let Err(error) = exchange.finish(&outcome).await {
            return unrecorded(exchange, &error.to_string());
        }
        return response.map(|_| Body::Stream(Box::pin(futures::stream::empty())));
    }
    let parts = Body::Stream(answer::parts(running, exchange, 200));
    let (body, _) = compress(parts, encoding).await;
    response.map(|_| body)
}

/// What the body is.
fn describe(
    response: &mut Response<Body>,
    exchange: &Exchange,
    format: Format,
    encoding: Option<Encoding>,
) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    set_encoding(headers, encoding);
    if let (true, Some(interface)) = (format.is_export(), &exchange.interface) {
        let extension = if format == Format::Csv { "csv" } else { "xlsx" };
        insert(
            headers,
            CONTENT_DISPOSITION,
            &format!("attachment; filename=\"{}.{extension}\"", interface.code),
        );
    }
}

/// Says how the body is compressed.
pub fn set_encoding(headers: &mut HeaderMap, encoding: Option<Encoding>) {
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
    }
}

fn set_etag(response: &mut Response<Body>, etag: Option<&str>) {
    if let Some(etag) = etag {
        insert(response.headers_mut(), ETAG, etag);
    }
}

fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || plain(tag) == plain(etag))
}

/// An answer that is not well.
pub async fn failed(mut exchange: Exchange, error: ApiError) -> Response<Body> {
    if let Some(reason) = error.denial {
        let (request_id, ip) = (exchange.request_id.as_str(), Some(exchange.ip));
        exchange.gateway.observer.report(&Event::AccessDenied { reason, request_id, ip });
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
fn unrecorded(mut exchange: Exchange, cause: &str) -> Response<Body> {
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

fn refusal(exchange: &Exchange, error: &ApiError, body: Bytes) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = base(exchange, status, Body::Full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = error.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(after) = error.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds(after)));
    }
    if error.message == Message::MalformedRequest {
        // Whoever sent it may have meant another one, so nothing behind it is taken for a request.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if error.code == Code::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Whole seconds, rounded up, at least one.
pub fn seconds(duration: std::time::Duration) -> u64 {
    duration.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
}

/// A response with the headers that every answer has.
pub fn base(exchange: &Exchange, status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(USUAL_HEADERS);
    insert(headers, X_REQUEST_ID, &exchange.request_id);
    insert(headers, X_REVISION, &exchange.generation.revision);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static(VARIES_BY));
    if let Some(origin) = &exchange.origin {
        insert(headers, HeaderName::from_static("access-control-allow-origin"), origin);
        headers.insert("access-control-expose-headers", HeaderValue::from_static(EXPOSED));
        if exchange
            .interface
            .as_ref()
            .and_then(|i| i.cors.as_ref())
            .is_some_and(|cors| cors.allow_credentials)
        {
            headers.insert("access-control-allow-credentials", HeaderValue::from_static("true"));
        }
    }
    if let Some(allowance) = exchange.allowance {
        headers.insert(RATELIMIT_LIMIT, number(allowance.limit));
        headers.insert(RATELIMIT_REMAINING, number(allowance.remaining));
        headers.insert(RATELIMIT_RESET, number(seconds(allowance.reset)));
    }
    if let Some(interface) = &exchange.interface {
        of_interface(headers, exchange, interface);
    }
    response
}

fn of_interface(headers: &mut HeaderMap, exchange: &Exchange, interface: &Interface) {
    if let Some(deprecation) = &interface.deprecation {
        insert(headers, HeaderName::from_static("deprecation"), &deprecation.since);
        if let Some(sunset) = &deprecation.sunset {
            insert(headers, HeaderName::from_static("sunset"), sunset);
        }
        if let Some((path, version)) = &interface.successor {
            // A pattern with segments is no address; a version at the same path is where this call went.
            let path = if *path == interface.path { &exchange.path } else { path };
            insert(
                headers,
                LINK,
                &format!("<{path}?version={version}>; rel=\"successor-version\""),
            );
        }
    }
    if let (Some(state), Some(policy)) = (exchange.cache, interface.cache) {
        headers.insert(X_CACHE, HeaderValue::from_static(state.as_str()));
        if state != CacheState::Bypass {
            headers.insert(AGE, number(exchange.cache_age_seconds));
            let left = policy.ttl.as_secs().saturating_sub(exchange.cache_age_seconds);
            let scope = if is_for_all(interface) { "public" } else { "private" };
            let left = itoa::Buffer::new().format(left).to_owned();
            insert(headers, CACHE_CONTROL, &[scope, ", max-age=", &left].concat());
        }
    }
}

/// Whether every caller may get the same answer: nobody need say who it is, and nothing is made of who it is.
fn is_for_all(interface: &Interface) -> bool {
    let is_of_caller = |binding: &Binding| {
        matches!(binding, Binding::PrincipalName | Binding::Claim(_) | Binding::RequestIp)
    };
    !interface.auth_required && !interface.query.bindings.iter().any(is_of_caller)
}

/// A number as a header's value. The crate's own conversion takes two allocations.
fn number(number: impl itoa::Integer) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    HeaderValue::from_str(digits.format(number)).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
