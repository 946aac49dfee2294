//! `TIDEGATE_HMAC(inner_pad, outer_pad, text)`: the keyed hash of the `hash` mask, which SQLite has no functions for.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Error};
use sha2::{Digest, Sha256};

use crate::definitions::load::hex;

/// Makes the function known to a connection.
///
/// # Errors
/// Where SQLite does not take it.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("TIDEGATE_HMAC", 3, flags, |context| {
        let pad = |at: usize| {
            let text: String = context.get(at)?;
            bytes(&text).ok_or_else(|| Error::UserFunctionError("a pad is no hexadecimal".into()))
        };
        let text: String = context.get(2)?;
        let inner = Sha256::new().chain_update(pad(0)?).chain_update(text).finalize();
        let outer = Sha256::new().chain_update(pad(1)?).chain_update(inner).finalize();
        Ok(hex(&outer))
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    hex.as_bytes().chunks(2).map(pair).collect()
}
