//! The keys that verify an issuer's tokens, each for one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::definitions::issuer::JwkList;

/// Keys of a set that are looked at: a token without `kid` is tried with each.
const MAX_KEYS: usize = 100;
/// Shortest modulus of an RSA key (RFC 7518, 3.3).
const MIN_RSA_BITS: usize = 2_048;

/// A key.
pub struct Key {
    id: Option<String>,
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

/// The keys of an issuer.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.keys.len()).finish()
    }
}

impl KeySet {
    /// The one key of a shared secret.
    pub fn from_secret(secret: &[u8]) -> Self {
        let decoding = DecodingKey::from_secret(secret);
        Self { keys: vec![Key { id: None, algorithm: Algorithm::HS256, decoding }] }
    }

    /// The keys of a JWKS that can be used, and of each other one its number, from 1, and why not.
    ///
    /// # Errors
    /// Where the text is no JWKS.
    pub fn from_jwks(text: &str) -> serde_json::Result<(Self, Vec<(usize, &'static str)>)> {
        let list: JwkList = serde_json::from_str(text)?;
        let (mut keys, mut unused) = (Vec::new(), Vec::new());
        if list.keys.len() > MAX_KEYS {
            unused.push((MAX_KEYS + 1, "one too many, as are those after it"));
        }
        for (i, value) in list.keys.iter().take(MAX_KEYS).enumerate() {
            match key(value) {
                Ok(Some(key)) => keys.push(key),
                Ok(None) => {}
                Err(reason) => unused.push((i + 1, reason)),
            }
        }
        Ok((Self { keys }, unused))
    }

    /// The keys that may have signed a token with this head.
    pub fn fitting<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| {
            key.algorithm == algorithm
                && (kid.is_none() || key.id.is_none() || key.id.as_deref() == kid)
        })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A key of a JWKS; `None` where it is meant for something else than signatures.
fn key(value: &Value) -> Result<Option<Key>, &'static str> {
    const KIND: &str = "of a kind that is not supported";
    if matches!(value["use"].as_str(), Some("enc")) {
        return Ok(None);
    }
    let jwk: Jwk = serde_json::from_value(value.clone()).map_err(|_| KIND)?;
    let operations = jwk.common.key_operations.as_ref();
    if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Ok(None);
    }
    let (algorithm, named) = algorithm_of(&jwk.algorithm).ok_or(KIND)?;
    if jwk.common.key_algorithm.is_some_and(|given| given != named) {
        return Err("for an algorithm that is not supported");
    }
    if let AlgorithmParameters::RSA(rsa) = &jwk.algorithm {
        let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).map_err(|_| "not readable")?;
        let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
        if bytes * 8 < MIN_RSA_BITS {
            return Err("an RSA key of less than 2048 bits");
        }
    }
    let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| "not readable")?;
    Ok(Some(Key { id: jwk.common.key_id, algorithm, decoding }))
}

/// The one algorithm that a key is for. A public key is never taken as a shared secret.
fn algorithm_of(parameters: &AlgorithmParameters) -> Option<(Algorithm, KeyAlgorithm)> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some((Algorithm::RS256, KeyAlgorithm::RS256)),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Some((Algorithm::ES256, KeyAlgorithm::ES256))
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some((Algorithm::EdDSA, KeyAlgorithm::EdDSA))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_cannot_be_used_does_not_spoil_the_others() {
        let good = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "good",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            key
        };
        let set = json!({"keys": [
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([255; 128])},
            with("alg", json!("ES256")),
            with("use", json!("enc")),
            with("key_ops", json!(["encrypt"])),
            7,
            good,
        ]});
        let (keys, unused) = KeySet::from_jwks(&set.to_string()).unwrap();
        assert_eq!(keys.fitting(Algorithm::EdDSA, Some("good")).count(), 1);
        assert_eq!(keys.len(), 1);
        let numbers: Vec<usize> = unused.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 7]);
        assert!(KeySet::from_jwks("{}").is_err());
    }

    #[test]
    fn a_set_has_a_limit() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let set = json!({"keys": vec![key; MAX_KEYS + 5]});
        let (keys, unused) = KeySet::from_jwks(&set.to_string()).unwrap();
        assert_eq!((keys.len(), unused.len()), (MAX_KEYS, 1));
    }
}
