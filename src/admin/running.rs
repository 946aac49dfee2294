//! The queries that people are running by hand, by user and the id that their page gave, so that they can be cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Queries by hand at once, of all people.
pub const MAX_RUNNING: usize = 256;

/// Who runs it, and under which id.
type Key = (Arc<str>, String);

/// The registry. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Running {
    queries: Arc<Mutex<HashMap<Key, oneshot::Sender<()>>>>,
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
    /// Enters a query; the receiver hears when it is to end. Without an id nobody else can end it.
    ///
    /// # Errors
    /// Where it may not begin.
    pub fn enter(
        &self,
        username: &Arc<str>,
        id: Option<&str>,
    ) -> Result<(Ticket, oneshot::Receiver<()>), NotNow> {
        // No id from outside holds a space.
        let id = id.map_or_else(
            || format!("unnamed {}", self.unnamed.fetch_add(1, Relaxed)),
            str::to_owned,
        );
        let key = (username.clone(), id);
        let mut queries = self.queries.lock();
        if queries.contains_key(&key) {
            return Err(NotNow::SameId);
        }
        if queries.len() >= MAX_RUNNING {
            return Err(NotNow::TooMany);
        }
        let (cancel, cancelled) = oneshot::channel();
        queries.insert(key.clone(), cancel);
        Ok((Ticket { running: self.clone(), key }, cancelled))
    }

    /// Tells a query to end; `false` where the user runs none with this id, or it has been told.
    pub fn cancel(&self, username: &Arc<str>, id: &str) -> bool {
        let key = (username.clone(), id.to_owned());
        // Its place is free again once its caller has the answer.
        let mut queries = self.queries.lock();
        let Some(cancel) = queries.get_mut(&key) else { return false };
        let (told, _) = oneshot::channel();
        std::mem::replace(cancel, told).send(()).is_ok()
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
        let (ticket, mut cancelled) = running.enter(&first, Some("a")).unwrap();
        assert_eq!(running.enter(&first, Some("a")).unwrap_err(), NotNow::SameId);
        let (other, mut others) = running.enter(&second, Some("a")).unwrap();
        assert!(!running.cancel(&first, "b"));
        assert!(cancelled.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        assert!(running.cancel(&first, "a"));
        assert_eq!(cancelled.try_recv(), Ok(()));
        assert!(!running.cancel(&first, "a"), "told twice");
        assert!(others.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        drop(other);
        assert!(others.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Closed));
        drop(ticket);
        assert!(running.enter(&first, Some("a")).is_ok());
    }

    #[test]
    fn there_are_only_so_many() {
        let running = Running::default();
        let first: Arc<str> = "first".into();
        let tickets: Vec<_> =
            (0..MAX_RUNNING).map(|_| running.enter(&first, None).unwrap()).collect();
        assert_eq!(running.enter(&first, None).unwrap_err(), NotNow::TooMany);
        drop(tickets);
        assert!(running.enter(&first, None).is_ok());
    }
}
