//! Geometric types as `psql` prints them.

use super::number::push_float8;
use super::wire::Reader;
use crate::engines::EngineError;

/// The geometric types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engines::postgres) enum Shape {
    Point,
    Line,
    Segment,
    Box,
    Path,
    Polygon,
    Circle,
}

/// Writes a value of the type `shape`.
pub(super) fn push_shape(shape: Shape, bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    match shape {
        Shape::Point => push_points(&mut reader, 1, "", "", out),
        Shape::Segment => push_points(&mut reader, 2, "[", "]", out),
        Shape::Box => push_points(&mut reader, 2, "", "", out),
        Shape::Polygon => {
            let count = reader.count()?;
            push_points(&mut reader, count, "(", ")", out)
        }
        Shape::Path => {
            let closed = reader.u8()? != 0;
            let count = reader.count()?;
            let (open, close) = if closed { ("(", ")") } else { ("[", "]") };
            push_points(&mut reader, count, open, close, out)
        }
        Shape::Circle => {
            push_points(&mut reader, 1, "<", ",", out)?;
            push_float8(reader.f64()?, out);
            out.push('>');
            Ok(())
        }
        Shape::Line => {
            for open in ["{", ",", ","] {
                out.push_str(open);
                push_float8(reader.f64()?, out);
            }
            out.push('}');
            Ok(())
        }
    }
}

fn push_points(
    reader: &mut Reader<'_>,
    count: usize,
    open: &str,
    close: &str,
    out: &mut String,
) -> Result<(), EngineError> {
    out.push_str(open);
    for i in 0..count {
        out.push_str(if i > 0 { ",(" } else { "(" });
        push_float8(reader.f64()?, out);
        out.push(',');
        push_float8(reader.f64()?, out);
        out.push(')');
    }
    out.push_str(close);
    Ok(())
}
