//! Rows to bytes in the form that the caller asked for.

use std::sync::Arc;

use minijinja::value::Value;

use super::cells::{write_csv, write_csv_text, write_json, write_json_text};
use super::columns::{OutColumn, Source, field, figures, header, out_columns};
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

/// Writes the rows of one answer. What is finished stands in `buffer`.
pub struct Encoder {
    interface: Arc<Interface>,
    format: Format,
    pub buffer: Vec<u8>,
    columns: Vec<OutColumn>,
    /// Names of the query's columns, where expressions, labels or figures read them.
    names: Vec<String>,
    /// Whether the statement returned columns at all.
    has_columns: bool,
    figures: Vec<(String, Option<usize>, Figure)>,
    /// Boxed: it is large, and rare.
    xlsx: Option<Box<XlsxWriter>>,
    rows: u64,
    scratch: String,
}

impl Encoder {
    /// An encoder for an answer of `interface`.
    pub fn new(interface: Arc<Interface>, format: Format) -> Self {
        Self {
            interface,
            format,
            buffer: Vec::new(),
            columns: Vec::new(),
            names: Vec::new(),
            has_columns: false,
            figures: Vec::new(),
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
        self.has_columns
    }

    /// Takes the columns and writes what stands before the rows.
    ///
    /// # Errors
    /// Where the form cannot hold so many columns.
    pub fn start(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        let response = &self.interface.response;
        self.has_columns = !columns.is_empty();
        let reads_names = !(response.computed.is_empty()
            && response.value_map.is_empty()
            && response.summary.is_empty());
        if reads_names {
            self.names = columns.iter().map(|column| column.name.clone()).collect();
        }
        let all = out_columns(response, columns);
        let exported =
            |column: &OutColumn| field(response, &column.name).is_none_or(|field| field.export);
        self.columns =
            all.into_iter().filter(|column| !self.format.is_export() || exported(column)).collect();
        self.figures = figures(response, &self.columns, &self.names);
        match self.format {
            Format::Json | Format::Ndjson => {}
            Format::Csv => {
                for (i, column) in self.columns.iter().enumerate() {
                    if i > 0 {
                        self.buffer.push(b',');
                    }
                    write_csv_text(&mut self.buffer, &column.name);
                }
                self.buffer.extend_from_slice(b"\r\n");
            }
            Format::Xlsx => {
                let headers: Vec<HeaderCell> =
                    self.columns.iter().map(|c| header(response, c)).collect();
                let sheet = self.interface.name.as_deref().unwrap_or(&self.interface.code);
                self.xlsx = Some(Box::new(XlsxWriter::new(sheet, &headers).map_err(value_error)?));
            }
        }
        Ok(())
    }

    /// Writes one row.
    ///
    /// # Errors
    /// Where a cell cannot be read.
    pub fn row<R: Row>(&mut self, row: &R) -> Result<(), EngineError> {
        let interface = Arc::clone(&self.interface);
        let response = &interface.response;
        let computed = self.compute(response, row)?;
        if let Some(writer) = &mut self.xlsx {
            writer.begin_row().map_err(value_error)?;
        }
        match self.format {
            Format::Json if self.rows > 0 => self.buffer.extend_from_slice(b",{"),
            Format::Json | Format::Ndjson => self.buffer.push(b'{'),
            Format::Csv | Format::Xlsx => {}
        }
        for i in 0..self.columns.len() {
            self.cell(i, row, response, &computed)?;
        }
        match self.format {
            Format::Json => self.buffer.push(b'}'),
            Format::Ndjson => self.buffer.extend_from_slice(b"}\n"),
            Format::Csv => self.buffer.extend_from_slice(b"\r\n"),
            Format::Xlsx => {
                if let Some(writer) = &mut self.xlsx {
                    writer.end_row().map_err(value_error)?;
                    self.buffer.append(&mut writer.take());
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn cell<R: Row>(
        &mut self,
        at: usize,
        row: &R,
        response: &Response,
        computed: &[String],
    ) -> Result<(), EngineError> {
        // Taken out, so that the cell that lies in it does not hold the encoder.
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let column = &self.columns[at];
        let cell = match column.source {
            Source::Column(index) => row.cell(index, &mut scratch)?,
            Source::Computed(index) => computed_cell(&computed[index]),
        };
        self.write(at, cell, response);
        self.scratch = scratch;
        Ok(())
    }

    fn write<'a>(&mut self, at: usize, mut cell: Cell<'a>, response: &'a Response) {
        let column = &self.columns[at];
        for (_, index, figure) in &mut self.figures {
            if *index == Some(at) {
                figure.add(cell);
            }
        }
        let label = if column.has_labels { self.label(at, cell, response) } else { None };
        if let Some(label) = label {
            cell = computed_cell(label);
        }
        if let (true, Cell::Text(text)) = (column.is_json, cell)
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        {
            cell = Cell::Json(text);
        }
        match self.format {
            Format::Json | Format::Ndjson => {
                if at > 0 {
                    self.buffer.push(b',');
                }
                self.buffer.extend_from_slice(&column.key);
                match cell {
                    // A line is a row: JSON text of the database may hold line breaks between its values.
                    Cell::Json(text)
                        if self.format == Format::Ndjson && text.contains(['\n', '\r']) =>
                    {
                        self.buffer.extend_from_slice(text.replace(['\n', '\r'], " ").as_bytes());
                    }
                    cell => write_json(&mut self.buffer, cell),
                }
            }
            Format::Csv => {
                if at > 0 {
                    self.buffer.push(b',');
                }
                write_csv(&mut self.buffer, cell);
            }
            Format::Xlsx => {
                if let Some(writer) = &mut self.xlsx {
                    writer.cell(&cell, column.style);
                }
            }
        }
    }

    /// The label of a cell's code, as JSON text.
    fn label<'a>(&self, at: usize, cell: Cell<'a>, response: &'a Response) -> Option<&'a str> {
        let Source::Column(index) = self.columns[at].source else { return None };
        let labels = response.value_map.get(&self.names[index])?;
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
        &mut self,
        response: &Response,
        row: &R,
    ) -> Result<Vec<String>, EngineError> {
        if response.computed.is_empty() {
            return Ok(Vec::new());
        }
        let mut context = Vec::with_capacity(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            self.scratch.clear();
            context.push((name.as_str(), to_value(row.cell(index, &mut self.scratch)?)));
        }
        let context = Value::from_pairs(context);
        Ok(response.computed.iter().map(|(_, expression)| evaluate(expression, &context)).collect())
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
        for (i, (name, _, figure)) in self.figures.iter().enumerate() {
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
