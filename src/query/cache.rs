//! Cached answers: weighed in bytes, one query for concurrent misses, old answers while a new one is made.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use moka::Expiry;
use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::execute::{Answer, Call, Failure, whole};
use crate::definitions::snapshot::CachePolicy;
use crate::engines::EngineError;
use crate::observe::metrics::CacheGauges;

/// Largest answer that is kept, in bytes.
pub const MAX_ENTRY_BYTES: usize = 8 << 20;
/// What an entry weighs beside its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 512;
/// Misses under way at once, over all interfaces; further ones run on their own.
const MAX_FLIGHTS: usize = 10_000;
/// After a refresh that failed, the next one waits for so long, or for as long as the datasource said.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// Key of an answer: interface, form, language and every value that the answer depends on.
pub type Key = Arc<[u8]>;

/// A cached answer.
#[derive(Debug)]
pub struct Entry {
    /// Empty for an answer that is too large to keep.
    pub body: Bytes,
    pub etag: Arc<str>,
    pub rows: u64,
    pub truncated: bool,
    made: Instant,
    policy: CachePolicy,
    is_too_large: bool,
    /// After a refresh that failed: when the next one may begin.
    refresh_from: Mutex<Option<Instant>>,
}

impl Entry {
    /// Whole seconds since it was made.
    pub fn age_seconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.made).as_secs()
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < self.policy.ttl
    }
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found {
    Fresh(Arc<Entry>),
    /// Past its time, yet good while a new one is made.
    Stale(Arc<Entry>),
    /// Known to be too large: run it on its own.
    TooLarge,
    Nothing,
}

type Outcome = Result<Arc<Entry>, Failure>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// The cache of all interfaces.
pub struct AnswerCache {
    entries: Cache<Key, Arc<Entry>, RandomState>,
    flights: Arc<Mutex<HashMap<Key, Flight>>>,
}

impl std::fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerCache").finish_non_exhaustive()
    }
}

/// An entry lives as long as it may be given, fresh or stale.
struct Lifetime;

impl Expiry<Key, Arc<Entry>> for Lifetime {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.policy.ttl + entry.policy.stale)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Arc<Entry>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.policy.ttl + entry.policy.stale)
    }
}

impl AnswerCache {
    /// A cache of at most `max_bytes`.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |key: &Key, entry: &Arc<Entry>| {
            u32::try_from(key.len() + entry.body.len() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .expire_after(Lifetime)
            .build_with_hasher(RandomState::new());
        Self { entries, flights: Arc::default() }
    }

    /// What is there for a key.
    pub fn find(&self, key: &[u8], now: Instant) -> Found {
        match self.entries.get(key) {
            None => Found::Nothing,
            Some(entry) if entry.is_too_large && entry.is_fresh(now) => Found::TooLarge,
            Some(entry) if entry.is_too_large => Found::Nothing,
            Some(entry) if entry.is_fresh(now) => Found::Fresh(entry),
            Some(entry) => Found::Stale(entry),
        }
    }

    /// Makes the answer, or joins the flight that is making it. The flight goes on if its first caller goes away.
    ///
    /// # Errors
    /// As the query fails; `TooLarge` where the answer cannot be kept.
    pub async fn make(&self, key: Key, call: Call, policy: CachePolicy) -> Outcome {
        self.fly(key, call, policy).await
    }

    /// Makes the answer anew without waiting for it, unless that failed a moment ago.
    pub fn refresh(&self, entry: &Entry, now: Instant, key: Key, call: Call, policy: CachePolicy) {
        if entry.refresh_from.lock().is_some_and(|from| now < from) {
            return;
        }
        // The flight is a task of its own, so dropping this handle does not stop it.
        drop(self.fly(key, call, policy));
    }

    fn fly(&self, key: Key, call: Call, policy: CachePolicy) -> Flight {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        let (entries, all, own) = (self.entries.clone(), Arc::clone(&self.flights), key.clone());
        let task = Handle::current().spawn(async move {
            let landing = Landing { flights: all, key: own.clone() };
            let outcome = run(&call, policy).await;
            match &outcome {
                Ok(entry) => entries.insert(own, entry.clone()),
                Err(failure) => {
                    if let Some(old) = entries.get(&own) {
                        *old.refresh_from.lock() = Some(Instant::now() + pause_after(failure));
                    }
                }
            }
            drop(landing);
            match outcome {
                Ok(entry) if entry.is_too_large => Err(Failure::TooLarge),
                outcome => outcome,
            }
        });
        let flight = async move { task.await.unwrap_or(Err(Failure::Abandoned)) }.boxed().shared();
        if flights.len() < MAX_FLIGHTS {
            flights.insert(key, flight.clone());
        }
        flight
    }

    /// Its size now.
    pub fn gauges(&self) -> CacheGauges {
        // What was put in or has expired lately counts too.
        self.entries.run_pending_tasks();
        CacheGauges { bytes: self.entries.weighted_size(), entries: self.entries.entry_count() }
    }
}

/// Takes the flight off the list, however it ends.
struct Landing {
    flights: Arc<Mutex<HashMap<Key, Flight>>>,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

async fn run(call: &Call, policy: CachePolicy) -> Outcome {
    let (answer, is_too_large) = match whole(call, MAX_ENTRY_BYTES).await {
        Ok(answer) => (answer, false),
        Err(Failure::TooLarge) => (Answer::default(), true),
        Err(failure) => return Err(failure),
    };
    let body = Bytes::from(answer.tail);
    Ok(Arc::new(Entry {
        etag: etag(&body),
        body,
        rows: answer.rows,
        truncated: answer.truncated,
        made: Instant::now(),
        policy,
        is_too_large,
        refresh_from: Mutex::default(),
    }))
}

fn pause_after(failure: &Failure) -> Duration {
    match failure {
        Failure::Engine(
            EngineError::Busy { retry_after } | EngineError::Shut { retry_after, .. },
        ) => (*retry_after).clamp(REFRESH_PAUSE, LONGEST_REFRESH_PAUSE),
        _ => REFRESH_PAUSE,
    }
}

/// A weak tag: the same answer may leave in several encodings.
fn etag(body: &[u8]) -> Arc<str> {
    let digest = Sha256::digest(body);
    format!("W/\"{}\"", crate::definitions::load::hex(&digest[..12])).into()
}
