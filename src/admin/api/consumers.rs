//! `/api/consumers`: who may call with which roles, and when their keys were last used. No hash and no claim.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::page;
use crate::access::api_keys::KnownKey;
use crate::admin::Admin;
use crate::definitions::snapshot::Consumer;

/// Lists consumers in pages; `q` searches name and description.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let generation = admin.gateway.live.current();
    let policies = &generation.snapshot.policies;
    let now = Timestamp::now();
    let mut keys: HashMap<usize, Vec<&KnownKey>> = HashMap::new();
    for key in generation.authenticator.keys.iter() {
        keys.entry(key.consumer).or_default().push(key);
    }
    keys.values_mut().for_each(|keys| keys.sort_by(|a, b| a.id.cmp(&b.id)));
    let fits = |(_, consumer): &(usize, &Arc<Consumer>)| {
        page::fits(
            &query,
            [consumer.name.as_str()].into_iter().chain(consumer.description.as_deref()),
        )
    };
    let mut found: Vec<_> = policies.consumers.iter().enumerate().filter(fits).collect();
    found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    page::answer(&query, &found, |(index, consumer)| {
        let roles = consumer.roles.iter().filter_map(|role| policies.roles.get(*role));
        let keys = keys.get(index).into_iter().flatten();
        json!({
            "name": consumer.name,
            "description": consumer.description,
            "roles": roles.map(|role| role.name.as_str()).collect::<Vec<_>>(),
            "api_keys": keys.map(|key| shown(key, now)).collect::<Vec<_>>(),
        })
    })
}

fn shown(key: &KnownKey, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "expires_at": key.expires_at.map(|at| at.to_string()),
        "is_expired": key.is_expired(now),
        "last_used_at": key.used.at().map(|at| at.to_string()),
    })
}
