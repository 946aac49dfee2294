//! What people are shown of a datasource: its databases, its tables, their columns. Asked for anew each time.

use std::time::Instant;

use super::rows::Rows;
use crate::engines::registry::Source;
use crate::engines::{Bind, Dialect, EngineError, Query};

/// Databases of a server that are listed.
const MAX_DATABASES: usize = 1_000;
/// Tables of one database that are listed; more are found by a part of their name.
pub const MAX_TABLES: usize = 10_000;
/// Columns of a table that are listed.
const MAX_COLUMNS: usize = 10_000;
/// Columns of all tables that an editor gets to complete names with.
const MAX_COMPLETIONS: usize = 20_000;

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The schema; on MySQL the database.
    pub schema: String,
    pub name: String,
    pub is_view: bool,
    pub comment: Option<String>,
    /// RFC 3339 in UTC, where the database knows.
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    pub rows_estimate: Option<u64>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// From 1.
    pub position: u32,
    pub name: String,
    /// As the database writes it, such as `character varying(20)`.
    pub kind: String,
    pub is_primary_key: bool,
    pub is_not_null: bool,
    /// The SQL expression.
    pub default: Option<String>,
    pub comment: Option<String>,
}

/// A table's name as a statement may write it without quotes, with its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub name: String,
    pub columns: Vec<String>,
}

/// SQL of a catalogue query in each dialect.
struct Catalogue {
    postgres: &'static str,
    mysql: &'static str,
    sqlite: &'static str,
}

impl Catalogue {
    fn of(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgres => self.postgres,
            Dialect::MySql => self.mysql,
            Dialect::Sqlite => self.sqlite,
        }
    }
}

const DATABASES: Catalogue = Catalogue {
    postgres: "SELECT pg_catalog.current_database()::text",
    mysql: "SELECT schema_name FROM information_schema.schemata \
        WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY schema_name LIMIT 1000",
    sqlite: "SELECT 'main'",
};

/// Places: database, part of a name or comment. Each row is a table: schema, name, `view` or `table`, comment, when made, when
/// changed, rows.
const TABLES: Catalogue = Catalogue {
    postgres: "SELECT n.nspname::text, c.relname::text, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, \
        pg_catalog.obj_description(c.oid, 'pg_class'), NULL::text, NULL::text, \
        CASE WHEN c.relkind <> 'v' AND c.reltuples >= 0 THEN c.reltuples::bigint::text END \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
        AND pg_catalog.current_database()::text = COALESCE($1::text, pg_catalog.current_database()::text) \
        AND pg_catalog.strpos(pg_catalog.lower(pg_catalog.concat(c.relname, ' ', pg_catalog.obj_description(c.oid, 'pg_class'))), \
        pg_catalog.lower($2::text)) > 0 ORDER BY 1, 2 LIMIT 10000",
    mysql: "SELECT table_schema, table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE 'table' END, \
        CASE WHEN table_type NOT LIKE '%VIEW' THEN NULLIF(table_comment, '') END, \
        DATE_FORMAT(create_time, '%Y-%m-%dT%H:%i:%sZ'), DATE_FORMAT(update_time, '%Y-%m-%dT%H:%i:%sZ'), CAST(table_rows AS CHAR) \
        FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) \
        AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') \
        AND LOCATE(LOWER(?), LOWER(CONCAT(table_name, ' ', table_comment))) > 0 ORDER BY table_schema, table_name LIMIT 10000",
    sqlite: "SELECT schema, name, CASE WHEN type = 'view' THEN 'view' ELSE 'table' END, NULL, NULL, NULL, NULL \
        FROM pragma_table_list WHERE schema = COALESCE(?1, 'main') AND schema = 'main' AND type IN ('table', 'view', 'virtual') \
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND instr(lower(name), lower(?2)) > 0 ORDER BY name LIMIT 10000",
};

/// Places: schema, table. Each row is a column: position, name, type, whether it is of the primary key, whether it holds no NULL,
/// default, comment. Without a schema it is the one in which an unqualified name is found.
const COLUMNS: Catalogue = Catalogue {
    postgres: "SELECT pg_catalog.row_number() OVER (ORDER BY a.attnum)::text, a.attname::text, \
        pg_catalog.format_type(a.atttypid, a.atttypmod), (EXISTS (SELECT FROM pg_catalog.pg_index AS i \
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY(i.indkey)))::text, a.attnotnull::text, \
        pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.col_description(c.oid, a.attnum) \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND c.relname = $2::text \
        AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1::text END \
        ORDER BY a.attnum",
    mysql: "SELECT CAST(ordinal_position AS CHAR), column_name, column_type, \
        CASE WHEN column_key = 'PRI' THEN 'true' ELSE 'false' END, CASE WHEN is_nullable = 'NO' THEN 'true' ELSE 'false' END, \
        NULLIF(column_default, 'NULL'), NULLIF(column_comment, '') FROM information_schema.columns \
        WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND CAST(table_name AS BINARY) = CAST(? AS BINARY) \
        ORDER BY ordinal_position",
    sqlite: "SELECT CAST(row_number() OVER (ORDER BY x.cid) AS TEXT), x.name, x.type, \
        CASE WHEN x.pk > 0 THEN 'true' ELSE 'false' END, CASE WHEN x.\"notnull\" THEN 'true' ELSE 'false' END, x.dflt_value, NULL \
        FROM pragma_table_list AS l, pragma_table_xinfo(l.name, l.schema) AS x \
        WHERE l.schema = COALESCE(?1, 'main') AND l.schema = 'main' AND l.name = ?2 COLLATE NOCASE AND x.hidden <> 1 ORDER BY x.cid",
};

/// Each row is a column: schema, table, whether an unqualified name finds it, column.
const COMPLETION: Catalogue = Catalogue {
    postgres: "SELECT n.nspname::text, c.relname::text, pg_catalog.pg_table_is_visible(c.oid)::text, a.attname::text \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
        ORDER BY n.nspname, c.relname, a.attnum LIMIT 20000",
    mysql: "SELECT table_schema, table_name, CASE WHEN table_schema = DATABASE() THEN 'true' ELSE 'false' END, column_name \
        FROM information_schema.columns \
        WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') \
        ORDER BY table_schema = DATABASE() DESC, table_schema, table_name, ordinal_position LIMIT 20000",
    sqlite: "SELECT l.schema, l.name, 'true', x.name \
        FROM pragma_table_list AS l, pragma_table_xinfo(l.name, l.schema) AS x \
        WHERE l.schema = 'main' AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
        AND x.hidden <> 1 ORDER BY l.name, x.cid LIMIT 20000",
};

/// The databases that tables can be listed of; engines with one connection a database have that one.
///
/// # Errors
/// Where the database does not say.
pub async fn databases(source: &Source, deadline: Instant) -> Result<Vec<String>, EngineError> {
    let rows = ask::<1>(source, &DATABASES, Vec::new(), MAX_DATABASES, deadline).await?;
    Ok(rows.into_iter().filter_map(|[name]| name).collect())
}

/// Tables and views by schema and name, without those of the engine; those whose name or comment holds `part`, in any case.
/// Without a database those of the datasource's own. [`MAX_TABLES`] at most.
///
/// # Errors
/// Where the database does not say.
pub async fn tables(
    source: &Source,
    database: Option<&str>,
    part: &str,
    deadline: Instant,
) -> Result<Vec<Table>, EngineError> {
    let binds = vec![optional(database), Bind::Text(part.to_owned())];
    let rows = ask::<7>(source, &TABLES, binds, MAX_TABLES, deadline).await?;
    let table = |row: [Option<String>; 7]| {
        let [schema, name, kind, comment, created_at, updated_at, rows] = row;
        Table {
            schema: schema.unwrap_or_default(),
            name: name.unwrap_or_default(),
            is_view: kind.as_deref() == Some("view"),
            comment,
            created_at,
            updated_at,
            rows_estimate: rows.and_then(|rows| rows.parse().ok()),
        }
    };
    Ok(rows.into_iter().map(table).collect())
}

/// The columns of a table or view in their order; none where there is no such table.
///
/// # Errors
/// Where the database does not say.
pub async fn columns(
    source: &Source,
    schema: Option<&str>,
    table: &str,
    deadline: Instant,
) -> Result<Vec<TableColumn>, EngineError> {
    let mut binds = vec![optional(schema), Bind::Text(table.to_owned())];
    if source.dialect() == Dialect::MySql {
        // Its places have no numbers.
        binds.push(Bind::Text(table.to_owned()));
    }
    let rows = ask::<7>(source, &COLUMNS, binds, MAX_COLUMNS, deadline).await?;
    let is_true = |text: Option<String>| text.as_deref() == Some("true");
    let column = |row: [Option<String>; 7]| {
        let [position, name, kind, is_primary_key, is_not_null, default, comment] = row;
        TableColumn {
            position: position.and_then(|text| text.parse().ok()).unwrap_or_default(),
            name: name.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            is_primary_key: is_true(is_primary_key),
            is_not_null: is_true(is_not_null),
            default,
            comment,
        }
    };
    Ok(rows.into_iter().map(column).collect())
}

/// The names that an editor offers: tables with their columns, those of other schemas with the schema before them.
///
/// # Errors
/// Where the database does not say.
pub async fn completion(
    source: &Source,
    deadline: Instant,
) -> Result<Vec<Completion>, EngineError> {
    let rows = ask::<4>(source, &COMPLETION, Vec::new(), MAX_COMPLETIONS, deadline).await?;
    let mut found: Vec<Completion> = Vec::new();
    for row in rows {
        let [schema, table, is_found, column] = row.map(Option::unwrap_or_default);
        let name = if is_found == "true" { table } else { format!("{schema}.{table}") };
        match found.last_mut() {
            Some(last) if last.name == name => last.columns.push(column),
            _ => found.push(Completion { name, columns: vec![column] }),
        }
    }
    Ok(found)
}

fn optional(text: Option<&str>) -> Bind {
    text.map_or(Bind::Null, |text| Bind::Text(text.to_owned()))
}

async fn ask<const N: usize>(
    source: &Source,
    catalogue: &Catalogue,
    binds: Vec<Bind>,
    limit: usize,
    deadline: Instant,
) -> Result<Vec<[Option<String>; N]>, EngineError> {
    let sql = catalogue.of(source.dialect());
    let query = Query { sql: sql.into(), binds, deadline, read_only: true };
    let (rows, done) = source.run(query, Rows::<N>::up_to(limit)).await;
    done?;
    Ok(rows.rows)
}
