//! One connection: how it is opened, what its session is told, and how its queries are cancelled.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::error;
use super::statements::{Prepared, Statements};
use super::tls;
use crate::engines::{EngineConfig, EngineError, LoginStep};

pub(in crate::engines) const DEFAULT_PORT: u16 = 5432;

/// The session parameter that holds the server's version, such as `15.4 (Debian)`.
const VERSION: &str = "server_version";

/// From this version on, errors say which parameter they are about.
const NAMES_PARAMETERS_FROM: u32 = 14;

/// How much later than the gateway the server's own `statement_timeout` fires.
const STATEMENT_TIMEOUT_SLACK_MS: u64 = 2_000;

/// Quiet time after which the operating system asks whether the server is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);

/// Longest wait for the server to take a cancel request.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens connections of one datasource.
pub(super) struct Connector {
    config: EngineConfig,
    /// Built with the first connection, since it reads a file.
    tls: OnceLock<Option<MakeRustlsConnect>>,
}

impl Connector {
    pub(super) fn new(config: EngineConfig) -> Self {
        Self { config, tls: OnceLock::new() }
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Where connection tasks run. Must be called within a runtime.
    pub(super) fn runtime(&self) -> Handle {
        self.config.runtime.clone().unwrap_or_else(Handle::current)
    }

    /// Opens a connection within the datasource's connect timeout.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`], whatever the reason.
    pub(super) async fn connect(&self) -> Result<Connection, EngineError> {
        let limit = Duration::from_millis(self.config.pool.connect_timeout_ms);
        tokio::time::timeout(limit, self.open()).await.unwrap_or_else(|_| {
            Err(EngineError::Unavailable(format!("no connection within {} ms", limit.as_millis())))
        })
    }

    async fn open(&self) -> Result<Connection, EngineError> {
        self.log_in().await.map_err(|(_, error)| error)
    }

    /// Tries the addresses of the host one after the other, for as long as the caller waits.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`], whatever the reason, and the step at which the last address failed.
    pub(super) async fn log_in(&self) -> Result<Connection, (LoginStep, EngineError)> {
        let (host, port) = (&self.config.host, self.config.port.unwrap_or(DEFAULT_PORT));
        let unknown = |reason: String| {
            (LoginStep::Login, EngineError::Unavailable(format!("{host}: {reason}")))
        };
        let addresses = Address::resolve(host, port).await.map_err(|e| unknown(e.to_string()))?;
        let mut failure = unknown("no address".into());
        for address in addresses {
            match self.open_at(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open_at(&self, address: Address) -> Result<Connection, (LoginStep, EngineError)> {
        let failed = |e: tokio_postgres::Error| (error::login_step(&e), error::unavailable(&e));
        let runtime = self.runtime();
        let mut config = self.driver_config();
        if let Some(ip) = address.ip() {
            config.hostaddr(ip);
        }
        let tls = self.tls().map_err(|error| (LoginStep::Tls, error))?;
        let (client, driver, version) = if let Some(tls) = tls {
            config.ssl_mode(SslMode::Require);
            let (client, driver) = config.connect(tls.clone()).await.map_err(failed)?;
            let version = major_version(driver.parameter(VERSION));
            (client, runtime.spawn(drive(driver)).abort_handle(), version)
        } else {
            config.ssl_mode(SslMode::Disable);
            let (client, driver) = config.connect(NoTls).await.map_err(failed)?;
            let version = major_version(driver.parameter(VERSION));
            (client, runtime.spawn(drive(driver)).abort_handle(), version)
        };
        Ok(Connection {
            client,
            address,
            statements: Mutex::new(Statements::default()),
            opened_at: Instant::now(),
            names_parameters: version >= NAMES_PARAMETERS_FROM,
            runtime,
            driver,
            cancels: AtomicU32::new(0),
            last_ticket: AtomicU64::new(0),
            sending: Mutex::new(()),
            reached: AtomicU64::new(0),
        })
    }

    fn tls(&self) -> Result<Option<&MakeRustlsConnect>, EngineError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.as_ref());
        }
        let tls = tls::connector(self.config.tls.as_ref())?;
        Ok(self.tls.get_or_init(|| tls).as_ref())
    }

    fn driver_config(&self) -> tokio_postgres::Config {
        let config = &self.config;
        let mut driver = tokio_postgres::Config::new();
        driver
            .host(&config.host)
            .port(config.port.unwrap_or(DEFAULT_PORT))
            .application_name("tidegate")
            .keepalives_idle(KEEPALIVE_IDLE)
            .options(self.session_options());
        if let Some(database) = &config.database {
            driver.dbname(database);
        }
        if let Some(user) = &config.username {
            driver.user(user);
        }
        if let Some(password) = &config.password {
            driver.password(password.expose());
        }
        driver
    }

    /// Sent with the connection request, so they cost no round trip and are what `RESET` goes back to. Statements are
    /// checked as they read with standard strings, whatever the database's own setting is.
    fn session_options(&self) -> String {
        let timeout_ms = self.config.timeout_ms.saturating_add(STATEMENT_TIMEOUT_SLACK_MS);
        // The server reads it as a 32-bit number.
        let timeout_ms = timeout_ms.min(i32::MAX.unsigned_abs().into());
        let read_only = if self.config.read_only { "on" } else { "off" };
        format!(
            "-c default_transaction_read_only={read_only} -c statement_timeout={timeout_ms} \
             -c idle_in_transaction_session_timeout={timeout_ms} -c standard_conforming_strings=on \
             -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601"
        )
    }

    /// Asks the server, on a connection of its own, to cancel whatever `connection` is running.
    pub(super) async fn cancel(&self, connection: &Connection) {
        let token = connection.client.cancel_token();
        let tls = self.tls().unwrap_or_default();
        let request = connection.address.cancel(&token, &self.config.host, tls);
        // A request that fails is repeated by the caller until its grace is over.
        let _ = tokio::time::timeout(CANCEL_TIMEOUT, request).await;
    }
}

fn major_version(version: Option<&str>) -> u32 {
    let digits = version.and_then(|text| text.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Drives a connection to its end; whoever waits for an answer learns of a failure from its own call.
async fn drive<F: Future<Output = Result<(), tokio_postgres::Error>>>(driver: F) {
    if let Err(error) = driver.await {
        tracing::debug!(%error, "connection to PostgreSQL ended");
    }
}

/// An open connection.
pub(super) struct Connection {
    pub(super) client: Client,
    address: Address,
    pub(super) statements: Mutex<Statements>,
    pub(super) opened_at: Instant,
    /// The server says which parameter a value does not fit.
    pub(super) names_parameters: bool,
    /// Where clean-up runs when a query's future is dropped.
    pub(super) runtime: Handle,
    driver: AbortHandle,
    /// Cancels announced so far.
    cancels: AtomicU32,
    /// The latest ticket given out for this connection.
    pub(super) last_ticket: AtomicU64,
    /// Held while a query is sent, so that what is sent stands in the order of the tickets.
    pub(super) sending: Mutex<()>,
    /// The latest query that has had an answer: all those before it have ended.
    reached: AtomicU64,
}

impl Connection {
    /// Notes that the query `ticket` has its first answer: all those before it have ended.
    pub(super) fn reach(&self, ticket: u64) {
        self.reached.fetch_max(ticket, Ordering::SeqCst);
    }

    /// Announces a cancel. Queries that were sent before it and are reached after it may be hit by it.
    pub(super) fn begin_cancel(&self) {
        self.cancels.fetch_add(1, Ordering::SeqCst);
    }

    /// How many cancels were announced so far.
    pub(super) fn cancels(&self) -> u32 {
        self.cancels.load(Ordering::SeqCst)
    }

    /// Whether a query later than `ticket` has had an answer, so that a cancel would hit that one.
    pub(super) fn is_past(&self, ticket: u64) -> bool {
        self.reached.load(Ordering::SeqCst) > ticket
    }

    /// Keeps a prepared statement for the next run of `sql`.
    pub(super) fn keep(&self, sql: Arc<str>, prepared: Arc<Prepared>) {
        let evicted = self.statements.lock().insert(sql, prepared);
        // Dropping a statement tells the server; not under the lock.
        drop(evicted);
    }

    /// Forgets the prepared statement of `sql`.
    pub(super) fn forget(&self, sql: &str) {
        let forgotten = self.statements.lock().remove(sql);
        drop(forgotten);
    }

    /// Forgets what types look like, and the statements made with them: a composite has changed its fields.
    pub(super) fn forget_types(&self) {
        self.client.clear_type_cache();
        let forgotten = std::mem::take(&mut *self.statements.lock());
        drop(forgotten);
    }

    /// Ends the connection at once; whoever waits for it gets an error.
    pub(super) fn abort(&self) {
        self.driver.abort();
    }
}
