//! Keys that come by URL: kept, refreshed in the background, and asked for at once when a token names an unknown one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::fetch;
use super::key_set::KeySet;
use crate::definitions::snapshot::JwksUrl;

/// How often keys are fetched while all is well: so long a key that its issuer took back may still pass.
const REFRESH_EVERY: Duration = Duration::from_mins(5);
/// How often they are fetched after a fetch that failed.
const RETRY_EVERY: Duration = Duration::from_secs(15);
/// How often an unknown key may have them fetched: whoever makes keys up must not make us hammer their issuer.
const DEMAND_EVERY: Duration = Duration::from_secs(2);
/// Longest wait of a call for keys that it asked for: for its turn, and for the fetch.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// How long keys pass that could not be fetched again.
const KEEP_FOR: Duration = Duration::from_hours(24);

/// The keys at one URL. Lives across reloads while the URL is the same.
pub struct RemoteKeys {
    source: JwksUrl,
    ca_file: Option<PathBuf>,
    current: ArcSwap<Fetched>,
    progress: Mutex<Progress>,
    /// Fetches that have ended.
    ended: watch::Sender<u64>,
    pub fetched: AtomicU64,
    pub failed: AtomicU64,
}

/// What the last good fetch brought.
#[derive(Clone, Default)]
struct Fetched {
    keys: Arc<KeySet>,
    /// SHA-256 of the text: the same text is the same set.
    digest: [u8; 32],
    at: Option<(Instant, Timestamp)>,
}

/// Which fetches there were.
#[derive(Debug, Default)]
struct Progress {
    is_fetching: bool,
    is_failing: bool,
    began: Option<Instant>,
    demanded: Option<Instant>,
}

impl Progress {
    /// Whether it is time for a fetch that nobody waits for.
    fn is_due(&self, now: Instant) -> bool {
        let pause = if self.is_failing { RETRY_EVERY } else { REFRESH_EVERY };
        !self.is_fetching
            && self.began.is_none_or(|began| now.saturating_duration_since(began) >= pause)
    }

    /// How long a call waits until it may cause a fetch; `None`: it need not, the issuer was just found to be away.
    fn until_demand(&self, now: Instant) -> Option<Duration> {
        let since = self.demanded.map(|at| now.saturating_duration_since(at));
        let pause = since.map_or(Duration::ZERO, |since| DEMAND_EVERY.saturating_sub(since));
        (pause.is_zero() || self.is_fetching || !self.is_failing).then_some(pause)
    }
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys").field("source", &self.source).finish_non_exhaustive()
    }
}

impl RemoteKeys {
    /// Keys that are not fetched yet; the file of authorities is relative to `root`.
    pub fn new(source: JwksUrl, root: &Path) -> Self {
        let ca_file = source.ca_file.as_ref().map(|file| root.join(file));
        Self {
            source,
            ca_file,
            current: ArcSwap::default(),
            progress: Mutex::default(),
            ended: watch::Sender::default(),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Where they come from.
    pub fn source(&self) -> &JwksUrl {
        &self.source
    }

    /// The keys; none before the first good fetch, nor long after the last one.
    pub fn keys(&self, now: Instant) -> Arc<KeySet> {
        let fetched = self.current.load();
        match fetched.at {
            Some((at, _)) if now.saturating_duration_since(at) < KEEP_FOR => fetched.keys.clone(),
            _ => Arc::default(),
        }
    }

    /// When they were last fetched.
    pub fn fetched_at(&self) -> Option<Timestamp> {
        self.current.load().at.map(|(_, at)| at)
    }

    /// Has them fetched if it is time. Does not wait.
    pub fn refresh_if_due(self: &Arc<Self>, now: Instant) {
        let mut progress = self.progress.lock();
        if progress.is_due(now) {
            self.begin(&mut progress, now);
        }
    }

    /// A token names a key that is not there: has them fetched, and waits a short while for that. Where they were just
    /// fetched for another one, it waits for its turn; where that failed, it does not.
    pub async fn demand(self: &Arc<Self>, now: Instant) {
        // Late keys are there for the next call.
        let _ = timeout(MAX_WAIT, self.next_fetch(now)).await;
    }

    /// Returns when a fetch has ended.
    async fn next_fetch(self: &Arc<Self>, now: Instant) {
        let mut ended = self.ended.subscribe();
        let Some(pause) = self.progress.lock().until_demand(now) else { return };
        tokio::select! {
            _ = ended.changed() => return,
            () = sleep(pause) => {}
        }
        {
            let mut progress = self.progress.lock();
            // Of those whose turn it is, the first one has them fetched.
            if !progress.is_fetching && !ended.has_changed().unwrap_or(true) {
                let now = now + pause;
                progress.demanded = Some(now);
                self.begin(&mut progress, now);
            }
        }
        let _ = ended.changed().await;
    }

    /// Fetches on a thread of its own: one at a time, and rarely.
    fn begin(self: &Arc<Self>, progress: &mut Progress, now: Instant) {
        progress.began = Some(now);
        progress.is_fetching = true;
        let keys = self.clone();
        let begun = thread::Builder::new().name("jwks".into()).spawn(move || {
            let Ends(keys) = &Ends(keys);
            keys.take(fetch::get(&keys.source.url, keys.ca_file.as_deref()), Instant::now());
        });
        if let Err(error) = begun {
            progress.is_fetching = false;
            tracing::error!(%error, "no thread to fetch keys on");
        }
    }

    fn take(&self, answer: Result<String, fetch::FetchError>, now: Instant) {
        let parsed = answer.map_err(|error| error.to_string()).and_then(|text| {
            let set = KeySet::from_jwks(&text).map_err(|error| format!("no JWKS: {error}"))?;
            Ok((set, Sha256::digest(&text).into()))
        });
        let url = self.source.url.as_str();
        match parsed {
            Ok(((set, unused), digest)) => {
                let old = self.current.load_full();
                let at = Some((now, Timestamp::now()));
                // Tokens are remembered with the set that verified them.
                let next = if old.at.is_some() && old.digest == digest {
                    Fetched { at, ..Fetched::clone(&old) }
                } else {
                    for (number, reason) in unused {
                        tracing::warn!(url, number, reason, "a key of the set is not used");
                    }
                    tracing::info!(url, keys = set.len(), "keys fetched");
                    Fetched { keys: Arc::new(set), digest, at }
                };
                self.current.store(Arc::new(next));
                self.fetched.fetch_add(1, Relaxed);
                if std::mem::replace(&mut self.progress.lock().is_failing, false) {
                    tracing::info!(url, "keys can be fetched again");
                }
            }
            Err(error) => {
                self.failed.fetch_add(1, Relaxed);
                // Said once for a failure, however long it lasts.
                if !std::mem::replace(&mut self.progress.lock().is_failing, true) {
                    tracing::warn!(url, error, "keys cannot be fetched; those there are stay");
                }
            }
        }
    }
}

/// Tells those who wait that the fetch has ended, however it did.
struct Ends(Arc<RemoteKeys>);

impl Drop for Ends {
    fn drop(&mut self) {
        // In one step: who sees that no fetch runs must see that one has ended.
        let mut progress = self.0.progress.lock();
        progress.is_fetching = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn remote() -> RemoteKeys {
        RemoteKeys::new(
            JwksUrl { url: "http://127.0.0.1:9/".into(), ca_file: None },
            Path::new("."),
        )
    }

    #[test]
    fn fetches_keep_their_distance() {
        let began = Instant::now();
        let after = |pause: Duration| began + pause;
        let moment = Duration::from_millis(1);
        let before = |pause: Duration| began + pause.saturating_sub(moment);
        let mut progress = Progress::default();
        assert!(progress.is_due(began));
        assert_eq!(progress.until_demand(began), Some(Duration::ZERO));
        progress.began = Some(began);
        assert!(!progress.is_due(before(REFRESH_EVERY)));
        assert!(progress.is_due(after(REFRESH_EVERY)));
        // An unknown key need not wait for what was fetched by the clock, but for what another one caused.
        assert_eq!(progress.until_demand(began), Some(Duration::ZERO));
        progress.demanded = Some(began);
        assert_eq!(progress.until_demand(before(DEMAND_EVERY)), Some(moment));
        assert_eq!(progress.until_demand(after(DEMAND_EVERY)), Some(Duration::ZERO));
        // An issuer that is away is not waited for.
        progress.is_failing = true;
        assert_eq!(progress.until_demand(after(moment)), None);
        assert_eq!(progress.until_demand(after(DEMAND_EVERY)), Some(Duration::ZERO));
        assert!(!progress.is_due(before(RETRY_EVERY)));
        assert!(progress.is_due(after(RETRY_EVERY)));
        progress.is_fetching = true;
        assert!(!progress.is_due(after(REFRESH_EVERY)));
    }

    #[test]
    fn keys_outlive_failures_for_a_while() {
        let remote = remote();
        let began = Instant::now();
        assert!(remote.keys(began).is_empty());
        remote.take(Ok(format!("{{\"keys\":[{KEY}]}}")), began);
        let first = remote.keys(began);
        assert_eq!(first.len(), 1);
        for broken in [Err(fetch::FetchError::Status(503)), Ok("<html>".into()), Ok("[]".into())] {
            remote.take(broken, began + KEEP_FOR / 2);
            assert!(Arc::ptr_eq(&first, &remote.keys(began + KEEP_FOR / 2)));
        }
        assert!(remote.keys(began + KEEP_FOR).is_empty());
        assert_eq!((remote.fetched.load(Relaxed), remote.failed.load(Relaxed)), (1, 3));
        // The same text is the same set, and fresh again.
        remote.take(Ok(format!("{{\"keys\":[{KEY}]}}")), began + KEEP_FOR);
        assert!(Arc::ptr_eq(&first, &remote.keys(began + KEEP_FOR)));
        // A set without keys takes them all back.
        remote.take(Ok("{\"keys\":[]}".into()), began + KEEP_FOR);
        assert!(remote.keys(began + KEEP_FOR).is_empty());
    }
}
