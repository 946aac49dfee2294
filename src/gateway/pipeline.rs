//! The request path on one page.
//!
//! ```text
//! route ─ admit ─ authenticate ─ authorise ─ limit ─ params ─ cache ─ query ─ respond
//! ```
//! Nothing before the query touches a datasource. Each stage is a function of its own; this page only calls them.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use http_body::Body as HttpBody;

use super::answer::{self, Answered, Question};
use super::body::Body;
use super::error::ApiError;
use super::exchange::{Exchange, Outcome, Pinned};
use super::head::Reply;
use super::headers::Headers;
use super::input::{self, BodyLimits};
use super::messages::Message;
use super::{admit, negotiate, openapi, respond, route};
use crate::access::authenticate::{Circumstances, Credentials};
use crate::access::authorize::authorize;
use crate::access::principal::Principal;
use crate::definitions::fault::Fault;
use crate::definitions::snapshot::{Interface, Policies};
use crate::definitions::spec::interface::{Audit, Location, Status};
use crate::observe::code::Code;
use crate::observe::event::{Denial, Event};
use crate::query::encode::Format;
use crate::query::params::{self, Pairs, parse_query};
use crate::query::scope;
use crate::store::audit::ExecuteKind;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Where `/openapi.json` stands.
const OPENAPI_PATH: &str = "/openapi.json";

/// What a test run says of itself instead of proving it: both of the generation that the call is pinned to.
#[derive(Clone, Debug)]
pub struct TestRun {
    pub principal: Arc<Principal>,
    /// The very version to run; drafts too, but nothing that is disabled.
    pub interface: Arc<Interface>,
}

/// Answers one request.
pub async fn handle<B>(
    pinned: &Arc<Pinned>,
    parts: &Parts,
    body: B,
    peer: IpAddr,
    test: Option<&TestRun>,
) -> Reply
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let headers = Headers::of(&parts.headers);
    let mut exchange = Exchange::begin(pinned, &parts.method, parts.uri.path(), headers, peer);
    match run(&mut exchange, parts, headers, body, test).await {
        Ok(Found::Data(answered, format)) => {
            respond::well(exchange, answered, format, headers).await
        }
        Ok(Found::Ready(reply)) => {
            let (status, bytes) =
                (reply.head.status.as_u16(), reply.body.size_hint().exact().unwrap_or(0));
            exchange.report(&Outcome { code: Code::Ok, status, rows: 0, bytes, error: None });
            reply
        }
        Err(error) => {
            let is_turned_away = !exchange.passed || error.retry_after.is_some();
            let reply = respond::failed(exchange, error).await;
            if is_turned_away {
                // The call has ended and holds nothing of what others wait for.
                pinned.gateway.refusals.pace().await;
            }
            reply
        }
    }
}

enum Found {
    Data(Answered, Format),
    /// No data: a preflight, or the description of the API.
    Ready(Reply),
}

async fn run<B>(
    exchange: &mut Exchange,
    parts: &Parts,
    headers: Headers<'_>,
    body: B,
    test: Option<&TestRun>,
) -> Result<Found, ApiError>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    match test {
        Some(_) => exchange.kind = ExecuteKind::Test,
        None if !exchange.is_admitted => return Err(ApiError::overloaded()),
        None => admit::check_framing(parts, headers)?,
    }
    let pinned = exchange.pinned.clone();
    let Pinned { gateway, generation } = &*pinned;
    let query = parse_query(parts.uri.query().unwrap_or_default())?;
    if parts.uri.path() == OPENAPI_PATH {
        let principal = authenticate(exchange, headers).await?;
        let answer = openapi::answer(exchange, &parts.method, headers, &principal);
        return Box::pin(answer).await.map(Found::Ready);
    }

    // route
    let (interface, segments) = match test {
        Some(test) if test.interface.status == Status::Disabled => {
            return Err(ApiError::not_found(Message::NoInterface));
        }
        Some(test) => (&test.interface, test_segments(&test.interface, parts.uri.path())),
        None => {
            let snapshot = &generation.snapshot;
            match route::find(snapshot, parts.uri.path(), &query) {
                Ok(matched) => (matched.interface, matched.segments),
                Err(error) => {
                    return Err(Box::pin(missed(exchange, parts, headers, &query, error)).await);
                }
            }
        }
    };
    exchange.index = Some(interface.index);
    if interface.parameters.iter().any(|p| p.is_sensitive && p.location == Location::Path) {
        exchange.path.clone_from(&interface.path);
    }

    // admit
    admit::check_address(interface, exchange.ip, &gateway.settings)?;
    exchange.origin = admit::check_origin(interface, headers)?;
    if parts.method == Method::OPTIONS {
        return Ok(Found::Ready(preflight(exchange, interface, headers)));
    }
    route::method(interface, &parts.method)?;

    // authenticate, authorise, limit
    let principal = match test {
        Some(test) => test.principal.clone(),
        None => authenticate(exchange, headers).await?,
    };
    exchange.principal = Some(principal.clone());
    let policies = &generation.snapshot.policies;
    authorize(&principal, interface, policies)
        .map_err(|denial| turned_away(denial, &principal, interface, policies))?;
    exchange.granted = generation.rights.of(&principal, interface, policies)?;
    if test.is_none() {
        limit(exchange, interface, &principal)?;
    }
    exchange.passed = true;

    // params
    let format = format(&query, headers)?;
    if test.is_none() && format.is_export() {
        exchange.kind = ExecuteKind::Export;
    }
    let deadline = exchange.started + interface.timeout;
    let until = deadline.min(exchange.started + gateway.settings.body_timeout);
    let limits = BodyLimits { max_bytes: gateway.settings.max_body_bytes, until };
    let input = input::read(interface, segments, query, &parts.headers, body, limits).await?;
    let is_recorded = interface.audit != Audit::Off;
    let params = params::take(interface, &input).inspect_err(|_| {
        exchange.params = is_recorded.then(|| params::given(interface, &input));
    })?;
    exchange.secrets = params.secrets(interface);
    exchange.params = is_recorded.then(|| params.to_audit(interface));
    let scope = scope::bind(interface, &params, &principal, exchange.ip, exchange.at)?;

    // cache, query
    answer::answer(exchange, interface, Question { scope, format, deadline })
        .await
        .map(|answered| Found::Data(answered, format))
}

/// Notes whose address it was that nothing answers at, and who called, for as many calls as are recorded.
async fn missed(
    exchange: &mut Exchange,
    parts: &Parts,
    headers: Headers<'_>,
    query: &Pairs<'_>,
    error: ApiError,
) -> ApiError {
    if error.code != Code::NotFound || !exchange.gateway().misses.take(exchange.at) {
        return error;
    }
    let (code, reason) = route::whose(&exchange.generation().snapshot, parts.uri.path(), query);
    if !code.is_empty() {
        // Whoever still calls what is switched off can be told.
        exchange.principal = authenticate(exchange, headers).await.ok();
    }
    exchange.missed = Some(code);
    error.because(reason)
}

/// The refusal, with what the record says of it.
fn turned_away(
    denial: Denial,
    principal: &Principal,
    interface: &Interface,
    policies: &Policies,
) -> ApiError {
    let error = ApiError::from(denial);
    if denial != Denial::NotGranted {
        return error;
    }
    let roles = principal.roles.iter().filter_map(|role| policies.roles.get(*role));
    let names: Vec<&str> = roles.map(|role| role.name.as_str()).collect();
    error.because(if names.is_empty() {
        format!("the caller has no role, and `{}` needs one that grants it", interface.code)
    } else {
        format!("none of the caller's roles grants `{}`: {}", interface.code, names.join(", "))
    })
}

async fn authenticate(
    exchange: &Exchange,
    headers: Headers<'_>,
) -> Result<Arc<Principal>, ApiError> {
    let generation = exchange.generation();
    let (ip, at, instant) = (exchange.ip, exchange.at, exchange.started);
    let authenticated = generation.authenticator.authenticate(
        credentials(headers),
        &generation.snapshot.policies,
        &exchange.gateway().attempts,
        Circumstances { ip, at, instant },
    );
    Ok(authenticated.await?)
}

fn credentials(headers: Headers<'_>) -> Credentials<'_> {
    let mut keys = headers.get_all(&X_API_KEY);
    let mut authorizations = headers.get_all(&AUTHORIZATION);
    let all = (keys.next(), keys.next(), authorizations.next(), authorizations.next());
    let text = match all {
        (None, _, None, _) => return Credentials::None,
        (Some(key), None, None, _) => key.to_str().map(Credentials::ApiKey),
        (None, _, Some(value), None) => value.to_str().map(Credentials::Authorization),
        _ => return Credentials::Malformed,
    };
    text.unwrap_or(Credentials::Malformed)
}

fn limit(
    exchange: &mut Exchange,
    interface: &Interface,
    principal: &Principal,
) -> Result<(), ApiError> {
    let runtime = exchange.generation().runtime(interface);
    let Some(limiter) = &runtime.limiter else { return Ok(()) };
    let checked = limiter.check(principal, exchange.ip);
    if checked.is_err() {
        exchange.gateway().observer.report(&Event::RateLimited { interface: &runtime.metrics });
    }
    match checked {
        Ok(allowance) => {
            exchange.allowance = Some(allowance);
            Ok(())
        }
        Err(allowance) => {
            exchange.allowance = Some(allowance);
            let mut error = ApiError::new(
                Code::RateLimited,
                Message::RateLimited(respond::seconds(allowance.reset)),
            );
            error.retry_after = Some(allowance.reset);
            Err(error)
        }
    }
}

/// The form asked for: `?format=` before `Accept`.
fn format(query: &Pairs<'_>, headers: Headers<'_>) -> Result<Format, ApiError> {
    let mut words = query.iter().filter(|(name, _)| name == "format").map(|(_, word)| word);
    match (words.next(), words.next()) {
        (None, _) => Ok(negotiate::format(headers)),
        (Some(_), Some(_)) => Err(ApiError::parameter("format", Fault::Repeated)),
        (Some(word), None) => Format::parse(word).ok_or_else(|| {
            let known = ["json", "csv", "ndjson", "xlsx"].map(str::to_owned).to_vec();
            ApiError::parameter("format", Fault::Enum(known))
        }),
    }
}

/// The answer to `OPTIONS`.
fn preflight(exchange: &Exchange, interface: &Interface, headers: Headers<'_>) -> Reply {
    let mut head = respond::base(exchange, StatusCode::NO_CONTENT);
    head.put_lines(respond::VARY);
    let allowed = route::allowed(interface.method);
    head.put("allow", allowed);
    if let (Some(cors), true) = (&interface.cors, exchange.origin.is_some())
        && headers.has(&ACCESS_CONTROL_REQUEST_METHOD)
    {
        head.put("access-control-allow-methods", allowed);
        head.put_number("access-control-max-age", cors.max_age_seconds);
        head.put("access-control-allow-headers", &cors.allow_headers);
    }
    Reply::new(head, Body::empty())
}

/// The path segments of a test, which names its interface itself.
fn test_segments<'a>(interface: &'a Interface, path: &'a str) -> Pairs<'a> {
    let pattern = interface.path.split('/');
    pattern
        .zip(path.split('/'))
        .filter_map(|(segment, text)| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.into(), params::decode(text, false).ok()?))
        })
        .collect()
}
