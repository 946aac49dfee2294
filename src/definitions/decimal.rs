//! Decimal numbers as text: exact order and whole values, whatever their size.

use std::cmp::Ordering;

/// Digits of a whole number, at most.
const MAX_DIGITS: i64 = 400;

/// A number as `0.DIGITS × 10^magnitude`, without zeros at either end; zero has no digits.
struct Decimal {
    is_negative: bool,
    digits: String,
    magnitude: i64,
}

/// Takes a JSON number apart; `None` where the text is none.
fn parse(text: &str) -> Option<Decimal> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_start_matches('0');
    let leading = i64::try_from(all.len() - significant.len()).ok()?;
    let digits = significant.trim_end_matches('0').to_owned();
    let magnitude = exponent.checked_add(i64::try_from(whole.len()).ok()? - leading)?;
    let is_zero = digits.is_empty();
    Some(Decimal {
        is_negative: is_negative && !is_zero,
        digits,
        magnitude: if is_zero { 0 } else { magnitude },
    })
}

/// The order of two numbers; `None` where a text is no number.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    if a.is_negative != b.is_negative {
        return Some(b.is_negative.cmp(&a.is_negative));
    }
    let by_size = match (a.digits.is_empty(), b.digits.is_empty()) {
        (false, false) => (a.magnitude, &a.digits).cmp(&(b.magnitude, &b.digits)),
        (a_is_zero, b_is_zero) => b_is_zero.cmp(&a_is_zero),
    };
    Some(if a.is_negative { by_size.reverse() } else { by_size })
}

/// A whole number in plain digits, from any way to write it (`1.0`, `1e3`); `None` where it has a fraction.
pub fn whole(text: &str) -> Option<String> {
    let number = parse(text)?;
    let length = i64::try_from(number.digits.len()).ok()?;
    if number.digits.is_empty() {
        return Some("0".to_owned());
    }
    if number.magnitude < length || number.magnitude > MAX_DIGITS {
        return None;
    }
    let zeros = usize::try_from(number.magnitude - length).ok()?;
    let sign = if number.is_negative { "-" } else { "" };
    Some(format!("{sign}{}{}", number.digits, "0".repeat(zeros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_exact() {
        let rising = [
            "-1e400",
            "-18446744073709551616",
            "-18446744073709551615",
            "-1.5",
            "-1.49",
            "-0.001",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000001",
            "9",
            "10",
            "9223372036854775807",
            "9223372036854775808",
            "1e20",
            "1e400",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(compare(a, b), Some(i.cmp(&j)), "{a} {b}");
            }
        }
        for (a, b) in
            [("-0", "0"), ("0.0", "0e5"), ("1.50", "15e-1"), ("007", "7"), ("1e3", "1000")]
        {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} {b}");
        }
        assert_eq!(compare("x", "1"), None);
    }

    #[test]
    fn whole_numbers_are_known_however_they_are_written() {
        let cases = [
            ("1.0", Some("1")),
            ("-1.50e1", Some("-15")),
            ("1e3", Some("1000")),
            ("0.0", Some("0")),
            ("-0", Some("0")),
            ("120", Some("120")),
            ("1.5", None),
            ("1e-1", None),
            ("1e9999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(whole(text).as_deref(), expected, "{text}");
        }
    }
}
