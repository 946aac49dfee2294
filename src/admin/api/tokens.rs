//! `/api/tokens`: API tokens for scripts that act for oneself. `/api/sessions`: who is online.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::envelope::{conflict, failure, store_failed, success, summarised, with_status};
use crate::admin::Admin;
use crate::admin::auth::secret;
use crate::admin::person::Person;
use crate::observe::code::Code;
use crate::store::{ApiToken, Role};

/// Characters of a token's name.
const MAX_NAME_CHARS: usize = 100;
/// Longest life of a token that has an end, in days.
const MAX_DAYS: u32 = 3_650;

/// A new token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: String,
    role: Option<Role>,
    expires_in_days: Option<u32>,
}

/// Lists the own tokens.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
) -> Response {
    match admin.store.tokens(&person.username).await {
        Ok(tokens) => {
            let rows: Vec<Value> = tokens.iter().map(row).collect();
            success(rows, json!({}))
        }
        Err(error) => store_failed(&error),
    }
}

/// Makes a token, which is shown this once.
pub async fn create(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Body(new): Body<New>,
) -> Response {
    if person.session.is_none() {
        return failure(Code::Forbidden, "Only who has logged in makes tokens.");
    }
    let role = new.role.unwrap_or(person.role);
    if role > person.role {
        return failure(Code::Forbidden, "A token may do no more than who makes it.");
    }
    let is_named = (1..=MAX_NAME_CHARS).contains(&new.name.chars().count());
    let has_end = new.expires_in_days.is_none_or(|days| (1..=MAX_DAYS).contains(&days));
    if !(is_named && has_end) {
        let text = "`name` has 1 to 100 characters, `expires_in_days` is from 1 to 3650.";
        return failure(Code::InvalidParam, text);
    }
    let (Ok(secret), Ok(id)) = (secret::fresh(), secret::id()) else {
        return failure(Code::InternalError, "The system gives no random bytes.");
    };
    let secret = format!("{}{secret}", secret::TOKEN_PREFIX);
    let now = Timestamp::now();
    let token = ApiToken {
        id: id.clone(),
        username: person.username.to_string(),
        name: new.name,
        role,
        created_at: now,
        expires_at: new
            .expires_in_days
            .map(|days| now + SignedDuration::from_hours(24 * i64::from(days))),
        last_used_at: None,
    };
    match admin.store.add_token(&token, &secret::hash(&secret)).await {
        Ok(true) => {
            let answer = success(json!({ "id": id, "token": secret }), json!({}));
            let summary = format!("made the API token {} ({id})", token.name);
            with_status(201, summarised(answer, summary))
        }
        Ok(false) => conflict(409, "There are too many tokens of this account."),
        Err(error) => store_failed(&error),
    }
}

/// Removes an own token.
pub async fn remove(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Response {
    match admin.store.remove_token(&person.username, &id).await {
        Ok(true) => {
            summarised(success(json!({}), json!({})), format!("removed the API token {id}"))
        }
        Ok(false) => failure(Code::NotFound, "There is no such token."),
        Err(error) => store_failed(&error),
    }
}

/// Lists who is online.
pub async fn sessions(
    State(admin): State<Arc<Admin>>,
    Extension(person): Extension<Person>,
) -> Response {
    let own = person.session.as_ref().map(|session| session.id.as_str());
    match admin.store.sessions().await {
        Ok(sessions) => {
            let rows: Vec<Value> = sessions
                .iter()
                .map(|session| {
                    json!({
                        "id": session.id,
                        "username": session.username,
                        "role": session.role,
                        "ip": session.ip,
                        "user_agent": session.user_agent,
                        "created_at": session.created_at.to_string(),
                        "last_seen_at": session.last_seen_at.to_string(),
                        "current": own == Some(session.id.as_str()),
                    })
                })
                .collect();
            success(rows, json!({}))
        }
        Err(error) => store_failed(&error),
    }
}

/// Ends somebody's session.
pub async fn end_session(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let sessions = admin.store.sessions().await.unwrap_or_default();
    let whose = sessions.into_iter().find(|session| session.id == id);
    let whose = whose.map(|session| session.username).unwrap_or_default();
    match admin.store.end_session(&id).await {
        Ok(true) => {
            summarised(success(json!({}), json!({})), format!("ended a session of {whose}"))
        }
        Ok(false) => failure(Code::NotFound, "There is no such session."),
        Err(error) => store_failed(&error),
    }
}

fn row(token: &ApiToken) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "created_at": token.created_at.to_string(),
        "expires_at": token.expires_at.map(|at| at.to_string()),
        "last_used_at": token.last_used_at.map(|at| at.to_string()),
    })
}
