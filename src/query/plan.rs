//! What a test run is shown beside its answer: the statement with its values, and how the database would run it.

use serde_json::Value;

use super::cells::write_csv;
use super::execute::{Call, Failure};
use super::prepare::prepare;
use crate::engines::{Cell, Column, EngineError, Flow, Row, RowSink};
use crate::sql::bind::Bind;

/// Lines of a plan.
const MAX_LINES: usize = 500;

/// A statement, and how it would run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub sql: String,
    /// In the order of the places.
    pub binds: Vec<Value>,
    /// The database's words, a line each; empty where it has none.
    pub lines: Vec<String>,
}

/// The statement that a call makes, and its plan.
///
/// # Errors
/// Where it makes none.
pub async fn plan(call: &Call) -> Result<Plan, Failure> {
    let prepared = prepare(call, &call.interface.query.template).await?;
    let value = |bind: &Bind| serde_json::from_str(&bind.to_json()).unwrap_or_default();
    let binds = prepared.query.binds.iter().map(value).collect();
    let mut plan = Plan { sql: prepared.query.sql.to_string(), binds, lines: Vec::new() };
    if let Some(explained) = prepared.explained(call.interface.datasource.dialect) {
        let (lines, done) = call.source.run(explained, Lines::default()).await;
        if done.is_ok() {
            plan.lines = lines.text;
        }
    }
    Ok(plan)
}

/// Takes rows as lines of text, below one with the names where there are several columns.
#[derive(Default)]
struct Lines {
    columns: usize,
    text: Vec<String>,
}

impl RowSink for Lines {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.columns = columns.len();
        if columns.len() > 1 {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            self.text.push(names.join(" | "));
        }
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let (mut line, mut scratch) = (Vec::new(), String::new());
        for i in 0..self.columns {
            if i > 0 {
                line.extend_from_slice(b" | ");
            }
            scratch.clear();
            match row.cell(i, &mut scratch)? {
                Cell::Text(text) => line.extend_from_slice(text.as_bytes()),
                cell => write_csv(&mut line, cell),
            }
        }
        self.text.push(String::from_utf8_lossy(&line).into_owned());
        Ok(if self.text.len() >= MAX_LINES { Flow::Stop } else { Flow::Continue })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}
