//! SQLite's values as cells. Every value has a type of its own; the declared type of its column only helps to read it.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Statement, StatementStatus};
use serde::de::IgnoredAny;

use super::error;
use crate::engines::{Cell, Column, ColumnKind, EngineError, Row};

/// Statements of a connection whose columns are remembered; beyond it they are learnt anew.
const MAX_KNOWN: usize = 256;

/// The columns of a statement, by their declared types.
pub fn columns_of(statement: &Statement<'_>) -> Vec<Column> {
    Known::of(statement).columns
}

/// The columns of a statement, with what they were found by.
struct Known {
    declared: Vec<Option<String>>,
    columns: Vec<Column>,
    /// How often the statement had been prepared again by then, as happens where a table has changed.
    prepared_again: i32,
}

impl Known {
    fn of(statement: &Statement<'_>) -> Self {
        let all = statement.columns();
        let declared = all.iter().map(|column| column.decl_type().map(str::to_owned));
        let columns = all.iter().map(|column| Column {
            name: column.name().to_owned(),
            kind: column.decl_type().map_or(ColumnKind::Any, kind_of),
        });
        let prepared_again = statement.get_status(StatementStatus::RePrepare);
        Self { declared: declared.collect(), columns: columns.collect(), prepared_again }
    }

    /// Whether the statement, which runs, still has them: tables change.
    fn fits(&self, statement: &Statement<'_>) -> bool {
        // What has run before is the statement they were last compared with, and looks all the same until it is prepared again.
        let has_run = statement.get_status(StatementStatus::Run) > 1;
        if has_run && statement.get_status(StatementStatus::RePrepare) == self.prepared_again {
            return true;
        }
        let all = statement.columns();
        let is_same = |((column, declared), known): ((&_, &Option<String>), &Column)| {
            let column: &rusqlite::Column<'_> = column;
            column.name() == known.name && column.decl_type() == declared.as_deref()
        };
        all.len() == self.columns.len()
            && all.iter().zip(&self.declared).zip(&self.columns).all(is_same)
    }
}

/// The columns of the statements of a connection, by their text: what a declared type says is found out once.
#[derive(Default)]
pub struct KnownColumns(HashMap<Arc<str>, Known, ahash::RandomState>);

impl KnownColumns {
    /// The columns of the statement with this text.
    pub fn of(&mut self, sql: &Arc<str>, statement: &Statement<'_>) -> &[Column] {
        if self.0.len() > MAX_KNOWN {
            self.0.clear();
        }
        let known = match self.0.entry(sql.clone()) {
            Occupied(mut known) if known.get().fits(statement) => {
                known.get_mut().prepared_again = statement.get_status(StatementStatus::RePrepare);
                known.into_mut()
            }
            Occupied(mut known) => {
                known.insert(Known::of(statement));
                known.into_mut()
            }
            Vacant(new) => new.insert(Known::of(statement)),
        };
        &known.columns
    }
}

/// What a declared type says, by SQLite's own rules where it has one, and by what people mean by it else.
fn kind_of(declared: &str) -> ColumnKind {
    let name = declared.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
    let holds = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match name.as_str() {
        "BOOL" | "BOOLEAN" => ColumnKind::Boolean,
        "JSON" | "JSONB" => ColumnKind::Json,
        "DATE" => ColumnKind::Date,
        _ if holds(&["DATETIME", "TIMESTAMP"]) => ColumnKind::DateTime,
        _ if holds(&["INT"]) => ColumnKind::Integer,
        _ if holds(&["CHAR", "CLOB", "TEXT", "STRING", "UUID"]) => ColumnKind::Text,
        _ if holds(&["BLOB", "BINARY"]) => ColumnKind::Binary,
        _ if holds(&["REAL", "FLOA", "DOUB", "DEC", "NUM", "MONEY"]) => ColumnKind::Number,
        _ => ColumnKind::Any,
    }
}

/// A row where SQLite holds it.
pub struct ReadRow<'a> {
    pub row: &'a rusqlite::Row<'a>,
    pub columns: &'a [Column],
}

impl Row for ReadRow<'_> {
    fn cell<'a>(&'a self, index: usize, scratch: &'a mut String) -> Result<Cell<'a>, EngineError> {
        let value = self.row.get_ref(index).map_err(error::of)?;
        let kind = self.columns.get(index).map_or(ColumnKind::Any, |column| column.kind);
        Ok(match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(n @ (0 | 1)) if kind == ColumnKind::Boolean => Cell::Bool(n == 1),
            ValueRef::Integer(n) => Cell::Int(n),
            ValueRef::Real(x) => Cell::Float(x),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes),
            ValueRef::Text(bytes) => {
                let text = text_of(bytes, scratch);
                if kind == ColumnKind::Json && is_json(text) {
                    Cell::Json(text)
                } else {
                    Cell::Text(text)
                }
            }
        })
    }
}

/// The text as it is, or a copy in `scratch` with U+FFFD for what is not UTF-8.
fn text_of<'a>(bytes: &'a [u8], scratch: &'a mut String) -> &'a str {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text;
    }
    scratch.clear();
    for chunk in bytes.utf8_chunks() {
        scratch.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            scratch.push(char::REPLACEMENT_CHARACTER);
        }
    }
    scratch
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_name_kinds() {
        for (declared, kind) in [
            ("INTEGER", ColumnKind::Integer),
            ("unsigned big int", ColumnKind::Integer),
            ("VARCHAR(20)", ColumnKind::Text),
            ("DECIMAL(10,2)", ColumnKind::Number),
            ("numeric", ColumnKind::Number),
            ("DOUBLE PRECISION", ColumnKind::Number),
            ("Boolean", ColumnKind::Boolean),
            ("DATE", ColumnKind::Date),
            ("TIMESTAMP WITH TIME ZONE", ColumnKind::DateTime),
            ("BLOB", ColumnKind::Binary),
            ("JSON", ColumnKind::Json),
            ("", ColumnKind::Any),
            ("GEOMETRY", ColumnKind::Any),
        ] {
            assert_eq!(kind_of(declared), kind, "{declared}");
        }
    }
}
