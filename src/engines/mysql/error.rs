//! What the driver's errors mean: to the caller, and for the connection they happened on.

use mysql_async::{DriverError, Error, IoError};

use crate::engines::{EngineError, LoginStep};

/// What can be done with a connection after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The server refused and waits for the next statement.
    Usable,
    /// Its state is not certain, and nothing runs on it.
    Spoilt,
    /// It is gone, or good for nothing: another one may do better.
    Dead,
    /// The statement may still be running on it.
    Running,
}

/// A failed step on a connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: EngineError,
    pub after: After,
}

impl Failure {
    /// The statement itself is at fault, found before it was sent.
    pub fn refused(error: EngineError) -> Self {
        Self { error, after: After::Usable }
    }

    /// Our side gave up while the statement ran.
    pub fn abandoned(error: EngineError) -> Self {
        Self { error, after: After::Running }
    }

    /// A failure while preparing or running a statement; `bound`: it had bound values.
    pub fn of(error: &Error, bound: bool) -> Self {
        match error {
            Error::Server(server) => Self::of_server(server.code, &server.message, bound),
            Error::Io(_) | Error::Driver(DriverError::ConnectionClosed) => {
                Self { error: unavailable(error), after: After::Dead }
            }
            Error::Driver(DriverError::PacketOutOfOrder | DriverError::UnexpectedPacket { .. }) => {
                Self { error: unavailable(error), after: After::Spoilt }
            }
            other => Self {
                error: EngineError::Statement {
                    code: "driver".to_owned(),
                    message: other.to_string(),
                },
                after: After::Spoilt,
            },
        }
    }

    fn of_server(code: u16, message: &str, bound: bool) -> Self {
        let statement =
            || EngineError::Statement { code: code.to_string(), message: message.to_owned() };
        let (error, after) = match code {
            SHUTDOWN
            | ABORTING
            | NET_FIRST..=NET_LAST
            | NEW_ABORTING
            | CONNECTION_KILLED
            | CLIENT_IDLE
            | CLIENT_FIRST..=CLIENT_LAST => {
                (EngineError::Unavailable(format!("{message} ({code})")), After::Dead)
            }
            TOO_MANY_CONNECTIONS | TOO_MANY_USER_CONNECTIONS | USER_LIMIT => {
                (EngineError::Unavailable(format!("{message} ({code})")), After::Spoilt)
            }
            INTERRUPTED | STATEMENT_TIME_MARIADB | STATEMENT_TIME_MYSQL => {
                (EngineError::Timeout, After::Spoilt)
            }
            UNKNOWN_STATEMENT | NEEDS_REPREPARE => (statement(), After::Dead),
            PACKET_TOO_LARGE => (statement(), After::Spoilt),
            _ if bound && BAD_VALUES.contains(&code) => (
                EngineError::BadValue { position: None, message: format!("{message} ({code})") },
                After::Usable,
            ),
            _ => (statement(), After::Usable),
        };
        Self { error, after }
    }
}

/// Any failure to connect, as [`EngineError::Unavailable`]: what the server says then is about the datasource, such as
/// access denied (1045), unknown database (1049), too many connections (1040).
pub(super) fn unavailable(error: &Error) -> EngineError {
    EngineError::Unavailable(error.to_string())
}

/// Whether a server that was asked for a connection has none to give, to this account or to anybody.
pub(super) fn has_no_connection_left(error: &Error) -> bool {
    let codes = [TOO_MANY_CONNECTIONS, TOO_MANY_USER_CONNECTIONS, USER_LIMIT];
    matches!(error, Error::Server(server) if codes.contains(&server.code))
}

/// The step at which a connection to the server failed.
pub(super) fn login_step(error: &Error) -> LoginStep {
    match error {
        Error::Io(IoError::Tls(_)) | Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            LoginStep::Tls
        }
        _ => LoginStep::Login,
    }
}

const TOO_MANY_CONNECTIONS: u16 = 1040;
const SHUTDOWN: u16 = 1053;
const ABORTING: u16 = 1152;
const PACKET_TOO_LARGE: u16 = 1153;
/// Reading from or writing to the client failed, or took too long.
const NET_FIRST: u16 = 1155;
const NET_LAST: u16 = 1161;
const NEW_ABORTING: u16 = 1184;
const TOO_MANY_USER_CONNECTIONS: u16 = 1203;
const USER_LIMIT: u16 = 1226;
const UNKNOWN_STATEMENT: u16 = 1243;
const INTERRUPTED: u16 = 1317;
const NEEDS_REPREPARE: u16 = 1615;
const CONNECTION_KILLED: u16 = 1927;
const STATEMENT_TIME_MARIADB: u16 = 1969;
/// Errors that client libraries, and proxies with them, give for a connection: 2002, 2006, 2013 and their like.
const CLIENT_FIRST: u16 = 2000;
const CLIENT_LAST: u16 = 2061;
const STATEMENT_TIME_MYSQL: u16 = 3024;
const CLIENT_IDLE: u16 = 4031;

/// Errors that a bound value causes: out of range, wrong date or number, wrong characters, too long, not JSON, not good
/// as an argument (`LIMIT 'x'`), no regular expression.
const BAD_VALUES: [u16; 24] = [
    1139, 1210, 1264, 1265, 1292, 1366, 1406, 1411, 1525, 1690, 1691, 3140, 3141, 3688, 3689, 3690,
    3691, 3692, 3693, 3694, 3695, 3696, 3697, 4079,
];
