//! Restart-only settings: flags, then `TIDEGATE_*` variables, then `tidegate.yaml` at the root, then defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::access::mask_key;
use crate::admin::edit::Mode;
use crate::definitions::interface::parse_network;
use crate::gateway::GatewaySettings;
use crate::gateway::connection::Limits;
use crate::observe::log::{DEFAULT_FILTER, LogFormat};
use crate::store::audit::{AuditSettings, Durability};

/// The file at the root.
const FILE: &str = "tidegate.yaml";
/// Waits for peers, in milliseconds: none is so short that nobody could keep it, or beyond what clocks can add.
const MIN_WAIT_MS: u64 = 1;
const MAX_WAIT_MS: u64 = 86_400_000;

/// Settings as given: by flags and variables, or in the file, which has the same names with `_` for `-`.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Address that serves /data-api [default: 127.0.0.1:8080]
    #[arg(long, env = "TIDEGATE_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the admin API, the probes and the metrics [default: 127.0.0.1:8081]
    #[arg(long, env = "TIDEGATE_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Certificate chain of the data address, PEM; needs --tls-key
    #[arg(long, env = "TIDEGATE_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Private key of the data address, PEM; needs --tls-cert
    #[arg(long, env = "TIDEGATE_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Threads that serve requests [default: one a processor]
    #[arg(long, env = "TIDEGATE_THREADS", value_name = "COUNT")]
    threads: Option<usize>,
    /// Directory of what the appliance itself keeps [default: data below the root]
    #[arg(long, env = "TIDEGATE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Store of audit records [default: sqlite below the data directory]
    #[arg(long, env = "TIDEGATE_STORE_URL", value_name = "URL")]
    store_url: Option<String>,
    /// File with the key of the `hash` mask, the same on every machine of a fleet [default: mask-key below the data directory]
    #[arg(long, env = "TIDEGATE_MASK_KEY_FILE", value_name = "FILE")]
    mask_key_file: Option<PathBuf>,
    /// Proxies whose X-Forwarded-For is believed: networks, with commas
    #[arg(long, env = "TIDEGATE_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    trusted_proxies: Option<Vec<String>>,
    /// Where callers of internal interfaces must come from: networks, with commas
    #[arg(long, env = "TIDEGATE_TRUSTED_NETWORKS", value_name = "NETWORKS", value_delimiter = ',')]
    trusted_networks: Option<Vec<String>>,
    /// Largest request body, in bytes [default: 1048576]
    #[arg(long, env = "TIDEGATE_MAX_BODY_BYTES", value_name = "BYTES")]
    max_body_bytes: Option<usize>,
    /// Calls worked on at once; more are refused with 503 [default: 2048]
    #[arg(long, env = "TIDEGATE_MAX_IN_FLIGHT", value_name = "COUNT")]
    max_in_flight: Option<usize>,
    /// Calls with bad credentials from one address, a minute; 0: any number [default: 120]
    #[arg(long, env = "TIDEGATE_MAX_AUTH_FAILURES_PER_MINUTE", value_name = "COUNT")]
    max_auth_failures_per_minute: Option<u32>,
    /// Memory of cached answers, in bytes [default: 268435456]
    #[arg(long, env = "TIDEGATE_CACHE_BYTES", value_name = "BYTES")]
    cache_bytes: Option<u64>,
    /// Days that audit records are kept; 0: for ever [default: 180]
    #[arg(long, env = "TIDEGATE_AUDIT_RETENTION_DAYS", value_name = "DAYS")]
    audit_retention_days: Option<u32>,
    /// What an acknowledged audit record survives: the end of the process, also by a kill, or a power cut, which is slower
    /// [default: process]
    #[arg(long, env = "TIDEGATE_AUDIT_DURABILITY", value_name = "process|power")]
    audit_durability: Option<String>,
    /// Whether the admin address changes definitions: direct, or readonly where the files come from elsewhere [default: direct]
    #[arg(long, env = "TIDEGATE_EDIT", value_name = "direct|readonly")]
    edit: Option<String>,
    /// How long a stopping process still accepts after /readyz has turned, in milliseconds [default: 0]
    #[arg(long, env = "TIDEGATE_DRAIN_DELAY_MS", value_name = "MS")]
    drain_delay_ms: Option<u64>,
    /// Longest wait for calls under way when stopping, in milliseconds [default: 30000]
    #[arg(long, env = "TIDEGATE_DRAIN_TIMEOUT_MS", value_name = "MS")]
    drain_timeout_ms: Option<u64>,
    /// Form of log lines: text or json [default: text]
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_name = "FORM")]
    log_format: Option<String>,
    /// Which log lines are written, such as `info,access=info`
    #[arg(long, env = "TIDEGATE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Longest wait for the whole head of a request, in milliseconds [default: 10000]
    #[arg(long, env = "TIDEGATE_HEADER_TIMEOUT_MS", value_name = "MS")]
    header_timeout_ms: Option<u64>,
    /// Longest wait for the whole body of a request, in milliseconds [default: 15000]
    #[arg(long, env = "TIDEGATE_BODY_TIMEOUT_MS", value_name = "MS")]
    body_timeout_ms: Option<u64>,
    /// Longest time that a connection may lie idle, in milliseconds [default: 75000]
    #[arg(long, env = "TIDEGATE_IDLE_TIMEOUT_MS", value_name = "MS")]
    idle_timeout_ms: Option<u64>,
    /// Longest time in which a reader takes nothing of an answer, in milliseconds [default: 30000]
    #[arg(long, env = "TIDEGATE_WRITE_TIMEOUT_MS", value_name = "MS")]
    write_timeout_ms: Option<u64>,
    /// Open connections on the data address; more are refused [default: 16384]
    #[arg(long, env = "TIDEGATE_MAX_CONNECTIONS", value_name = "COUNT")]
    max_connections: Option<usize>,
}

/// Settings, decided.
#[derive(Clone, Debug)]
pub struct Settings {
    pub root: PathBuf,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Certificate chain and private key.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub threads: usize,
    pub data_dir: PathBuf,
    pub store_url: String,
    pub mask_key_file: PathBuf,
    pub cache_bytes: u64,
    /// Calls with bad credentials from one address; 0: any number.
    pub max_auth_failures_per_minute: u32,
    /// From `/readyz` turning to the end of accepting.
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    /// Whether definitions are changed at the admin address.
    pub edit: Mode,
    pub log_format: LogFormat,
    pub log_filter: String,
    pub gateway: GatewaySettings,
    pub audit: AuditSettings,
}

/// Why settings cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{FILE}: {0}")]
    File(String),
    #[error("{name}: {reason}")]
    Value { name: &'static str, reason: String },
}

impl Given {
    /// Decides the settings for a root, with its `tidegate.yaml`.
    ///
    /// # Errors
    /// Where the file or a value cannot be taken.
    pub fn decide(self, root: &Path) -> Result<Settings, SettingsError> {
        let file = read(&root.join(FILE))?;
        let tls = match (self.tls_cert.or(file.tls_cert), self.tls_key.or(file.tls_key)) {
            (Some(cert), Some(key)) => Some((root.join(cert), root.join(key))),
            (None, None) => None,
            _ => {
                let reason = "certificate and key go together".to_owned();
                return Err(SettingsError::Value { name: "tls_cert", reason });
            }
        };
        let data_dir = root.join(self.data_dir.or(file.data_dir).unwrap_or_else(|| "data".into()));
        let store = || format!("sqlite://{}", data_dir.join("tidegate.db").display());
        let log_format = match self.log_format.or(file.log_format).as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let reason = format!("`{other}` is neither text nor json");
                return Err(SettingsError::Value { name: "log_format", reason });
            }
        };
        let durability = match self.audit_durability.or(file.audit_durability).as_deref() {
            None | Some("process") => Durability::Process,
            Some("power") => Durability::Power,
            Some(other) => {
                let reason = format!("`{other}` is neither process nor power");
                return Err(SettingsError::Value { name: "audit_durability", reason });
            }
        };
        let edit = match self.edit.or(file.edit).as_deref() {
            None | Some("direct") => Mode::Direct,
            Some("readonly") => Mode::ReadOnly,
            Some(other) => {
                let reason = format!("`{other}` is neither direct nor readonly");
                return Err(SettingsError::Value { name: "edit", reason });
            }
        };
        let defaults = GatewaySettings::default();
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            root: root.to_owned(),
            listen: self.listen.or(file.listen).unwrap_or_else(|| ([127, 0, 0, 1], 8080).into()),
            admin_listen: self
                .admin_listen
                .or(file.admin_listen)
                .unwrap_or_else(|| ([127, 0, 0, 1], 8081).into()),
            tls,
            threads: self
                .threads
                .or(file.threads)
                .filter(|threads| *threads > 0)
                .unwrap_or_else(processors),
            store_url: self.store_url.or(file.store_url).unwrap_or_else(store),
            mask_key_file: self
                .mask_key_file
                .or(file.mask_key_file)
                .map_or_else(|| data_dir.join(mask_key::FILE), |file| root.join(file)),
            data_dir,
            cache_bytes: self.cache_bytes.or(file.cache_bytes).unwrap_or(256 << 20),
            max_auth_failures_per_minute: self
                .max_auth_failures_per_minute
                .or(file.max_auth_failures_per_minute)
                .unwrap_or(120),
            drain_delay: Duration::from_millis(
                self.drain_delay_ms.or(file.drain_delay_ms).unwrap_or(0),
            ),
            drain_timeout: Duration::from_millis(
                self.drain_timeout_ms.or(file.drain_timeout_ms).unwrap_or(30_000),
            ),
            edit,
            log_format,
            log_filter: self.log.or(file.log).unwrap_or_else(|| DEFAULT_FILTER.to_owned()),
            gateway: GatewaySettings {
                trusted_proxies: networks(
                    "trusted_proxies",
                    self.trusted_proxies.or(file.trusted_proxies),
                )?,
                trusted_networks: networks(
                    "trusted_networks",
                    self.trusted_networks.or(file.trusted_networks),
                )?,
                max_body_bytes: self
                    .max_body_bytes
                    .or(file.max_body_bytes)
                    .unwrap_or(defaults.max_body_bytes),
                body_timeout: wait(self.body_timeout_ms.or(file.body_timeout_ms))
                    .unwrap_or(defaults.body_timeout),
                connection_limits: Limits {
                    head: wait(self.header_timeout_ms.or(file.header_timeout_ms))
                        .unwrap_or(defaults.connection_limits.head),
                    idle: wait(self.idle_timeout_ms.or(file.idle_timeout_ms))
                        .unwrap_or(defaults.connection_limits.idle),
                    write: wait(self.write_timeout_ms.or(file.write_timeout_ms))
                        .unwrap_or(defaults.connection_limits.write),
                },
                max_connections: self
                    .max_connections
                    .or(file.max_connections)
                    .unwrap_or(defaults.max_connections),
                max_in_flight: positive(
                    "max_in_flight",
                    self.max_in_flight.or(file.max_in_flight).unwrap_or(defaults.max_in_flight),
                )?,
            },
            audit: AuditSettings {
                durability,
                retention_days: self
                    .audit_retention_days
                    .or(file.audit_retention_days)
                    .unwrap_or(AuditSettings::default().retention_days),
                ..AuditSettings::default()
            },
        })
    }
}

/// A wait as given, at least [`MIN_WAIT_MS`] and at most [`MAX_WAIT_MS`].
fn wait(given_ms: Option<u64>) -> Option<Duration> {
    given_ms.map(|ms| Duration::from_millis(ms.clamp(MIN_WAIT_MS, MAX_WAIT_MS)))
}

fn read(path: &Path) -> Result<Given, SettingsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Given::default()),
        Err(error) => return Err(SettingsError::File(error.to_string())),
    };
    if text.trim().is_empty() {
        return Ok(Given::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| SettingsError::File(error.to_string()))
}

fn positive(name: &'static str, count: usize) -> Result<usize, SettingsError> {
    if count > 0 {
        return Ok(count);
    }
    Err(SettingsError::Value { name, reason: "it must be 1 or more".to_owned() })
}

fn networks(name: &'static str, texts: Option<Vec<String>>) -> Result<Vec<IpNet>, SettingsError> {
    let texts = texts.unwrap_or_default();
    let network = |text: String| {
        let reason = format!("`{text}` is no address and no network");
        parse_network(text.trim()).ok_or(SettingsError::Value { name, reason })
    };
    texts.into_iter().filter(|text| !text.trim().is_empty()).map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_file_and_the_file_before_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = "listen: 127.0.0.1:9000\nadmin_listen: 127.0.0.1:9001\ntrusted_proxies: [10.0.0.0/8, 127.0.0.1]\n";
        std::fs::write(dir.path().join(FILE), file).unwrap();
        let given = Given { listen: Some(([127, 0, 0, 1], 7000).into()), ..Given::default() };
        let settings = given.decide(dir.path()).unwrap();
        assert_eq!(settings.listen.port(), 7000);
        assert_eq!(settings.admin_listen.port(), 9001);
        assert_eq!(settings.gateway.trusted_proxies.len(), 2);
        assert_eq!(settings.data_dir, dir.path().join("data"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "lisen: 1\n").unwrap();
        assert!(matches!(Given::default().decide(dir.path()), Err(SettingsError::File(_))));
        std::fs::write(dir.path().join(FILE), "trusted_networks: [nowhere]\n").unwrap();
        assert!(matches!(Given::default().decide(dir.path()), Err(SettingsError::Value { .. })));
        std::fs::write(dir.path().join(FILE), "max_in_flight: 0\n").unwrap();
        let error = Given::default().decide(dir.path()).unwrap_err();
        assert!(matches!(error, SettingsError::Value { name: "max_in_flight", .. }));
    }
}
