//! `/api/setup`: the first account.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::accounts::name_flaw;
use super::body::Body;
use super::envelope::{conflict, failure, store_failed, success};
use super::session;
use crate::admin::Admin;
use crate::admin::auth::gate::is_own_origin;
use crate::admin::auth::password;
use crate::observe::code::Code;
use crate::store::{Changed, Operation, Role};

/// What failed tries of the one-time token are counted under.
const LOCK_NAME: &str = "setup";

/// The first account, and the one-time token that the start printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct First {
    token: String,
    username: String,
    password: String,
}

/// Says whether there is an account yet.
pub async fn show(State(admin): State<Arc<Admin>>) -> Response {
    match admin.store.has_accounts().await {
        Ok(has_accounts) => success(json!({ "needed": !has_accounts }), json!({})),
        Err(error) => store_failed(&error),
    }
}

/// Makes the first account, and logs it in.
pub async fn run(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(given): Body<First>,
) -> Response {
    if !is_own_origin(&headers) {
        return failure(Code::Forbidden, "The request comes from a page of another origin.");
    }
    let (ip, now) = (peer.ip().to_canonical(), Instant::now());
    if admin.auth.lockout.wait(LOCK_NAME, ip, now).is_some() {
        return failure(Code::RateLimited, "Too many tries; try again later.");
    }
    if !admin.auth.setup.is_right(&given.token) {
        admin.auth.lockout.failed(LOCK_NAME, ip, now);
        let text = "The one-time token is not right. The start of the appliance prints it.";
        return failure(Code::Unauthorized, text);
    }
    let flaw =
        name_flaw(&given.username).or_else(|| password::flaw(&given.password, &given.username));
    if let Some(flaw) = flaw {
        return failure(Code::InvalidParam, flaw);
    }
    let hash = match admin.auth.passwords.hash(given.password).await {
        Ok(hash) => hash,
        Err(error) => return failure(Code::InternalError, &error),
    };
    match admin.store.add_account(&given.username, &hash, Role::Admin, true).await {
        Ok(Changed::Done) => {}
        Ok(_) => return conflict(409, "There is an account already."),
        Err(error) => return store_failed(&error),
    }
    admin.auth.setup.close();
    // Nobody is logged in yet whom the journal could see.
    let operation = Operation {
        at: Timestamp::now(),
        username: given.username.clone(),
        ip: ip.to_string(),
        method: "POST".to_owned(),
        path: "/api/setup".to_owned(),
        status: 200,
        duration_us: u64::try_from(now.elapsed().as_micros()).unwrap_or(u64::MAX),
        summary: format!("made the first admin {}", given.username),
    };
    if let Err(error) = admin.store.add_operation(&operation).await {
        tracing::error!(%error, "the first account is not in the journal");
    }
    match admin.store.account(&given.username).await {
        Ok(Some(account)) => session::begin(&admin, &account, &ip.to_string(), &headers).await,
        Ok(None) => failure(Code::InternalError, "The account is gone again."),
        Err(error) => store_failed(&error),
    }
}
