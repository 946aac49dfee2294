//! Queries that people run by hand: rendered to text, checked by safe mode, cut into pages, explained, described.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::cells::{write_csv, write_csv_text, write_json};
use super::prepare::{ByHand, by_hand, explaining};
use crate::definitions::flaw;
use crate::definitions::snapshot::Datasource;
use crate::engines::registry::Source;
use crate::engines::{Cell, Column, EngineError, Flow, Row, RowSink};
use crate::sql::bind::Bind;
use crate::sql::template::{Flaw, TemplateError};
use crate::sql::text;

/// Bytes of a page and of an export, at most; a datasource may allow less.
const MAX_PAGE_BYTES: u64 = 16 << 20;
const MAX_EXPORT_BYTES: u64 = 64 << 20;
/// Rows of an export.
pub const MAX_EXPORT_ROWS: u64 = 10_000;
/// Lines of a plan, and bytes of all of them.
const MAX_PLAN_LINES: usize = 10_000;
const MAX_PLAN_BYTES: usize = 4 << 20;

/// Why a query by hand has no answer. The texts are for whoever wrote it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ByHandError {
    #[error("{}", flaw::describe(.0).1)]
    Flaw(Flaw, Option<usize>),
    /// Permissions are granted on interfaces; by hand there are none.
    #[error("The datasource is governed: only the role `admin` may query it by hand.")]
    Governed,
    #[error("The value of `{0}` cannot be bound: it holds the character U+0000.")]
    Value(String),
    #[error("{0}")]
    Engine(#[from] EngineError),
}

impl ByHandError {
    /// Where in `text`, from 0 in bytes, the trouble begins: where the parser stopped, or where what a database quotes stands.
    pub fn offset(&self, text: &str) -> Option<usize> {
        match self {
            Self::Flaw(_, offset) => offset.filter(|offset| text.is_char_boundary(*offset)),
            Self::Engine(EngineError::Statement { message, .. }) => quoted(message, text),
            _ => None,
        }
    }
}

/// Where the first of the names that a message quotes stands in a text: PostgreSQL writes `"name"`, MySQL `'name'`, SQLite
/// `: name`. A name with its schema or database stands for itself.
fn quoted(message: &str, text: &str) -> Option<usize> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let marked = message.split(['"', '\'', '`']).skip(1).step_by(2);
    let last = message.rsplit(": ").next().filter(|_| message.contains(": "));
    marked.chain(last).find_map(|name| {
        let name = name.rsplit('.').next().unwrap_or(name).split_whitespace().next()?;
        let alone = |at: &usize| {
            let before = text[..*at].chars().next_back().is_some_and(is_of_name);
            let after = text[at + name.len()..].chars().next().is_some_and(is_of_name);
            !before && !after
        };
        text.match_indices(name).map(|(at, _)| at).find(alone)
    })
}

impl From<TemplateError> for ByHandError {
    fn from(error: TemplateError) -> Self {
        Self::Flaw(error.flaw, error.offset)
    }
}

/// A query that somebody wrote, ready to run.
#[derive(Debug)]
pub struct HandQuery {
    source: Arc<Source>,
    datasource: Arc<Datasource>,
    /// What the template rendered to.
    pub text: String,
    values: Vec<(String, Bind)>,
    deadline: Instant,
}

/// Rows as JSON or CSV.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    /// An array of arrays; or CSV with a header.
    pub bytes: Vec<u8>,
    pub rows: u64,
    /// There is a next page.
    pub has_next: bool,
    /// Rows of the page itself are missing: it would have been too large.
    pub is_truncated: bool,
}

impl HandQuery {
    /// Renders `sql` as a template with `params`; each of those is also the value of `:name`. `sees_all`: the writer may see all of
    /// a governed datasource.
    ///
    /// # Errors
    /// Where it does not render, a value cannot be bound, or the datasource is governed.
    pub fn new(
        source: Arc<Source>,
        datasource: Arc<Datasource>,
        sql: &str,
        params: &Map<String, Value>,
        sees_all: bool,
    ) -> Result<Self, ByHandError> {
        if datasource.spec.governed && !sees_all {
            return Err(ByHandError::Governed);
        }
        let text = text::render(sql, params).map_err(|flaw| ByHandError::Flaw(flaw, None))?;
        let value = |(name, value): (&String, &Value)| {
            let bind = bind(value).ok_or_else(|| ByHandError::Value(name.clone()))?;
            Ok((name.clone(), bind))
        };
        let values = params.iter().map(value).collect::<Result<_, ByHandError>>()?;
        let deadline = Instant::now() + Duration::from_millis(datasource.spec.limits.timeout_ms);
        Ok(Self { source, datasource, text, values, deadline })
    }

    /// A page of the rows as JSON, after `offset` of them; the datasource may have fewer rows to a page.
    ///
    /// # Errors
    /// Where the statement is refused or fails.
    pub async fn page(&self, offset: u64, page_size: u64) -> Result<Table, ByHandError> {
        let size = page_size.min(self.datasource.spec.limits.max_rows);
        let sink = TableSink::new(false, size, self.max_bytes(MAX_PAGE_BYTES));
        let mut table = self.run(offset, size, sink).await?;
        table.bytes.push(b']');
        Ok(table)
    }

    /// The first rows as CSV, [`MAX_EXPORT_ROWS`] or as many as the datasource allows.
    ///
    /// # Errors
    /// Where the statement is refused or fails.
    pub async fn export(&self) -> Result<Table, ByHandError> {
        let size = MAX_EXPORT_ROWS.min(self.datasource.spec.limits.max_rows);
        self.run(0, size, TableSink::new(true, size, self.max_bytes(MAX_EXPORT_BYTES))).await
    }

    /// What the database means to do for the first page, in lines.
    ///
    /// # Errors
    /// Where the statement is refused or fails.
    pub async fn explain(&self, page_size: u64) -> Result<Vec<String>, ByHandError> {
        let prefix = explaining(self.source.dialect());
        let query = by_hand(&ByHand { prefix, ..self.statement(0, page_size) })?;
        let (sink, done) = self.source.run(query, PlanSink::default()).await;
        done?;
        Ok(sink.lines)
    }

    /// The columns that it would give.
    ///
    /// # Errors
    /// Where the statement is refused, or the database does not take it.
    pub async fn describe(&self) -> Result<Vec<Column>, ByHandError> {
        let query = by_hand(&self.statement(0, 1))?;
        Ok(self.source.describe(&query.sql, self.deadline).await?)
    }

    async fn run(&self, offset: u64, size: u64, sink: TableSink) -> Result<Table, ByHandError> {
        let query = by_hand(&self.statement(offset, size))?;
        let (sink, done) = self.source.run(query, Box::new(sink)).await;
        done?;
        Ok(sink.table)
    }

    fn statement(&self, offset: u64, page_size: u64) -> ByHand<'_> {
        ByHand {
            text: &self.text,
            values: &self.values,
            offset,
            page_size,
            prefix: "",
            dialect: self.source.dialect(),
            deadline: self.deadline,
        }
    }

    fn max_bytes(&self, most: u64) -> u64 {
        self.datasource.spec.limits.max_result_bytes.min(most)
    }
}

/// A JSON value as it is bound; `None` where a text cannot be.
fn bind(value: &Value) -> Option<Bind> {
    Some(match value {
        Value::Null => Bind::Null,
        Value::Bool(b) => Bind::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Bind::Number(n.to_string()), Bind::Int),
        Value::String(text) if text.contains('\0') => return None,
        Value::String(text) => Bind::Text(text.clone()),
        Value::Array(items) => Bind::Array(items.iter().map(bind).collect::<Option<_>>()?),
        Value::Object(_) => Bind::Json(value.to_string()),
    })
}

/// Takes the rows of a page.
struct TableSink {
    table: Table,
    is_csv: bool,
    max_rows: u64,
    max_bytes: u64,
    scratch: String,
}

impl TableSink {
    fn new(is_csv: bool, max_rows: u64, max_bytes: u64) -> Self {
        let table = Table {
            columns: Vec::new(),
            bytes: if is_csv { Vec::new() } else { vec![b'['] },
            rows: 0,
            has_next: false,
            is_truncated: false,
        };
        Self { table, is_csv, max_rows, max_bytes, scratch: String::new() }
    }
}

impl RowSink for TableSink {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.table.columns = columns.to_vec();
        if self.is_csv {
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    self.table.bytes.push(b',');
                }
                write_csv_text(&mut self.table.bytes, &column.name);
            }
            self.table.bytes.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let Table { columns, bytes, rows, has_next, is_truncated } = &mut self.table;
        if *rows >= self.max_rows {
            // The statement asks for one row more and no further, so there is nothing to stop.
            *has_next = true;
            return Ok(Flow::Continue);
        }
        if bytes.len() as u64 >= self.max_bytes {
            (*has_next, *is_truncated) = (true, true);
            return Ok(Flow::Stop);
        }
        if !self.is_csv {
            bytes.extend_from_slice(if *rows > 0 { b",[" } else { b"[" });
        }
        for i in 0..columns.len() {
            if i > 0 {
                bytes.push(b',');
            }
            self.scratch.clear();
            let cell = row.cell(i, &mut self.scratch)?;
            if self.is_csv { write_csv(bytes, cell) } else { write_json(bytes, cell) }
        }
        bytes.extend_from_slice(if self.is_csv { b"\r\n" } else { b"]" });
        *rows += 1;
        Ok(Flow::Continue)
    }

    fn rows(&self) -> u64 {
        self.table.rows
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

/// Takes a plan: lines of text; SQLite's with their depth; else what stands in the columns of each row.
#[derive(Default)]
struct PlanSink {
    names: Vec<String>,
    /// SQLite: the steps above the current one, by id.
    above: Vec<String>,
    lines: Vec<String>,
    bytes: usize,
}

impl RowSink for PlanSink {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.names = columns.iter().map(|column| column.name.clone()).collect();
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut cells = Vec::with_capacity(self.names.len());
        for i in 0..self.names.len() {
            let mut scratch = String::new();
            cells.push(plain(row.cell(i, &mut scratch)?));
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let line = match (names.as_slice(), cells.as_slice()) {
            ([_], [Some(line)]) => line.clone(),
            (["id", "parent", _, "detail"], [Some(id), Some(parent), _, Some(detail)]) => {
                let depth = self.above.iter().position(|above| above == parent);
                self.above.truncate(depth.map_or(0, |depth| depth + 1));
                let line = format!("{}{detail}", "  ".repeat(self.above.len()));
                self.above.push(id.clone());
                line
            }
            _ => {
                let pairs = names.iter().zip(&cells);
                let known = pairs.filter_map(|(name, cell)| Some((name, cell.as_ref()?)));
                known.map(|(name, cell)| format!("{name}: {cell}")).collect::<Vec<_>>().join(", ")
            }
        };
        self.bytes += line.len();
        self.lines.push(line);
        let is_full = self.lines.len() >= MAX_PLAN_LINES || self.bytes >= MAX_PLAN_BYTES;
        Ok(if is_full { Flow::Stop } else { Flow::Continue })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

/// A cell as people read it; `None` for NULL.
fn plain(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) | Cell::Json(text) | Cell::Decimal(text) => Some(text.to_owned()),
        other => {
            let mut text = Vec::new();
            write_json(&mut text, other);
            Some(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_quotes_is_found() {
        let text = "SELECT shop, nope\nFROM stock_a, stock\nWHER x";
        for (message, found) in [
            ("column \"nope\" does not exist", Some("nope")),
            ("syntax error at or near \"x\"", Some("x")),
            ("relation \"wms.stock\" does not exist", Some("stock\nWHER")),
            ("Unknown column 'nope' in 'SELECT'", Some("nope")),
            ("Table 'member.stock' doesn't exist", Some("stock\nWHER")),
            ("no such column: nope", Some("nope")),
            ("division by zero", None),
            ("column \"sho\" does not exist", None),
        ] {
            let at = quoted(message, text);
            assert_eq!(at, found.and_then(|found| text.find(found)), "{message}");
        }
    }
}
