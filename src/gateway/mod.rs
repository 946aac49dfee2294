//! The request path in call order: route, admit, authenticate, authorise, limit, params, cache, query, respond.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use self::connection::Limits;
use self::misses::Misses;
use self::refusals::Refusals;
use crate::access::attempts::Attempts;
use crate::live::reload::Live;
use crate::observe::Observer;
use crate::query::cache::AnswerCache;
use crate::store::audit::AuditLog;
use leave::Leave;

pub mod admit;
pub mod answer;
pub mod body;
pub mod connection;
pub mod error;
pub mod exchange;
pub mod explain;
pub mod frames;
pub mod framing;
pub mod head;
pub mod headers;
pub mod input;
pub mod lane;
pub mod leave;
pub mod messages;
pub mod misses;
pub mod negotiate;
pub mod openapi;
pub mod pipeline;
pub mod plain;
pub mod refusals;
pub mod respond;
pub mod route;
pub mod service;
pub mod testing;

/// Settings of the request path.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where callers of internal interfaces must come from; empty: anywhere.
    pub trusted_networks: Vec<IpNet>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest wait for a request body.
    pub body_timeout: Duration,
    /// How long a connection may do one thing.
    pub connection_limits: Limits,
    /// Open connections; more are refused.
    pub max_connections: usize,
    /// Calls that are worked on at once; more are refused.
    pub max_in_flight: usize,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            trusted_networks: Vec::new(),
            max_body_bytes: 1 << 20,
            body_timeout: Duration::from_secs(15),
            connection_limits: Limits {
                head: Duration::from_secs(10),
                idle: Duration::from_secs(75),
                write: Duration::from_secs(30),
            },
            max_connections: 16_384,
            max_in_flight: 2_048,
        }
    }
}

/// The gateway: everything the request path works with.
pub struct Gateway {
    pub live: Arc<Live>,
    pub cache: AnswerCache,
    pub observer: Observer,
    /// `None`: nothing is recorded, as in `tidegate test`.
    pub audit: Option<AuditLog>,
    /// Failed attempts to say who calls, across reloads.
    pub attempts: Attempts,
    /// Whether callers are told to go elsewhere.
    pub leave: Leave,
    /// Calls that found no interface.
    pub misses: Misses,
    /// How fast callers are turned away.
    pub refusals: Refusals,
    pub settings: GatewaySettings,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.settings).finish_non_exhaustive()
    }
}
