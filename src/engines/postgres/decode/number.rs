//! Numbers in exactly the digits of the database.

use std::fmt::Write;

use super::wire::{Reader, malformed};
use crate::engines::{Cell, EngineError};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Four decimal digits for each base-10000 digit of a `numeric`.
const GROUP: usize = 4;

/// A `numeric`: its digits with its scale kept (`12.50`), or the text of what is not a number.
pub(super) fn numeric<'a>(bytes: &[u8], out: &'a mut String) -> Result<Cell<'a>, EngineError> {
    let mut reader = Reader(bytes);
    let groups = usize::from(reader.u16()?);
    let weight = i32::from(reader.i16()?);
    let sign = reader.u16()?;
    let scale = usize::from(reader.u16()?);
    match sign {
        NAN => return Ok(Cell::Text("NaN")),
        INFINITY => return Ok(Cell::Text("Infinity")),
        NEGATIVE_INFINITY => return Ok(Cell::Text("-Infinity")),
        0 | NEGATIVE => {}
        _ => return Err(malformed("numeric")),
    }
    let digits = reader.take(groups * 2)?;
    // The group that stands for 10000^power; groups that are not sent are zero.
    let group = |power: i32| {
        let index = usize::try_from(weight - power).unwrap_or(usize::MAX);
        digits.chunks_exact(2).nth(index).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if sign == NEGATIVE {
        out.push('-');
    }
    if weight < 0 {
        out.push('0');
    } else {
        out.push_str(itoa::Buffer::new().format(group(weight)));
        for power in (0..weight).rev() {
            push_group(group(power), out)?;
        }
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut power = -1;
        while out.len() < end {
            push_group(group(power), out)?;
            power -= 1;
        }
        out.truncate(end);
    }
    Ok(Cell::Decimal(out))
}

fn push_group(group: u16, out: &mut String) -> Result<(), EngineError> {
    if group > 9999 {
        return Err(malformed("numeric"));
    }
    let mut text = [b'0'; GROUP];
    let mut rest = group;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a remainder of ten fits");
        rest /= 10;
    }
    out.extend(text.map(char::from));
    Ok(())
}

/// `money`: a number with two decimals.
pub(super) fn money(cents: i64, out: &mut String) -> Cell<'_> {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    let _ = write!(out, "{sign}{}.{:02}", cents / 100, cents % 100);
    Cell::Decimal(out)
}

/// A float as the server prints it: shortest digits, with an exponent from `1e+15` up (`1e+06` for 32 bits) and below
/// `0.0001`.
pub(super) fn push_float(scientific: &str, digits_shown: i32, out: &mut String) {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        out.push_str(match scientific {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            _ => "NaN",
        });
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.trim_start_matches('-');
    if mantissa.starts_with('-') {
        out.push('-');
    }
    if exponent < -4 || exponent >= digits_shown {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.extend(digits.chars().filter(|c| *c != '.'));
        return;
    }
    let mut whole = exponent + 1;
    for digit in digits.chars().filter(|c| *c != '.') {
        if whole == 0 {
            out.push('.');
        }
        whole -= 1;
        out.push(digit);
    }
    (0..whole).for_each(|_| out.push('0'));
}

/// A `float8` as the server prints it.
pub(super) fn push_float8(value: f64, out: &mut String) {
    push_float(&format!("{value:e}"), 15, out);
}

/// A `float4` as the server prints it.
pub(super) fn push_float4(value: f32, out: &mut String) {
    push_float(&format!("{value:e}"), 6, out);
}
