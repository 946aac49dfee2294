//! How the gateway takes leave of its callers: first each answer says so, then what is idle is closed.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::sync::watch;

use super::head::Head;

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
    reached: AtomicU8,
    phase: watch::Sender<Phase>,
}

impl Default for Leave {
    fn default() -> Self {
        Self { reached: AtomicU8::new(0), phase: watch::Sender::new(Phase::Serving) }
    }
}

impl Leave {
    /// Goes on to a phase.
    pub fn enter(&self, phase: Phase) {
        self.reached.fetch_max(phase as u8, Relaxed);
        self.phase.send_if_modified(|now| {
            let is_later = *now < phase;
            *now = phase.max(*now);
            is_later
        });
    }

    /// Whether the gateway has gone so far.
    pub fn has_reached(&self, phase: Phase) -> bool {
        self.reached.load(Relaxed) >= phase as u8
    }

    /// Tells the caller of an HTTP/1 answer not to send its next call on this connection.
    pub fn tell(&self, head: &mut Head) {
        head.is_last |= self.has_reached(Phase::Leaving);
    }

    /// Returns when the gateway has gone so far.
    pub async fn reached(&self, phase: Phase) {
        // The sender is `self`, so that the wait cannot break off.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}
