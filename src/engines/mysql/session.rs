//! A connection with what belongs to it: how it is opened and set up, and its prepared statements.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts, Statement};

use super::decode::Shape;
use super::error::Failure;
use crate::definitions::spec::datasource::TlsMode;
use crate::engines::EngineConfig;

/// Most prepared statements kept on a connection.
const STATEMENTS_MAX: usize = 64;
/// Largest packet, and with it the largest row, taken from the server, in bytes: as much as the protocol allows.
const PACKET_BYTES_MAX: usize = 1 << 30;
/// What a server allows where it does not say, in bytes.
const SERVER_PACKET_BYTES: usize = 1 << 24;
/// How long the server keeps a connection beyond our own idle timeout.
const IDLE_MARGIN: Duration = Duration::from_mins(1);
/// Silence after which the system probes whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
pub(in crate::engines) const DEFAULT_PORT: u16 = 3306;
/// Modes in which the server reads quotes, backslashes or NOT in another way than statements are checked for, and those
/// that bring such modes with them. A name that holds another one stands before it.
const ODD_SQL_MODES: [&str; 11] = [
    "ANSI_QUOTES",
    "ANSI",
    "NO_BACKSLASH_ESCAPES",
    "HIGH_NOT_PRECEDENCE",
    "ORACLE",
    "MSSQL",
    "DB2",
    "MAXDB",
    "POSTGRESQL",
    "MYSQL323",
    "MYSQL40",
];

/// How to reach the server that `config` names.
pub(super) fn options(config: &EngineConfig) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(config.host.clone())
        .tcp_port(config.port.unwrap_or(DEFAULT_PORT))
        .user(config.username.clone())
        .pass(config.password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(config.database.clone())
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .ssl_opts(tls(config))
        // `Statements` keeps them.
        .stmt_cache_size(0)
        // Both given, so that the driver does not spend a round trip on asking.
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .wait_timeout(Some(0))
        .into()
}

fn tls(config: &EngineConfig) -> Option<SslOpts> {
    let tls = config.tls.as_ref()?;
    let options = SslOpts::default();
    let options = match tls.mode {
        TlsMode::Disable => return None,
        TlsMode::Require => {
            options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        TlsMode::Verify => match &tls.ca_file {
            None => options,
            Some(file) => options
                .with_disable_built_in_roots(true)
                .with_root_certs(vec![PathBuf::from(file).into()]),
        },
    };
    // The driver takes the process's default. That one is already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Some(options)
}

/// What every new session runs, in one round trip: UTF-8, UTC, no transaction left open, limits of its own, and a row
/// that says what kind of server it is. The comments are how each kind is told what only it knows.
pub(super) fn setup(config: &EngineConfig) -> String {
    let timeout = Duration::from_millis(config.timeout_ms);
    let idle = Duration::from_millis(config.pool.idle_timeout_ms) + IDLE_MARGIN;
    let sql_mode = ODD_SQL_MODES
        .iter()
        .fold("@@sql_mode".to_owned(), |modes, odd| format!("REPLACE({modes}, '{odd}', '')"));
    let mut sql = format!(
        "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, sql_mode = {sql_mode}, \
         wait_timeout = {}, net_write_timeout = GREATEST(@@net_write_timeout, {}) \
         /*M! , max_statement_time = {:.3} */ /*!50708 , max_execution_time = {} */",
        idle.as_secs(),
        timeout.as_secs() + 1,
        timeout.as_secs_f64(),
        timeout.as_millis(),
    );
    if config.read_only {
        sql.push_str(" /*M! , tx_read_only = 1 */ /*!50720 , transaction_read_only = 1 */");
    }
    write!(sql, "; SELECT VERSION(), @@max_allowed_packet").expect("a String takes all text");
    sql
}

/// Counts one open connection for as long as it lives.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is set up.
pub(super) struct Session {
    pub conn: Conn,
    pub statements: Statements,
    pub is_mariadb: bool,
    /// Largest packet the server takes, in bytes.
    pub packet_bytes_max: usize,
    pub idle_since: Instant,
    pub open: Open,
}

impl Session {
    /// Connects and runs `setup`.
    ///
    /// # Errors
    /// Those of the driver.
    pub async fn open(options: Opts, setup: &str, open: Open) -> mysql_async::Result<Self> {
        let mut conn = Conn::new(options).await?;
        let mut about = None;
        let mut result = conn.query_iter(setup).await?;
        while result.columns().is_some() {
            about = result.next().await?.or(about);
        }
        result.drop_result().await?;
        let about = about.and_then(|row| mysql_async::from_row_opt::<(String, usize)>(row).ok());
        let (version, packet_bytes_max) = about.unwrap_or((String::new(), SERVER_PACKET_BYTES));
        Ok(Self {
            conn,
            statements: Statements::default(),
            is_mariadb: version.contains("MariaDB"),
            packet_bytes_max,
            idle_since: Instant::now(),
            open,
        })
    }
}

/// A statement the server has prepared.
#[derive(Clone)]
pub(super) struct Prepared {
    pub statement: Statement,
    /// How its last result was read.
    pub shape: Option<Arc<Shape>>,
}

/// The prepared statements of one connection by their text, the least recently used of which gives way.
#[derive(Default)]
pub(super) struct Statements {
    entries: HashMap<Arc<str>, (Prepared, u64), ahash::RandomState>,
    clock: u64,
}

impl Statements {
    /// The statement for `sql`, prepared now where it is not yet.
    ///
    /// # Errors
    /// Where the server refuses it or the connection breaks.
    pub async fn prepare(&mut self, conn: &mut Conn, sql: &Arc<str>) -> Result<Prepared, Failure> {
        self.clock += 1;
        if let Some((prepared, used)) = self.entries.get_mut(sql) {
            *used = self.clock;
            return Ok(prepared.clone());
        }
        let refused = |error| Failure::of(&error, false);
        let statement = conn.prep(&**sql).await.map_err(refused)?;
        if self.entries.len() >= STATEMENTS_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(sql) = oldest.map(|(sql, _)| Arc::clone(sql))
                && let Some((old, _)) = self.entries.remove(&sql)
            {
                conn.close(old.statement).await.map_err(refused)?;
            }
        }
        let prepared = Prepared { statement, shape: None };
        self.entries.insert(Arc::clone(sql), (prepared.clone(), self.clock));
        Ok(prepared)
    }

    /// Remembers how the result of `sql` is read.
    pub fn remember(&mut self, sql: &Arc<str>, shape: &Arc<Shape>) {
        if let Some((prepared, _)) = self.entries.get_mut(sql) {
            prepared.shape = Some(Arc::clone(shape));
        }
    }
}
