//! Bound values: what takes a caller's input to the database, and never becomes statement text.

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
            Self::Int(n) => out.push_str(&n.to_string()),
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
