//! Sessions of people and API tokens of scripts: both are secrets that stand for an account, and only their hashes are kept.

use jiff::Timestamp;
use sqlx::Row as _;

use super::accounts::{role, second};
use super::backend::Row;
use super::{Role, Store, StoreError};

/// A session that may be used now, with its account's role.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    pub username: String,
    pub role: Role,
    /// What requests that change something must show beside the cookie.
    pub csrf: String,
    pub ip: String,
    pub user_agent: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A session to be kept.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    pub id: &'a str,
    pub secret_hash: &'a str,
    pub username: &'a str,
    pub csrf: &'a str,
    pub ip: &'a str,
    pub user_agent: &'a str,
    pub expires_at: Timestamp,
}

/// An API token, without its secret.
#[derive(Clone, Debug)]
pub struct ApiToken {
    pub id: String,
    pub username: String,
    pub name: String,
    /// At most the role of its account.
    pub role: Role,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// Sessions of one account; the oldest make room.
const MAX_SESSIONS: i64 = 20;
/// API tokens of one account.
const MAX_TOKENS: i64 = 50;
/// People online in one list.
const MAX_LISTED: i64 = 1_000;
/// Sessions with the role of their account, where both may be used.
const LIVE_SESSIONS: &str = "SELECT session.*, account.role FROM session JOIN account USING (username) \
     WHERE account.is_disabled = 0 AND session.expires_at > ";

impl Store {
    /// Keeps a session. Those that are over go, and the oldest of the account where it has too many.
    pub async fn add_session(&self, session: &NewSession<'_>) -> Result<(), StoreError> {
        let now = Timestamp::now().as_second();
        let mut transaction = self.write.begin().await?;
        sqlx::query("DELETE FROM session WHERE expires_at <= ?")
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE username = ? \
             ORDER BY created_at DESC LIMIT -1 OFFSET ?)",
        )
        .bind(session.username)
        .bind(MAX_SESSIONS - 1)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(session.id)
            .bind(session.secret_hash)
            .bind(session.username)
            .bind(session.csrf)
            .bind(session.ip)
            .bind(session.user_agent)
            .bind(now)
            .bind(now)
            .bind(session.expires_at.as_second())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The session with this secret, where it may be used.
    pub async fn session(&self, secret_hash: &str) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{LIVE_SESSIONS} ? AND session.secret_hash = ?"
        )))
        .bind(Timestamp::now().as_second())
        .bind(secret_hash)
        .fetch_optional(&self.read)
        .await?;
        Ok(row.as_ref().map(session).transpose()?)
    }

    /// Who is online, the last seen first.
    pub async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{LIVE_SESSIONS} ? ORDER BY session.last_seen_at DESC LIMIT ?"
        )))
        .bind(Timestamp::now().as_second())
        .bind(MAX_LISTED)
        .fetch_all(&self.read)
        .await?;
        Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
    }

    /// Notes that a session was used, and until when it lasts now.
    pub async fn session_seen(&self, id: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET last_seen_at = ?, expires_at = ? WHERE id = ?")
            .bind(Timestamp::now().as_second())
            .bind(expires_at.as_second())
            .bind(id)
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// Ends a session; whether there was one.
    pub async fn end_session(&self, id: &str) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM session WHERE id = ?").bind(id).execute(&self.write).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Keeps an API token; false where the account has too many.
    pub async fn add_token(&self, token: &ApiToken, secret_hash: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO api_token (id, secret_hash, username, name, role, created_at, expires_at) \
             SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT COUNT(*) FROM api_token WHERE username = ?) < ?",
        )
        .bind(&token.id)
        .bind(secret_hash)
        .bind(&token.username)
        .bind(&token.name)
        .bind(token.role.as_str())
        .bind(token.created_at.as_second())
        .bind(token.expires_at.map(Timestamp::as_second))
        .bind(&token.username)
        .bind(MAX_TOKENS)
        .execute(&self.write)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The API token with this secret, where it and its account may be used.
    pub async fn token(&self, secret_hash: &str) -> Result<Option<ApiToken>, StoreError> {
        let row = sqlx::query(
            "SELECT api_token.*, account.role AS most FROM api_token JOIN account USING (username) \
             WHERE account.is_disabled = 0 AND secret_hash = ? AND (expires_at IS NULL OR expires_at > ?)",
        )
        .bind(secret_hash)
        .bind(Timestamp::now().as_second())
        .fetch_optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut token = token(&row)?;
        let most: String = row.try_get("most")?;
        token.role = token.role.min(Role::parse(&most).unwrap_or(Role::Viewer));
        Ok(Some(token))
    }

    /// The API tokens of an account, by name.
    pub async fn tokens(&self, username: &str) -> Result<Vec<ApiToken>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_token WHERE username = ? ORDER BY name, id")
            .bind(username)
            .fetch_all(&self.read)
            .await?;
        Ok(rows.iter().map(token).collect::<Result<_, _>>()?)
    }

    /// Notes that an API token was used.
    pub async fn token_used(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE api_token SET last_used_at = ? WHERE id = ?")
            .bind(Timestamp::now().as_second())
            .bind(id)
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// Removes an API token of an account; whether there was one.
    pub async fn remove_token(&self, username: &str, id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM api_token WHERE username = ? AND id = ?")
            .bind(username)
            .bind(id)
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

fn session(row: &Row) -> Result<Session, sqlx::Error> {
    Ok(Session {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        role: role(row)?,
        csrf: row.try_get("csrf")?,
        ip: row.try_get("ip")?,
        user_agent: row.try_get("user_agent")?,
        created_at: second(row.try_get("created_at")?),
        last_seen_at: second(row.try_get("last_seen_at")?),
        expires_at: second(row.try_get("expires_at")?),
    })
}

fn token(row: &Row) -> Result<ApiToken, sqlx::Error> {
    Ok(ApiToken {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        name: row.try_get("name")?,
        role: role(row)?,
        created_at: second(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(second),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_at")?.map(second),
    })
}
