//! SQLite's error codes as engine errors.

use rusqlite::ffi;

use crate::engines::EngineError;

/// What SQLite says of a pattern beyond the connection's limit; it has no code of its own.
const PATTERN_TOO_LONG: &str = "LIKE or GLOB pattern too complex";

/// What an error of the driver says about the datasource. The code is SQLite's extended result code.
pub fn of(error: rusqlite::Error) -> EngineError {
    match error {
        rusqlite::Error::SqliteFailure(cause, message) => {
            let message = message.unwrap_or_else(|| cause.to_string());
            of_code(cause.extended_code, message)
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            of_code(error.extended_code, format!("{msg} at byte {offset}"))
        }
        other => of_code(ffi::SQLITE_ERROR, other.to_string()),
    }
}

fn of_code(code: i32, message: String) -> EngineError {
    match code & 0xff {
        ffi::SQLITE_INTERRUPT => EngineError::Timeout,
        ffi::SQLITE_CANTOPEN
        | ffi::SQLITE_NOTADB
        | ffi::SQLITE_CORRUPT
        | ffi::SQLITE_IOERR
        | ffi::SQLITE_PERM
        | ffi::SQLITE_FULL
        | ffi::SQLITE_NOMEM
        | ffi::SQLITE_PROTOCOL
        | ffi::SQLITE_BUSY
        | ffi::SQLITE_LOCKED => EngineError::Unavailable(format!("{message} ({code})")),
        // The plain code is a statement that writes; the extended ones say that the file cannot be used.
        ffi::SQLITE_READONLY if code != ffi::SQLITE_READONLY => {
            EngineError::Unavailable(format!("{message} ({code})"))
        }
        // A statement's own pattern is short; a longer one is a value.
        _ if message.starts_with(PATTERN_TOO_LONG) => {
            EngineError::BadValue { position: None, message }
        }
        _ => EngineError::Statement { code: code.to_string(), message },
    }
}
