//! What people did at the admin address: logins, and requests that changed something.

use jiff::{SignedDuration, Timestamp};
use sqlx::{QueryBuilder, Row as _};

use super::accounts::second;
use super::backend::{Db, Row};
use super::{Store, StoreError};

/// How long entries are kept, in days.
const RETENTION_DAYS: i64 = 180;
/// Most entries of one page, and of one download.
pub const MAX_PAGE: u32 = 10_000;
/// Characters kept of what a client says of itself, and of a path or summary.
const MAX_CHARS: usize = 300;

/// An attempt to log in.
#[derive(Clone, Debug)]
pub struct Login {
    pub at: Timestamp,
    pub username: String,
    pub ip: String,
    pub user_agent: String,
    pub is_ok: bool,
    /// Why not.
    pub reason: String,
}

/// A request that changed something, or tried to.
#[derive(Clone, Debug)]
pub struct Operation {
    pub at: Timestamp,
    pub username: String,
    pub ip: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub duration_us: u64,
    pub summary: String,
}

/// Which entries of a journal to read, the newest first.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    pub username: Option<String>,
    /// In any of the texts.
    pub text: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub offset: u32,
    /// At most [`MAX_PAGE`].
    pub limit: u32,
}

impl Store {
    /// Keeps an attempt to log in; what is too old goes.
    pub async fn add_login(&self, login: &Login) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO login (at, username, ip, user_agent, is_ok, reason) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(login.at.as_second())
        .bind(cut(&login.username))
        .bind(&login.ip)
        .bind(cut(&login.user_agent))
        .bind(login.is_ok)
        .bind(&login.reason)
        .execute(&self.write)
        .await?;
        self.forget_old("login").await
    }

    /// Keeps an operation; what is too old goes.
    pub async fn add_operation(&self, operation: &Operation) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO operation (at, username, ip, method, path, status, duration_us, summary) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(operation.at.as_second())
        .bind(&operation.username)
        .bind(&operation.ip)
        .bind(&operation.method)
        .bind(cut(&operation.path))
        .bind(operation.status)
        .bind(i64::try_from(operation.duration_us).unwrap_or(i64::MAX))
        .bind(cut(&operation.summary))
        .execute(&self.write)
        .await?;
        self.forget_old("operation").await
    }

    /// Logins, and how many there are in all.
    pub async fn logins(&self, filter: &JournalFilter) -> Result<(Vec<Login>, u64), StoreError> {
        let texts = ["username", "ip", "user_agent", "reason"];
        let (rows, total) = self.journal("login", &texts, filter).await?;
        let login = |row: &Row| {
            Ok::<_, sqlx::Error>(Login {
                at: second(row.try_get("at")?),
                username: row.try_get("username")?,
                ip: row.try_get("ip")?,
                user_agent: row.try_get("user_agent")?,
                is_ok: row.try_get("is_ok")?,
                reason: row.try_get("reason")?,
            })
        };
        Ok((rows.iter().map(login).collect::<Result<_, _>>()?, total))
    }

    /// Operations, and how many there are in all.
    pub async fn operations(
        &self,
        filter: &JournalFilter,
    ) -> Result<(Vec<Operation>, u64), StoreError> {
        let texts = ["username", "ip", "path", "summary"];
        let (rows, total) = self.journal("operation", &texts, filter).await?;
        let operation = |row: &Row| {
            Ok::<_, sqlx::Error>(Operation {
                at: second(row.try_get("at")?),
                username: row.try_get("username")?,
                ip: row.try_get("ip")?,
                method: row.try_get("method")?,
                path: row.try_get("path")?,
                status: row.try_get("status")?,
                duration_us: row.try_get::<i64, _>("duration_us")?.unsigned_abs(),
                summary: row.try_get("summary")?,
            })
        };
        Ok((rows.iter().map(operation).collect::<Result<_, _>>()?, total))
    }

    async fn journal(
        &self,
        table: &str,
        texts: &[&str],
        filter: &JournalFilter,
    ) -> Result<(Vec<Row>, u64), StoreError> {
        let condition = |query: &mut QueryBuilder<Db>| {
            query.push(" WHERE 1 = 1");
            if let Some(username) = &filter.username {
                query.push(" AND username = ").push_bind(username.clone());
            }
            if let Some(text) = &filter.text {
                let all = texts.join(" || ' ' || ");
                query.push(format!(" AND instr(lower({all}), "));
                query.push_bind(text.to_lowercase()).push(") > 0");
            }
            if let Some(from) = filter.from {
                query.push(" AND at >= ").push_bind(from.as_second());
            }
            if let Some(to) = filter.to {
                query.push(" AND at < ").push_bind(to.as_second());
            }
        };
        let mut count = QueryBuilder::<Db>::new(format!("SELECT COUNT(*) FROM {table}"));
        condition(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.read).await?;
        let mut page = QueryBuilder::<Db>::new(format!("SELECT * FROM {table}"));
        condition(&mut page);
        page.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(filter.limit.min(MAX_PAGE)));
        page.push(" OFFSET ").push_bind(i64::from(filter.offset));
        let rows = page.build().fetch_all(&self.read).await?;
        Ok((rows, total.unsigned_abs()))
    }

    async fn forget_old(&self, table: &str) -> Result<(), StoreError> {
        let cutoff = Timestamp::now() - SignedDuration::from_hours(24 * RETENTION_DAYS);
        let mut delete = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE at < "));
        delete.push_bind(cutoff.as_second());
        delete.build().execute(&self.write).await?;
        Ok(())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}
