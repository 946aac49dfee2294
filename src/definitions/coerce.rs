//! Strict coercion: a caller's texts and JSON values to typed values, and the rules of a parameter.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use regex::Regex;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::format::{Format, broken_down};
use super::spec::interface::{Location, ParamType};
use crate::sql::bind::{Bind, compare_numbers, whole_number};

/// Digits of a number, at most.
const MAX_NUMBER_LENGTH: usize = 400;
/// Items of an array parameter, at most.
pub const MAX_ARRAY_ITEMS: usize = 1_000;

/// A compiled parameter.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub location: Location,
    pub kind: ParamType,
    /// Type of the items of an array.
    pub items: ParamType,
    pub required: bool,
    pub default: Option<Bind>,
    pub rules: Rules,
    /// Never shown in audit records and logs.
    pub is_sensitive: bool,
}

/// What a value must be, beyond its type; for an array, `allowed` and the rest but the lengths hold for each item.
#[derive(Debug, Default)]
pub struct Rules {
    pub allowed: Option<Vec<Bind>>,
    pub format: Option<Format>,
    pub max_length: Option<u64>,
    pub min_length: Option<u64>,
    pub maximum: Option<Bind>,
    pub minimum: Option<Bind>,
    pub pattern: Option<Regex>,
}

impl Parameter {
    /// A value from text: path, query or header.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn from_text(&self, text: &str) -> Result<Bind, Fault> {
        let value = match self.kind {
            ParamType::Array => {
                // Proxies that join headers of one name put a space behind the comma.
                let trims = self.location == Location::Header;
                if trims && text.trim().is_empty() {
                    return self.check(Bind::Array(Vec::new()));
                }
                let items = text.split(',').map(|item| if trims { item.trim() } else { item });
                let items = items.map(|item| scalar_text(self.items, item, &self.rules));
                Bind::Array(items.collect::<Result<_, _>>()?)
            }
            kind => scalar_text(kind, text, &self.rules)?,
        };
        self.check(value)
    }

    /// An array from a repeated key.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn from_texts(&self, texts: &[String]) -> Result<Bind, Fault> {
        let items = texts.iter().map(|text| scalar_text(self.items, text, &self.rules));
        self.check(Bind::Array(items.collect::<Result<_, _>>()?))
    }

    /// A value from JSON: a body, or YAML.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn from_json(&self, json: &RawValue) -> Result<Bind, Fault> {
        let value = match self.kind {
            ParamType::Array => {
                let wrong = || Fault::Type(ParamType::Array);
                let items: Vec<&RawValue> =
                    serde_json::from_str(json.get()).map_err(|_| wrong())?;
                let items =
                    items.into_iter().map(|item| scalar_json(self.items, item, &self.rules));
                Bind::Array(items.collect::<Result<_, _>>()?)
            }
            kind => scalar_json(kind, json, &self.rules)?,
        };
        self.check(value)
    }

    /// The same from a parsed value.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn from_value(&self, value: &Value) -> Result<Bind, Fault> {
        match serde_json::value::to_raw_value(value) {
            Ok(raw) => self.from_json(&raw),
            Err(_) => Err(Fault::Type(self.kind)),
        }
    }

    fn check(&self, value: Bind) -> Result<Bind, Fault> {
        match &value {
            Bind::Array(items) => {
                let count = items.len() as u64;
                let most = self.rules.max_length.unwrap_or(u64::MAX).min(MAX_ARRAY_ITEMS as u64);
                if count > most {
                    return Err(Fault::MaxItems(most));
                }
                if let Some(least) = self.rules.min_length.filter(|least| count < *least) {
                    return Err(Fault::MinItems(least));
                }
                for item in items {
                    self.rules.check_scalar(item, false)?;
                }
            }
            scalar => self.rules.check_scalar(scalar, true)?,
        }
        Ok(value)
    }
}

impl Rules {
    fn check_scalar(&self, value: &Bind, with_length: bool) -> Result<(), Fault> {
        if let Bind::Text(text) = value {
            let length = text.chars().count() as u64;
            if let Some(most) = self.max_length.filter(|most| with_length && length > *most) {
                return Err(Fault::MaxLength(most));
            }
            if let Some(least) = self.min_length.filter(|least| with_length && length < *least) {
                return Err(Fault::MinLength(least));
            }
            if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
                return Err(Fault::Pattern(pattern.as_str().to_owned()));
            }
            if let Some(format) = self.format.as_ref().filter(|format| !format.accepts(text)) {
                return Err(Fault::Format(format.shown().to_owned()));
            }
        }
        if let Some(most) = &self.maximum
            && compare(value, most).is_some_and(std::cmp::Ordering::is_gt)
        {
            return Err(Fault::Maximum(most.to_text()));
        }
        if let Some(least) = &self.minimum
            && compare(value, least).is_some_and(std::cmp::Ordering::is_lt)
        {
            return Err(Fault::Minimum(least.to_text()));
        }
        if let Some(allowed) = &self.allowed
            && !allowed.iter().any(|one| {
                one == value || compare(one, value).is_some_and(std::cmp::Ordering::is_eq)
            })
        {
            return Err(Fault::Enum(allowed.iter().map(Bind::to_text).collect()));
        }
        Ok(())
    }
}

/// Order of two values of one kind; numbers by value.
pub fn compare(a: &Bind, b: &Bind) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Bind::Int(a), Bind::Int(b)) => Some(a.cmp(b)),
        (Bind::Int(_) | Bind::Number(_), Bind::Int(_) | Bind::Number(_)) => {
            Some(compare_numbers(&a.to_text(), &b.to_text()))
        }
        (Bind::Date(a), Bind::Date(b)) => Some(a.cmp(b)),
        (Bind::DateTime(a, ao), Bind::DateTime(b, bo)) => {
            let utc = |at: &DateTime, offset: &Option<Offset>| {
                offset.unwrap_or(Offset::UTC).to_timestamp(*at).ok()
            };
            utc(a, ao)?.partial_cmp(&utc(b, bo)?)
        }
        (Bind::Text(a), Bind::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn scalar_text(kind: ParamType, text: &str, rules: &Rules) -> Result<Bind, Fault> {
    let wrong = || Fault::Type(kind);
    match kind {
        ParamType::String => plain_text(text),
        ParamType::Integer => integer(text).ok_or_else(wrong),
        ParamType::Number => number(text).ok_or_else(wrong),
        ParamType::Boolean => match text {
            "true" | "1" => Ok(Bind::Bool(true)),
            "false" | "0" => Ok(Bind::Bool(false)),
            _ => Err(wrong()),
        },
        ParamType::Date => date(text, rules.format.as_ref()),
        ParamType::Datetime => datetime(text, rules.format.as_ref()),
        ParamType::Object => {
            let raw: Box<RawValue> = serde_json::from_str(text).map_err(|_| wrong())?;
            object(&raw)
        }
        ParamType::Array => Err(wrong()),
    }
}

fn scalar_json(kind: ParamType, json: &RawValue, rules: &Rules) -> Result<Bind, Fault> {
    let raw = json.get();
    let wrong = || Fault::Type(kind);
    match kind {
        ParamType::String => plain_text(&unquote(raw).ok_or_else(wrong)?),
        // JSON makes no difference between 1, 1.0 and 1e0.
        ParamType::Integer => integer(raw).or_else(|| whole(raw)).ok_or_else(wrong),
        ParamType::Number => number(raw).ok_or_else(wrong),
        ParamType::Boolean => match raw {
            "true" => Ok(Bind::Bool(true)),
            "false" => Ok(Bind::Bool(false)),
            _ => Err(wrong()),
        },
        ParamType::Date => date(&unquote(raw).ok_or_else(wrong)?, rules.format.as_ref()),
        ParamType::Datetime => datetime(&unquote(raw).ok_or_else(wrong)?, rules.format.as_ref()),
        ParamType::Object => object(json),
        ParamType::Array => Err(wrong()),
    }
}

fn unquote(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// NUL is no text in any of the databases.
fn plain_text(text: &str) -> Result<Bind, Fault> {
    if text.contains('\0') {
        return Err(Fault::Type(ParamType::String));
    }
    Ok(Bind::Text(text.to_owned()))
}

fn object(json: &RawValue) -> Result<Bind, Fault> {
    let raw = json.get();
    // `\u0000` parses as JSON but no database stores it as text.
    if !raw.starts_with('{') || raw.contains("\\u0000") {
        return Err(Fault::Type(ParamType::Object));
    }
    Ok(Bind::Json(raw.to_owned()))
}

/// `-?digits`, no leading zeros beyond one; beyond `i64` the digits stay.
fn integer(text: &str) -> Option<Bind> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= MAX_NUMBER_LENGTH
        && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain {
        return None;
    }
    Some(text.parse().map_or_else(|_| Bind::Number(text.to_owned()), Bind::Int))
}

/// A whole number however JSON writes it: `1.0`, `1e3`.
fn whole(text: &str) -> Option<Bind> {
    number(text).and_then(|_| integer(&whole_number(text, MAX_NUMBER_LENGTH)?))
}

/// A JSON number, digits kept.
fn number(text: &str) -> Option<Bind> {
    if let Some(whole) = integer(text) {
        return Some(whole);
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(mantissa),
    };
    // An exponent of more digits than this would make the database write out a number of gigabytes.
    let exponent_ok =
        exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)) && e.len() <= 4);
    (mantissa_ok && exponent_ok && text.len() <= MAX_NUMBER_LENGTH)
        .then(|| Bind::Number(text.to_owned()))
}

fn date(text: &str, format: Option<&Format>) -> Result<Bind, Fault> {
    let (shown, strftime) = match format {
        Some(Format::Pattern { shown, strftime, .. }) => (shown.as_str(), strftime.as_str()),
        _ => ("yyyy-MM-dd", "%Y-%m-%d"),
    };
    broken_down(strftime, text)
        .and_then(|time| time.to_date().ok())
        .filter(|date: &Date| date.year() >= 0)
        .map(Bind::Date)
        .ok_or_else(|| Fault::Format(shown.to_owned()))
}

fn datetime(text: &str, format: Option<&Format>) -> Result<Bind, Fault> {
    if let Some(Format::Pattern { shown, strftime, .. }) = format {
        return broken_down(strftime, text)
            .and_then(|mut time| {
                if time.hour().is_none() {
                    time.set_hour(Some(0)).ok()?;
                }
                time.to_datetime().ok()
            })
            .map(|at| Bind::DateTime(at, None))
            .ok_or_else(|| Fault::Format(shown.clone()));
    }
    let wrong = || Fault::Format("yyyy-MM-ddTHH:mm:ssZ".to_owned());
    // Date, `T` or a space, time, and an offset or none: `+` decodes to a space in a query, so that is mended.
    let (head, offset) = split_offset(text).ok_or_else(wrong)?;
    let at: DateTime = head.replacen(' ', "T", 1).parse().map_err(|_| wrong())?;
    if head.len() < 16 || at.year() < 0 {
        return Err(wrong());
    }
    Ok(Bind::DateTime(at, offset))
}

/// Splits `Z`, `+08:00` or `-0330` off a time.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if !text.is_ascii() || text.len() > 40 {
        return None;
    }
    if let Some(head) = text.strip_suffix(['Z', 'z']) {
        return Some((head, Some(Offset::UTC)));
    }
    let time = text.get(11..)?;
    let Some(sign) = time.rfind(['+', '-', ' ']) else { return Some((text, None)) };
    let (hours, minutes) = match &time.as_bytes()[sign + 1..] {
        [a, b, b':', c, d] | [a, b, c, d] => (two(*a, *b)?, two(*c, *d)?),
        [a, b] => (two(*a, *b)?, 0),
        _ => return None,
    };
    let seconds = i32::from(hours) * 3_600 + i32::from(minutes) * 60;
    let seconds = if time.as_bytes()[sign] == b'-' { -seconds } else { seconds };
    let offset = Offset::from_seconds(seconds).ok().filter(|_| hours < 24 && minutes < 60)?;
    Some((&text[..11 + sign], Some(offset)))
}

fn two(a: u8, b: u8) -> Option<u8> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ParamType, format: Option<&str>) -> Parameter {
        Parameter {
            name: "x".into(),
            location: Location::Query,
            kind,
            items: ParamType::Integer,
            required: false,
            default: None,
            rules: Rules { format: format.and_then(Format::parse), ..Rules::default() },
            is_sensitive: false,
        }
    }

    #[test]
    fn texts_are_taken_strictly() {
        let take =
            |kind, text: &str| parameter(kind, None).from_text(text).map(|b| b.to_text()).ok();
        let cases = [
            (ParamType::Integer, "42", Some("42")),
            (ParamType::Integer, "-9223372036854775808", Some("-9223372036854775808")),
            (ParamType::Integer, "18446744073709551615", Some("18446744073709551615")),
            (ParamType::Integer, "1.0", None),
            (ParamType::Integer, "", None),
            (ParamType::Integer, " 1", None),
            (ParamType::Integer, "0x10", None),
            (ParamType::Number, "12.50", Some("12.50")),
            (ParamType::Number, "-1e400", Some("-1e400")),
            (ParamType::Number, "NaN", None),
            (ParamType::Number, "1e99999", None),
            (ParamType::Number, ".5", None),
            (ParamType::Boolean, "true", Some("true")),
            (ParamType::Boolean, "yes", None),
            (ParamType::Date, "2024-02-29", Some("2024-02-29")),
            (ParamType::Date, "2025-02-29", None),
            (ParamType::Date, "2025-1-1", None),
            (ParamType::Datetime, "2025-01-31T10:00:00Z", Some("2025-01-31T10:00:00Z")),
            (
                ParamType::Datetime,
                "2025-01-31 10:00:00.5+08:00",
                Some("2025-01-31T10:00:00.5+08:00"),
            ),
            (ParamType::Datetime, "2025-01-31T10:00:00 08:00", Some("2025-01-31T10:00:00+08:00")),
            (ParamType::Datetime, "2025-01-31T25:00:00", None),
            (ParamType::Datetime, "2025-01-31", None),
            (ParamType::Array, "1,2,3", Some("[1,2,3]")),
            (ParamType::Array, "1,x", None),
            (ParamType::Object, "{\"a\":1}", Some("{\"a\":1}")),
            (ParamType::Object, "[1]", None),
            (ParamType::String, "a\0b", None),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(take(kind, text).as_deref(), expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn formats_are_patterns_people_write() {
        let take = |kind, format, text: &str| {
            parameter(kind, Some(format)).from_text(text).map(|b| b.to_text())
        };
        assert_eq!(take(ParamType::Date, "yyyyMMdd", "20250131").as_deref(), Ok("2025-01-31"));
        assert_eq!(take(ParamType::Date, "yyyy-MM", "2025-01").as_deref(), Ok("2025-01-01"));
        assert_eq!(take(ParamType::String, "yyyy-MM", "2025-01").as_deref(), Ok("2025-01"));
        assert_eq!(
            take(ParamType::String, "yyyy-MM", "2025-13"),
            Err(Fault::Format("yyyy-MM".into()))
        );
        assert_eq!(
            take(ParamType::Date, "yyyy-MM-dd", "31/01/2025"),
            Err(Fault::Format("yyyy-MM-dd".into()))
        );
        assert!(
            take(ParamType::String, "email", "a@b.cn").is_ok()
                && take(ParamType::String, "email", "a").is_err()
        );
        assert!(take(ParamType::Datetime, "yyyy-MM-dd HH:mm:ss", "2025-01-31 10:00:00").is_ok());
        assert!(take(ParamType::Datetime, "yyyy-MM-dd HH:mm", "2025-01-31 10:00").is_ok());
    }

    #[test]
    fn json_is_taken_by_its_type() {
        let take = |kind, json: &str| {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            parameter(kind, None).from_json(&raw).map(|bind| bind.to_text()).ok()
        };
        assert_eq!(take(ParamType::Number, "12.500").as_deref(), Some("12.500"));
        assert_eq!(take(ParamType::Integer, "\"12\""), None);
        assert_eq!(take(ParamType::Integer, "12.0").as_deref(), Some("12"));
        assert_eq!(take(ParamType::Integer, "-1.2E3").as_deref(), Some("-1200"));
        assert_eq!(take(ParamType::Integer, "1.5"), None);
        assert_eq!(take(ParamType::Integer, "1e9999"), None);
        assert_eq!(take(ParamType::String, "12"), None);
        assert_eq!(take(ParamType::Array, "[1, 2]").as_deref(), Some("[1,2]"));
        assert_eq!(take(ParamType::Array, "\"1,2\""), None);
    }
}
