//! Proves who calls: API keys by their hash, tokens by their signature.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::api_keys::ApiKeys;
use super::attempts::Attempts;
use super::principal::Principal;
use super::token::Tokens;
use super::usage::Usage;
use crate::definitions::problem::Problem;
use crate::definitions::snapshot::{Consumer, Policies};
use crate::observe::event::Denial;
use crate::store::audit::PrincipalKind;

/// Longest token or key looked at, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 16 << 10;

/// What a request says of its caller.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// `X-API-Key`.
    ApiKey(&'a str),
    /// `Authorization`.
    Authorization(&'a str),
    /// Several at once, or not text: of two, a proxy may have checked the other one.
    Malformed,
}

/// Where and when a request says it.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub ip: IpAddr,
    pub at: Timestamp,
    /// The same moment, for what must not jump with the clock.
    pub instant: Instant,
}

/// Why credentials do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Denied(Denial),
    /// Too many failures from this address; it may come back after a while.
    TooManyFailures(Duration),
}

/// Checks credentials against the policies of one generation.
#[derive(Debug)]
pub struct Authenticator {
    consumers: Vec<Arc<Principal>>,
    anonymous: Arc<Principal>,
    pub keys: ApiKeys,
    pub tokens: Tokens,
    pub usage: Arc<Usage>,
}

impl Authenticator {
    /// Makes keys ready; their use, and keys that come by URL, are taken over from `previous`. What cannot be used
    /// becomes a warning; its tokens do not pass.
    pub fn prepare(
        policies: &Policies,
        root: &Path,
        previous: Option<&Self>,
        warnings: &mut Vec<Problem>,
    ) -> Self {
        let usage = previous.map(|old| old.usage.clone()).unwrap_or_default();
        Self {
            consumers: policies
                .consumers
                .iter()
                .map(|consumer| Arc::new(principal(consumer)))
                .collect(),
            anonymous: Arc::new(Principal::anonymous()),
            keys: ApiKeys::prepare(policies, &usage),
            tokens: Tokens::prepare(policies, root, previous.map(|old| &old.tokens), warnings),
            usage,
        }
    }

    /// Who calls; a request without credentials is anonymous.
    ///
    /// # Errors
    /// Why the credentials do not count. Bad ones are never taken for none.
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        policies: &Policies,
        attempts: &Attempts,
        circumstances: Circumstances,
    ) -> Result<Arc<Principal>, Refused> {
        let Circumstances { ip, at, instant } = circumstances;
        let wait =
            || attempts.wait(ip, instant).map_or(Ok(()), |w| Err(Refused::TooManyFailures(w)));
        let proven = match credentials {
            Credentials::None => return Ok(self.anonymous.clone()),
            Credentials::ApiKey(key) => self.api_key(key, at),
            Credentials::Authorization(text) => match bearer(text) {
                Err(denial) => Err(denial),
                Ok(token) => {
                    let digest: [u8; 32] = Sha256::digest(token).into();
                    if let Some(principal) = self.tokens.recall(&digest, at, instant) {
                        return Ok(principal);
                    }
                    wait()?;
                    Box::pin(self.tokens.verify(token, digest, policies, at, instant)).await
                }
            },
            Credentials::Malformed => Err(Denial::MalformedCredentials),
        };
        proven.map_err(|denial| {
            if let Err(refused) = wait() {
                return refused;
            }
            // That an issuer cannot be reached is no fault of the caller.
            if denial != Denial::KeysUnavailable {
                attempts.failed(ip, instant);
            }
            Refused::Denied(denial)
        })
    }

    /// The principal of a consumer.
    pub fn consumer(&self, index: usize) -> Option<&Arc<Principal>> {
        self.consumers.get(index)
    }

    fn api_key(&self, text: &str, now: Timestamp) -> Result<Arc<Principal>, Denial> {
        if text.len() > MAX_CREDENTIAL_BYTES {
            return Err(Denial::UnknownKey);
        }
        let key = self.keys.find(text).ok_or(Denial::UnknownKey)?;
        if key.is_expired(now) {
            return Err(Denial::ExpiredKey);
        }
        let consumer = self.consumer(key.consumer).ok_or(Denial::UnknownKey)?;
        key.used.touch(now);
        Ok(consumer.clone())
    }
}

fn principal(consumer: &Consumer) -> Principal {
    Principal {
        kind: PrincipalKind::Consumer,
        name: consumer.name.as_str().into(),
        issuer: None,
        roles: consumer.roles.clone(),
        claims: consumer.claims.clone(),
    }
}

/// The token of an `Authorization` header.
fn bearer(text: &str) -> Result<&str, Denial> {
    let (scheme, token) = text.split_once(' ').ok_or(Denial::MalformedCredentials)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denial::MalformedCredentials);
    }
    let token = token.trim();
    if token.len() > MAX_CREDENTIAL_BYTES { Err(Denial::InvalidToken) } else { Ok(token) }
}
