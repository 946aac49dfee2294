//! Secrets at run time: read from where the YAML points, redacted wherever they are printed.

use std::fmt;
use std::path::Path;

use super::regular;
use super::spec::Secret;

/// A secret text. `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

/// Why a secret could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("environment variable `{0}` is not set")]
    NoVariable(String),
    #[error("file `{path}` cannot be read: {reason}")]
    NoFile { path: String, reason: String },
    #[error("neither `env` nor `file` is given")]
    Unspecified,
}

/// Reads the secret that `secret` points to; files are relative to `root`.
///
/// # Errors
/// Where the variable or the file is missing.
pub fn resolve(secret: &Secret, root: &Path) -> Result<SecretText, SecretError> {
    if let Some(name) = &secret.env {
        return std::env::var(name)
            .map(SecretText)
            .map_err(|_| SecretError::NoVariable(name.clone()));
    }
    let Some(file) = &secret.file else { return Err(SecretError::Unspecified) };
    match regular::read_to_string(&root.join(file)) {
        Ok(text) => Ok(SecretText(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => {
            let is_of_system = error.raw_os_error().is_some();
            let reason = if is_of_system { error.kind().to_string() } else { error.to_string() };
            Err(SecretError::NoFile { path: file.clone(), reason })
        }
    }
}
