//! Proves who calls: API keys by their hash, tokens by their signature.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moka::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::principal::{Principal, claim};
use crate::definitions::problem::{Problem, ProblemCode};
use crate::definitions::secret;
use crate::definitions::snapshot::{Consumer, Issuer, IssuerKeys, Policies};
use crate::definitions::spec::jwt_issuer::Algorithm as Pinned;
use crate::observe::event::Denial;
use crate::store::audit::PrincipalKind;

/// Tokens whose signature is remembered as good until they expire.
const MAX_REMEMBERED_TOKENS: u64 = 10_000;
/// Longest token or key looked at, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 16 << 10;

/// What a request says of its caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// `X-API-Key`.
    pub api_key: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Checks credentials against the policies of one generation.
#[derive(Debug)]
pub struct Authenticator {
    consumers: Vec<Arc<Principal>>,
    issuers: Vec<Verifier>,
    anonymous: Arc<Principal>,
    /// SHA-256 of a token to its caller and the second it expires.
    remembered: Cache<[u8; 32], (Arc<Principal>, i64)>,
}

/// The keys of an issuer, ready.
struct Verifier {
    issuer: Issuer,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.issuer.name).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Makes keys ready. What cannot be used becomes a warning; its tokens do not pass.
    pub fn prepare(policies: &Policies, root: &Path, warnings: &mut Vec<Problem>) -> Self {
        Self {
            consumers: policies
                .consumers
                .iter()
                .map(|consumer| Arc::new(principal(consumer)))
                .collect(),
            issuers: policies
                .issuers
                .iter()
                .map(|issuer| verifier(issuer, root, warnings))
                .collect(),
            anonymous: Arc::new(Principal::anonymous()),
            remembered: Cache::new(MAX_REMEMBERED_TOKENS),
        }
    }

    /// Who calls; a request without credentials is anonymous.
    ///
    /// # Errors
    /// Why the credentials do not count. Bad ones are never taken for none.
    pub fn authenticate(
        &self,
        credentials: Credentials<'_>,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denial> {
        if let Some(key) = credentials.api_key {
            return self.api_key(key, policies, now);
        }
        let Some(authorization) = credentials.authorization else {
            return Ok(self.anonymous.clone());
        };
        let (scheme, token) = authorization.split_once(' ').ok_or(Denial::MalformedCredentials)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denial::MalformedCredentials);
        }
        self.token(token.trim(), policies, now)
    }

    /// The principal of a consumer.
    pub fn consumer(&self, index: usize) -> Option<&Arc<Principal>> {
        self.consumers.get(index)
    }

    /// Keys are long and random, so that looking a hash up tells nothing by its time.
    fn api_key(
        &self,
        key: &str,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denial> {
        if key.len() > MAX_CREDENTIAL_BYTES {
            return Err(Denial::UnknownKey);
        }
        let digest: [u8; 32] = Sha256::digest(key).into();
        let entry = policies.keys.get(&digest).ok_or(Denial::UnknownKey)?;
        if entry.expires_at.is_some_and(|end| now >= end) {
            return Err(Denial::ExpiredKey);
        }
        self.consumer(entry.consumer).cloned().ok_or(Denial::UnknownKey)
    }

    fn token(
        &self,
        token: &str,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denial> {
        if token.len() > MAX_CREDENTIAL_BYTES {
            return Err(Denial::InvalidToken);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some((principal, expires)) = self.remembered.get(&digest) {
            if now.as_second() < expires {
                return Ok(principal);
            }
            self.remembered.invalidate(&digest);
        }
        let header = decode_header(token).map_err(|_| Denial::InvalidToken)?;
        let named = unverified_issuer(token).ok_or(Denial::InvalidToken)?;
        let mut denial = Denial::UnknownIssuer;
        for verifier in self.issuers.iter().filter(|verifier| verifier.issuer.issuer == named) {
            match verifier.verify(token, header.alg, header.kid.as_deref()) {
                Ok(claims) => {
                    let expires = claims.get("exp").and_then(Value::as_f64).unwrap_or(0.0);
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "seconds of a verified token"
                    )]
                    let expires = expires as i64;
                    let principal = Arc::new(verifier.principal(claims, policies));
                    self.remembered.insert(digest, (principal.clone(), expires));
                    return Ok(principal);
                }
                Err(found) => denial = found,
            }
        }
        Err(denial)
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

/// The `iss` of a token that nobody has verified yet: only says whose keys to try.
fn unverified_issuer(token: &str) -> Option<String> {
    let claims: Map<String, Value> = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

impl Verifier {
    fn verify(
        &self,
        token: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Map<String, Value>, Denial> {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_issuer(&[&self.issuer.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = self.issuer.leeway_seconds;
        let fits = |key: &&Key| {
            key.algorithm == algorithm
                && (kid.is_none() || key.id.is_none() || key.id.as_deref() == kid)
        };
        let mut denial = Denial::InvalidToken;
        for key in self.keys.iter().filter(fits) {
            match decode::<Map<String, Value>>(token, &key.decoding, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                    denial = Denial::ExpiredToken;
                }
                Err(_) => {}
            }
        }
        Err(denial)
    }

    fn principal(&self, claims: Map<String, Value>, policies: &Policies) -> Principal {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = claim(&claims, &self.issuer.name_claim).and_then(text).unwrap_or_default();
        let names: Vec<String> = match claim(&claims, &self.issuer.roles_claim) {
            Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
            // OAuth's `scope` is one text with spaces.
            Some(Value::String(text)) => text.split([' ', ',']).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Principal {
            kind: PrincipalKind::Token,
            name: name.into(),
            issuer: Some(self.issuer.name.as_str().into()),
            roles: names.iter().filter_map(|name| policies.role_ids.get(name).copied()).collect(),
            claims,
        }
    }
}

fn verifier(issuer: &Issuer, root: &Path, warnings: &mut Vec<Problem>) -> Verifier {
    let mut warn = |code, message: String, hint: &str| {
        warnings.push(Problem::error(issuer.place.clone(), code, message, hint).as_warning());
    };
    let mut keys = Vec::new();
    match &issuer.keys {
        IssuerKeys::Hs256(source) => match secret::resolve(source, root) {
            Ok(text) => keys.push(Key {
                id: None,
                algorithm: Algorithm::HS256,
                decoding: DecodingKey::from_secret(text.expose().as_bytes()),
            }),
            Err(error) => {
                let message = format!("The secret of `{}` cannot be had: {error}.", issuer.name);
                warn(
                    ProblemCode::SecretMissing,
                    message,
                    "Set it; until then tokens of this issuer are refused.",
                );
            }
        },
        IssuerKeys::Jwks(text) => {
            let set: JwkSet = serde_json::from_str(text).unwrap_or(JwkSet { keys: Vec::new() });
            for (i, jwk) in set.keys.iter().enumerate() {
                if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
                    continue;
                }
                let algorithm = algorithm_of(&jwk.algorithm);
                match (algorithm, DecodingKey::from_jwk(jwk)) {
                    (Some(algorithm), Ok(decoding)) => {
                        keys.push(Key { id: jwk.common.key_id.clone(), algorithm, decoding });
                    }
                    _ => warn(
                        ProblemCode::Unsupported,
                        format!(
                            "Key {} of `{}` is of a kind that is not supported.",
                            i + 1,
                            issuer.name
                        ),
                        "Use RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA) keys.",
                    ),
                }
            }
        }
    }
    if !issuer.algorithms.is_empty() {
        let pinned: Vec<Algorithm> = issuer.algorithms.iter().copied().map(algorithm).collect();
        keys.retain(|key| pinned.contains(&key.algorithm));
    }
    Verifier { issuer: issuer.clone(), keys }
}

/// The one algorithm that a key is for. A public key is never taken as a shared secret.
fn algorithm_of(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

fn algorithm(pinned: Pinned) -> Algorithm {
    match pinned {
        Pinned::HS256 => Algorithm::HS256,
        Pinned::RS256 => Algorithm::RS256,
        Pinned::ES256 => Algorithm::ES256,
        Pinned::EdDSA => Algorithm::EdDSA,
    }
}
