//! Formats of texts: dates as people write them (`yyyy-MM-dd`), addresses and the like.

use jiff::fmt::strtime::BrokenDownTime;

/// A format of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A date or time pattern as people write it (`yyyy-MM-dd`), as the parser takes it (`%Y-%m-%d`), and as a regular
    /// expression, for those who know no calendar.
    Pattern {
        shown: String,
        strftime: String,
        regex: String,
    },
    Email,
    Uuid,
    Ipv4,
    Ipv6,
    Uri,
}

impl Format {
    /// Reads a format as written in YAML; `None`: a hint for people only.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "email" => Some(Self::Email),
            "uuid" => Some(Self::Uuid),
            "ipv4" => Some(Self::Ipv4),
            "ipv6" => Some(Self::Ipv6),
            "uri" | "url" => Some(Self::Uri),
            pattern => strftime(pattern).map(|(strftime, regex)| Self::Pattern {
                shown: pattern.to_owned(),
                strftime,
                regex,
            }),
        }
    }

    /// The format as people write it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Pattern { shown, .. } => shown,
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Uri => "uri",
        }
    }

    /// Whether a text has it.
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Pattern { strftime, .. } => broken_down(strftime, text).is_some(),
            Self::Email => text.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty()
                    && domain.contains('.')
                    && !domain.contains('@')
                    && !text.contains(' ')
            }),
            Self::Uuid => {
                text.len() == 36
                    && text.bytes().enumerate().all(|(i, b)| match i {
                        8 | 13 | 18 | 23 => b == b'-',
                        _ => b.is_ascii_hexdigit(),
                    })
            }
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
            Self::Uri => text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                    && !rest.is_empty()
                    && !text.contains(char::is_whitespace)
            }),
        }
    }
}

/// `yyyy-MM-dd HH:mm:ss` to `%Y-%m-%d %H:%M:%S` and a regular expression; `None` where no field of a date stands in it.
fn strftime(pattern: &str) -> Option<(String, String)> {
    const MONTH: &str = "(0[1-9]|1[0-2])";
    const DAY: &str = "(0[1-9]|[12][0-9]|3[01])";
    let fields = [
        ("yyyy", "%Y", "[0-9]{4}"),
        ("YYYY", "%Y", "[0-9]{4}"),
        ("MM", "%m", MONTH),
        ("dd", "%d", DAY),
        ("DD", "%d", DAY),
        ("HH", "%H", "([01][0-9]|2[0-3])"),
        ("mm", "%M", "[0-5][0-9]"),
        ("ss", "%S", "[0-5][0-9]"),
        ("SSS", "%3f", "[0-9]{3}"),
    ];
    let (mut out, mut regex) = (String::new(), "^".to_owned());
    let mut rest = pattern;
    let mut found = false;
    'next: while let Some(c) = rest.chars().next() {
        for (field, code, digits) in fields {
            if let Some(after) = rest.strip_prefix(field) {
                out.push_str(code);
                regex.push_str(digits);
                rest = after;
                found = true;
                continue 'next;
            }
        }
        // Java's way to write a letter that is no field.
        if c == '\'' {
            rest = &rest[1..];
            continue;
        }
        if c.is_ascii_alphabetic() && c != 'T' {
            return None;
        }
        let literal = &rest[..c.len_utf8()];
        out.push_str(if c == '%' { "%%" } else { literal });
        // Escaped, a `-` is an error to those who read patterns strictly.
        regex.push_str(&if c == '-' { literal.to_owned() } else { regex::escape(literal) });
        rest = &rest[c.len_utf8()..];
    }
    regex.push('$');
    found.then_some((out, regex))
}

/// Parses and prints back, so that `2025-1-1` is not taken for `2025-01-01`.
pub fn broken_down(strftime: &str, text: &str) -> Option<BrokenDownTime> {
    let time = BrokenDownTime::parse(strftime, text).ok()?;
    let mut full = time;
    if full.month().is_none() {
        full.set_month(Some(1)).ok()?;
    }
    if full.day().is_none() {
        full.set_day(Some(1)).ok()?;
    }
    if full.year().is_some() {
        full.to_date().ok()?;
    }
    (full.to_string(strftime).ok()? == text).then_some(full)
}
