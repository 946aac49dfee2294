//! The driver's values as cells: one decoder a column, chosen from its type, flags and character set.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use mysql_async::Value;
use mysql_async::consts::{ColumnFlags, ColumnType};

use crate::engines::{Cell, Column, ColumnKind, EngineError, Row};

/// Character set number of bytes without one.
const BINARY: u16 = 63;
/// Most fraction digits of a second; a larger count in the metadata means that it depends on the value.
const FRACTION_DIGITS_MAX: u8 = 6;
/// How the server prints the unit of [`FRACTION_DIGITS_MAX`].
const MICROS_WIDTH: usize = 6;

/// How the values of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    Null,
    Integer,
    Float,
    Decimal,
    Bit,
    Date,
    DateTime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Time {
        digits: u8,
    },
    Text,
    Bytes,
    /// Valid by its type.
    Json,
    /// Text with a check on it; validated again, because the check may have come after the value or gone since.
    CheckedJson,
}

impl Decoder {
    fn of(column: &mysql_async::Column, checked_json: bool) -> Result<Self, EngineError> {
        let digits = column.decimals();
        Ok(match column.column_type() {
            ColumnType::MYSQL_TYPE_NULL => Self::Null,
            ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONGLONG
            | ColumnType::MYSQL_TYPE_YEAR => Self::Integer,
            ColumnType::MYSQL_TYPE_FLOAT | ColumnType::MYSQL_TYPE_DOUBLE => Self::Float,
            ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => Self::Decimal,
            ColumnType::MYSQL_TYPE_BIT => Self::Bit,
            ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => Self::Date,
            ColumnType::MYSQL_TYPE_DATETIME => Self::DateTime { digits },
            ColumnType::MYSQL_TYPE_TIMESTAMP => Self::Timestamp { digits },
            ColumnType::MYSQL_TYPE_TIME => Self::Time { digits },
            ColumnType::MYSQL_TYPE_JSON => Self::Json,
            ColumnType::MYSQL_TYPE_GEOMETRY | ColumnType::MYSQL_TYPE_VECTOR => Self::Bytes,
            ColumnType::MYSQL_TYPE_ENUM | ColumnType::MYSQL_TYPE_SET => Self::Text,
            ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_VARCHAR
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_BLOB => {
                let named = ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG;
                if checked_json {
                    Self::CheckedJson
                } else if column.character_set() == BINARY && !column.flags().intersects(named) {
                    Self::Bytes
                } else {
                    Self::Text
                }
            }
            // The driver cannot read these, and no server sends them.
            other => {
                let name = column.name_str();
                return Err(EngineError::Value(format!("column `{name}` has type {other:?}")));
            }
        })
    }

    fn kind(self) -> ColumnKind {
        match self {
            Self::Null => ColumnKind::Any,
            Self::Integer | Self::Bit => ColumnKind::Integer,
            Self::Float | Self::Decimal => ColumnKind::Number,
            Self::Date => ColumnKind::Date,
            Self::DateTime { .. } | Self::Timestamp { .. } => ColumnKind::DateTime,
            Self::Time { .. } | Self::Text => ColumnKind::Text,
            Self::Bytes => ColumnKind::Binary,
            Self::Json | Self::CheckedJson => ColumnKind::Json,
        }
    }

    fn cell<'a>(self, value: &'a Value, scratch: &'a mut String) -> Option<Cell<'a>> {
        scratch.clear();
        Some(match (self, value) {
            (_, Value::NULL) => Cell::Null,
            (Self::Integer, Value::Int(n)) => Cell::Int(*n),
            (Self::Integer, Value::UInt(n)) => Cell::UInt(*n),
            (Self::Float, Value::Float(n)) => Cell::Float32(*n),
            (Self::Float, Value::Double(n)) => Cell::Float(*n),
            (Self::Decimal, Value::Bytes(digits)) => Cell::Decimal(decimal(digits)?),
            (Self::Bit, Value::Bytes(bytes)) => Cell::UInt(bits(bytes)?),
            (Self::Text, Value::Bytes(bytes)) => Cell::Text(text(bytes, scratch)),
            (Self::Bytes, Value::Bytes(bytes)) => Cell::Bytes(bytes),
            (Self::Json, Value::Bytes(bytes)) => Cell::Json(std::str::from_utf8(bytes).ok()?),
            (Self::CheckedJson, Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(json) if is_json(json) => Cell::Json(json),
                _ => Cell::Text(text(bytes, scratch)),
            },
            (Self::Date, Value::Date(year, month, day, ..)) => {
                push_date(scratch, *year, *month, *day);
                Cell::Text(scratch)
            }
            (Self::DateTime { digits }, Value::Date(..)) => {
                push_date_time(scratch, value, digits);
                Cell::Text(scratch)
            }
            (Self::Timestamp { digits }, Value::Date(..)) => {
                push_date_time(scratch, value, digits);
                scratch.push('Z');
                Cell::Text(scratch)
            }
            (
                Self::Time { digits },
                Value::Time(negative, days, hours, minutes, seconds, micros),
            ) => {
                if *negative {
                    scratch.push('-');
                }
                push(scratch, days * 24 + u32::from(*hours), 2);
                push_minutes(scratch, *minutes, *seconds);
                push_fraction(scratch, *micros, digits);
                Cell::Text(scratch)
            }
            _ => return None,
        })
    }
}

/// How a result is read: its columns and their decoders, made once for a statement on a connection.
#[derive(Debug)]
pub(super) struct Shape {
    pub columns: Vec<Column>,
    decoders: Vec<Decoder>,
    source: Arc<[mysql_async::Column]>,
    /// `Some`: made with what was known of JSON checks, to be looked at again after this.
    pub good_until: Option<Instant>,
}

impl Shape {
    /// `is_json`: whether a column is text that the server checks to be JSON.
    ///
    /// # Errors
    /// [`EngineError::Value`] for a column of a type that this build cannot read.
    pub fn new(
        source: Arc<[mysql_async::Column]>,
        good_until: Option<Instant>,
        is_json: impl Fn(&mysql_async::Column) -> bool,
    ) -> Result<Self, EngineError> {
        let mut columns = Vec::with_capacity(source.len());
        let mut decoders = Vec::with_capacity(source.len());
        for column in source.iter() {
            let decoder = Decoder::of(column, is_json(column))?;
            columns.push(Column { name: column.name_str().into_owned(), kind: decoder.kind() });
            decoders.push(decoder);
        }
        Ok(Self { columns, decoders, source, good_until })
    }

    /// Whether it still describes a result with these columns.
    pub fn fits(&self, columns: &Arc<[mysql_async::Column]>) -> bool {
        Arc::ptr_eq(&self.source, columns) || self.source == *columns
    }
}

/// A row as sinks read it.
pub(super) struct DecodedRow<'r> {
    pub row: &'r mysql_async::Row,
    pub shape: &'r Shape,
}

impl Row for DecodedRow<'_> {
    fn cell<'a>(&'a self, index: usize, scratch: &'a mut String) -> Result<Cell<'a>, EngineError> {
        let decoded = self
            .row
            .as_ref(index)
            .zip(self.shape.decoders.get(index))
            .and_then(|(value, decoder)| decoder.cell(value, scratch));
        decoded.ok_or_else(|| {
            let name = self.shape.columns.get(index).map_or("?", |column| &column.name);
            EngineError::Value(format!("column `{name}` holds what its type does not allow"))
        })
    }
}

/// The digits without the padding of ZEROFILL, which JSON does not allow.
fn decimal(digits: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(digits).ok()?;
    let padding = text.bytes().take_while(|&b| b == b'0').count();
    let keep_one = text.as_bytes().get(padding).is_none_or(|b| !b.is_ascii_digit());
    Some(&text[padding.saturating_sub(usize::from(keep_one))..])
}

fn bits(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= size_of::<u64>())
        .then(|| bytes.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte)))
}

/// The bytes as they are where they are UTF-8, else with U+FFFD for what is not.
fn text<'a>(bytes: &'a [u8], scratch: &'a mut String) -> &'a str {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text;
    }
    for chunk in bytes.utf8_chunks() {
        scratch.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            scratch.push(char::REPLACEMENT_CHARACTER);
        }
    }
    scratch
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn push(out: &mut String, n: u32, width: usize) {
    write!(out, "{n:0width$}").expect("a String takes all text");
}

fn push_date(out: &mut String, year: u16, month: u8, day: u8) {
    push(out, year.into(), 4);
    out.push('-');
    push(out, month.into(), 2);
    out.push('-');
    push(out, day.into(), 2);
}

fn push_minutes(out: &mut String, minutes: u8, seconds: u8) {
    out.push(':');
    push(out, minutes.into(), 2);
    out.push(':');
    push(out, seconds.into(), 2);
}

fn push_date_time(out: &mut String, value: &Value, digits: u8) {
    if let Value::Date(year, month, day, hour, minute, second, micros) = *value {
        push_date(out, year, month, day);
        out.push('T');
        push(out, hour.into(), 2);
        push_minutes(out, minute, second);
        push_fraction(out, micros, digits);
    }
}

/// As many digits as the column declares, zeros included; all six where it declares none and there is something to say.
fn push_fraction(out: &mut String, micros: u32, digits: u8) {
    let shown = match digits {
        0 => return,
        1..=FRACTION_DIGITS_MAX => usize::from(digits),
        _ if micros == 0 => return,
        _ => MICROS_WIDTH,
    };
    out.push('.');
    let end = out.len() + shown;
    push(out, micros, MICROS_WIDTH);
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_replaced_where_it_is_not() {
        let mut scratch = String::new();
        assert_eq!(text("潮".as_bytes(), &mut scratch), "潮");
        assert_eq!(text(b"a\xffb\xe6\xbd", &mut scratch), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn decimals_lose_only_padding() {
        let cases: [(&[u8], &str); 7] = [
            (b"0", "0"),
            (b"000", "0"),
            (b"0.50", "0.50"),
            (b"00012.50", "12.50"),
            (b"-0.50", "-0.50"),
            (b"100", "100"),
            (b"000.00", "0.00"),
        ];
        for (digits, wanted) in cases {
            assert_eq!(decimal(digits), Some(wanted));
        }
    }
}
