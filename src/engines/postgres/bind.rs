//! Bound values as text: the server turns text into whatever type it gave the placeholder.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::engines::{Bind, EngineError, offset_text};

/// A value on its way to a placeholder.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Bind);

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Bind::Null => return Ok(IsNull::Yes),
            Bind::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Bind::Int(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
            }
            Bind::Number(text) | Bind::Text(text) | Bind::Json(text) => {
                out.extend_from_slice(text.as_bytes());
            }
            bind => out.extend_from_slice(text_for(bind, base_type(ty)).as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Refuses what the server cannot hold in any text: the character U+0000.
///
/// # Errors
/// [`EngineError::BadValue`] with the position of the first such value.
pub(super) fn check(binds: &[Bind]) -> Result<(), EngineError> {
    match binds.iter().position(has_nul) {
        None => Ok(()),
        position => Err(EngineError::BadValue {
            position,
            message: "the character U+0000 cannot be stored".into(),
        }),
    }
}

fn has_nul(bind: &Bind) -> bool {
    match bind {
        Bind::Text(text) | Bind::Number(text) | Bind::Json(text) => text.as_bytes().contains(&0),
        Bind::Array(items) => items.iter().any(has_nul),
        _ => false,
    }
}

/// The type under a domain.
fn base_type(ty: &Type) -> &Type {
    match ty.kind() {
        Kind::Domain(base) => base_type(base),
        _ => ty,
    }
}

fn text_for(bind: &Bind, ty: &Type) -> String {
    match (bind, ty.kind()) {
        (Bind::Date(_) | Bind::DateTime(..), _) if is_json(ty) => bind.to_json(),
        (Bind::Date(date), _) => date_text(*date, ""),
        (Bind::DateTime(at, offset), _) => {
            let time = format!("{}{}", at.time(), offset.map(offset_text).unwrap_or_default());
            if matches!(*ty, Type::TIME | Type::TIMETZ) {
                return time;
            }
            date_text(at.date(), &format!("T{time}"))
        }
        (Bind::Array(items), _) if *ty == Type::INT2_VECTOR || *ty == Type::OID_VECTOR => {
            items.iter().map(Bind::to_text).collect::<Vec<_>>().join(" ")
        }
        (Bind::Array(items), Kind::Array(element)) => {
            let mut out = String::new();
            push_array(items, base_type(element), &mut out);
            out
        }
        _ => bind.to_text(),
    }
}

fn is_json(ty: &Type) -> bool {
    matches!(*ty, Type::JSON | Type::JSONB)
}

/// The server has no year 0: years before 1 are counted backwards and marked.
fn date_text(date: jiff::civil::Date, time: &str) -> String {
    if date.year() > 0 {
        return format!("{date}{time}");
    }
    format!("{:04}-{:02}-{:02}{time} BC", 1 - date.year(), date.month(), date.day())
}

/// An array literal. Everything but numbers and NULL is quoted, so no text can end its element.
fn push_array(items: &[Bind], element: &Type, out: &mut String) {
    let delimiter = if *element == Type::BOX { ';' } else { ',' };
    out.push('{');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(delimiter);
        }
        match item {
            Bind::Null => out.push_str("NULL"),
            Bind::Array(inner) if !is_json(element) => push_array(inner, element, out),
            Bind::Array(_) => push_quoted(&item.to_json(), out),
            Bind::Bool(_) | Bind::Int(_) => out.push_str(&item.to_text()),
            Bind::Number(_) | Bind::Text(_) | Bind::Json(_) => push_quoted(&item.to_text(), out),
            Bind::Date(_) | Bind::DateTime(..) => push_quoted(&text_for(item, element), out),
        }
    }
    out.push('}');
}

fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
