//! Reads how a grant writes a mask: a name, a name with its numbers, or SQL.

use serde_json::{Map, Value};

use super::problem::nearest;
use crate::sql::mask::Mask;

/// Masks by name.
const MASKS: &[(&str, Mask)] = &[
    ("null", Mask::Null),
    ("redact", Mask::Redact),
    ("first4", Mask::Partial { prefix: 4, suffix: 0 }),
    ("last4", Mask::Partial { prefix: 0, suffix: 4 }),
    ("partial", Mask::Partial { prefix: 3, suffix: 4 }),
    ("hash", Mask::Hash),
    ("email", Mask::Email),
    ("year", Mask::Year),
    ("round", Mask::Round { step: None }),
];

/// Most characters that `partial` shows at one end.
const MAX_SHOWN: u64 = 1_000;

/// A mask as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    Known(Mask),
    /// An expression, yet to be compiled for the dialect.
    Sql(&'a str),
}

/// What is wrong with one, in a sentence, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMask {
    pub message: String,
    pub hint: String,
}

/// Reads a mask.
///
/// # Errors
/// Where it is none.
pub fn read(spec: &Value) -> Result<Written<'_>, NoMask> {
    match spec {
        Value::Null => Ok(Written::Known(Mask::Null)),
        Value::String(text) => named(text),
        Value::Object(map) if map.len() == 1 => with_numbers(map).ok_or_else(no_form),
        _ => Err(no_form()),
    }
}

fn named(text: &str) -> Result<Written<'_>, NoMask> {
    let names = || MASKS.iter().map(|(name, _)| *name);
    if let Some((_, mask)) = MASKS.iter().find(|(known, _)| *known == text) {
        return Ok(Written::Known(mask.clone()));
    }
    // One word alone is a slip; anything else is SQL.
    if !text.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) {
        return Ok(Written::Sql(text));
    }
    let known: Vec<&str> = names().collect();
    let hint = nearest(text, names()).map_or_else(
        || format!("Use one of {}, or `{{sql: EXPRESSION}}`.", known.join(", ")),
        |near| format!("Did you mean `{near}`?"),
    );
    Err(NoMask { message: format!("There is no mask `{text}`."), hint })
}

fn with_numbers(map: &Map<String, Value>) -> Option<Written<'_>> {
    let (key, value) = map.iter().next()?;
    match (key.as_str(), value) {
        ("sql", Value::String(text)) => Some(Written::Sql(text)),
        ("round", step) => {
            let step = step.as_u64().filter(|step| *step >= 1)?;
            Some(Written::Known(Mask::Round { step: Some(u32::try_from(step).ok()?) }))
        }
        ("partial", Value::Object(ends))
            if ends.keys().all(|key| key == "prefix" || key == "suffix") =>
        {
            let end = |key: &str| match ends.get(key) {
                Some(count) => {
                    count.as_u64().filter(|n| *n <= MAX_SHOWN).and_then(|n| u32::try_from(n).ok())
                }
                None => Some(0),
            };
            let (prefix, suffix) = (end("prefix")?, end("suffix")?);
            Some(Written::Known(Mask::Partial { prefix, suffix }))
        }
        _ => None,
    }
}

fn no_form() -> NoMask {
    NoMask {
        message: "This is no mask.".to_owned(),
        hint: "Write a name such as `last4`, `{round: 100}`, `{partial: {prefix: 3, suffix: 4}}` or `{sql: EXPRESSION}`."
            .to_owned(),
    }
}
