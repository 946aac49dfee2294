//! Prepared statements: made once for each connection and text, with the decoders of their columns.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use super::decode::{self, Cast, Decoder};
use super::error;
use crate::engines::{Column, Dialect};

/// Most statements kept prepared on one connection.
pub(super) const MAX_STATEMENTS: usize = 256;

/// Most placeholders of a statement: the protocol counts them in 16 bits.
const MAX_PARAMETERS: usize = 65_535;

/// A statement ready to run on its connection.
pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) columns: Vec<Column>,
    pub(super) decoders: Vec<Decoder>,
}

/// The statements of one connection, by text. The one used least recently goes first.
#[derive(Default)]
pub(super) struct Statements {
    by_text: HashMap<Arc<str>, Entry, ahash::RandomState>,
    clock: u64,
}

struct Entry {
    prepared: Arc<Prepared>,
    used_at: u64,
}

impl Statements {
    pub(super) fn get(&mut self, sql: &str) -> Option<Arc<Prepared>> {
        self.clock += 1;
        let entry = self.by_text.get_mut(sql)?;
        entry.used_at = self.clock;
        Some(entry.prepared.clone())
    }

    /// Keeps `prepared`; gives back what had to go, to be dropped outside the lock.
    pub(super) fn insert(
        &mut self,
        sql: Arc<str>,
        prepared: Arc<Prepared>,
    ) -> Option<Arc<Prepared>> {
        self.clock += 1;
        let replaced = self.by_text.insert(sql, Entry { prepared, used_at: self.clock });
        if replaced.is_some() || self.by_text.len() <= MAX_STATEMENTS {
            return replaced.map(|entry| entry.prepared);
        }
        let oldest = self.by_text.iter().min_by_key(|(_, entry)| entry.used_at)?.0.clone();
        self.by_text.remove(&oldest).map(|entry| entry.prepared)
    }

    pub(super) fn remove(&mut self, sql: &str) -> Option<Arc<Prepared>> {
        self.by_text.remove(sql).map(|entry| entry.prepared)
    }
}

/// Prepares `sql`. `may_wrap`: the statement only reads, so columns that only the server can print are cast by it.
pub(super) async fn prepare(client: &Client, sql: &str, may_wrap: bool) -> Result<Prepared, Error> {
    let mut types = Vec::new();
    let statement = prepare_untyped(client, sql, &mut types).await?;
    let mut prepared = with_decoders(statement);
    if may_wrap && let Some(wrapped) = wrap(sql, &prepared) {
        // What cannot stand in FROM (EXPLAIN, SHOW, CALL) runs as it is.
        if let Ok(statement) = client.prepare_typed(&wrapped, &types).await {
            prepared.decoders =
                statement.columns().iter().map(|column| decode::plan(column.type_())).collect();
            prepared.statement = statement;
        }
    }
    Ok(prepared)
}

/// Placeholders whose type nothing tells (`$1 IS NULL`) are declared as text, one by one as the server names them.
async fn prepare_untyped(
    client: &Client,
    sql: &str,
    types: &mut Vec<Type>,
) -> Result<Statement, Error> {
    loop {
        let failure = match client.prepare_typed(sql, types).await {
            Ok(statement) => return Ok(statement),
            Err(failure) => failure,
        };
        let unknown = failure
            .as_db_error()
            .filter(|db| *db.code() == SqlState::INDETERMINATE_DATATYPE)
            .and_then(|db| error::parameter_number(db.message()))
            .filter(|number| (1..=MAX_PARAMETERS).contains(number))
            .filter(|number| types.get(number - 1) != Some(&Type::TEXT));
        let Some(number) = unknown else { return Err(failure) };
        if types.len() < number {
            types.resize(number, Type::UNKNOWN);
        }
        types[number - 1] = Type::TEXT;
    }
}

fn with_decoders(statement: Statement) -> Prepared {
    let decoders: Vec<Decoder> =
        statement.columns().iter().map(|column| decode::plan(column.type_())).collect();
    let columns = statement
        .columns()
        .iter()
        .zip(&decoders)
        .map(|(column, decoder)| Column { name: column.name().to_owned(), kind: decoder.kind() })
        .collect();
    Prepared { statement, columns, decoders }
}

/// The statement around `sql` that casts what cannot be decoded; `None` where all can be.
fn wrap(sql: &str, prepared: &Prepared) -> Option<String> {
    prepared.decoders.iter().find_map(Decoder::cast)?;
    let mut names = String::new();
    let mut list = String::new();
    for (i, (column, decoder)) in prepared.columns.iter().zip(&prepared.decoders).enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        let _ = write!(names, "{comma}c{i}");
        let name = Dialect::Postgres.quote(&column.name);
        let _ = match decoder.cast() {
            None => write!(list, "{comma}q.c{i} AS {name}"),
            Some(Cast::Text) => write!(list, "{comma}q.c{i}::pg_catalog.text AS {name}"),
            Some(Cast::Json) => write!(list, "{comma}pg_catalog.to_json(q.c{i}) AS {name}"),
        };
    }
    let sql = sql.trim_end().trim_end_matches(';');
    Some(format!("SELECT {list} FROM (\n{sql}\n) AS q({names})"))
}
