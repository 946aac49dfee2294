//! `/api/session`: logging in and out, and the own password.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{ORIGIN, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::body::Body;
use super::envelope::{failure, store_failed, success, summarised};
use crate::admin::Admin;
use crate::admin::auth::gate::{COOKIE_NAME, SESSION_AT_MOST, SESSION_IDLE, is_own_origin};
use crate::admin::auth::{password, secret};
use crate::admin::person::Person;
use crate::observe::code::Code;
use crate::store::{Account, Login, NewSession, Role};

/// Who logs in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    username: String,
    password: String,
}

/// A new password for oneself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    old_password: String,
    new_password: String,
}

/// Logs in.
pub async fn open(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(given): Body<Credentials>,
) -> Response {
    if !is_own_origin(&headers) {
        return failure(Code::Forbidden, "The request comes from a page of another origin.");
    }
    let (ip, now) = (peer.ip().to_canonical(), Instant::now());
    let Credentials { username, password } = given;
    let failed = |reason: &str| Login {
        at: Timestamp::now(),
        username: username.clone(),
        ip: ip.to_string(),
        user_agent: user_agent(&headers),
        is_ok: false,
        reason: reason.to_owned(),
    };
    if let Some(wait) = admin.auth.lockout.wait(&username, ip, now) {
        note(&admin, failed("locked")).await;
        let seconds = wait.as_secs() + 1;
        let text = format!("Too many failed logins: try again in {seconds} seconds.");
        let mut response = failure(Code::RateLimited, &text);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    // Counted before it is looked at, so that many at once are not all let through.
    admin.auth.lockout.failed(&username, ip, now);
    let account = match admin.store.account(&username).await {
        Ok(account) => account,
        Err(error) => return store_failed(&error),
    };
    let kept = account.as_ref().map(|account| account.password.clone());
    let is_right = admin.auth.passwords.is_right(password, kept).await;
    let account = account.filter(|account| is_right && !account.is_disabled);
    let Some(account) = account else {
        note(&admin, failed(if is_right { "disabled" } else { "wrong" })).await;
        return failure(Code::Unauthorized, "The name or the password is not right.");
    };
    admin.auth.lockout.succeeded(&username);
    begin(&admin, &account, &ip.to_string(), &headers).await
}

/// Begins a session, and answers with it.
pub async fn begin(admin: &Admin, account: &Account, ip: &str, headers: &HeaderMap) -> Response {
    let secrets = [secret::fresh(), secret::fresh(), secret::id()];
    let [Ok(secret), Ok(csrf), Ok(id)] = secrets else {
        return failure(Code::InternalError, "The system gives no random bytes.");
    };
    let user_agent = user_agent(headers);
    let login = Login {
        at: Timestamp::now(),
        username: account.username.clone(),
        ip: ip.to_owned(),
        user_agent: user_agent.clone(),
        is_ok: true,
        reason: String::new(),
    };
    note(admin, login).await;
    let expires_at = Timestamp::now() + SESSION_IDLE;
    let session = NewSession {
        id: &id,
        secret_hash: &secret::hash(&secret),
        username: &account.username,
        csrf: &csrf,
        ip,
        user_agent: &user_agent,
        expires_at,
    };
    if let Err(error) = admin.store.add_session(&session).await {
        return store_failed(&error);
    }
    if let Err(error) = admin.store.logged_in(&account.username).await {
        return store_failed(&error);
    }
    let mut response = shown(&account.username, account.role, &csrf, expires_at);
    set_cookie(&mut response, headers, &secret, SESSION_AT_MOST.as_secs());
    response
}

/// Shows the session, with what changes must show.
pub async fn show(Extension(person): Extension<Person>) -> Response {
    match &person.session {
        Some(session) => shown(&session.username, session.role, &session.csrf, session.expires_at),
        None => success(json!({ "username": person.username, "role": person.role }), json!({})),
    }
}

/// Logs out.
pub async fn close(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    headers: HeaderMap,
) -> Response {
    if let Some(session) = &person.session
        && let Err(error) = admin.store.end_session(&session.id).await
    {
        return store_failed(&error);
    }
    let mut response = summarised(success(json!({}), json!({})), "logged out".to_owned());
    set_cookie(&mut response, &headers, "", 0);
    response
}

/// Changes the own password. Other sessions of the account end.
pub async fn set_password(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(person): Extension<Person>,
    Body(given): Body<Passwords>,
) -> Response {
    let Some(session) = &person.session else {
        return failure(Code::Forbidden, "Only who has logged in changes a password.");
    };
    let (ip, now) = (peer.ip().to_canonical(), Instant::now());
    if let Some(wait) = admin.auth.lockout.wait(&session.username, ip, now) {
        let text = format!("Too many failures: try again in {} seconds.", wait.as_secs() + 1);
        return failure(Code::RateLimited, &text);
    }
    if let Some(flaw) = password::flaw(&given.new_password, &session.username) {
        return failure(Code::InvalidParam, flaw);
    }
    let account = match admin.store.account(&session.username).await {
        Ok(account) => account,
        Err(error) => return store_failed(&error),
    };
    let kept = account.map(|account| account.password);
    if !admin.auth.passwords.is_right(given.old_password, kept).await {
        admin.auth.lockout.failed(&session.username, ip, now);
        return failure(Code::InvalidParam, "The old password is not right.");
    }
    let hash = match admin.auth.passwords.hash(given.new_password).await {
        Ok(hash) => hash,
        Err(error) => return failure(Code::InternalError, &error),
    };
    match admin.store.change_own(&session.username, &hash, &session.id).await {
        Ok(()) => summarised(success(json!({}), json!({})), "changed the own password".to_owned()),
        Err(error) => store_failed(&error),
    }
}

fn shown(username: &str, role: Role, csrf: &str, expires_at: Timestamp) -> Response {
    let data = json!({
        "username": username,
        "role": role,
        "csrf_token": csrf,
        "expires_at": expires_at.to_string(),
    });
    success(data, json!({}))
}

async fn note(admin: &Admin, login: Login) {
    if let Err(error) = admin.store.add_login(&login).await {
        tracing::error!(%error, username = login.username, "a login is not in the journal");
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    text.unwrap_or_default().chars().take(200).collect()
}

/// Sets the cookie; without seconds it goes. Over TLS, which only the page's origin tells, it stays there.
fn set_cookie(response: &mut Response, headers: &HeaderMap, secret: &str, seconds: i64) {
    let is_https =
        headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}
