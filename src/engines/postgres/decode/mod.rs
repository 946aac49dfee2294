//! From the binary bytes of a row to cells. A decoder is chosen once for each column of a statement.

use tokio_postgres::types::{FromSql, Kind, Type};

use self::geometry::Shape;
use self::time::Style;
use self::wire::{Reader, fixed, malformed, utf8};
use crate::engines::{Cell, ColumnKind, EngineError, Row};

mod geometry;
mod json;
mod net;
mod number;
mod range;
mod search;
mod time;
mod wire;

/// How the bytes of one type become a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    UInt4,
    UInt8,
    Float4,
    Float8,
    Numeric,
    Money,
    Text,
    Char,
    Bytes,
    Date,
    Time,
    TimeTz,
    Timestamp {
        zone: bool,
    },
    Interval,
    Uuid,
    Json,
    Jsonb,
    /// Text behind a version byte.
    VersionedText,
    Address,
    Mac,
    Bits,
    Shape(Shape),
    TsVector,
    TsQuery,
    Lsn,
    Tid,
    Hstore,
    Range(Box<Decoder>),
    Multirange(Box<Decoder>),
    Array(Box<Decoder>),
    Composite(Vec<Field>),
    /// A row of a type without a name; its values say what they are.
    Record,
    Void,
    /// A type this build knows nothing of.
    Opaque,
}

/// A field of a composite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// The name as a JSON key with its colon.
    key: String,
    oid: u32,
    decoder: Decoder,
}

/// What the server must do to a column so that it comes out as the server itself prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Text,
    Json,
}

/// A driver's row with the decoders of its columns.
pub(super) struct DecodedRow<'r> {
    pub(super) row: &'r tokio_postgres::Row,
    pub(super) decoders: &'r [Decoder],
}

impl Row for DecodedRow<'_> {
    fn cell<'a>(&'a self, index: usize, scratch: &'a mut String) -> Result<Cell<'a>, EngineError> {
        let Raw(bytes) = self.row.try_get(index).map_err(|_| malformed("row"))?;
        match (bytes, self.decoders.get(index)) {
            (None, _) => Ok(Cell::Null),
            (Some(bytes), Some(decoder)) => decoder.cell(bytes, scratch),
            (Some(_), None) => Err(malformed("row")),
        }
    }
}

/// The bytes of a value, whatever its type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Decoder {
    /// The cell that `bytes` stand for; `scratch` is used where they must be formatted.
    #[inline]
    pub(super) fn cell<'a>(
        &self,
        bytes: &'a [u8],
        scratch: &'a mut String,
    ) -> Result<Cell<'a>, EngineError> {
        Ok(match self {
            Self::Int4 => Cell::Int(i32::from_be_bytes(fixed(bytes, "int4")?).into()),
            Self::Int8 => Cell::Int(i64::from_be_bytes(fixed(bytes, "int8")?)),
            Self::Int2 => Cell::Int(i16::from_be_bytes(fixed(bytes, "int2")?).into()),
            Self::UInt4 => Cell::Int(u32::from_be_bytes(fixed(bytes, "oid")?).into()),
            Self::UInt8 => Cell::UInt(u64::from_be_bytes(fixed(bytes, "xid8")?)),
            Self::Bool => Cell::Bool(fixed::<1>(bytes, "bool")? != [0]),
            Self::Float8 => Cell::Float(f64::from_be_bytes(fixed(bytes, "float8")?)),
            Self::Float4 => Cell::Float32(f32::from_be_bytes(fixed(bytes, "float4")?)),
            Self::Text => Cell::Text(utf8(bytes)?),
            Self::VersionedText => Cell::Text(net::versioned_text(bytes)?),
            Self::Bytes => Cell::Bytes(bytes),
            Self::Json => json_on_one_line(utf8(bytes)?, scratch),
            Self::Jsonb => Cell::Json(net::versioned_text(bytes)?),
            Self::Void => Cell::Null,
            _ => {
                scratch.clear();
                return self.formatted(bytes, scratch);
            }
        })
    }

    /// The cell of a type that is written into `out`, which is empty.
    fn formatted<'a>(&self, bytes: &[u8], out: &'a mut String) -> Result<Cell<'a>, EngineError> {
        match self {
            Self::Numeric => return number::numeric(bytes, out),
            Self::Money => {
                return Ok(number::money(i64::from_be_bytes(fixed(bytes, "money")?), out));
            }
            Self::Array(element) => {
                json::push_array(element, bytes, 0, out)?;
                return Ok(Cell::Json(out));
            }
            Self::Composite(fields) => {
                json::push_composite(fields, bytes, 0, out)?;
                return Ok(Cell::Json(out));
            }
            Self::Record => {
                json::push_record(bytes, 0, out)?;
                return Ok(Cell::Json(out));
            }
            Self::Hstore => {
                json::push_hstore(bytes, out)?;
                return Ok(Cell::Json(out));
            }
            Self::Date => {
                time::push_date(i32::from_be_bytes(fixed(bytes, "date")?), Style::Iso, out);
            }
            Self::Time => time::push_time(i64::from_be_bytes(fixed(bytes, "time")?), out),
            Self::TimeTz => {
                let mut reader = Reader(bytes);
                let (us, west_s) = (reader.i64()?, reader.i32()?);
                time::push_time_with_zone(us, west_s, Style::Iso, out);
            }
            Self::Timestamp { zone } => {
                let us = i64::from_be_bytes(fixed(bytes, "timestamp")?);
                time::push_timestamp(us, *zone, Style::Iso, out);
            }
            Self::Interval => {
                let mut reader = Reader(bytes);
                let (us, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
                time::push_interval(us, days, months, out);
            }
            Self::Uuid => net::push_uuid(bytes, out)?,
            Self::Address => net::push_address(bytes, out)?,
            Self::Mac => net::push_hex(bytes, Some(':'), out),
            Self::Bits => net::push_bits(bytes, out)?,
            Self::Char => net::push_char(bytes, out)?,
            Self::Lsn => net::push_lsn(bytes, out)?,
            Self::Tid => net::push_tid(bytes, out)?,
            Self::Shape(shape) => geometry::push_shape(*shape, bytes, out)?,
            Self::TsVector => search::push_vector(bytes, out)?,
            Self::TsQuery => search::push_query(bytes, out)?,
            Self::Range(bound) => range::push_range(bound, bytes, out)?,
            Self::Multirange(bound) => range::push_multirange(bound, bytes, out)?,
            _ => net::push_opaque(bytes, out),
        }
        Ok(Cell::Text(out))
    }

    /// What kind of column this makes.
    pub(super) fn kind(&self) -> ColumnKind {
        match self {
            Self::Bool => ColumnKind::Boolean,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::UInt4 | Self::UInt8 => ColumnKind::Integer,
            Self::Float4 | Self::Float8 | Self::Numeric | Self::Money => ColumnKind::Number,
            Self::Bytes => ColumnKind::Binary,
            Self::Date => ColumnKind::Date,
            Self::Timestamp { .. } => ColumnKind::DateTime,
            Self::Json
            | Self::Jsonb
            | Self::Hstore
            | Self::Array(_)
            | Self::Composite(_)
            | Self::Record => ColumnKind::Json,
            _ => ColumnKind::Text,
        }
    }

    /// The cast that lets the server print what cannot be decoded here.
    pub(super) fn cast(&self) -> Option<Cast> {
        match self {
            Self::Opaque => Some(Cast::Text),
            Self::Record => Some(Cast::Json),
            Self::Range(inner) | Self::Multirange(inner) => inner.cast().map(|_| Cast::Text),
            Self::Array(inner) => inner.cast().map(|_| Cast::Json),
            Self::Composite(fields) => {
                fields.iter().find_map(|f| f.decoder.cast()).map(|_| Cast::Json)
            }
            _ => None,
        }
    }
}

/// Line breaks are the only thing in JSON text that other forms (NDJSON) cannot carry; outside strings they mean nothing.
fn json_on_one_line<'a>(text: &'a str, scratch: &'a mut String) -> Cell<'a> {
    if !text.bytes().any(|b| matches!(b, b'\n' | b'\r')) {
        return Cell::Json(text);
    }
    scratch.clear();
    scratch.extend(text.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
    Cell::Json(scratch)
}

/// The decoder of a built-in type by its number, for rows that name their types only on the wire.
fn opaque_or_plan(oid: u32) -> Decoder {
    Type::from_oid(oid).map_or(Decoder::Opaque, |ty| plan(&ty))
}

/// Chooses the decoder of a type.
pub(super) fn plan(ty: &Type) -> Decoder {
    match ty.kind() {
        Kind::Domain(base) => plan(base),
        Kind::Enum(_) => Decoder::Text,
        Kind::Array(element) => Decoder::Array(Box::new(plan(element))),
        Kind::Range(bound) => Decoder::Range(Box::new(plan_bound(bound))),
        Kind::Multirange(bound) => Decoder::Multirange(Box::new(plan_bound(bound))),
        Kind::Composite(fields) => Decoder::Composite(fields.iter().map(plan_field).collect()),
        _ => plan_simple(ty),
    }
}

fn plan_field(field: &tokio_postgres::types::Field) -> Field {
    let mut key = String::new();
    json::push_text(field.name(), &mut key);
    key.push(':');
    Field { key, oid: field.type_().oid(), decoder: plan(field.type_()) }
}

/// A bound that is itself made of parts is left to the server.
fn plan_bound(ty: &Type) -> Decoder {
    match plan(ty) {
        Decoder::Array(_) | Decoder::Composite(_) | Decoder::Hstore => Decoder::Opaque,
        simple => simple,
    }
}

fn plan_simple(ty: &Type) -> Decoder {
    match *ty {
        Type::BOOL => Decoder::Bool,
        Type::INT2 => Decoder::Int2,
        Type::INT4 => Decoder::Int4,
        Type::INT8 => Decoder::Int8,
        Type::OID
        | Type::XID
        | Type::CID
        | Type::REGCLASS
        | Type::REGTYPE
        | Type::REGPROC
        | Type::REGPROCEDURE
        | Type::REGOPER
        | Type::REGOPERATOR
        | Type::REGROLE
        | Type::REGNAMESPACE
        | Type::REGCONFIG
        | Type::REGDICTIONARY
        | Type::REGCOLLATION => Decoder::UInt4,
        Type::XID8 => Decoder::UInt8,
        Type::FLOAT4 => Decoder::Float4,
        Type::FLOAT8 => Decoder::Float8,
        Type::NUMERIC => Decoder::Numeric,
        Type::MONEY => Decoder::Money,
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::XML
        | Type::REFCURSOR
        | Type::CSTRING
        | Type::UNKNOWN => Decoder::Text,
        Type::CHAR => Decoder::Char,
        Type::BYTEA => Decoder::Bytes,
        Type::DATE => Decoder::Date,
        Type::TIME => Decoder::Time,
        Type::TIMETZ => Decoder::TimeTz,
        Type::TIMESTAMP => Decoder::Timestamp { zone: false },
        Type::TIMESTAMPTZ => Decoder::Timestamp { zone: true },
        Type::INTERVAL => Decoder::Interval,
        Type::UUID => Decoder::Uuid,
        Type::JSON => Decoder::Json,
        Type::JSONB => Decoder::Jsonb,
        Type::JSONPATH => Decoder::VersionedText,
        Type::INET | Type::CIDR => Decoder::Address,
        Type::MACADDR | Type::MACADDR8 => Decoder::Mac,
        Type::BIT | Type::VARBIT => Decoder::Bits,
        Type::POINT => Decoder::Shape(Shape::Point),
        Type::LINE => Decoder::Shape(Shape::Line),
        Type::LSEG => Decoder::Shape(Shape::Segment),
        Type::BOX => Decoder::Shape(Shape::Box),
        Type::PATH => Decoder::Shape(Shape::Path),
        Type::POLYGON => Decoder::Shape(Shape::Polygon),
        Type::CIRCLE => Decoder::Shape(Shape::Circle),
        Type::TS_VECTOR => Decoder::TsVector,
        Type::TSQUERY => Decoder::TsQuery,
        Type::PG_LSN => Decoder::Lsn,
        Type::TID => Decoder::Tid,
        Type::VOID => Decoder::Void,
        Type::RECORD => Decoder::Record,
        Type::RECORD_ARRAY => Decoder::Array(Box::new(Decoder::Record)),
        // Extension types have no fixed number; these keep their names and wire formats.
        _ => match ty.name() {
            "citext" => Decoder::Text,
            "hstore" => Decoder::Hstore,
            "ltree" | "lquery" | "ltxtquery" => Decoder::VersionedText,
            _ => Decoder::Opaque,
        },
    }
}
