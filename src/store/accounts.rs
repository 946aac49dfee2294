//! Accounts of the admin address.

use jiff::Timestamp;
use sqlx::Row as _;

use super::backend::Row;
use super::{Role, Store, StoreError};

/// A person who may log in.
#[derive(Clone, Debug)]
pub struct Account {
    pub username: String,
    /// Hash of the password, in the PHC form.
    pub password: String,
    pub role: Role,
    pub is_disabled: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
}

/// What becomes of a change of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    /// There is no such account.
    Missing,
    /// The name is taken.
    Exists,
    /// Nobody with the role `admin` would be left.
    LastAdmin,
}

/// What of an account is changed.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    pub role: Option<Role>,
    pub is_disabled: Option<bool>,
    pub password: Option<String>,
}

/// Accounts that may log in and have the role `admin`, without the one that is bound.
const OTHER_ADMINS: &str =
    "SELECT COUNT(*) FROM account WHERE role = 'admin' AND is_disabled = 0 AND username <> ?";

impl Store {
    /// Whether anybody has an account.
    pub async fn has_accounts(&self) -> Result<bool, StoreError> {
        let any = sqlx::query("SELECT 1 FROM account LIMIT 1").fetch_optional(&self.read).await?;
        Ok(any.is_some())
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query("SELECT * FROM account ORDER BY username").fetch_all(&self.read);
        Ok(rows.await?.iter().map(account).collect::<Result<_, _>>()?)
    }

    /// The account of this name.
    pub async fn account(&self, username: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query("SELECT * FROM account WHERE username = ?")
            .bind(username)
            .fetch_optional(&self.read)
            .await?;
        Ok(row.as_ref().map(account).transpose()?)
    }

    /// Makes an account; `is_first`: only where there is none yet.
    pub async fn add_account(
        &self,
        username: &str,
        password: &str,
        role: Role,
        is_first: bool,
    ) -> Result<Changed, StoreError> {
        let done = sqlx::query(
            "INSERT INTO account (username, password, role, created_at) \
             SELECT ?, ?, ?, ? WHERE NOT ? OR NOT EXISTS (SELECT 1 FROM account) \
             ON CONFLICT (username) DO NOTHING",
        )
        .bind(username)
        .bind(password)
        .bind(role.as_str())
        .bind(Timestamp::now().as_second())
        .bind(is_first)
        .execute(&self.write)
        .await?;
        Ok(if done.rows_affected() == 1 { Changed::Done } else { Changed::Exists })
    }

    /// Changes an account and ends its sessions. One admin stays.
    pub async fn change_account(
        &self,
        username: &str,
        change: &AccountChange,
    ) -> Result<Changed, StoreError> {
        let mut transaction = self.write.begin().await?;
        let found = sqlx::query("SELECT * FROM account WHERE username = ?")
            .bind(username)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(found) = found else { return Ok(Changed::Missing) };
        let old = account(&found)?;
        let role = change.role.unwrap_or(old.role);
        let is_disabled = change.is_disabled.unwrap_or(old.is_disabled);
        let others: i64 =
            sqlx::query_scalar(OTHER_ADMINS).bind(username).fetch_one(&mut *transaction).await?;
        if (role != Role::Admin || is_disabled) && others == 0 {
            return Ok(Changed::LastAdmin);
        }
        sqlx::query(
            "UPDATE account SET role = ?, is_disabled = ?, password = ? WHERE username = ?",
        )
        .bind(role.as_str())
        .bind(is_disabled)
        .bind(change.password.as_ref().unwrap_or(&old.password))
        .bind(username)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM session WHERE username = ?")
            .bind(username)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Changed::Done)
    }

    /// Changes the password of an account from one of its sessions; the others end.
    pub async fn change_own(
        &self,
        username: &str,
        password: &str,
        session_id: &str,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        sqlx::query("UPDATE account SET password = ? WHERE username = ?")
            .bind(password)
            .bind(username)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM session WHERE username = ? AND id <> ?")
            .bind(username)
            .bind(session_id)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Removes an account with its sessions and tokens. One admin stays.
    pub async fn remove_account(&self, username: &str) -> Result<Changed, StoreError> {
        let mut transaction = self.write.begin().await?;
        let others: i64 =
            sqlx::query_scalar(OTHER_ADMINS).bind(username).fetch_one(&mut *transaction).await?;
        let done = sqlx::query("DELETE FROM account WHERE username = ?")
            .bind(username)
            .execute(&mut *transaction)
            .await?;
        match (done.rows_affected(), others) {
            (0, _) => Ok(Changed::Missing),
            (_, 0) => Ok(Changed::LastAdmin),
            _ => {
                transaction.commit().await?;
                Ok(Changed::Done)
            }
        }
    }

    /// Notes that somebody has logged in.
    pub async fn logged_in(&self, username: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE account SET last_login_at = ? WHERE username = ?")
            .bind(Timestamp::now().as_second())
            .bind(username)
            .execute(&self.write)
            .await?;
        Ok(())
    }
}

fn account(row: &Row) -> Result<Account, sqlx::Error> {
    Ok(Account {
        username: row.try_get("username")?,
        password: row.try_get("password")?,
        role: role(row)?,
        is_disabled: row.try_get("is_disabled")?,
        created_at: second(row.try_get("created_at")?),
        last_login_at: row.try_get::<Option<i64>, _>("last_login_at")?.map(second),
    })
}

/// The role of a row. One that a newer version wrote is the smallest here.
pub(super) fn role(row: &Row) -> Result<Role, sqlx::Error> {
    let name: String = row.try_get("role")?;
    Ok(Role::parse(&name).unwrap_or(Role::Viewer))
}

/// A time of the store.
pub(super) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
}
