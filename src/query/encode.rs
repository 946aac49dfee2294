//! Rows to bytes in the form that the caller asked for.

use std::sync::Arc;

use minijinja::value::Value;

use super::cells::{write_csv, write_csv_text, write_json, write_json_text};
use super::columns::{Layout, Layouts, OutColumn, Source, header};
use super::summary::Figure;
use super::xlsx::{HeaderCell, XlsxError, XlsxWriter};
use crate::definitions::snapshot::{Interface, Response, RowExpression};
use crate::engines::{Cell, Column, EngineError, Row};

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Json,
    Csv,
    Ndjson,
    Xlsx,
}

impl Format {
    /// The word of `?format=`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Media type of the answer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// Whether people keep it as a file.
    pub fn is_export(self) -> bool {
        matches!(self, Self::Csv | Self::Xlsx)
    }
}

/// Room for the rows of a small answer, in bytes.
const SMALL_ANSWER_BYTES: usize = 1 << 10;

/// Writes the rows of one answer. What is finished stands in `buffer`.
pub struct Encoder {
    interface: Arc<Interface>,
    layouts: Arc<Layouts>,
    format: Format,
    pub buffer: Vec<u8>,
    /// Bytes in it that stand before the columns.
    begin: usize,
    /// Nothing before the columns are known.
    layout: Option<Arc<Layout>>,
    /// Of the summary, in the order of the interface.
    figures: Vec<Figure>,
    /// Boxed: it is large, and rare.
    xlsx: Option<Box<XlsxWriter>>,
    rows: u64,
    scratch: String,
}

impl Encoder {
    /// An encoder for an answer of `interface`; `layouts` are those of that interface.
    pub fn new(interface: Arc<Interface>, layouts: Arc<Layouts>, format: Format) -> Self {
        let figures = interface.response.summary.iter().map(|(_, kind)| Figure::new(*kind));
        Self {
            figures: figures.collect(),
            interface,
            layouts,
            format,
            buffer: Vec::with_capacity(SMALL_ANSWER_BYTES),
            begin: 0,
            layout: None,
            xlsx: None,
            rows: 0,
            scratch: String::new(),
        }
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the statement returned columns.
    pub fn has_columns(&self) -> bool {
        self.layout.as_ref().is_some_and(|layout| layout.names().next().is_some())
    }

    /// Takes the columns and writes what stands before the rows.
    ///
    /// # Errors
    /// Where the form cannot hold so many columns.
    pub fn start(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.begin = self.buffer.len();
        let response = &self.interface.response;
        let layout = self.layouts.of(response, columns, self.format.is_export());
        match self.format {
            Format::Json | Format::Ndjson => {}
            Format::Csv => {
                for (i, column) in layout.columns.iter().enumerate() {
                    if i > 0 {
                        self.buffer.push(b',');
                    }
                    write_csv_text(&mut self.buffer, &column.name);
                }
                self.buffer.extend_from_slice(b"\r\n");
            }
            Format::Xlsx => {
                let headers: Vec<HeaderCell> =
                    layout.columns.iter().map(|c| header(response, c)).collect();
                let sheet = self.interface.name.as_deref().unwrap_or(&self.interface.code);
                self.xlsx = Some(Box::new(XlsxWriter::new(sheet, &headers).map_err(value_error)?));
            }
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Forgets columns and rows.
    pub fn rewind(&mut self) {
        if self.layout.take().is_some() {
            self.buffer.truncate(self.begin);
        }
        let figures = self.interface.response.summary.iter().map(|(_, kind)| Figure::new(*kind));
        (self.figures, self.xlsx, self.rows) = (figures.collect(), None, 0);
    }

    /// Writes one row.
    ///
    /// # Errors
    /// Where a cell cannot be read.
    pub fn row<R: Row>(&mut self, row: &R) -> Result<(), EngineError> {
        let Self { interface, layout, format, buffer, figures, xlsx, scratch, .. } = self;
        let Some(layout) = layout.as_deref() else { return Ok(()) };
        let response = &interface.response;
        let computed = compute(response, layout, row, scratch)?;
        let mut writer = match (*format, xlsx) {
            (Format::Xlsx, Some(writer)) => {
                writer.begin_row().map_err(value_error)?;
                Writer::Sheet(writer, buffer)
            }
            (Format::Csv | Format::Xlsx, _) => Writer::Csv(buffer),
            (Format::Json | Format::Ndjson, _) => {
                let begin: &[u8] =
                    if *format == Format::Json && self.rows > 0 { b",{" } else { b"{" };
                buffer.extend_from_slice(begin);
                Writer::Json(buffer, *format)
            }
        };
        for (at, column) in layout.columns.iter().enumerate() {
            scratch.clear();
            let mut cell = match column.source {
                Source::Column(index) => row.cell(index, scratch)?,
                Source::Computed(index) => computed_cell(&computed[index]),
            };
            for (figure, place) in figures.iter_mut().zip(&layout.figures) {
                if *place == Some(at) {
                    figure.add(cell);
                }
            }
            let label =
                if column.has_labels { label(response, layout, column, cell) } else { None };
            if let Some(label) = label {
                cell = computed_cell(label);
            }
            if let (true, Cell::Text(text)) = (column.is_json, cell)
                && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
            {
                cell = Cell::Json(text);
            }
            writer.cell(at, column, cell);
        }
        match writer {
            Writer::Json(buffer, Format::Json) => buffer.push(b'}'),
            Writer::Json(buffer, _) => buffer.extend_from_slice(b"}\n"),
            Writer::Csv(buffer) => buffer.extend_from_slice(b"\r\n"),
            Writer::Sheet(writer, buffer) => {
                writer.end_row().map_err(value_error)?;
                buffer.append(&mut writer.take());
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes what stands after the rows and takes all that is left.
    ///
    /// # Errors
    /// Where the form cannot be ended.
    pub fn finish(&mut self) -> Result<(), EngineError> {
        if let Some(writer) = self.xlsx.take() {
            self.buffer.append(&mut writer.finish().map_err(value_error)?);
        }
        Ok(())
    }

    /// Writes the summary as a JSON object; nothing where there is none.
    pub fn write_summary(&self, out: &mut Vec<u8>) -> bool {
        if self.figures.is_empty() {
            return false;
        }
        out.push(b'{');
        let names = self.interface.response.summary.iter().map(|(name, _)| name);
        for (i, (name, figure)) in names.zip(&self.figures).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_json_text(out, name);
            out.push(b':');
            figure.write(out);
        }
        out.push(b'}');
        true
    }
}

/// Where the cells of a row go.
enum Writer<'a> {
    Json(&'a mut Vec<u8>, Format),
    Csv(&'a mut Vec<u8>),
    Sheet(&'a mut XlsxWriter, &'a mut Vec<u8>),
}

impl Writer<'_> {
    fn cell(&mut self, at: usize, column: &OutColumn, cell: Cell<'_>) {
        match self {
            Self::Json(buffer, format) => {
                if at > 0 {
                    buffer.push(b',');
                }
                buffer.extend_from_slice(&column.key);
                match cell {
                    // A line is a row: JSON text of the database may hold line breaks between its values.
                    Cell::Json(text)
                        if *format == Format::Ndjson && text.contains(['\n', '\r']) =>
                    {
                        buffer.extend_from_slice(text.replace(['\n', '\r'], " ").as_bytes());
                    }
                    cell => write_json(buffer, cell),
                }
            }
            Self::Csv(buffer) => {
                if at > 0 {
                    buffer.push(b',');
                }
                write_csv(buffer, cell);
            }
            Self::Sheet(writer, _) => writer.cell(&cell, column.style),
        }
    }
}

/// The label of a cell's code, as JSON text.
fn label<'a>(
    response: &'a Response,
    layout: &Layout,
    column: &OutColumn,
    cell: Cell<'_>,
) -> Option<&'a str> {
    let Source::Column(index) = column.source else { return None };
    let labels = response.value_map.get(layout.name(index))?;
    let code = match cell {
        Cell::Text(text) | Cell::Json(text) | Cell::Decimal(text) => {
            return labels.get(text).map(String::as_str);
        }
        Cell::Null => "null".to_owned(),
        other => {
            let mut text = Vec::new();
            write_json(&mut text, other);
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    labels.get(&code).map(String::as_str)
}

/// The computed columns of a row, as JSON text each.
fn compute<R: Row>(
    response: &Response,
    layout: &Layout,
    row: &R,
    scratch: &mut String,
) -> Result<Vec<String>, EngineError> {
    if response.computed.is_empty() {
        return Ok(Vec::new());
    }
    let mut context = Vec::new();
    for (index, name) in layout.names().enumerate() {
        scratch.clear();
        context.push((name, to_value(row.cell(index, scratch)?)));
    }
    let context = Value::from_pairs(context);
    Ok(response.computed.iter().map(|(_, expression)| evaluate(expression, &context)).collect())
}

fn value_error(error: XlsxError) -> EngineError {
    EngineError::Value(error.to_string())
}

/// A cell from JSON text that was made here.
fn computed_cell(json: &str) -> Cell<'_> {
    match json.as_bytes() {
        b"null" => Cell::Null,
        b"true" => Cell::Bool(true),
        b"false" => Cell::Bool(false),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Cell::Text(&json[1..json.len() - 1]),
        [b'0'..=b'9' | b'-', ..] => Cell::Decimal(json),
        _ => Cell::Json(json),
    }
}

fn to_value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::from(()),
        Cell::Bool(b) => Value::from(b),
        Cell::Int(n) => Value::from(n),
        Cell::UInt(n) => Value::from(n),
        Cell::Float(n) => Value::from(n),
        Cell::Float32(n) => Value::from(f64::from(n)),
        Cell::Decimal(digits) => match digits.parse::<i64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => digits.parse::<f64>().map_or_else(|_| Value::from(digits), Value::from),
        },
        Cell::Text(text) | Cell::Json(text) => Value::from(text),
        Cell::Bytes(_) => {
            let mut text = Vec::new();
            write_csv(&mut text, cell);
            Value::from(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// An expression that fails for a row, such as one over NULL, gives null.
fn evaluate(RowExpression(expression): &RowExpression, context: &Value) -> String {
    match expression.eval(context.clone()) {
        Ok(value) if value.is_undefined() => "null".into(),
        Ok(value) => serde_json::to_string(&value).unwrap_or_else(|_| "null".into()),
        Err(_) => "null".into(),
    }
}
