//! Runs a call: the query, the count of its rows, its totals, and the envelope around them.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::cells::{write_json, write_json_text};
use super::columns::Layouts;
use super::encode::{Encoder, Format};
use super::prepare::{Prepared, prepare};
use super::scope::Scope;
use super::sink::{AnswerSink, Outlet, Overflow};
use crate::access::rights::Granted;
use crate::definitions::snapshot::{Binding, Interface};
use crate::definitions::spec::interface::ValidateResponse;
use crate::engines::registry::Source;
use crate::engines::{Cell, Column, EngineError, Flow, Query, Row, RowSink};
use crate::sql::bind::Bind;
use crate::sql::template::Template;

/// Characters of a difference that are kept.
const MAX_MISMATCH_CHARS: usize = 500;

/// Everything one run needs.
#[derive(Clone, Debug)]
pub struct Call {
    pub interface: Arc<Interface>,
    pub source: Arc<Source>,
    /// Of the interface.
    pub layouts: Arc<Layouts>,
    pub scope: Scope,
    /// What the caller may see; `None` where the datasource is not governed.
    pub granted: Option<Granted>,
    pub format: Format,
    /// `message` of the envelope.
    pub message: &'static str,
    pub deadline: Instant,
}

/// A finished answer, or the end of one whose beginning has left already.
#[derive(Debug, Default)]
pub struct Answer {
    pub tail: Vec<u8>,
    pub rows: u64,
    /// Bytes in all.
    pub bytes: u64,
    pub truncated: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Engine(EngineError),
    /// The template does not render for these values.
    #[error("the template does not render: {0}")]
    Render(String),
    /// These values make a statement that safe mode refuses.
    #[error("safe mode refuses the statement: {0}")]
    Refused(String),
    /// The caller may not see what the statement reads.
    #[error("not granted: {0}")]
    NotGranted(String),
    /// The answer is larger than may be kept whole.
    #[error("the answer is too large to be kept whole")]
    TooLarge,
    /// The value of this parameter does not fit the type that the database gives its place.
    #[error("the value of `{parameter}` does not fit: {cause}")]
    Unfit { parameter: String, cause: String },
    /// Nobody reads any more.
    #[error("the caller went away")]
    Abandoned,
    /// The answer does not fit its schema.
    #[error("the answer does not fit its schema: {0}")]
    Mismatch(String),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Runs a call whose whole answer is wanted, of at most `limit` bytes.
///
/// # Errors
/// Why there is no answer.
pub async fn whole(call: &Call, limit: usize) -> Result<Answer, Failure> {
    let answer = run(call, Overflow::Refuse(limit)).await.map_err(|(_, failure)| failure)?;
    if call.format == Format::Json && call.interface.response.validate == ValidateResponse::Always {
        check(&call.interface, &answer.tail)?;
    }
    Ok(answer)
}

/// Checks an answer against the interface's response schema.
///
/// # Errors
/// `Mismatch` with the first difference.
pub fn check(interface: &Interface, body: &[u8]) -> Result<(), Failure> {
    let Some(schema) = &interface.response.schema else { return Ok(()) };
    let mismatch =
        |text: String| Failure::Mismatch(text.chars().take(MAX_MISMATCH_CHARS).collect());
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| mismatch(error.to_string()))?;
    match schema.validator.iter_errors(&answer).next() {
        // Without the value: what callers get is not for the log.
        Some(error) => Err(mismatch(format!("{}: {}", error.instance_path(), error.masked()))),
        None => Ok(()),
    }
}

/// Runs a call whose answer may leave in parts: `outlet` gets the way they come once there are some. The flag of an error says
/// whether parts have left.
///
/// # Errors
/// Why there is no answer, or no end of it.
pub async fn stream(call: &Call, outlet: Outlet) -> Result<Answer, (bool, Failure)> {
    run(call, Overflow::Stream(outlet)).await
}

async fn run(call: &Call, overflow: Overflow) -> Result<Answer, (bool, Failure)> {
    let page = page(call);
    let early = |failure| (false, failure);
    let prepared = prepare(call, &call.interface.query.template).await;
    let Prepared { query, count, blame } = prepared.map_err(early)?;
    let mut encoder = Encoder::new(call.interface.clone(), call.layouts.clone(), call.format);
    if call.format == Format::Json {
        open(&mut encoder.buffer, call.message);
    }
    let page_rows = page.map(|page| page.size);
    let sink = AnswerSink::new(encoder, overflow, page_rows, call.interface.caps);
    let (mut sink, done) = call.source.run(query, Box::new(sink)).await;
    let committed = sink.is_committed();
    if sink.abandoned {
        return Err((committed, Failure::Abandoned));
    }
    if sink.overflowed {
        return Err((committed, Failure::TooLarge));
    }
    let done = done.map_err(|error| (committed, blame.blame(error, call)))?;
    let late = |failure| (committed, failure);
    let total = match (page, count) {
        (Some(page), Some(count)) if call.format == Format::Json => {
            // Boxed, as the totals below: a future is moved with the room for everything it may wait for.
            let counted = Box::pin(total(call, page, &sink, count)).await;
            Some(counted.map_err(|error| late(blame.blame(error, call)))?)
        }
        _ => None,
    };
    if call.format == Format::Json {
        let totals = match &call.interface.query.total {
            Some(template) => Some(Box::pin(totals(call, template)).await.map_err(late)?),
            None => None,
        };
        close(&mut sink, done.affected_rows, page, total, totals.as_deref());
    }
    sink.encoder.finish().map_err(|error| late(error.into()))?;
    Ok(Answer {
        rows: sink.encoder.rows(),
        bytes: sink.bytes(),
        truncated: sink.truncated,
        tail: std::mem::take(&mut sink.encoder.buffer),
    })
}

/// The page that a call asks for.
#[derive(Clone, Copy)]
struct PageValues {
    page: u64,
    size: u64,
}

fn page(call: &Call) -> Option<PageValues> {
    let page = call.interface.query.page?;
    let value = |parameter: usize| {
        let bindings = &call.interface.query.bindings;
        let at = bindings.iter().position(|b| *b == Binding::Parameter(parameter))?;
        match call.scope.values.get(at)? {
            Bind::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    };
    Some(PageValues { page: value(page.page)?, size: value(page.size)? })
}

/// All rows of the query; known without asking where the page is not full.
async fn total(
    call: &Call,
    page: PageValues,
    sink: &AnswerSink,
    count: Query,
) -> Result<u64, EngineError> {
    let rows = sink.encoder.rows();
    let before = (page.page - 1).saturating_mul(page.size);
    if !sink.truncated && rows < page.size && (rows > 0 || page.page == 1) {
        return Ok(before + rows);
    }
    let (sink, done) = call.source.run(count, FirstCell::default()).await;
    done?;
    Ok(sink.0)
}

/// The totals row as a JSON object.
async fn totals(call: &Call, template: &Template) -> Result<Vec<u8>, Failure> {
    let Prepared { query, blame, .. } = prepare(call, template).await?;
    let (sink, done) = call.source.run(query, FirstRow::default()).await;
    match done {
        Ok(_) => Ok(sink.object),
        Err(error) => Err(blame.blame(error, call)),
    }
}

fn open(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(b"{\"code\":\"OK\",\"message\":");
    write_json_text(out, message);
    out.extend_from_slice(b",\"success\":true,\"data\":[");
}

fn close(
    sink: &mut AnswerSink,
    affected_rows: u64,
    page: Option<PageValues>,
    total: Option<u64>,
    totals: Option<&[u8]>,
) {
    let mut summary = Vec::new();
    let has_summary = sink.encoder.write_summary(&mut summary);
    let (rows, has_more, truncated) = (sink.encoder.rows(), sink.has_more, sink.truncated);
    let has_columns = sink.encoder.has_columns();
    let out = &mut sink.encoder.buffer;
    if !has_columns && rows == 0 {
        // No SELECT: `data` is what changed.
        out.pop();
        out.extend_from_slice(
            format!("{{\"affected_rows\":{affected_rows}}},\"meta\":{{").as_bytes(),
        );
    } else {
        out.extend_from_slice(b"],\"meta\":{");
    }
    let start = out.len();
    let mut member = |name: &str, value: &[u8]| {
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        out.extend_from_slice(value);
    };
    if let Some(page) = page {
        member("page", page.page.to_string().as_bytes());
        member("pageSize", page.size.to_string().as_bytes());
        if let Some(total) = total {
            member("total", total.to_string().as_bytes());
        }
        let seen = (page.page - 1).saturating_mul(page.size).saturating_add(rows);
        let has_next = total.map_or(has_more, |total| seen < total) || truncated;
        member("hasNext", if has_next { b"true" } else { b"false" });
    }
    if truncated {
        member("truncated", b"true");
    }
    if let Some(totals) = totals {
        member("totals", totals);
    }
    if has_summary {
        member("summary", &summary);
    }
    out.extend_from_slice(b"}}");
}

/// Takes the first cell of the first row as a number.
#[derive(Default)]
struct FirstCell(u64);

impl RowSink for FirstCell {
    const REWINDS: bool = true;

    fn columns(&mut self, _: &[Column]) -> Result<(), EngineError> {
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut scratch = String::new();
        self.0 = match row.cell(0, &mut scratch)? {
            Cell::Int(n) => u64::try_from(n).unwrap_or(0),
            Cell::UInt(n) => n,
            _ => return Err(EngineError::Value("the count is no number".into())),
        };
        Ok(Flow::Continue)
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}

/// Takes the first row as a JSON object.
#[derive(Default)]
struct FirstRow {
    names: Vec<String>,
    object: Vec<u8>,
}

impl RowSink for FirstRow {
    const REWINDS: bool = true;

    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.names = columns.iter().map(|column| column.name.clone()).collect();
        self.object = b"{}".to_vec();
        Ok(())
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut scratch = String::new();
        self.object = b"{".to_vec();
        for (i, name) in self.names.iter().enumerate() {
            if i > 0 {
                self.object.push(b',');
            }
            write_json_text(&mut self.object, name);
            self.object.push(b':');
            scratch.clear();
            write_json(&mut self.object, row.cell(i, &mut scratch)?);
        }
        self.object.push(b'}');
        Ok(Flow::Stop)
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}
