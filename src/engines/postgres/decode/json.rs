//! Arrays, composites, records and `hstore` as JSON text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::wire::{Reader, malformed, utf8};
use super::{Decoder, Field, opaque_or_plan};
use crate::engines::{Cell, EngineError};

/// The server's own limit on array dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Deepest nesting of composites and arrays that is read.
const MAX_DEPTH: usize = 64;

/// Writes `bytes` as a JSON array, nested as its dimensions say.
pub(super) fn push_array(
    element: &Decoder,
    bytes: &[u8],
    depth: usize,
    out: &mut String,
) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let dimensions = reader.count()?;
    let (_has_nulls, _element_oid) = (reader.i32()?, reader.u32()?);
    if dimensions == 0 {
        out.push_str("[]");
        return Ok(());
    }
    if dimensions > MAX_DIMENSIONS {
        return Err(malformed("array"));
    }
    let mut lengths = [0; MAX_DIMENSIONS];
    for length in &mut lengths[..dimensions] {
        *length = reader.count()?;
        let _lower_bound = reader.i32()?;
    }
    push_dimension(element, &lengths[..dimensions], &mut reader, depth, out)
}

fn push_dimension(
    element: &Decoder,
    lengths: &[usize],
    reader: &mut Reader<'_>,
    depth: usize,
    out: &mut String,
) -> Result<(), EngineError> {
    let Some((length, inner)) = lengths.split_first() else {
        return push_value(element, reader.value()?, depth, out);
    };
    out.push('[');
    for i in 0..*length {
        if reader.is_empty() {
            return Err(malformed("array"));
        }
        if i > 0 {
            out.push(',');
        }
        push_dimension(element, inner, reader, depth, out)?;
    }
    out.push(']');
    Ok(())
}

/// Writes a composite as a JSON object of its fields.
pub(super) fn push_composite(
    fields: &[Field],
    bytes: &[u8],
    depth: usize,
    out: &mut String,
) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    if reader.count()? != fields.len() {
        return Err(malformed("composite"));
    }
    out.push('{');
    for (i, field) in fields.iter().enumerate() {
        if reader.u32()? != field.oid {
            return Err(malformed("composite"));
        }
        if i > 0 {
            out.push(',');
        }
        out.push_str(&field.key);
        push_value(&field.decoder, reader.value()?, depth, out)?;
    }
    out.push('}');
    Ok(())
}

/// Writes a row without names (`ROW(1, 'a')`) as an object with the server's names for it: `f1`, `f2`.
pub(super) fn push_record(bytes: &[u8], depth: usize, out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    out.push('{');
    for i in 1..=reader.count()? {
        let decoder = opaque_or_plan(reader.u32()?);
        out.push_str(if i > 1 { ",\"f" } else { "\"f" });
        out.push_str(itoa::Buffer::new().format(i));
        out.push_str("\":");
        push_value(&decoder, reader.value()?, depth, out)?;
    }
    out.push('}');
    Ok(())
}

/// Writes an `hstore` as a JSON object of texts.
pub(super) fn push_hstore(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    out.push('{');
    for i in 0..reader.count()? {
        if i > 0 {
            out.push(',');
        }
        push_text(utf8(reader.value()?.unwrap_or_default())?, out);
        out.push(':');
        match reader.value()? {
            Some(value) => push_text(utf8(value)?, out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(())
}

fn push_value(
    decoder: &Decoder,
    bytes: Option<&[u8]>,
    depth: usize,
    out: &mut String,
) -> Result<(), EngineError> {
    let Some(bytes) = bytes else {
        out.push_str("null");
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err(EngineError::Value("a value is nested too deeply".into()));
    }
    match decoder {
        Decoder::Array(element) => return push_array(element, bytes, depth + 1, out),
        Decoder::Composite(fields) => return push_composite(fields, bytes, depth + 1, out),
        Decoder::Record => return push_record(bytes, depth + 1, out),
        _ => {}
    }
    let mut scratch = String::new();
    match decoder.cell(bytes, &mut scratch)? {
        Cell::Null => out.push_str("null"),
        Cell::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Cell::Int(value) => out.push_str(itoa::Buffer::new().format(value)),
        Cell::UInt(value) => out.push_str(itoa::Buffer::new().format(value)),
        Cell::Float(value) if value.is_finite() => {
            push_digits(ryu::Buffer::new().format_finite(value), out);
        }
        Cell::Float(value) => push_text(not_finite(value), out),
        Cell::Float32(value) if value.is_finite() => {
            push_digits(ryu::Buffer::new().format_finite(value), out);
        }
        Cell::Float32(value) => push_text(not_finite(f64::from(value)), out),
        Cell::Decimal(digits) => out.push_str(digits),
        Cell::Text(text) => push_text(text, out),
        Cell::Bytes(bytes) => {
            out.push('"');
            BASE64.encode_string(bytes, out);
            out.push('"');
        }
        Cell::Json(json) => out.push_str(json),
    }
    Ok(())
}

/// Shortest digits, without the `.0` of a whole number.
fn push_digits(digits: &str, out: &mut String) {
    out.push_str(digits.strip_suffix(".0").unwrap_or(digits));
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Writes `text` as a JSON string.
pub(super) fn push_text(text: &str, out: &mut String) {
    out.push('"');
    let mut clean_from = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "\\u00",
            _ => continue,
        };
        out.push_str(&text[clean_from..i]);
        out.push_str(escape);
        if escape.len() > 2 {
            super::net::push_hex(&[byte], None, out);
        }
        clean_from = i + 1;
    }
    out.push_str(&text[clean_from..]);
    out.push('"');
}
