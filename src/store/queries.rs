//! The log of the queries that people ran by hand: who, what, how it ended.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row as _};

use super::backend::{Db, Row};
use super::{Store, StoreError};
use crate::observe::label_enum;

/// Queries that are kept; older ones give way.
pub const MAX_QUERIES: i64 = 50_000;
/// Longest SQL, parameters and error that are kept, in bytes.
pub const MAX_SQL_BYTES: usize = 16 << 10;
pub const MAX_PARAMS_BYTES: usize = 4 << 10;
const MAX_ERROR_BYTES: usize = 2 << 10;
/// Rows of one read.
pub const MAX_READ: u32 = 10_000;

label_enum! {
    /// How a query ended.
    pub enum QueryState {
        Ok = "ok",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

/// A query that a person ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRun {
    /// When it began; kept to the microsecond.
    pub at: Timestamp,
    pub username: String,
    pub datasource: String,
    /// As it was written.
    pub sql: String,
    /// A JSON object, where there were any.
    pub params: Option<String>,
    pub state: QueryState,
    pub error: Option<String>,
    /// Rows answered.
    pub rows: u64,
    pub duration_us: u64,
}

/// Which queries to read; what is not given does not matter.
#[derive(Clone, Debug, Default)]
pub struct QueryFilter {
    pub username: Option<String>,
    pub datasource: Option<String>,
    pub state: Option<QueryState>,
    /// A part of SQL, parameters or error, in any case.
    pub text: Option<String>,
    /// Begun at this time or later.
    pub from: Option<Timestamp>,
    /// Begun before this time.
    pub to: Option<Timestamp>,
}

impl Store {
    /// Keeps a query, and of all queries the newest [`MAX_QUERIES`].
    pub async fn log_query(&self, run: &QueryRun) -> Result<(), StoreError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let inserted = sqlx::query(
            "INSERT INTO query_log (at, username, datasource, sql, params, state, error, row_count, duration_us) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(run.at.as_microsecond())
        .bind(&run.username)
        .bind(&run.datasource)
        .bind(cut(&run.sql, MAX_SQL_BYTES))
        .bind(run.params.as_deref().map(|params| cut(params, MAX_PARAMS_BYTES)))
        .bind(run.state.as_str())
        .bind(run.error.as_deref().map(|error| cut(error, MAX_ERROR_BYTES)))
        .bind(signed(run.rows))
        .bind(signed(run.duration_us))
        .execute(&self.write)
        .await?;
        let last_to_go = inserted.last_insert_rowid() - MAX_QUERIES;
        if last_to_go > 0 {
            sqlx::query("DELETE FROM query_log WHERE id <= ?")
                .bind(last_to_go)
                .execute(&self.write)
                .await?;
        }
        Ok(())
    }

    /// The matching queries, newest first, from the one after `skip` on, at most `limit` and never more than [`MAX_READ`]; and how
    /// many match in all.
    pub async fn query_runs(
        &self,
        filter: &QueryFilter,
        skip: u64,
        limit: u32,
    ) -> Result<(Vec<QueryRun>, u64), StoreError> {
        let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM query_log WHERE 1 = 1");
        filter.push(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.read).await?;
        let mut query = QueryBuilder::<Db>::new(
            "SELECT at, username, datasource, sql, params, state, error, row_count, duration_us FROM query_log WHERE 1 = 1",
        );
        filter.push(&mut query);
        query.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(i64::from(limit.min(MAX_READ)));
        query.push(" OFFSET ").push_bind(i64::try_from(skip).unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(&self.read).await?;
        let runs = rows.iter().map(of_row).collect::<Result<_, _>>()?;
        Ok((runs, u64::try_from(total).unwrap_or_default()))
    }
}

impl QueryFilter {
    fn push(&self, query: &mut QueryBuilder<Db>) {
        let Self { username, datasource, state, text, from, to } = self;
        if let Some(username) = username {
            query.push(" AND username = ").push_bind(username.clone());
        }
        if let Some(datasource) = datasource {
            query.push(" AND datasource = ").push_bind(datasource.clone());
        }
        if let Some(state) = state {
            query.push(" AND state = ").push_bind(state.as_str());
        }
        if let Some(text) = text {
            query
                .push(" AND instr(lower(sql || ' ' || coalesce(params, '') || ' ' || coalesce(error, '')), lower(")
                .push_bind(text.clone())
                .push(")) > 0");
        }
        if let Some(from) = from {
            query.push(" AND at >= ").push_bind(from.as_microsecond());
        }
        if let Some(to) = to {
            query.push(" AND at < ").push_bind(to.as_microsecond());
        }
    }
}

fn of_row(row: &Row) -> Result<QueryRun, sqlx::Error> {
    let unsigned = |name: &str| -> Result<u64, sqlx::Error> {
        Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default())
    };
    let state: String = row.try_get("state")?;
    Ok(QueryRun {
        at: Timestamp::from_microsecond(row.try_get("at")?).unwrap_or_default(),
        username: row.try_get("username")?,
        datasource: row.try_get("datasource")?,
        sql: row.try_get("sql")?,
        params: row.try_get("params")?,
        state: QueryState::parse(&state).unwrap_or(QueryState::Failed),
        error: row.try_get("error")?,
        rows: unsigned("row_count")?,
        duration_us: unsigned("duration_us")?,
    })
}

fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(second: i64, username: &str, state: QueryState) -> QueryRun {
        QueryRun {
            at: Timestamp::from_second(second).unwrap(),
            username: username.to_owned(),
            datasource: "lite".to_owned(),
            sql: format!("SELECT {second}"),
            params: Some(r#"{"Table": "User"}"#.to_owned()),
            state,
            error: (state == QueryState::Failed).then(|| "no such table".to_owned()),
            rows: 3,
            duration_us: 1_500,
        }
    }

    #[tokio::test]
    async fn queries_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("t.db").to_str().unwrap()).await.unwrap();
        let runs = [
            run(1, "ann", QueryState::Ok),
            run(2, "bob", QueryState::Failed),
            run(3, "ann", QueryState::Cancelled),
        ];
        for run in &runs {
            store.log_query(run).await.unwrap();
        }
        let find = async |filter: QueryFilter| {
            let (found, total) = store.query_runs(&filter, 0, 10).await.unwrap();
            assert_eq!(found.len() as u64, total);
            found.iter().map(|run| run.at.as_second()).collect::<Vec<_>>()
        };
        let (all, total) = store.query_runs(&QueryFilter::default(), 1, 1).await.unwrap();
        assert_eq!((all.as_slice(), total), (&runs[1..2], 3));
        let any = QueryFilter::default;
        assert_eq!(find(QueryFilter { username: Some("ann".into()), ..any() }).await, [3, 1]);
        assert_eq!(find(QueryFilter { state: Some(QueryState::Failed), ..any() }).await, [2]);
        assert_eq!(find(QueryFilter { text: Some("no SUCH".into()), ..any() }).await, [2]);
        assert_eq!(find(QueryFilter { text: Some("user".into()), ..any() }).await, [3, 2, 1]);
        let other = QueryFilter { datasource: Some("other".into()), ..any() };
        assert!(find(other).await.is_empty());
        let from = Some(runs[1].at);
        assert_eq!(find(QueryFilter { from, ..any() }).await, [3, 2]);
        assert_eq!(find(QueryFilter { to: from, ..any() }).await, [1]);
    }

    #[tokio::test]
    async fn what_is_long_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("t.db").to_str().unwrap()).await.unwrap();
        let long = QueryRun { sql: "é".repeat(MAX_SQL_BYTES), ..run(1, "ann", QueryState::Ok) };
        store.log_query(&long).await.unwrap();
        let (found, _) = store.query_runs(&QueryFilter::default(), 0, 10).await.unwrap();
        assert_eq!(found[0].sql.len(), MAX_SQL_BYTES);
    }
}
