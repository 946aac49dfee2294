//! Bound values as SQLite's five types.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use rusqlite::Statement;

use super::error;
use crate::engines::{Bind, EngineError};

/// Binds `binds` in placeholder order.
///
/// # Errors
/// `BadValue` where there are more or fewer than placeholders, or one cannot be said in SQLite's types.
pub fn all(statement: &mut Statement<'_>, binds: &[Bind]) -> Result<(), EngineError> {
    let expected = statement.parameter_count();
    if expected != binds.len() {
        let message = format!("{} values for {expected} placeholders", binds.len());
        return Err(EngineError::BadValue { position: None, message });
    }
    for (position, value) in binds.iter().enumerate() {
        one(statement, position, value)?;
    }
    Ok(())
}

fn one(statement: &mut Statement<'_>, position: usize, value: &Bind) -> Result<(), EngineError> {
    let index = position + 1;
    let bound = match value {
        Bind::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
        Bind::Bool(b) => statement.raw_bind_parameter(index, i64::from(*b)),
        Bind::Int(n) => statement.raw_bind_parameter(index, n),
        Bind::Number(digits) => match exact_real(digits) {
            Some(real) => statement.raw_bind_parameter(index, real),
            None => statement.raw_bind_parameter(index, digits.as_str()),
        },
        Bind::Text(text) | Bind::Json(text) => statement.raw_bind_parameter(index, text.as_str()),
        Bind::Date(date) => statement.raw_bind_parameter(index, date.to_string()),
        Bind::DateTime(at, offset) => {
            statement.raw_bind_parameter(index, date_time_text(*at, *offset, position)?)
        }
        Bind::Array(_) => statement.raw_bind_parameter(index, value.to_json()),
    };
    bound.map_err(error::of)
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`, the form of SQLite's own date functions; in UTC where there is an offset.
fn date_time_text(
    at: DateTime,
    offset: Option<Offset>,
    position: usize,
) -> Result<String, EngineError> {
    let utc = match offset {
        None => at,
        Some(offset) => {
            offset.to_timestamp(at).map(|at| Offset::UTC.to_datetime(at)).map_err(|error| {
                EngineError::BadValue { position: Some(position), message: error.to_string() }
            })?
        }
    };
    let whole = format!("{} {:02}:{:02}:{:02}", utc.date(), utc.hour(), utc.minute(), utc.second());
    Ok(match utc.subsec_nanosecond() {
        0 => whole,
        nanoseconds if nanoseconds % 1_000 == 0 => format!("{whole}.{:06}", nanoseconds / 1_000),
        nanoseconds => format!("{whole}.{nanoseconds:09}"),
    })
}

/// The double that prints as these digits; `None` where none does, and the digits must stay text.
fn exact_real(digits: &str) -> Option<f64> {
    let real: f64 = digits.parse().ok()?;
    (real.is_finite() && significant(digits)? == significant(&format!("{real:e}"))?).then_some(real)
}

/// Sign, digits without zeros at either end, and the power of ten of the last one: equal for equal numbers.
fn significant(number: &str) -> Option<(bool, String, i64)> {
    let negative = number.starts_with('-');
    let unsigned = number.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some((negative, String::new(), 0));
    }
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let power = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + dropped;
    Some((negative, kept.trim_start_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_numbers_become_real() {
        assert_eq!(exact_real("12.50"), Some(12.5));
        assert_eq!(exact_real("-0.1"), Some(-0.1));
        assert_eq!(exact_real("1e300"), Some(1e300));
        assert_eq!(exact_real("100000000000000000000"), Some(1e20));
        assert_eq!(exact_real("0.000"), Some(0.0));
        assert_eq!(exact_real("18446744073709551615"), None);
        assert_eq!(exact_real("0.1234567890123456789"), None);
        assert_eq!(exact_real("-1e400"), None);
        assert_eq!(exact_real("1e-400"), None);
    }

    #[test]
    fn times_with_an_offset_become_utc() {
        let at = jiff::civil::datetime(2025, 1, 1, 7, 30, 0, 250_000_000);
        let text = |offset| date_time_text(at, offset, 0).unwrap();
        assert_eq!(text(None), "2025-01-01 07:30:00.250000");
        assert_eq!(text(Some(Offset::constant(8))), "2024-12-31 23:30:00.250000");
        let whole = jiff::civil::datetime(2025, 1, 1, 7, 30, 0, 0);
        assert_eq!(date_time_text(whole, None, 0).unwrap(), "2025-01-01 07:30:00");
    }
}
