//! `/api/accounts`: who may log in, and as what.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::envelope::{conflict, done_as, failure, store_failed, success, summarised, with_status};
use crate::admin::Admin;
use crate::admin::auth::password;
use crate::observe::code::Code;
use crate::store::{Account, AccountChange, Changed, Role, StoreError};

/// Characters of a name.
const MAX_NAME_CHARS: usize = 64;

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    username: String,
    password: String,
    role: Role,
}

/// What of an account is to change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    role: Option<Role>,
    disabled: Option<bool>,
    password: Option<String>,
}

/// What is wrong with the name of a new account.
pub fn name_flaw(username: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let chars = username.chars().count();
    let is_good = (1..=MAX_NAME_CHARS).contains(&chars) && username.chars().all(is_plain);
    (!is_good).then_some("A name has 1 to 64 letters, digits and `.`, `-`, `_`, `@`.")
}

/// Lists the accounts.
pub async fn list(State(admin): State<Arc<Admin>>) -> Response {
    match admin.store.accounts().await {
        Ok(accounts) => {
            let rows: Vec<Value> = accounts.iter().map(row).collect();
            let total = rows.len();
            success(rows, json!({ "total": total }))
        }
        Err(error) => store_failed(&error),
    }
}

/// Makes an account.
pub async fn create(State(admin): State<Arc<Admin>>, Body(new): Body<New>) -> Response {
    let flaw = name_flaw(&new.username).or_else(|| password::flaw(&new.password, &new.username));
    if let Some(flaw) = flaw {
        return failure(Code::InvalidParam, flaw);
    }
    let hash = match admin.auth.passwords.hash(new.password).await {
        Ok(hash) => hash,
        Err(error) => return failure(Code::InternalError, &error),
    };
    let made = admin.store.add_account(&new.username, &hash, new.role, false).await;
    let answer = changed(made);
    if !answer.status().is_success() {
        return answer;
    }
    let summary = format!("made the account {} with the role {}", new.username, new.role.as_str());
    with_status(201, summarised(answer, summary))
}

/// Changes an account.
pub async fn change(
    State(admin): State<Arc<Admin>>,
    Path(username): Path<String>,
    Body(change): Body<Change>,
) -> Response {
    let mut wanted =
        AccountChange { role: change.role, is_disabled: change.disabled, password: None };
    if let Some(new) = change.password {
        if let Some(flaw) = password::flaw(&new, &username) {
            return failure(Code::InvalidParam, flaw);
        }
        wanted.password = match admin.auth.passwords.hash(new).await {
            Ok(hash) => Some(hash),
            Err(error) => return failure(Code::InternalError, &error),
        };
    }
    let mut did = Vec::new();
    did.extend(wanted.role.map(|role| format!("gave {username} the role {}", role.as_str())));
    did.extend(
        wanted.is_disabled.map(|is| {
            if is { format!("disabled {username}") } else { format!("enabled {username}") }
        }),
    );
    did.extend(wanted.password.is_some().then(|| format!("set the password of {username}")));
    done_as(changed(admin.store.change_account(&username, &wanted).await), || did.join(", "))
}

/// Removes an account.
pub async fn remove(State(admin): State<Arc<Admin>>, Path(username): Path<String>) -> Response {
    let answer = changed(admin.store.remove_account(&username).await);
    done_as(answer, || format!("removed the account {username}"))
}

fn changed(outcome: Result<Changed, StoreError>) -> Response {
    match outcome {
        Ok(Changed::Done) => success(json!({}), json!({})),
        Ok(Changed::Missing) => failure(Code::NotFound, "There is no such account."),
        Ok(Changed::Exists) => conflict(409, "There is an account of this name."),
        Ok(Changed::LastAdmin) => conflict(409, "Somebody with the role `admin` must stay."),
        Err(error) => store_failed(&error),
    }
}

fn row(account: &Account) -> Value {
    json!({
        "username": account.username,
        "role": account.role,
        "disabled": account.is_disabled,
        "created_at": account.created_at.to_string(),
        "last_login_at": account.last_login_at.map(|at| at.to_string()),
    })
}
