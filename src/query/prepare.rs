//! From a template to the statement that runs for one caller. Every query of a datasource comes from here, and on a governed one
//! it is rewritten to what the caller may see.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::execute::{Call, Failure};
use crate::access::rights::{Granted, Rewritten, Rights};
use crate::definitions::snapshot::Binding;
use crate::definitions::spec::interface::QueryType;
use crate::engines::catalog::{self, DatabaseFunction, SHAPE_TTL};
use crate::engines::{EngineError, Query};
use crate::sql::bind::Bind;
use crate::sql::dialect::Dialect;
use crate::sql::fragment::Reference;
use crate::sql::functions;
use crate::sql::govern::{Reads, Sight};
use crate::sql::grammar::with_stack;
use crate::sql::page::{self, Paging};
use crate::sql::relation::ColumnType;
use crate::sql::statement::{Slot, Statement, Text, Ungoverned, Values};
use crate::sql::template::{Flaw, Name, Options, Rendered, Template, TemplateError};
use crate::sql::view::View;

/// A statement with its values, ready to run.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub query: Query,
    /// Counts the rows of the query, where it comes in pages that are counted.
    pub count: Option<Query>,
    pub blame: Blame,
}

/// What is needed to say what an error of the database means.
#[derive(Clone, Debug)]
pub struct Blame {
    statement: Arc<Statement>,
    /// The rewriting that made it, on a governed datasource.
    rewritten: Option<Arc<Rewritten>>,
}

/// Prepares a template of the call's interface.
///
/// # Errors
/// Where it does not render, or the caller may not see what it reads.
pub async fn prepare(call: &Call, template: &Template) -> Result<Prepared, Failure> {
    let names = &call.scope.values;
    let rendered = template.render(names).map_err(refused)?;
    let (statement, rewritten, grants) = match (&rendered.statement.ungoverned, &call.granted) {
        (None, _) => (rendered.statement, None, Vec::new()),
        (Some(ungoverned), Some(granted)) => {
            let rewritten = match granted.rights.rewritten(&rendered.statement, SHAPE_TTL) {
                Some(known) => known,
                // Boxed, as all that is rare on this path: a future is moved with the room for everything it may wait for.
                None => Box::pin(rewrite(call, granted, template, &rendered, ungoverned)).await?,
            };
            let values = granted.values(&rewritten.references).map_err(Failure::NotGranted)?;
            (rewritten.statement.clone(), Some(rewritten), values)
        }
        (Some(_), None) => {
            return Err(Failure::NotGranted("the call has no rights with it".to_owned()));
        }
    };
    let interface = &call.interface;
    // What was not proved to be read-only may change something, so it never shares a connection or runs twice.
    let proved = interface.caps.is_some() || interface.datasource.spec.read_only;
    let read_only = statement.read_only && proved && interface.query.kind == QueryType::Sql;
    let query = |text: &Text| {
        let values = Values { names, rendered: &rendered.values, grants: &grants };
        let (sql, binds) = text.bind(&values);
        Query { sql, binds, deadline: call.deadline, read_only }
    };
    Ok(Prepared {
        query: query(&statement.query),
        count: statement.count.as_ref().map(query),
        blame: Blame { statement, rewritten },
    })
}

/// What stands before a statement to ask how it would run.
pub fn explaining(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "EXPLAIN QUERY PLAN ",
        Dialect::Postgres | Dialect::MySql => "EXPLAIN ",
    }
}

impl Prepared {
    /// The statement that asks how this one would run; `None` where it may change something, since some databases run what they
    /// explain.
    pub fn explained(&self, dialect: Dialect) -> Option<Query> {
        let Query { sql, binds, deadline, read_only } = self.query.clone();
        let sql = format!("{}{sql}", explaining(dialect)).into();
        read_only.then_some(Query { sql, binds, deadline, read_only })
    }
}

/// A statement that a person wrote by hand, one page of its rows.
#[derive(Clone, Copy, Debug)]
pub struct ByHand<'a> {
    /// SQL in which nothing is left to render.
    pub text: &'a str,
    /// Values of the `:name`s.
    pub values: &'a [(String, Bind)],
    /// Rows to pass over.
    pub offset: u64,
    /// Rows of a page; one more is asked for.
    pub page_size: u64,
    /// Stands before the statement: what explains it.
    pub prefix: &'a str,
    pub dialect: Dialect,
    pub deadline: Instant,
}

/// Prepares a statement that a person wrote by hand, which safe mode must let through. It sees what its datasource sees: on a
/// governed one it is only for those who may see everything.
///
/// # Errors
/// The first flaw of the statement.
pub fn by_hand(hand: &ByHand<'_>) -> Result<Query, TemplateError> {
    let name = |name: &str, value: &Bind| Name {
        name: name.to_owned(),
        is_array: matches!(value, Bind::Array(_)),
        is_closed: false,
        samples: Vec::new(),
    };
    let int = |n: u64| Bind::Int(i64::try_from(n).unwrap_or(i64::MAX));
    // No statement can write these two names.
    let own = [("\u{1}offset", int(hand.offset)), ("\u{1}size", int(hand.page_size))];
    let offset = hand.values.len();
    let given = hand.values.iter().map(|(key, value)| name(key, value));
    let options = Options {
        dialect: hand.dialect,
        names: given.chain(own.iter().map(|(key, value)| name(key, value))).collect(),
        is_safe: true,
        is_procedure: false,
        paging: Paging::From { offset, size: offset + 1 },
        is_governed: false,
    };
    let statement = page::build(hand.text, &options, None)?;
    let values = hand.values.iter().map(|(_, value)| value.clone());
    let names: Vec<Bind> = values.chain(own.into_iter().map(|(_, value)| value)).collect();
    let values = Values { names: &names, rendered: &[], grants: &[] };
    let (sql, binds) = statement.query.bind(&values);
    let sql = if hand.prefix.is_empty() { sql } else { format!("{}{sql}", hand.prefix).into() };
    // Nobody knows how long it runs, so it shares a connection with nobody.
    Ok(Query { sql, binds, deadline: hand.deadline, read_only: false })
}

/// Rewrites a statement to what the caller sees, and remembers it for all who see the same.
async fn rewrite(
    call: &Call,
    granted: &Granted,
    template: &Template,
    rendered: &Rendered,
    ungoverned: &Ungoverned,
) -> Result<Arc<Rewritten>, Failure> {
    let mut sight = sight(call, granted, ungoverned).await?;
    if ungoverned.reads.is_unnamed {
        sight.names = names_of(call, rendered).await?;
    }
    let statement = template.govern(ungoverned, &sight).map_err(refused)?;
    let hidden = sight.views.values().flat_map(|view| view.hidden.clone()).collect();
    let new = Rewritten::new(&rendered.statement, statement, sight.references, hidden);
    let new = Arc::new(new);
    granted.rights.remember(new.clone());
    Ok(new)
}

fn refused(error: TemplateError) -> Failure {
    match error.flaw {
        Flaw::Unsafe(text) | Flaw::UnboundedScan(text) => Failure::Refused(text),
        Flaw::Ungovernable(text) => Failure::NotGranted(text),
        Flaw::Render(text)
        | Flaw::Template(text)
        | Flaw::Sql(text)
        | Flaw::UnsafeValue(text)
        | Flaw::Unbound(text) => Failure::Render(text),
    }
}

/// What the caller sees of the tables that a statement reads.
async fn sight(call: &Call, granted: &Granted, ungoverned: &Ungoverned) -> Result<Sight, Failure> {
    let dialect = call.interface.datasource.dialect;
    let rights = &granted.rights;
    let reads = &ungoverned.reads;
    if let Some(name) = reads.functions.iter().find(|name| !rights.has_function(name)) {
        return Err(Failure::NotGranted(format!("the function `{name}` is not granted")));
    }
    let mut references: Vec<Reference> = Vec::new();
    let mut views = HashMap::with_capacity(reads.tables.len());
    let mut types = HashMap::new();
    for table in &reads.tables {
        let shape = catalog::shape(&call.source, table, call.deadline).await?;
        let Some(shape) = shape else {
            return Err(Failure::NotGranted(format!("the database has no table `{table}`")));
        };
        let grants = rights
            .covering(table)
            .filter(|grant| grant.tables.as_ref().is_some_and(|tables| tables.covers(&shape)));
        let rules: Vec<_> = grants.map(|grant| &grant.rule).collect();
        let view = with_stack(|| View::of(&shape, &rules, dialect, &mut references));
        views.insert(table.clone(), view.map_err(Failure::NotGranted)?);
        for (column, kind) in &shape.columns {
            let name =
                if dialect == Dialect::Postgres { column.clone() } else { column.to_lowercase() };
            let known = types.entry(name).or_insert(*kind);
            if known != kind {
                *known = ColumnType::Other;
            }
        }
    }
    if dialect == Dialect::Postgres && !(reads.fields.is_empty() && reads.known.is_empty()) {
        check_functions(call, rights, reads, &types).await?;
    }
    Ok(Sight { views, references, types, names: Vec::new() })
}

/// Built-in functions of PostgreSQL that people name columns like: they tell of nothing but what they are given.
const LIKE_COLUMNS: [&str; 20] = [
    "area",
    "box",
    "center",
    "circle",
    "family",
    "height",
    "host",
    "interval",
    "mode",
    "name",
    "network",
    "path",
    "point",
    "polygon",
    "radius",
    "scale",
    "text",
    "time",
    "timestamp",
    "width",
];

/// Looks for functions where a column or a built-in function is expected: PostgreSQL calls `f` in `x.f` where there is no such
/// column, and somebody may have put another function of a built-in one's name into the database.
async fn check_functions(
    call: &Call,
    rights: &Rights,
    reads: &Reads,
    columns: &HashMap<String, ColumnType>,
) -> Result<(), Failure> {
    let functions = catalog::database_functions(&call.source, call.deadline).await?;
    let called = |function: &&DatabaseFunction| {
        let name = &function.name;
        if function.is_built_in() {
            return reads.fields.contains(name)
                && !columns.contains_key(name)
                && !LIKE_COLUMNS.contains(&name.as_str())
                && !functions::is_known(name, Dialect::Postgres);
        }
        reads.fields.contains(name) || reads.known.contains(name) && !function.is_of_extension
    };
    let is_granted = |function: &DatabaseFunction| {
        let DatabaseFunction { schema, name, .. } = function;
        rights.has_function(name) || rights.has_function(&format!("{schema}.{name}"))
    };
    match functions.iter().filter(called).find(|function| !is_granted(function)) {
        Some(DatabaseFunction { schema, name, .. }) => {
            let cause = format!("`{schema}.{name}` is a function of the database, and not granted");
            Err(Failure::NotGranted(cause))
        }
        None => Ok(()),
    }
}

/// The names of the columns that a statement would give as it is written. It is only prepared, never run.
async fn names_of(call: &Call, rendered: &Rendered) -> Result<Vec<String>, Failure> {
    let names = &call.scope.values;
    let values = Values { names, rendered: &rendered.values, grants: &[] };
    let (sql, _) = rendered.statement.query.bind(&values);
    match call.source.describe(&sql, call.deadline).await {
        Ok(columns) => Ok(columns.into_iter().map(|column| column.name).collect()),
        // Running it tells what is wrong with it.
        Err(EngineError::Statement { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

impl Blame {
    /// What an error of the database means to the caller: which parameter it is, or that a column is not there for it.
    pub fn blame(&self, error: EngineError, call: &Call) -> Failure {
        match &error {
            EngineError::BadValue { position: Some(position), message } => {
                match self.statement.query.slot_at(*position) {
                    Some(Slot::Name(name)) => {
                        let binding = call.interface.query.bindings.get(*name);
                        if let Some(Binding::Parameter(index)) = binding
                            && let Some(parameter) = call.interface.parameters.get(*index)
                        {
                            let parameter = parameter.name.clone();
                            return Failure::Unfit { parameter, cause: message.clone() };
                        }
                    }
                    Some(Slot::Grant(_)) => {
                        let cause = format!("a claim does not fit its column: {message}");
                        return Failure::NotGranted(cause);
                    }
                    _ => {}
                }
            }
            EngineError::Statement { code, message } if misses_something(code, message) => {
                if let (Some(granted), Some(rewritten)) = (&call.granted, &self.rewritten) {
                    // The tables may not be what they were.
                    granted.rights.forget();
                    call.source.shapes().forget(Instant::now());
                    if names_hidden(message, &rewritten.hidden) {
                        return Failure::NotGranted(message.clone());
                    }
                }
            }
            _ => {}
        }
        error.into()
    }
}

/// Whether the database says that a column or table is not there. SQLite has no codes for it, and one language.
fn misses_something(code: &str, message: &str) -> bool {
    const UNDEFINED: [&str; 4] = ["42703", "42P01", "1054", "1146"];
    UNDEFINED.contains(&code)
        || message.contains("no such column")
        || message.contains("no such table")
}

/// Whether it names one of the columns that are hidden from the caller.
fn names_hidden(message: &str, hidden: &[String]) -> bool {
    let message = message.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let words = || message.split(|c| !is_word(c));
    hidden.iter().map(|column| column.to_lowercase()).any(|column| {
        // A name of several words is looked for as it is.
        words().any(|word| word == column)
            || !column.chars().all(is_word) && message.contains(&column)
    })
}
