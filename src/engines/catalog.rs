//! What the database says of its tables: asked for when a governed query needs it, and remembered for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::registry::Source;
use super::{Bind, Cell, Column, Dialect, EngineError, Flow, Query, Row, RowSink};
use crate::sql::relation::{ColumnType, Relation, Shape};

/// How long a table is believed to have the columns it had. A table that fails a query is asked for again at once.
pub const SHAPE_TTL: Duration = Duration::from_mins(1);
/// How long a table is believed not to exist.
const ABSENT_TTL: Duration = Duration::from_secs(5);
/// Tables remembered for one datasource; beyond it the memory starts anew.
const MAX_SHAPES: usize = 10_000;
/// Columns of a table that are read.
const MAX_COLUMNS: usize = 10_000;

/// Each row is a column: schema, table, column, type, whether unqualified names look into the schema, whether the table belongs to
/// the engine.
const POSTGRES: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text, \
    CASE WHEN t.typcategory = 'N' THEN CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 'int' ELSE 'number' END \
    WHEN t.typcategory = 'S' THEN 'text' WHEN t.typname = 'date' THEN 'date' WHEN t.typname LIKE 'timestamp%' THEN 'datetime' \
    ELSE 'other' END, (n.nspname = pg_catalog.current_schema())::text, \
    (n.nspname LIKE 'pg\\_%' OR n.nspname = 'information_schema')::text \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
    WHERE c.oid = pg_catalog.to_regclass($1)::oid AND c.relkind IN ('r', 'v', 'm', 'f', 'p') ORDER BY a.attnum";
const MYSQL: &str = "SELECT table_schema, table_name, column_name, \
    CASE WHEN data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint') THEN 'int' \
    WHEN data_type IN ('decimal', 'float', 'double') THEN 'number' WHEN data_type = 'date' THEN 'date' \
    WHEN data_type IN ('datetime', 'timestamp') THEN 'datetime' \
    WHEN data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'set') THEN 'text' \
    ELSE 'other' END, CASE WHEN table_schema = DATABASE() THEN 'true' ELSE 'false' END, \
    CASE WHEN table_schema IN ('mysql', 'sys', 'information_schema', 'performance_schema') THEN 'true' ELSE 'false' END \
    FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
    AND extra NOT LIKE '%INVISIBLE%' ORDER BY table_schema, table_name, ordinal_position";
const SQLITE: &str = "SELECT l.schema, l.name, x.name, lower(x.type), \
    CASE WHEN l.schema = 'main' THEN 'true' ELSE 'false' END, \
    CASE WHEN l.type = 'shadow' OR l.name LIKE 'sqlite\\_%' ESCAPE '\\' OR l.schema <> 'main' THEN 'true' ELSE 'false' END \
    FROM pragma_table_list AS l, pragma_table_xinfo(l.name, l.schema) AS x \
    WHERE l.name = ?1 COLLATE NOCASE AND l.schema = COALESCE(?2, 'main') COLLATE NOCASE AND x.hidden <> 1 ORDER BY x.cid";

/// Functions that somebody has put into the database: those of `$1`, and those of `$2` that no extension brought.
const OWN_FUNCTIONS: &str = "SELECT DISTINCT p.proname::text FROM pg_catalog.pg_proc AS p \
    WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND (p.proname = ANY($1) OR p.proname = ANY($2) AND NOT EXISTS \
    (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))";

/// The tables of one datasource that were asked for.
#[derive(Debug, Default)]
pub struct Shapes(Mutex<HashMap<Relation, Known>>);

/// What the database said of a name, and when it was asked.
#[derive(Clone, Debug)]
struct Known {
    /// `None`: there is no such table.
    shape: Option<Arc<Shape>>,
    asked_at: Instant,
}

impl Shapes {
    /// Forgets all of them: the database does not agree with them any more.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    fn known(&self, relation: &Relation, now: Instant) -> Option<Known> {
        let all = self.0.lock();
        let known = all.get(relation)?;
        let ttl = if known.shape.is_some() { SHAPE_TTL } else { ABSENT_TTL };
        (now.saturating_duration_since(known.asked_at) < ttl).then(|| known.clone())
    }

    fn learn(&self, relation: &Relation, shape: Option<Arc<Shape>>, now: Instant) {
        let mut known = self.0.lock();
        if known.len() >= MAX_SHAPES {
            known.clear();
        }
        known.insert(relation.clone(), Known { shape, asked_at: now });
    }
}

/// The table or view that a name means to the database; `None` where it means none.
///
/// # Errors
/// Where the database does not say.
pub async fn shape(
    source: &Source,
    relation: &Relation,
    deadline: Instant,
) -> Result<Option<Arc<Shape>>, EngineError> {
    let now = Instant::now();
    if let Some(known) = source.shapes().known(relation, now) {
        return Ok(known.shape);
    }
    let dialect = source.dialect();
    let optional = |text: &Option<String>| text.clone().map_or(Bind::Null, Bind::Text);
    let name = Bind::Text(relation.name.clone());
    let (sql, binds) = match dialect {
        Dialect::Postgres => {
            let parts = relation.schema.iter().chain([&relation.name]);
            let quoted: Vec<String> = parts.map(|part| dialect.quote(part)).collect();
            (POSTGRES, vec![Bind::Text(quoted.join("."))])
        }
        Dialect::MySql => (MYSQL, vec![optional(&relation.schema), name]),
        Dialect::Sqlite => (SQLITE, vec![name, optional(&relation.schema)]),
    };
    let query = Query { sql: sql.into(), binds, deadline, read_only: true };
    let (rows, done) = source.run(query, Rows::<6>::default()).await;
    done?;
    let shape = shaped(rows.0, relation, dialect).map(Arc::new);
    source.shapes().learn(relation, shape.clone(), now);
    Ok(shape)
}

/// Which of the names are functions that somebody has put into a PostgreSQL database: of `fields` all, of `known` those that no
/// extension brought.
///
/// # Errors
/// Where the database does not say.
pub async fn own_functions(
    source: &Source,
    (fields, known): (&[String], &[String]),
    deadline: Instant,
) -> Result<Vec<String>, EngineError> {
    let array = |names: &[String]| Bind::Array(names.iter().cloned().map(Bind::Text).collect());
    let binds = vec![array(fields), array(known)];
    let query = Query { sql: OWN_FUNCTIONS.into(), binds, deadline, read_only: true };
    let (rows, done) = source.run(query, Rows::<1>::default()).await;
    done?;
    Ok(rows.0.into_iter().map(|[name]| name).collect())
}

/// The table that the rows describe. Where names differ by case alone (MySQL compares them so), the one written that way.
fn shaped(rows: Vec<[String; 6]>, relation: &Relation, dialect: Dialect) -> Option<Shape> {
    let is_exact = |row: &&[String; 6]| row[1] == relation.name;
    let first = rows.iter().find(is_exact).or(rows.first())?;
    let (schema, name) = (first[0].clone(), first[1].clone());
    let is_ambiguous = rows.iter().any(|row| row[1] != name) && name != relation.name;
    if is_ambiguous {
        return None;
    }
    let is_default_schema = first[4] == "true" || relation.schema.is_none();
    let is_system = first[5] == "true";
    let columns = rows
        .into_iter()
        .filter(|row| row[0] == schema && row[1] == name)
        .map(|[_, _, column, kind, _, _]| (column, column_type(&kind, dialect)))
        .collect();
    Some(Shape { schema, name, is_default_schema, is_system, columns })
}

/// SQLite's types are free text, read as it reads them itself.
fn column_type(kind: &str, dialect: Dialect) -> ColumnType {
    let has = |part: &str| kind.contains(part);
    match kind {
        "text" => ColumnType::Text,
        "int" => ColumnType::Integer,
        "number" => ColumnType::Number,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::DateTime,
        "" if dialect == Dialect::Sqlite => ColumnType::Text,
        _ if dialect != Dialect::Sqlite => ColumnType::Other,
        _ if has("int") => ColumnType::Integer,
        _ if has("char") || has("clob") || has("text") => ColumnType::Text,
        _ if has("time") => ColumnType::DateTime,
        _ if has("date") => ColumnType::Date,
        _ if has("real") || has("floa") || has("doub") || has("num") || has("dec") => {
            ColumnType::Number
        }
        _ => ColumnType::Other,
    }
}

/// Takes rows of so many texts.
#[derive(Default)]
struct Rows<const N: usize>(Vec<[String; N]>);

impl<const N: usize> RowSink for Rows<N> {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        if columns.len() == N {
            return Ok(());
        }
        Err(EngineError::Value(format!("the catalogue has {} columns", columns.len())))
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut texts = [const { String::new() }; N];
        for (i, text) in texts.iter_mut().enumerate() {
            let mut scratch = String::new();
            if let Cell::Text(cell) = row.cell(i, &mut scratch)? {
                cell.clone_into(text);
            }
        }
        self.0.push(texts);
        Ok(if self.0.len() < MAX_COLUMNS { Flow::Continue } else { Flow::Stop })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}
