//! Dates, times and intervals: ISO 8601 for callers, the server's own form inside ranges.

use std::fmt::Write;

const DAY_US: i64 = 86_400_000_000;
const SECOND_US: i64 = 1_000_000;
/// Days from 0000-03-01 to 2000-01-01, the server's day zero.
const EPOCH_DAYS: i64 = 730_425;
/// Days in 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;

/// How dates and times are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `2025-01-31T10:00:00Z`; years outside 0000–9999 with a sign and six digits, as ISO 8601 has it.
    Iso,
    /// `2025-01-31 10:00:00+00`, `0044-03-15 BC`: what `psql` prints.
    Server,
}

/// Year, month and day of a day counted from 2000-01-01; year 0 is 1 BC.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    // Years start in March here, so that the leap day is the last one.
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn push_day(days: i64, style: Style, out: &mut String) -> bool {
    let (year, month, day) = civil(days);
    let before_christ = year <= 0;
    let _ = match style {
        Style::Server if before_christ => write!(out, "{:04}-{month:02}-{day:02}", 1 - year),
        Style::Server => write!(out, "{year:04}-{month:02}-{day:02}"),
        Style::Iso if (0..=9999).contains(&year) => {
            push_small(year / 100, out);
            push_small(year % 100, out);
            out.push('-');
            push_small(month, out);
            out.push('-');
            push_small(day, out);
            Ok(())
        }
        Style::Iso => write!(out, "{year:+07}-{month:02}-{day:02}"),
    };
    before_christ && style == Style::Server
}

/// Two digits; the values here are always below 100.
fn push_small(value: i64, out: &mut String) {
    let value = u8::try_from(value % 100).unwrap_or(0);
    out.push(char::from(b'0' + value / 10));
    out.push(char::from(b'0' + value % 10));
}

/// A `date`, given as days from 2000-01-01.
pub(super) fn push_date(days: i32, style: Style, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => {
            if push_day(i64::from(days), style, out) {
                out.push_str(" BC");
            }
        }
    }
}

/// A `time`, given as microseconds from midnight.
pub(super) fn push_time(us: i64, out: &mut String) {
    let seconds = us / SECOND_US;
    push_small(seconds / 3600, out);
    out.push(':');
    push_small(seconds / 60 % 60, out);
    out.push(':');
    push_small(seconds % 60, out);
    push_fraction(us % SECOND_US, out);
}

/// `.5`, `.000001`, or nothing.
fn push_fraction(us: i64, out: &mut String) {
    if us != 0 {
        let _ = write!(out, ".{us:06}");
        let end = out.trim_end_matches('0').len();
        out.truncate(end);
    }
}

/// A `timetz`: microseconds from midnight and the offset in seconds *west* of Greenwich.
pub(super) fn push_time_with_zone(us: i64, west_s: i32, style: Style, out: &mut String) {
    push_time(us, out);
    if west_s == 0 && style == Style::Iso {
        out.push('Z');
        return;
    }
    let offset = west_s.unsigned_abs();
    let _ = write!(out, "{}{:02}", if west_s > 0 { '-' } else { '+' }, offset / 3600);
    if style == Style::Iso || !offset.is_multiple_of(3600) {
        let _ = write!(out, ":{:02}", offset / 60 % 60);
    }
    if !offset.is_multiple_of(60) {
        let _ = write!(out, ":{:02}", offset % 60);
    }
}

/// A `timestamp` (`zone`: a `timestamptz`, always UTC), given as microseconds from 2000-01-01.
pub(super) fn push_timestamp(us: i64, zone: bool, style: Style, out: &mut String) {
    match us {
        i64::MAX => return out.push_str("infinity"),
        i64::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    let before_christ = push_day(us.div_euclid(DAY_US), style, out);
    out.push(if style == Style::Iso { 'T' } else { ' ' });
    push_time(us.rem_euclid(DAY_US), out);
    if zone {
        out.push_str(if style == Style::Iso { "Z" } else { "+00" });
    }
    if before_christ {
        out.push_str(" BC");
    }
}

/// An `interval` as an ISO 8601 duration: `P1Y2M3DT4H5M6.5S`; its parts have signs of their own.
pub(super) fn push_interval(us: i64, days: i32, months: i32, out: &mut String) {
    if us == 0 && days == 0 && months == 0 {
        return out.push_str("PT0S");
    }
    let part = |value: i64, unit: char, out: &mut String| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    out.push('P');
    part(i64::from(months / 12), 'Y', out);
    part(i64::from(months % 12), 'M', out);
    part(i64::from(days), 'D', out);
    if us == 0 {
        return;
    }
    out.push('T');
    let seconds = us / SECOND_US;
    part(seconds / 3600, 'H', out);
    part(seconds / 60 % 60, 'M', out);
    let (second, fraction) = (seconds % 60, us % SECOND_US);
    if second != 0 || fraction != 0 {
        let sign = if us < 0 { "-" } else { "" };
        let _ = write!(out, "{sign}{}", second.abs());
        push_fraction(fraction.abs(), out);
        out.push('S');
    }
}
