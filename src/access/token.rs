//! Tokens: whose keys may have signed one, whether one of them did, and what its claims then say.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::jwks::RemoteKeys;
use super::key_set::{Key, KeySet};
use super::principal::{Principal, claim};
use crate::definitions::problem::{Problem, ProblemCode};
use crate::definitions::secret;
use crate::definitions::snapshot::{Issuer, IssuerKeys, JwksUrl, Policies};
use crate::definitions::spec::jwt_issuer::Algorithm as Pinned;
use crate::observe::event::Denial;
use crate::store::audit::PrincipalKind;

/// Tokens whose signature is remembered as good until they expire.
const MAX_REMEMBERED_TOKENS: u64 = 10_000;
/// Shortest shared secret that cannot be guessed (RFC 7518, 3.2), in bytes.
const MIN_SECRET_BYTES: usize = 32;
/// The last second that a calendar holds, in Unix time: a token that outlives it says nothing of when it ends.
const MAX_SECONDS: f64 = 253_402_207_200.0;

/// The issuers of one generation, and the tokens it has verified.
#[derive(Debug)]
pub struct Tokens {
    issuers: Vec<Verifier>,
    /// By SHA-256 of the token.
    remembered: Cache<[u8; 32], Remembered>,
}

#[derive(Clone, Debug)]
struct Remembered {
    principal: Arc<Principal>,
    /// The token ends with this second.
    expires: f64,
    /// The issuer by index, and the keys it had: with them go the tokens they verified.
    issuer: usize,
    keys: Arc<KeySet>,
}

/// An issuer with its keys.
#[derive(Debug)]
struct Verifier {
    issuer: Issuer,
    /// Empty: any that the keys are for.
    pinned: Vec<Algorithm>,
    keys: Source,
}

#[derive(Debug)]
enum Source {
    Here(Arc<KeySet>),
    Remote(Arc<RemoteKeys>),
}

impl Tokens {
    /// Makes keys ready; those that come by URL are taken over from `previous`. What cannot be used becomes a warning;
    /// its tokens do not pass.
    pub fn prepare(
        policies: &Policies,
        root: &Path,
        previous: Option<&Self>,
        warnings: &mut Vec<Problem>,
    ) -> Self {
        let mut remotes: Vec<Arc<RemoteKeys>> = previous
            .map(|old| old.remotes().map(|(_, keys)| keys.clone()).collect())
            .unwrap_or_default();
        let issuers = policies.issuers.iter().map(|issuer| {
            let keys = match &issuer.keys {
                IssuerKeys::Url(source) => Source::Remote(remote(source, root, &mut remotes)),
                _ => Source::Here(Arc::new(local(issuer, root, warnings))),
            };
            let pinned = issuer.algorithms.iter().copied().map(algorithm).collect();
            Verifier { issuer: issuer.clone(), pinned, keys }
        });
        Self { issuers: issuers.collect(), remembered: Cache::new(MAX_REMEMBERED_TOKENS) }
    }

    /// The keys that come by URL, with the names of their issuers.
    pub fn remotes(&self) -> impl Iterator<Item = (&str, &Arc<RemoteKeys>)> {
        self.issuers.iter().filter_map(|verifier| match &verifier.keys {
            Source::Remote(keys) => Some((verifier.issuer.name.as_str(), keys)),
            Source::Here(_) => None,
        })
    }

    /// The caller of a token that was verified before and still holds.
    pub fn recall(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
        instant: Instant,
    ) -> Option<Arc<Principal>> {
        let found = self.remembered.get(digest)?;
        let holds = seconds_of(now) < found.expires
            && self
                .issuers
                .get(found.issuer)
                .is_some_and(|issuer| Arc::ptr_eq(&issuer.keys(instant), &found.keys));
        if holds {
            return Some(found.principal);
        }
        self.remembered.invalidate(digest);
        None
    }

    /// Verifies a token, and remembers it by `digest`. Where its key is unknown, waits a short while for the issuer's
    /// present keys.
    ///
    /// # Errors
    /// Why the token does not count.
    pub async fn verify(
        &self,
        token: &str,
        digest: [u8; 32],
        policies: &Policies,
        now: Timestamp,
        instant: Instant,
    ) -> Result<Arc<Principal>, Denial> {
        let header = decode_header(token).map_err(|_| Denial::InvalidToken)?;
        // Whoever wrote `crit` wants a token refused by those who do not know what it names; nothing is known here.
        if header.crit.is_some() {
            return Err(Denial::InvalidToken);
        }
        let named = unverified_issuer(token).ok_or(Denial::InvalidToken)?;
        let mut denial = Denial::UnknownIssuer;
        for (index, verifier) in self.issuers.iter().enumerate() {
            if verifier.issuer.issuer != named {
                continue;
            }
            match verifier.verify(token, &header, now, instant).await {
                Ok(Proof { claims, expires, keys }) => {
                    let principal = Arc::new(verifier.principal(claims, policies));
                    let principal_of = principal.clone();
                    let entry =
                        Remembered { principal: principal_of, expires, issuer: index, keys };
                    self.remembered.insert(digest, entry);
                    return Ok(principal);
                }
                Err(found) => denial = found,
            }
        }
        Err(denial)
    }
}

/// The keys at a URL: those of another issuer or of the generation before, or new ones.
fn remote(source: &JwksUrl, root: &Path, known: &mut Vec<Arc<RemoteKeys>>) -> Arc<RemoteKeys> {
    if let Some(keys) = known.iter().find(|keys| keys.source() == source) {
        return keys.clone();
    }
    let keys = Arc::new(RemoteKeys::new(source.clone(), root));
    known.push(keys.clone());
    keys
}

/// The keys that are here: a shared secret, or a file's.
fn local(issuer: &Issuer, root: &Path, warnings: &mut Vec<Problem>) -> KeySet {
    let mut warn = |code, message: String, hint: &str| {
        warnings.push(Problem::error(issuer.place.clone(), code, message, hint).as_warning());
    };
    let name = &issuer.name;
    match &issuer.keys {
        IssuerKeys::Hs256(source) => match secret::resolve(source, root) {
            // Anyone can sign with nothing.
            Ok(text) if text.expose().is_empty() => {
                warn(
                    ProblemCode::SecretMissing,
                    format!("The secret of `{name}` is empty."),
                    "Set it; until then tokens of this issuer are refused.",
                );
                KeySet::default()
            }
            Ok(text) => {
                if text.expose().len() < MIN_SECRET_BYTES {
                    warn(
                        ProblemCode::BadValue,
                        format!("The secret of `{name}` is so short that it can be guessed."),
                        "Use at least 32 random bytes.",
                    );
                }
                KeySet::from_secret(text.expose().as_bytes())
            }
            Err(error) => {
                warn(
                    ProblemCode::SecretMissing,
                    format!("The secret of `{name}` cannot be had: {error}."),
                    "Set it; until then tokens of this issuer are refused.",
                );
                KeySet::default()
            }
        },
        IssuerKeys::Jwks(text) => {
            let (keys, unused) = KeySet::from_jwks(text).unwrap_or_default();
            for (number, reason) in unused {
                warn(
                    ProblemCode::Unsupported,
                    format!("Key {number} of `{name}` is not used: it is {reason}."),
                    "Use RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA) keys.",
                );
            }
            keys
        }
        IssuerKeys::Url(_) => KeySet::default(),
    }
}

/// The `iss` of a token that nobody has verified yet: only says whose keys to try.
fn unverified_issuer(token: &str) -> Option<String> {
    let claims: Map<String, Value> = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// What a good token shows.
struct Proof {
    claims: Map<String, Value>,
    expires: f64,
    keys: Arc<KeySet>,
}

impl Verifier {
    fn keys(&self, instant: Instant) -> Arc<KeySet> {
        match &self.keys {
            Source::Here(keys) => keys.clone(),
            Source::Remote(keys) => keys.keys(instant),
        }
    }

    async fn verify(
        &self,
        token: &str,
        header: &Header,
        now: Timestamp,
        instant: Instant,
    ) -> Result<Proof, Denial> {
        if !self.pinned.is_empty() && !self.pinned.contains(&header.alg) {
            return Err(Denial::InvalidToken);
        }
        let keys = self.keys(instant);
        let first = self.check(token, header, &keys, now);
        let Source::Remote(remote) = &self.keys else { return first };
        // A key without a name may be one that is not here yet, and is only known by its failing.
        let is_unknown = keys.fitting(header.alg, header.kid.as_deref()).next().is_none()
            || (header.kid.is_none() && first.as_ref().is_err_and(|d| *d == Denial::InvalidToken));
        if !is_unknown {
            return first;
        }
        remote.demand(instant).await;
        let fresh = self.keys(Instant::now());
        if fresh.is_empty() {
            return Err(Denial::KeysUnavailable);
        }
        if Arc::ptr_eq(&keys, &fresh) {
            return first;
        }
        self.check(token, header, &fresh, now)
    }

    fn check(
        &self,
        token: &str,
        header: &Header,
        keys: &Arc<KeySet>,
        now: Timestamp,
    ) -> Result<Proof, Denial> {
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_issuer(&[&self.issuer.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Times are looked at below, by the time of the call.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let signed = |key: &Key| {
            decode::<Map<String, Value>>(token, &key.decoding, &validation)
                .ok()
                .map(|data| data.claims)
        };
        let claims = keys.fitting(header.alg, header.kid.as_deref()).find_map(signed);
        let claims = claims.ok_or(Denial::InvalidToken)?;
        let expires = self.check_times(&claims, seconds_of(now))?;
        Ok(Proof { claims, expires, keys: keys.clone() })
    }

    /// Whether the token holds now; gives when it ends.
    fn check_times(&self, claims: &Map<String, Value>, now: f64) -> Result<f64, Denial> {
        let leeway = self.issuer.leeway_seconds as f64;
        let expires = claims.get("exp").and_then(seconds).ok_or(Denial::InvalidToken)?;
        if now >= expires + leeway {
            return Err(Denial::ExpiredToken);
        }
        if let Some(begins) = claims.get("nbf") {
            let begins = seconds(begins).ok_or(Denial::InvalidToken)?;
            if now + leeway < begins {
                return Err(Denial::InvalidToken);
            }
        }
        Ok(expires)
    }

    fn principal(&self, claims: Map<String, Value>, policies: &Policies) -> Principal {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = claim(&claims, &self.issuer.name_claim).and_then(text).unwrap_or_default();
        let values: Vec<String> = match claim(&claims, &self.issuer.roles_claim) {
            Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
            // OAuth's `scope` is one text with spaces.
            Some(Value::String(text)) => text.split([' ', ',']).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let mut roles = Vec::new();
        for value in &values {
            // With a map, the issuer's words are not ours: one that happens to be a role's name gives nothing.
            let given = match &self.issuer.roles_map {
                Some(map) => map.get(value).map_or(&[][..], Vec::as_slice),
                None => policies.role_ids.get(value).map_or(&[][..], std::slice::from_ref),
            };
            for role in given {
                if !roles.contains(role) {
                    roles.push(*role);
                }
            }
        }
        Principal {
            kind: PrincipalKind::Token,
            name: name.into(),
            issuer: Some(self.issuer.name.as_str().into()),
            roles,
            claims,
        }
    }
}

/// A `NumericDate`; fractions are allowed.
fn seconds(value: &Value) -> Option<f64> {
    value.as_f64().filter(|seconds| (0.0..MAX_SECONDS).contains(seconds))
}

fn seconds_of(now: Timestamp) -> f64 {
    now.as_microsecond() as f64 / 1e6
}

fn algorithm(pinned: Pinned) -> Algorithm {
    match pinned {
        Pinned::HS256 => Algorithm::HS256,
        Pinned::RS256 => Algorithm::RS256,
        Pinned::ES256 => Algorithm::ES256,
        Pinned::EdDSA => Algorithm::EdDSA,
    }
}
