//! Bound values: what takes a caller's input to the database, and never becomes statement text.

use std::cmp::Ordering;

/// A value bound to a placeholder. Values never become statement text.
#[derive(Clone, Debug, PartialEq)]
pub enum Bind {
    Null,
    Bool(bool),
    Int(i64),
    /// A number as decimal digits, for what `i64` cannot hold: `12.50`, `-1e400`, `18446744073709551615`.
    Number(String),
    Text(String),
    Date(jiff::civil::Date),
    /// A point in civil time; with an offset it is also a point in time.
    DateTime(jiff::civil::DateTime, Option<jiff::tz::Offset>),
    /// JSON text, from a parameter of type `object`.
    Json(String),
    /// From a parameter of type `array`. Engines without arrays bind it as JSON text.
    Array(Vec<Bind>),
}

impl Bind {
    /// The value as JSON text: how an array or object is bound where the engine has no such type.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => out.push_str(itoa::Buffer::new().format(*n)),
            Self::Number(n) => out.push_str(n),
            Self::Json(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Date(_) | Self::DateTime(..) => out.push_str(&quoted(&self.to_text())),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
        }
    }

    /// Whether a text in it has this character; JSON may hold it escaped.
    pub fn holds(&self, c: char) -> bool {
        match self {
            Self::Text(text) => text.contains(c),
            Self::Json(text) => {
                text.contains(c) || text.contains(&format!("\\u{:04x}", u32::from(c)))
            }
            Self::Array(items) => items.iter().any(|item| item.holds(c)),
            _ => false,
        }
    }

    /// The value as plain text: ISO 8601 for dates and times, digits for numbers.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(b) => b.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Number(n) | Self::Text(n) | Self::Json(n) => n.clone(),
            Self::Date(date) => date.to_string(),
            Self::DateTime(at, None) => at.to_string(),
            Self::DateTime(at, Some(offset)) => format!("{at}{}", offset_text(*offset)),
            Self::Array(_) => self.to_json(),
        }
    }
}

/// `+08:00`, or `Z` for UTC: the offset part of RFC 3339.
pub fn offset_text(offset: jiff::tz::Offset) -> String {
    let seconds = offset.seconds();
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The order of two JSON numbers by value, every digit counted.
pub fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (Decimal::of(a), Decimal::of(b));
    let signed = |order: Ordering| if a.negative { order.reverse() } else { order };
    match (a.sign(), b.sign()) {
        (x, y) if x != y => x.cmp(&y),
        _ => signed(a.scale.cmp(&b.scale).then_with(|| a.digits.cmp(&b.digits))),
    }
}

/// A JSON number in plain digits, at most so many of them; `None` where it has a fraction.
pub fn whole_number(text: &str, max_digits: usize) -> Option<String> {
    let Decimal { negative, digits, scale } = Decimal::of(text);
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let length = usize::try_from(scale).ok().filter(|length| *length <= max_digits)?;
    let zeros = length.checked_sub(digits.len())?;
    Some(format!("{}{digits}{}", if negative { "-" } else { "" }, "0".repeat(zeros)))
}

/// A number as `0.digits` times ten to the power of `scale`, without zeros at either end.
struct Decimal {
    negative: bool,
    digits: String,
    scale: i64,
}

impl Decimal {
    fn of(number: &str) -> Self {
        let unsigned = number.strip_prefix('-');
        let (mantissa, exponent) = unsigned
            .unwrap_or(number)
            .split_once(['e', 'E'])
            .unwrap_or((unsigned.unwrap_or(number), "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
        let zeros = i64::try_from(all.len() - digits.len()).unwrap_or(i64::MAX);
        // Longer exponents than this are refused before.
        let exponent: i64 = exponent.parse().unwrap_or(0);
        let digits = digits.trim_end_matches('0').to_owned();
        let scale = if digits.is_empty() { 0 } else { point - zeros + exponent };
        Self { negative: unsigned.is_some(), digits, scale }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let sorted = [
            "-1e400",
            "-10.5",
            "-10",
            "-0.1",
            "0",
            "1e-400",
            "0.10",
            "1",
            "1.00000000000000000001",
            "9223372036854775807",
            "9223372036854775808",
            "1e19",
            "1e400",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare_numbers(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in
            [("0.10", "1e-1"), ("-0.0", "0"), ("100", "1E+2"), ("007", "7"), ("12.50", "12.5")]
        {
            assert_eq!(compare_numbers(a, b), Ordering::Equal, "{a} and {b}");
        }
    }
}
