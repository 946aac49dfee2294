//! Secrets of sessions and API tokens: random, shown once, kept as hashes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::definitions::load::hex;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Random bytes of an id, which is no secret.
const ID_BYTES: usize = 9;
/// Tells an API token from other texts.
pub const TOKEN_PREFIX: &str = "tga_";

/// Tells an API key from other texts.
pub const KEY_PREFIX: &str = "tg_";

/// A fresh secret.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn fresh() -> std::io::Result<String> {
    random::<SECRET_BYTES>()
}

/// A fresh id.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn id() -> std::io::Result<String> {
    random::<ID_BYTES>()
}

/// What is kept of a secret. It is random and long, so one round of a fast hash is enough.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

/// Compares in constant time.
pub fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn random<const N: usize>() -> std::io::Result<String> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
