//! Statement text as parts: pieces to places, lists right of IN, and back from what the parser prints.

use std::sync::LazyLock;

use regex::Regex;

use super::dialect::Dialect;
use super::lex::{self, Piece};
use super::statement::{Part, Slot};
use super::template::{Flaw, Options, TemplateError};

/// The place that a piece stands for, and whether its value is an array.
///
/// # Errors
/// Where nothing binds the name.
pub fn resolve(piece: &Piece<'_>, options: &Options) -> Result<(Slot, bool), TemplateError> {
    match piece {
        Piece::Rendered(number, is_array) => Ok((Slot::Rendered(*number), *is_array)),
        Piece::Name(name, offset) => {
            let found = options.names.iter().position(|known| known.name == *name);
            match found {
                Some(i) => Ok((Slot::Name(i), options.names[i].is_array)),
                None => Err(TemplateError::new(Flaw::Unbound((*name).to_owned()), Some(*offset))),
            }
        }
        Piece::Text(_) => unreachable!("only places are resolved"),
    }
}

static BEFORE_LIST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(not\s+)?in\s*(\(\s*)?$").expect("a constant pattern that compiles")
});

/// Pieces to parts. An array right of IN becomes a list; on PostgreSQL, whose arrays are values, `IN (:x)` becomes
/// `= ANY(:x)`, so that one statement serves lists of any length.
pub fn to_parts(
    pieces: &[Piece<'_>],
    dialect: Dialect,
    resolve: impl Fn(&Piece<'_>) -> Result<(Slot, bool), TemplateError>,
) -> Result<Vec<Part>, TemplateError> {
    let mut parts: Vec<Part> = Vec::with_capacity(pieces.len());
    let mut closing = false;
    for (i, piece) in pieces.iter().enumerate() {
        let Piece::Text(text) = piece else {
            let (slot, is_array) = resolve(piece)?;
            let list =
                if is_array { open_list(&mut parts, pieces.get(i + 1), dialect) } else { None };
            closing = list == Some(true);
            parts.push(match list {
                Some(_) if dialect != Dialect::Postgres => Part::List { slot },
                _ => Part::Slot(slot),
            });
            if list.is_some() && dialect == Dialect::Postgres {
                parts.push(Part::Text(")".into()));
            }
            continue;
        };
        let text = if std::mem::take(&mut closing) {
            text.trim_start().strip_prefix(')').unwrap_or(text)
        } else {
            text
        };
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(parts)
}

/// Where the text before is `IN` or `IN (`, takes the bracket off; `Some(true)`: there was one, and the text after
/// closes it.
fn open_list(parts: &mut [Part], after: Option<&Piece<'_>>, dialect: Dialect) -> Option<bool> {
    let Some(Part::Text(before)) = parts.last_mut() else { return None };
    let captures = BEFORE_LIST.captures(before)?;
    let bracket = captures.get(2).is_some();
    let closes = matches!(after, Some(Piece::Text(text)) if text.trim_start().starts_with(')'));
    if bracket && !closes {
        return None;
    }
    let negated = captures.get(1).is_some();
    let start = captures.get(0).map_or(before.len(), |all| all.start());
    before.truncate(start);
    before.push_str(match (dialect, negated) {
        (Dialect::Postgres, false) => "= ANY(",
        (Dialect::Postgres, true) => "<> ALL(",
        (_, false) => "IN ",
        (_, true) => "NOT IN ",
    });
    Some(bracket)
}

/// A bare `name(:a, :b)` calls what the engine has: a function's rows on PostgreSQL, a procedure on MySQL.
pub fn procedure(mut parts: Vec<Part>, dialect: Dialect) -> Vec<Part> {
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)^\s*[A-Za-z_][A-Za-z0-9_$.]*\s*\(")
            .expect("a constant pattern that compiles")
    });
    if let Some(Part::Text(first)) = parts.first_mut()
        && BARE.is_match(first)
    {
        let verb = if dialect == Dialect::Postgres { "SELECT * FROM " } else { "CALL " };
        first.insert_str(0, verb);
    }
    parts
}

/// The statement with `:t0`, `:t1` … for its places, which every dialect of the parser reads and prints.
pub fn parse_text(parts: &[Part]) -> String {
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::Slot(_) => text.extend([":t", itoa::Buffer::new().format(i)]),
            Part::List { .. } => text.extend(["(:t", itoa::Buffer::new().format(i), ")"]),
        }
    }
    text
}

/// Parts again, from text that the parser printed.
pub fn reprint(text: &str, parts: &[Part], dialect: Dialect) -> Result<Vec<Part>, TemplateError> {
    let at = |piece: &Piece<'_>| match piece {
        Piece::Name(name, _) => name.strip_prefix('t').and_then(|n| n.parse::<usize>().ok()),
        _ => None,
    };
    let pieces = lex::cut(text, dialect)?;
    let mut out: Vec<Part> = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        match (piece, at(piece).and_then(|i| parts.get(i))) {
            (_, Some(Part::List { slot })) => {
                if let Some(Part::Text(before)) = out.last_mut() {
                    before.truncate(before.trim_end_matches(['(', ' ']).len());
                    before.push(' ');
                }
                out.push(Part::List { slot: slot.clone() });
            }
            (_, Some(Part::Slot(slot))) => out.push(Part::Slot(slot.clone())),
            (Piece::Text(fixed), _) if matches!(out.last(), Some(Part::List { .. })) => {
                out.push(Part::Text(
                    fixed.trim_start().strip_prefix(')').unwrap_or(fixed).to_owned(),
                ));
            }
            (Piece::Text(fixed), _) => out.push(Part::Text((*fixed).to_owned())),
            _ => {
                let flaw = Flaw::Sql("a place was lost while rewriting".into());
                return Err(TemplateError::new(flaw, None));
            }
        }
    }
    Ok(out)
}
