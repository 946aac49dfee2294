//! Fetches a JWKS: one GET with limits to its time, its size and its way.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::definitions::regular;

/// Longest fetch, from the look-up of the name to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest JWKS.
const MAX_JWKS_BYTES: u64 = 256 << 10;
/// Redirects that are followed, from `https` to `https` only.
const MAX_REDIRECTS: u32 = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Http(#[from] ureq::Error),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("ca_file {file}: {reason}")]
    Authorities { file: String, reason: String },
}

/// The text at `url`. Blocks for [`FETCH_TIMEOUT`] at most.
///
/// # Errors
/// Where it does not come, in time and as 200, or is too large.
pub fn get(url: &str, ca_file: Option<&Path>) -> Result<String, FetchError> {
    let is_encrypted = url.starts_with("https://");
    let mut config = Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .https_only(is_encrypted)
        .max_redirects(if is_encrypted { MAX_REDIRECTS } else { 0 })
        .http_status_as_error(false)
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .accept("application/jwk-set+json, application/json");
    if !is_encrypted {
        // What is on this machine is not asked for elsewhere.
        config = config.proxy(None);
    }
    if let Some(file) = ca_file {
        let roots = RootCerts::new_with_certs(&authorities(file)?);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    let mut response = Agent::from(config.build()).get(url).call()?;
    if response.status().as_u16() != 200 {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    Ok(response.body_mut().with_config().limit(MAX_JWKS_BYTES).read_to_string()?)
}

fn authorities(file: &Path) -> Result<Vec<Certificate<'static>>, FetchError> {
    let unusable =
        |reason: String| FetchError::Authorities { file: file.display().to_string(), reason };
    let mut pem = Vec::new();
    let read = regular::open(file).and_then(|mut file| file.read_to_end(&mut pem));
    read.map_err(|error| unusable(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| unusable(error.to_string()))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(unusable("no certificate in it".into()));
    }
    Ok(found)
}
