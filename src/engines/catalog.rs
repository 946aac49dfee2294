//! What the database says of its tables: asked for when a governed query needs it, and remembered for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::rows::Rows;
use super::registry::Source;
use super::{Bind, Dialect, EngineError, Query};
use crate::sql::relation::{ColumnType, Relation, Shape};

pub mod listing;
mod rows;

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
    CASE WHEN t.typcategory = 'N' AND t.typname <> 'money' THEN 'number' \
    WHEN t.typcategory = 'S' THEN 'text' WHEN t.typname = 'date' THEN 'date' WHEN t.typname LIKE 'timestamp%' THEN 'datetime' \
    ELSE 'other' END, (n.nspname = pg_catalog.current_schema())::text, \
    (n.nspname LIKE 'pg\\_%' OR n.nspname = 'information_schema')::text \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
    WHERE c.oid = pg_catalog.to_regclass($1)::oid AND c.relkind IN ('r', 'v', 'm', 'f', 'p') ORDER BY a.attnum";
const MYSQL: &str = "SELECT table_schema, table_name, column_name, \
    CASE WHEN data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double') THEN 'number' \
    WHEN data_type = 'date' THEN 'date' \
    WHEN data_type IN ('datetime', 'timestamp') THEN 'datetime' \
    WHEN data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'set') THEN 'text' \
    ELSE 'other' END, CASE WHEN table_schema = DATABASE() THEN 'true' ELSE 'false' END, \
    CASE WHEN table_schema IN ('mysql', 'sys', 'information_schema', 'performance_schema') THEN 'true' ELSE 'false' END \
    FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
    AND extra NOT LIKE '%INVISIBLE%' ORDER BY table_schema, table_name, ordinal_position";
const SQLITE: &str = "SELECT l.schema, l.name, x.name, lower(x.type), \
    CASE WHEN l.schema = 'main' THEN 'true' ELSE 'false' END, \
    CASE WHEN l.type = 'shadow' OR l.name LIKE 'sqlite\\_%' ESCAPE '\\' OR l.schema <> 'main' THEN 'true' \
    WHEN l.type = 'virtual' THEN 'virtual' ELSE 'false' END \
    FROM pragma_table_list AS l, pragma_table_xinfo(l.name, l.schema) AS x \
    WHERE l.name = ?1 COLLATE NOCASE AND l.schema = COALESCE(?2, 'main') COLLATE NOCASE AND x.hidden <> 1 ORDER BY x.cid";

/// Functions of a database, of its own catalogue those that take one argument: schema, name, whether an extension brought it.
const FUNCTIONS: &str = "SELECT DISTINCT n.nspname::text, p.proname::text, (EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))::text \
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
    WHERE n.nspname <> 'pg_catalog' OR 1 BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs";
/// Functions of a database that are looked at; with more, it is taken to have every one.
const MAX_FUNCTIONS: usize = 100_000;
/// Between two times that the tables of a datasource are forgotten because of an error.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// The tables of one datasource that were asked for.
#[derive(Debug, Default)]
pub struct Shapes {
    known: Mutex<HashMap<Relation, Known>>,
    functions: Mutex<Option<(Arc<[DatabaseFunction]>, Instant)>>,
    forgotten_at: Mutex<Option<Instant>>,
}

/// A function of a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFunction {
    pub schema: String,
    pub name: String,
    pub is_of_extension: bool,
}

impl DatabaseFunction {
    /// Whether it is one of the engine's own.
    pub fn is_built_in(&self) -> bool {
        self.schema == "pg_catalog"
    }
}

/// What the database said of a name, and when it was asked.
#[derive(Clone, Debug)]
struct Known {
    /// `None`: there is no such table.
    shape: Option<Arc<Shape>>,
    asked_at: Instant,
}

impl Shapes {
    /// Forgets all of them, since the database does not agree with them any more; not more often than now and then, since a
    /// caller may be able to cause the error.
    pub fn forget(&self, now: Instant) {
        let mut forgotten_at = self.forgotten_at.lock();
        if forgotten_at.is_none_or(|at| now.saturating_duration_since(at) >= FORGET_EVERY) {
            *forgotten_at = Some(now);
            self.known.lock().clear();
        }
    }

    fn known(&self, relation: &Relation, now: Instant) -> Option<Known> {
        let all = self.known.lock();
        let known = all.get(relation)?;
        let ttl = if known.shape.is_some() { SHAPE_TTL } else { ABSENT_TTL };
        (now.saturating_duration_since(known.asked_at) < ttl).then(|| known.clone())
    }

    fn learn(&self, relation: &Relation, shape: Option<Arc<Shape>>, now: Instant) {
        let mut known = self.known.lock();
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
    let (rows, done) = source.run(query, Rows::<6>::up_to(MAX_COLUMNS)).await;
    done?;
    let shape = shaped(rows.texts(), relation, dialect).map(Arc::new);
    source.shapes().learn(relation, shape.clone(), now);
    Ok(shape)
}

/// The functions of a PostgreSQL database, its own catalogue's among them.
///
/// # Errors
/// Where the database does not say, or has too many.
pub async fn database_functions(
    source: &Source,
    deadline: Instant,
) -> Result<Arc<[DatabaseFunction]>, EngineError> {
    let now = Instant::now();
    if let Some((known, asked_at)) = &*source.shapes().functions.lock()
        && now.saturating_duration_since(*asked_at) < SHAPE_TTL
    {
        return Ok(known.clone());
    }
    let query = Query { sql: FUNCTIONS.into(), binds: Vec::new(), deadline, read_only: true };
    let (rows, done) = source.run(query, Rows::<3>::up_to(MAX_FUNCTIONS)).await;
    done?;
    let rows = rows.texts();
    if rows.len() >= MAX_FUNCTIONS {
        return Err(EngineError::Value("the database has too many functions".to_owned()));
    }
    let own = rows.into_iter().map(|[schema, name, is_of_extension]| DatabaseFunction {
        schema,
        name,
        is_of_extension: is_of_extension == "true",
    });
    let own: Arc<[DatabaseFunction]> = own.collect();
    *source.shapes().functions.lock() = Some((own.clone(), now));
    Ok(own)
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
    let (is_system, is_virtual) = (first[5] == "true", first[5] == "virtual");
    let columns = rows
        .into_iter()
        .filter(|row| row[0] == schema && row[1] == name)
        .map(|[_, _, column, kind, _, _]| (column, column_type(&kind, dialect)))
        .collect();
    Some(Shape { schema, name, is_default_schema, is_system, is_virtual, columns })
}

/// SQLite's types are free text, read as it reads them itself.
fn column_type(kind: &str, dialect: Dialect) -> ColumnType {
    let has = |part: &str| kind.contains(part);
    match kind {
        "text" => ColumnType::Text,
        "number" => ColumnType::Number,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::DateTime,
        "" if dialect == Dialect::Sqlite => ColumnType::Text,
        _ if dialect != Dialect::Sqlite => ColumnType::Other,
        _ if has("int") => ColumnType::Number,
        _ if has("char") || has("clob") || has("text") => ColumnType::Text,
        _ if has("time") => ColumnType::DateTime,
        _ if has("date") => ColumnType::Date,
        _ if has("real") || has("floa") || has("doub") || has("num") || has("dec") => {
            ColumnType::Number
        }
        _ => ColumnType::Other,
    }
}
