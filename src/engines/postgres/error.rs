//! What a driver's error means: for the caller of the engine, and for what to do next.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::engines::{EngineError, LoginStep};

/// What became of the connection and the query when a driver call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection is of no more use.
    Broken,
    /// The server answered what the driver does not understand (`COPY`); the connection is of no more use either.
    Garbled,
    /// The query was cancelled, by whomever.
    Cancelled,
    /// The prepared statement does not fit the database any more; nothing has been run.
    Stale,
    /// The statement failed, and will again.
    Failed,
}

pub(super) fn trouble(error: &Error) -> Trouble {
    let Some(db) = error.as_db_error() else {
        let lost = error.is_closed() || std::error::Error::source(error).is_some();
        return if lost { Trouble::Broken } else { Trouble::Garbled };
    };
    if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) || is_outage(db) {
        return Trouble::Broken;
    }
    match *db.code() {
        SqlState::QUERY_CANCELED => Trouble::Cancelled,
        SqlState::INVALID_SQL_STATEMENT_NAME => Trouble::Stale,
        // "cached plan must not change result type" has no code of its own.
        SqlState::FEATURE_NOT_SUPPORTED if db.routine() == Some("RevalidateCachedQuery") => {
            Trouble::Stale
        }
        _ => Trouble::Failed,
    }
}

/// The server ended the statement because of its own `statement_timeout`.
pub(super) fn is_statement_timeout(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::QUERY_CANCELED && db.message().contains("statement timeout")
    })
}

/// What the driver says of a handshake that failed, before the cause; its kinds have no other name.
const TLS_FAILED: &str = "error performing TLS handshake";

/// The step at which a connection to the server failed.
pub(super) fn login_step(error: &Error) -> LoginStep {
    if error.to_string().starts_with(TLS_FAILED) { LoginStep::Tls } else { LoginStep::Login }
}

/// An error of a session that could not be had, or was lost.
pub(super) fn unavailable(error: &Error) -> EngineError {
    EngineError::Unavailable(text(error))
}

/// An error of a statement.
pub(super) fn statement(error: &Error) -> EngineError {
    let Some(db) = error.as_db_error() else {
        return unavailable(error);
    };
    if trouble(error) == Trouble::Broken {
        return unavailable(error);
    }
    EngineError::Statement { code: db.code().code().to_owned(), message: text(error) }
}

/// An error of a statement that runs. A pattern that is none is the fault of the value it came from, where values are bound.
pub(super) fn running(error: &Error, binds: usize) -> EngineError {
    let is_pattern = error.as_db_error().is_some_and(|db| {
        [SqlState::INVALID_ESCAPE_SEQUENCE, SqlState::INVALID_REGULAR_EXPRESSION]
            .contains(db.code())
    });
    if is_pattern && binds > 0 {
        return EngineError::BadValue { position: None, message: text(error) };
    }
    statement(error)
}

/// An error from the time when values are bound: before anything is run. `names_parameters`: the server says which
/// parameter it is.
pub(super) fn binding(error: &Error, binds: usize, names_parameters: bool) -> EngineError {
    let Some(db) = error.as_db_error() else {
        return statement(error);
    };
    let named = db.where_().and_then(parameter_number);
    if let Some(number) = named.filter(|number| (1..=binds).contains(number)) {
        return EngineError::BadValue { position: Some(number - 1), message: text(error) };
    }
    if !names_parameters && binds > 0 && is_input_error(db.code()) {
        return EngineError::BadValue { position: None, message: text(error) };
    }
    running(error, binds)
}

/// Codes that come from reading a value's text, never from the statement's own arithmetic.
fn is_input_error(code: &SqlState) -> bool {
    [
        SqlState::INVALID_TEXT_REPRESENTATION,
        SqlState::INVALID_BINARY_REPRESENTATION,
        SqlState::INVALID_DATETIME_FORMAT,
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        SqlState::UNTRANSLATABLE_CHARACTER,
    ]
    .contains(code)
}

/// The number after the first `$`: how the server names a parameter in any language.
pub(super) fn parameter_number(text: &str) -> Option<usize> {
    let (_, after) = text.split_once('$')?;
    let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    after[..digits].parse().ok()
}

/// Connection exceptions, shutdowns, too many connections, refused logins, no such database.
fn is_outage(db: &DbError) -> bool {
    let code = db.code().code();
    code.starts_with("08")
        || code.starts_with("28")
        || ["57P01", "57P02", "57P03", "57P05", "53300", "3D000"].contains(&code)
}

fn text(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
