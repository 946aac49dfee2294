//! The queries that people are running by hand, by user and the id that their page gave, so that they can be cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Queries by hand at once, of all people.
pub const MAX_RUNNING: usize = 256;

/// Who runs it, and under which id.
type Key = (Arc<str>, String);

/// Characters of a statement that a list shows.
const MAX_SQL_CHARS: usize = 2_000;

/// A query that is running.
#[derive(Clone, Debug)]
pub struct Query {
    pub username: Arc<str>,
    pub id: String,
    pub datasource: String,
    pub sql: String,
    pub started_at: Timestamp,
}

#[derive(Debug)]
struct Entry {
    query: Query,
    cancel: oneshot::Sender<()>,
}

/// The registry. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Running {
    queries: Arc<Mutex<HashMap<Key, Entry>>>,
    unnamed: Arc<AtomicU64>,
}

/// Why a query may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The user is running one with this id.
    SameId,
    /// [`MAX_RUNNING`] are running.
    TooMany,
}

/// A place among the running queries. The query is told to end when this is dropped, as when its caller goes away.
#[derive(Debug)]
pub struct Ticket {
    running: Running,
    key: Key,
}

impl Running {
    /// Enters a query of `sql` on `datasource`; the receiver hears when it is to end. Without an id only operators can end it.
    ///
    /// # Errors
    /// Where it may not begin.
    pub fn enter(
        &self,
        username: &Arc<str>,
        id: Option<&str>,
        datasource: &str,
        sql: &str,
    ) -> Result<(Ticket, oneshot::Receiver<()>), NotNow> {
        // No id from outside holds a space.
        let id = id.map_or_else(
            || format!("unnamed {}", self.unnamed.fetch_add(1, Relaxed)),
            str::to_owned,
        );
        let key = (username.clone(), id.clone());
        let mut queries = self.queries.lock();
        if queries.contains_key(&key) {
            return Err(NotNow::SameId);
        }
        if queries.len() >= MAX_RUNNING {
            return Err(NotNow::TooMany);
        }
        let (cancel, cancelled) = oneshot::channel();
        let query = Query {
            username: username.clone(),
            id,
            datasource: datasource.to_owned(),
            sql: sql.chars().take(MAX_SQL_CHARS).collect(),
            started_at: Timestamp::now(),
        };
        queries.insert(key.clone(), Entry { query, cancel });
        Ok((Ticket { running: self.clone(), key }, cancelled))
    }

    /// Tells a query to end; `false` where the user runs none with this id, or it has been told.
    pub fn cancel(&self, username: &Arc<str>, id: &str) -> bool {
        let key = (username.clone(), id.to_owned());
        self.queries.lock().get_mut(&key).is_some_and(Entry::tell)
    }

    /// Tells a query to end, whoever runs it, and says who that is.
    pub fn cancel_any(&self, id: &str) -> Option<Arc<str>> {
        let mut queries = self.queries.lock();
        let mut own = queries.values_mut().filter(|entry| entry.query.id == id);
        own.find_map(|entry| entry.tell().then(|| entry.query.username.clone()))
    }

    /// The queries that are running, the longest first.
    pub fn list(&self) -> Vec<Query> {
        let queries = self.queries.lock();
        let mut list: Vec<Query> = queries.values().map(|entry| entry.query.clone()).collect();
        list.sort_by_key(|query| query.started_at);
        list
    }
}

impl Entry {
    /// Tells it to end. Its place is free again once its caller has the answer.
    fn tell(&mut self) -> bool {
        let (told, _) = oneshot::channel();
        std::mem::replace(&mut self.cancel, told).send(()).is_ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.queries.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_to_end() {
        let running = Running::default();
        let (first, second): (Arc<str>, Arc<str>) = ("first".into(), "second".into());
        let (ticket, mut cancelled) = running.enter(&first, Some("a"), "lite", "SELECT 1").unwrap();
        assert_eq!(
            running.enter(&first, Some("a"), "lite", "SELECT 1").unwrap_err(),
            NotNow::SameId
        );
        let (other, mut others) = running.enter(&second, Some("a"), "lite", "SELECT 1").unwrap();
        assert!(!running.cancel(&first, "b"));
        assert!(cancelled.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        assert!(running.cancel(&first, "a"));
        assert_eq!(cancelled.try_recv(), Ok(()));
        assert!(!running.cancel(&first, "a"), "told twice");
        assert_eq!(running.list().len(), 2);
        assert_eq!(running.cancel_any("a").as_deref(), Some("second"));
        assert_eq!(others.try_recv(), Ok(()));
        drop(other);
        drop(ticket);
        assert_eq!(running.list().len(), 0);
        assert!(running.enter(&first, Some("a"), "lite", "SELECT 1").is_ok());
    }

    #[test]
    fn there_are_only_so_many() {
        let running = Running::default();
        let first: Arc<str> = "first".into();
        let tickets: Vec<_> = (0..MAX_RUNNING)
            .map(|_| running.enter(&first, None, "lite", "SELECT 1").unwrap())
            .collect();
        assert_eq!(running.enter(&first, None, "lite", "SELECT 1").unwrap_err(), NotNow::TooMany);
        drop(tickets);
        assert!(running.enter(&first, None, "lite", "SELECT 1").is_ok());
    }
}
