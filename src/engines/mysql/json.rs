//! Which columns of a MariaDB server are JSON: there it is LONGTEXT with a `json_valid` check, and the driver does not
//! ask for the metadata that would tell.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use parking_lot::Mutex;

use crate::engines::Dialect;

/// How long what was read about a table is believed.
const REFRESH: Duration = Duration::from_mins(1);
/// Most tables remembered.
const TABLES_MAX: usize = 4_096;
/// Most checks read of one table; no table has as many columns.
const CHECKS_MAX: usize = 4_096;
/// Length the metadata gives for LONGTEXT.
const LONGTEXT: u32 = u32::MAX;
/// Character set number of bytes without one.
const BINARY: u16 = 63;

/// Schema and table.
pub(super) type Table = (String, String);

/// What is known of the checks of tables.
pub(super) struct JsonColumns {
    /// The schema of columns that come without one, as those of derived tables do.
    database: String,
    tables: Mutex<HashMap<Table, Known>>,
}

struct Known {
    /// Clauses such as ``json_valid(`c`)``.
    checks: Vec<String>,
    read: Instant,
}

impl JsonColumns {
    pub fn new(database: Option<&str>) -> Self {
        Self { database: database.unwrap_or_default().to_owned(), tables: Mutex::default() }
    }

    /// Until when a shape of these columns may be used without asking again; `None`: forever.
    pub fn good_until(columns: &[mysql_async::Column]) -> Option<Instant> {
        columns.iter().any(may_be_json).then(|| Instant::now() + REFRESH)
    }

    /// The tables of `columns` that must be read before [`Self::is_json`] can tell.
    pub fn unknown(&self, columns: &[mysql_async::Column]) -> Vec<Table> {
        let mut unknown = Vec::new();
        for column in columns.iter().filter(|column| may_be_json(column)) {
            let table = self.table(column);
            let fresh =
                self.tables.lock().get(&table).is_some_and(|known| known.read.elapsed() < REFRESH);
            if !fresh && !unknown.contains(&table) {
                unknown.push(table);
            }
        }
        unknown
    }

    /// Reads what checks `tables` have. A server that does not tell has no JSON columns.
    ///
    /// # Errors
    /// Where the connection broke.
    pub async fn learn(&self, conn: &mut Conn, tables: Vec<Table>) -> mysql_async::Result<()> {
        for table in tables {
            let checks = match read_checks(conn, &table).await {
                Err(mysql_async::Error::Server(_)) => Vec::new(),
                read => read?,
            };
            let mut known = self.tables.lock();
            if known.len() >= TABLES_MAX {
                known.clear();
            }
            known.insert(table, Known { checks, read: Instant::now() });
        }
        Ok(())
    }

    /// Whether the server checks that the column's values are JSON.
    pub fn is_json(&self, column: &mysql_async::Column) -> bool {
        if !may_be_json(column) {
            return false;
        }
        let check = format!("json_valid({})", Dialect::MySql.quote(&column.org_name_str()));
        let known = self.tables.lock();
        known.get(&self.table(column)).is_some_and(|table| table.checks.contains(&check))
    }

    fn table(&self, column: &mysql_async::Column) -> Table {
        let schema = column.schema_str();
        let schema = if schema.is_empty() { self.database.as_str().into() } else { schema };
        (schema.into_owned(), column.org_table_str().into_owned())
    }
}

/// LONGTEXT with a binary collation, straight from a table.
fn may_be_json(column: &mysql_async::Column) -> bool {
    column.column_type() == ColumnType::MYSQL_TYPE_BLOB
        && column.column_length() == LONGTEXT
        && column.character_set() != BINARY
        && column.flags().contains(ColumnFlags::BINARY_FLAG)
        && !column.org_table_ref().is_empty()
        && !column.org_name_ref().is_empty()
}

async fn read_checks(conn: &mut Conn, (schema, table): &Table) -> mysql_async::Result<Vec<String>> {
    let sql = format!(
        "SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
         WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME = ? LIMIT {CHECKS_MAX}"
    );
    let statement = conn.prep(sql).await?;
    let rows = conn.exec::<mysql_async::Row, _, _>(&statement, (schema, table)).await?;
    conn.close(statement).await?;
    Ok(rows.into_iter().filter_map(|mut row| row.take_opt(0)?.ok()).collect())
}
