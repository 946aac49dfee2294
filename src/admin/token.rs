//! The admin token: made at the first start, kept in the data directory for its owner's eyes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use subtle::ConstantTimeEq;

use crate::definitions::secret::SecretText;

/// File below the data directory.
pub const FILE: &str = "admin-token";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Only the owner reads it.
const MODE: u32 = 0o600;

/// Reads the token, or makes one.
///
/// # Errors
/// Where the file cannot be read or written, or the system gives no random bytes.
pub fn load_or_make(data_dir: &Path) -> io::Result<SecretText> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(SecretText::new(text.trim())),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bytes = [0; TOKEN_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
    writeln!(file, "{token}")?;
    Ok(SecretText::new(token))
}

/// Compares in constant time.
pub fn is_right(token: &SecretText, given: &str) -> bool {
    token.expose().as_bytes().ct_eq(given.as_bytes()).into()
}
