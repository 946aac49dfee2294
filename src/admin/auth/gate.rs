//! Finds out who asks, and refuses changes that a page of somebody else may have sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};

use super::person::Person;
use super::secret;
use crate::admin::api::envelope;
use crate::admin::{Admin, token};
use crate::observe::code::Code;
use crate::store::{Role, Session, StoreError};

/// Cookie of a session.
pub const COOKIE_NAME: &str = "tidegate_session";
/// Shows that a request which changes something comes from our page.
const CSRF_HEADER: &str = "x-csrf-token";
/// The name of whoever has the admin token.
const TOKEN_NAME: &str = "admin-token";
/// A session ends when it is not used for so long, and in any case after [`SESSION_AT_MOST`].
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_hours(12);
pub const SESSION_AT_MOST: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Uses are noted as often as this.
const NOTE_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Why somebody does not come in.
enum Refusal {
    Nobody,
    WrongToken,
    Forged(&'static str),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Lets those through who are somebody.
pub async fn enter(State(admin): State<Arc<Admin>>, mut request: Request, next: Next) -> Response {
    match person(&admin, request.method(), request.headers()).await {
        Ok(person) => {
            request.extensions_mut().insert(person);
            next.run(request).await
        }
        Err(Refusal::Nobody) => {
            envelope::failure(Code::Unauthorized, "Log in, or send a token: Authorization: Bearer.")
        }
        Err(Refusal::WrongToken) => {
            envelope::failure(Code::Unauthorized, "The token is not right.")
        }
        Err(Refusal::Forged(text)) => envelope::failure(Code::Forbidden, text),
        Err(Refusal::Store(error)) => {
            tracing::error!(%error, "the store does not say who asks");
            envelope::failure(Code::InternalError, "The store does not answer.")
        }
    }
}

async fn person(admin: &Admin, method: &Method, headers: &HeaderMap) -> Result<Person, Refusal> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let text = header.to_str().ok().and_then(|text| text.split_once(' '));
        let given = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, given)) = given else { return Err(Refusal::WrongToken) };
        return of_token(admin, given.trim()).await;
    }
    let Some(secret) = cookie(headers) else { return Err(Refusal::Nobody) };
    let session = admin.store.session(&secret::hash(secret)).await?.ok_or(Refusal::Nobody)?;
    if !(method.is_safe()) {
        check_origin(headers)?;
        let shown = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        if !shown.is_some_and(|shown| secret::is_same(shown, &session.csrf)) {
            return Err(Refusal::Forged("The header `X-CSRF-Token` is not that of the session."));
        }
    }
    note(admin, &session).await?;
    let username = session.username.as_str().into();
    Ok(Person { username, role: session.role, session: Some(Arc::new(session)) })
}

async fn of_token(admin: &Admin, given: &str) -> Result<Person, Refusal> {
    if token::is_right(&admin.token, given) {
        return Ok(Person { username: TOKEN_NAME.into(), role: Role::Admin, session: None });
    }
    if !given.starts_with(secret::TOKEN_PREFIX) {
        return Err(Refusal::WrongToken);
    }
    let found = admin.store.token(&secret::hash(given)).await?.ok_or(Refusal::WrongToken)?;
    let is_noted = |at: Timestamp| Timestamp::now().duration_since(at) < NOTE_EVERY;
    if !found.last_used_at.is_some_and(is_noted) {
        admin.store.token_used(&found.id).await?;
    }
    Ok(Person { username: found.username.as_str().into(), role: found.role, session: None })
}

/// The secret of the session cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE_NAME).map(|(_, value)| value.trim())
}

/// A page of another origin has no business here.
pub fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| host.is_some_and(|host| host.eq_ignore_ascii_case(origin)))
}

fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_own_origin(headers) {
        return Ok(());
    }
    Err(Refusal::Forged("The request comes from a page of another origin."))
}

/// Notes the use of a session, and makes it last longer, now and then.
async fn note(admin: &Admin, session: &Session) -> Result<(), StoreError> {
    let now = Timestamp::now();
    if now.duration_since(session.last_seen_at) < NOTE_EVERY {
        return Ok(());
    }
    let expires_at = (now + SESSION_IDLE).min(session.created_at + SESSION_AT_MOST);
    admin.store.session_seen(&session.id, expires_at).await
}
