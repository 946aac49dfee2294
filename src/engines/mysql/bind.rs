//! Bound values as the binary protocol takes them.

use mysql_async::{Params, Value};

use crate::engines::{Bind, EngineError};

/// `binds` in placeholder order.
///
/// # Errors
/// [`EngineError::BadValue`] for a point in time the database has no notation for.
pub(super) fn params(binds: &[Bind]) -> Result<Params, EngineError> {
    if binds.is_empty() {
        return Ok(Params::Empty);
    }
    let values = binds.iter().enumerate().map(|(position, bind)| {
        value(bind).map_err(|message| EngineError::BadValue { position: Some(position), message })
    });
    values.collect::<Result<Vec<_>, _>>().map(Params::Positional)
}

/// Bytes the values take in a packet, but for a few per value.
pub(super) fn size(params: &Params) -> usize {
    let Params::Positional(values) = params else { return 0 };
    values.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.len() } else { 8 }).sum()
}

fn value(bind: &Bind) -> Result<Value, String> {
    Ok(match bind {
        Bind::Null => Value::NULL,
        Bind::Bool(b) => Value::Int(i64::from(*b)),
        Bind::Int(n) => Value::Int(*n),
        Bind::Number(digits) => number(digits),
        Bind::Text(text) | Bind::Json(text) => text.as_bytes().into(),
        Bind::Array(_) => bind.to_json().into_bytes().into(),
        Bind::Date(date) => {
            year(date.year())?;
            // As text, not `Value::Date`: that goes out as DATETIME, the protocol crate has no DATE, and a DATETIME
            // compares with a text column as times (no index) and turns `CONCAT(:day, …)` into something else.
            Value::Bytes(date.to_string().into_bytes())
        }
        Bind::DateTime(at, None) => date_time(*at)?,
        Bind::DateTime(at, Some(offset)) => {
            let instant = offset.to_timestamp(*at).map_err(|error| error.to_string())?;
            date_time(jiff::tz::Offset::UTC.to_datetime(instant))?
        }
    })
}

/// Whole numbers go as integers, because `LIMIT ?` takes nothing else; the rest as its digits.
fn number(digits: &str) -> Value {
    if let Ok(n) = digits.parse::<i64>() {
        Value::Int(n)
    } else if let Ok(n) = digits.parse::<u64>() {
        Value::UInt(n)
    } else {
        Value::Bytes(digits.as_bytes().to_vec())
    }
}

fn date_time(at: jiff::civil::DateTime) -> Result<Value, String> {
    let part = |n: i8| n.unsigned_abs();
    let micros = at.subsec_nanosecond().unsigned_abs() / 1_000;
    Ok(Value::Date(
        year(at.year())?,
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
        micros,
    ))
}

fn year(year: i16) -> Result<u16, String> {
    u16::try_from(year).map_err(|_| format!("year {year} is before what the database can hold"))
}
