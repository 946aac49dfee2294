//! How the gateway takes leave of its callers: first each answer says so, then what is idle is closed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::header::{CONNECTION, HeaderValue};
use http::{HeaderMap, Version};
use tokio::sync::watch;

/// How far the gateway has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It stays.
    Serving,
    /// It answers what arrives, with `Connection: close`.
    Leaving,
    /// Connections end with the call that is under way; those without one end now.
    Closing,
}

/// The phase, for all connections. It only goes forward.
#[derive(Debug)]
pub struct Leave {
    /// What `phase` says as well: every answer asks, and reads no lock for it.
    is_leaving: AtomicBool,
    phase: watch::Sender<Phase>,
}

impl Default for Leave {
    fn default() -> Self {
        Self { is_leaving: AtomicBool::new(false), phase: watch::Sender::new(Phase::Serving) }
    }
}

impl Leave {
    /// Goes on to a phase.
    pub fn enter(&self, phase: Phase) {
        self.is_leaving.store(phase >= Phase::Leaving, Relaxed);
        self.phase.send_if_modified(|now| {
            let is_later = *now < phase;
            *now = phase.max(*now);
            is_later
        });
    }

    /// Whether callers should go elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    /// Tells the caller of an HTTP/1 answer not to send its next call on this connection.
    pub fn tell(&self, version: Version, headers: &mut HeaderMap) {
        if self.is_leaving() && version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Returns when the gateway has gone so far.
    pub async fn reached(&self, phase: Phase) {
        // The sender is `self`, so that the wait cannot break off.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}
