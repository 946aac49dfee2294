//! One cell as XML: numbers as numbers where a double keeps their digits, dates as Excel's days, the rest as text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::{Date, DateTime};

use super::style::CellStyle;
use crate::engines::Cell;

/// Digits that every double keeps; numbers with more become text.
const MAX_DIGITS: usize = 15;
/// Largest whole number, and its negative, with that many digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;
/// Largest number that Excel takes.
const MAX_NUMBER: f64 = 9.999_999_999_999_99e307;
/// Longest text of a cell, in UTF-16 units; the rest is cut off.
const MAX_TEXT: usize = 32_767;

/// Writes a cell; nothing for null.
pub fn write(xml: &mut String, letters: &str, row: u32, cell: &Cell<'_>, style: CellStyle) {
    let mut to = Target { xml, letters, row, style };
    match *cell {
        Cell::Null => {}
        Cell::Bool(b) if style == CellStyle::Text => to.text(if b { "true" } else { "false" }),
        Cell::Bool(b) => to.typed("b", if b { "1" } else { "0" }),
        Cell::Int(n) => to.digits(itoa::Buffer::new().format(n), n.unsigned_abs() <= MAX_INTEGER),
        Cell::UInt(n) => to.digits(itoa::Buffer::new().format(n), n <= MAX_INTEGER),
        Cell::Float(x) => to.float(x, ryu::Buffer::new().format(x)),
        Cell::Float32(x) => to.float(f64::from(x), ryu::Buffer::new().format(x)),
        Cell::Decimal(digits) => to.digits(digits, fits(digits)),
        Cell::Text(text) => match serial(text, style) {
            Some(days) => to.number(ryu::Buffer::new().format(days)),
            None => to.text(text),
        },
        Cell::Json(text) => to.text(text),
        Cell::Bytes(bytes) => to.text(&BASE64_STANDARD.encode(bytes)),
    }
}

struct Target<'a> {
    xml: &'a mut String,
    letters: &'a str,
    row: u32,
    style: CellStyle,
}

impl Target<'_> {
    fn digits(&mut self, digits: &str, fits: bool) {
        if self.style.is_temporal() {
            // 20250131 is no number of days.
            self.style = CellStyle::General;
        }
        if fits && self.style != CellStyle::Text { self.number(digits) } else { self.text(digits) }
    }

    fn float(&mut self, value: f64, shortest: &str) {
        if value.is_nan() {
            self.text("NaN");
        } else if value.is_infinite() {
            self.text(if value > 0.0 { "Infinity" } else { "-Infinity" });
        } else {
            let digits = shortest.strip_suffix(".0").unwrap_or(shortest);
            self.digits(digits, value.abs() <= MAX_NUMBER);
        }
    }

    fn open(&mut self) {
        let _ = write!(self.xml, r#"<c r="{}{}""#, self.letters, self.row);
        if self.style != CellStyle::General {
            let _ = write!(self.xml, r#" s="{}""#, self.style.index());
        }
    }

    fn number(&mut self, digits: &str) {
        self.open();
        let _ = write!(self.xml, "><v>{digits}</v></c>");
    }

    fn typed(&mut self, kind: &str, value: &str) {
        self.open();
        let _ = write!(self.xml, r#" t="{kind}"><v>{value}</v></c>"#);
    }

    fn text(&mut self, text: &str) {
        self.open();
        self.xml.push_str(r#" t="inlineStr"><is><t xml:space="preserve">"#);
        escape(self.xml, text, MAX_TEXT);
        self.xml.push_str("</t></is></c>");
    }
}

/// Whether a double keeps these digits: at most 15 that count, and not too large.
fn fits(digits: &str) -> bool {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let counted = mantissa.chars().filter(char::is_ascii_digit).count();
    // Zeros at the ends hold a place but need no digit: `0.0012`, `1200`.
    let zeros_before = mantissa.chars().take_while(|c| !matches!(c, '1'..='9'));
    let zeros_after = mantissa.chars().rev().take_while(|c| !matches!(c, '1'..='9'));
    let zeros =
        zeros_before.filter(|c| *c == '0').count() + zeros_after.filter(|c| *c == '0').count();
    counted.saturating_sub(zeros) <= MAX_DIGITS
        && digits.parse::<f64>().is_ok_and(|value| value.abs() <= MAX_NUMBER)
}

/// Excel's days since 1899-12-30 for an ISO date, month or civil time under a style for these. None for what is not one,
/// lies before 1900, or has an offset, which Excel could not show.
fn serial(text: &str, style: CellStyle) -> Option<f64> {
    if !style.is_temporal() || !text.is_ascii() || text.len() < 7 {
        return None;
    }
    let at = match text.len() {
        7 if style == CellStyle::Month => {
            date(&format!("{text}-01"))?.to_datetime(jiff::civil::Time::midnight())
        }
        10 => date(text)?.to_datetime(jiff::civil::Time::midnight()),
        11.. if !text[10..].contains(['Z', 'z', '+', '-', '[']) => text.parse::<DateTime>().ok()?,
        _ => return None,
    };
    let epoch = Date::constant(1899, 12, 30);
    let mut days = at.date().since(epoch).ok()?.get_days();
    if at.date() < Date::constant(1900, 1, 1) {
        return None;
    }
    // Excel believes in a 29 February 1900.
    if at.date() < Date::constant(1900, 3, 1) {
        days -= 1;
    }
    let seconds =
        i32::from(at.hour()) * 3_600 + i32::from(at.minute()) * 60 + i32::from(at.second());
    let fraction = (f64::from(seconds) + f64::from(at.subsec_nanosecond()) / 1e9) / 86_400.0;
    Some(f64::from(days) + fraction)
}

fn date(text: &str) -> Option<Date> {
    text.parse().ok()
}

/// Writes at most `limit` UTF-16 units of `text`. What XML cannot hold becomes `_xHHHH_`, as Excel reads it, and so does
/// the underscore of a text that looks like that already.
pub fn escape(xml: &mut String, text: &str, limit: usize) {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit {
            break;
        }
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '_' if is_escape(&text.as_bytes()[at..]) => xml.push_str("_x005F_"),
            '\t' | '\n' => xml.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(xml, "_x{:04X}_", u32::from(c));
            }
            _ => xml.push(c),
        }
    }
}

/// Whether the bytes begin with `_xHHHH_`.
fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'_', b'x', hex @ .., ] if hex.len() >= 5
        && hex[..4].iter().all(u8::is_ascii_hexdigit) && hex[4] == b'_')
}
