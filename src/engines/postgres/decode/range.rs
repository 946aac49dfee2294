//! Ranges and multiranges as `psql` prints them.

use super::number::{push_float4, push_float8};
use super::time::{self, Style};
use super::wire::{Reader, fixed};
use super::{Decoder, net};
use crate::engines::{Cell, EngineError};

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// Writes a range over values of `bound`.
pub(super) fn push_range(
    bound: &Decoder,
    bytes: &[u8],
    out: &mut String,
) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let flags = reader.u8()?;
    if flags & EMPTY != 0 {
        out.push_str("empty");
        return Ok(());
    }
    out.push(if flags & LOWER_INCLUSIVE != 0 { '[' } else { '(' });
    if flags & LOWER_INFINITE == 0 {
        push_bound(bound, reader.value()?.unwrap_or_default(), out)?;
    }
    out.push(',');
    if flags & UPPER_INFINITE == 0 {
        push_bound(bound, reader.value()?.unwrap_or_default(), out)?;
    }
    out.push(if flags & UPPER_INCLUSIVE != 0 { ']' } else { ')' });
    Ok(())
}

/// Writes a multirange over values of `bound`.
pub(super) fn push_multirange(
    bound: &Decoder,
    bytes: &[u8],
    out: &mut String,
) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    out.push('{');
    for i in 0..reader.count()? {
        if i > 0 {
            out.push(',');
        }
        push_range(bound, reader.value()?.unwrap_or_default(), out)?;
    }
    out.push('}');
    Ok(())
}

fn push_bound(bound: &Decoder, bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut text = String::new();
    push_server_text(bound, bytes, &mut text)?;
    let needs_quotes = text.is_empty()
        || text.contains(|c: char| "\"\\()[],".contains(c) || c.is_ascii_whitespace());
    if !needs_quotes {
        out.push_str(&text);
        return Ok(());
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
    Ok(())
}

/// A value as the server prints it: differs from a cell for dates, times, floats, booleans and bytes.
fn push_server_text(decoder: &Decoder, bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    match decoder {
        Decoder::Date => {
            time::push_date(i32::from_be_bytes(fixed(bytes, "date")?), Style::Server, out);
        }
        Decoder::Timestamp { zone } => {
            let us = i64::from_be_bytes(fixed(bytes, "timestamp")?);
            time::push_timestamp(us, *zone, Style::Server, out);
        }
        Decoder::TimeTz => {
            let mut reader = Reader(bytes);
            let (us, west_s) = (reader.i64()?, reader.i32()?);
            time::push_time_with_zone(us, west_s, Style::Server, out);
        }
        _ => {
            let mut scratch = String::new();
            match decoder.cell(bytes, &mut scratch)? {
                Cell::Null => {}
                Cell::Bool(value) => out.push(if value { 't' } else { 'f' }),
                Cell::Int(value) => out.push_str(itoa::Buffer::new().format(value)),
                Cell::UInt(value) => out.push_str(itoa::Buffer::new().format(value)),
                Cell::Float(value) => push_float8(value, out),
                Cell::Float32(value) => push_float4(value, out),
                Cell::Decimal(text) | Cell::Text(text) | Cell::Json(text) => out.push_str(text),
                Cell::Bytes(bytes) => {
                    out.push_str("\\x");
                    net::push_hex(bytes, None, out);
                }
            }
        }
    }
    Ok(())
}
