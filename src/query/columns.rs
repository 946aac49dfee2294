//! The columns of an answer: which of the query's go out, under which names, with which looks. Made for the first answer of
//! an interface and remembered for the next ones.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::cells::write_json_text;
use super::xlsx::{CellStyle, HeaderCell};
use crate::definitions::snapshot::Response;
use crate::definitions::spec::interface::{Field, FieldType};
use crate::engines::{Column, ColumnKind};

/// How the rows of an answer are written.
pub struct Layout {
    /// The query's columns, which it was made for.
    query: Vec<Column>,
    pub columns: Vec<OutColumn>,
    /// For each figure of the summary: the column of the answer that it reads.
    pub figures: Vec<Option<usize>>,
}

impl Layout {
    fn new(response: &Response, query: &[Column], is_export: bool) -> Self {
        let mut columns = out_columns(response, query);
        let exported =
            |column: &OutColumn| field(response, &column.name).is_none_or(|field| field.export);
        columns.retain(|column| !is_export || exported(column));
        let figures = figures(response, &columns, query);
        Self { query: query.to_vec(), columns, figures }
    }

    /// Names of the query's columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|column| column.name.as_str())
    }

    /// Name of the query's column with this index.
    pub fn name(&self, index: usize) -> &str {
        &self.query[index].name
    }
}

/// The layouts of one interface, as its last answers had them.
#[derive(Default)]
pub struct Layouts {
    plain: ArcSwapOption<Layout>,
    export: ArcSwapOption<Layout>,
}

impl std::fmt::Debug for Layouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layouts").finish_non_exhaustive()
    }
}

impl Layouts {
    /// The layout for these columns of a query. `response` must be that of the interface whose layouts these are.
    pub fn of(&self, response: &Response, query: &[Column], is_export: bool) -> Arc<Layout> {
        let last = if is_export { &self.export } else { &self.plain };
        let known = last.load();
        match &*known {
            Some(layout) if layout.query == query => layout.clone(),
            _ => {
                let layout = Arc::new(Layout::new(response, query, is_export));
                last.store(Some(layout.clone()));
                layout
            }
        }
    }
}

/// A column of the answer.
pub struct OutColumn {
    pub source: Source,
    pub name: String,
    /// `"name":`
    pub key: Vec<u8>,
    /// Code to label as JSON text.
    pub has_labels: bool,
    /// Text of the column is JSON.
    pub is_json: bool,
    pub style: CellStyle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The query's column with this index.
    Column(usize),
    /// The expression with this index.
    Computed(usize),
}

/// How people see a column of the answer.
fn field<'a>(response: &'a Response, name: &str) -> Option<&'a Field> {
    response.fields.iter().find(|field| field.name == name)
}

/// The head of a column in a workbook.
pub fn header(response: &Response, column: &OutColumn) -> HeaderCell {
    let field = field(response, &column.name);
    let title = field.and_then(|field| field.title.as_deref()).unwrap_or(&column.name);
    match field.and_then(|field| field.group.as_deref()) {
        Some(group) => HeaderCell::grouped(group, title),
        None => HeaderCell::new(title),
    }
}

/// The columns of an answer to a query with these columns.
fn out_columns(response: &Response, columns: &[Column]) -> Vec<OutColumn> {
    let mut out: Vec<OutColumn> = Vec::with_capacity(columns.len() + response.computed.len());
    let mut push = |source: Source, wanted: &str, kind: ColumnKind, has_labels: bool| {
        // A JSON object has each name once: what a join repeats gets a number.
        let mut name = wanted.to_owned();
        let mut number = 2;
        while out.iter().any(|column| column.name == name) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        let mut key = Vec::with_capacity(name.len() + 3);
        write_json_text(&mut key, &name);
        key.push(b':');
        let field = field(response, &name);
        out.push(OutColumn {
            source,
            key,
            has_labels,
            is_json: field.is_some_and(|field| field.kind == FieldType::Json),
            style: style(field, kind),
            name,
        });
    };
    for (index, column) in columns.iter().enumerate() {
        if response.omit.contains(&column.name) {
            continue;
        }
        let name = response.rename.get(&column.name).unwrap_or(&column.name);
        push(
            Source::Column(index),
            name,
            column.kind,
            response.value_map.contains_key(&column.name),
        );
    }
    for (index, (name, _)) in response.computed.iter().enumerate() {
        push(Source::Computed(index), name, ColumnKind::Any, false);
    }
    out
}

/// Where each figure reads: a column of the answer by its name there, else by its name in the query.
fn figures(response: &Response, columns: &[OutColumn], query: &[Column]) -> Vec<Option<usize>> {
    let find = |wanted: &str| {
        let is_in_query = |column: &OutColumn| matches!(column.source, Source::Column(i) if query[i].name == wanted);
        let by_name = columns.iter().position(|column| column.name == wanted);
        by_name.or_else(|| columns.iter().position(is_in_query))
    };
    response.summary.iter().map(|(name, _)| find(name)).collect()
}

fn style(field: Option<&Field>, kind: ColumnKind) -> CellStyle {
    match (field.map(|field| field.kind), kind) {
        (Some(FieldType::Integer), _) => CellStyle::Integer,
        (Some(FieldType::Decimal), _) => CellStyle::Decimal,
        (Some(FieldType::Percent), _) => CellStyle::Percent,
        (Some(FieldType::PlainInteger), _) => CellStyle::PlainInteger,
        (Some(FieldType::PlainDecimal), _) => CellStyle::PlainDecimal,
        (Some(FieldType::PlainPercent), _) => CellStyle::PlainPercent,
        (Some(FieldType::Percent1), _) => CellStyle::Percent1,
        (Some(FieldType::Decimal1), _) => CellStyle::Decimal1,
        (Some(FieldType::Year), _) => CellStyle::Year,
        (Some(FieldType::Month), _) => CellStyle::Month,
        (Some(FieldType::Date), _) | (_, ColumnKind::Date) => CellStyle::Date,
        (Some(FieldType::Datetime), _) | (_, ColumnKind::DateTime) => CellStyle::DateTime,
        _ => CellStyle::default(),
    }
}
