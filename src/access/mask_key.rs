//! The key of the `hash` mask: made at the first start, kept in a file, never in a statement's text.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::definitions::load::hex;

/// Name of the file in the data directory.
pub const FILE: &str = "mask-key";
/// Block of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;
/// Shortest key that is taken, in characters.
const MIN_KEY_CHARS: usize = 16;

/// A key, as the two pads that HMAC-SHA-256 makes of it, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey {
    inner: String,
    outer: String,
}

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey(redacted)")
    }
}

impl MaskKey {
    /// Makes a key of bytes.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0_u8; BLOCK_BYTES];
        let digest = Sha256::digest(key);
        let key = if key.len() > BLOCK_BYTES { digest.as_slice() } else { key };
        block[..key.len()].copy_from_slice(key);
        let pad = |with: u8| hex(&block.map(|byte| byte ^ with));
        Self { inner: pad(0x36), outer: pad(0x5c) }
    }

    /// A key that nobody knows and that is gone with the process: for test runs.
    pub fn ephemeral() -> Self {
        Self::new(&rand::random::<[u8; 32]>())
    }

    /// Reads the key's file, or makes it.
    ///
    /// # Errors
    /// Where it can be neither read nor made, or holds next to nothing.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) if text.trim().chars().count() < MIN_KEY_CHARS => {
                let text =
                    format!("{} holds fewer than {MIN_KEY_CHARS} characters", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
            Ok(text) => Ok(Self::new(text.trim().as_bytes())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = hex(&rand::random::<[u8; 32]>());
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                writeln!(file, "{text}")?;
                file.sync_all()?;
                Ok(Self::new(text.as_bytes()))
            }
            Err(error) => Err(error),
        }
    }

    /// The key XOR 0x36.
    pub fn inner(&self) -> &str {
        &self.inner
    }

    /// The key XOR 0x5c.
    pub fn outer(&self) -> &str {
        &self.outer
    }
}
