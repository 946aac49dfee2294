//! Frees generations that were replaced, so that no thread that answers calls has to.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::generation::Generation;
use crate::pace;

/// Generations that wait to be freed; those beyond are freed by whoever holds them last.
const MAX_RETIRED: usize = 8;
/// How often it is looked whether anybody still holds one, and how many times: connections without a call let go of theirs within
/// two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const MAX_LOOKS: usize = 250;

/// The generations that wait to be freed, by a thread that ends with this.
#[derive(Debug)]
pub(super) struct Retired(Option<SyncSender<Arc<Generation>>>);

impl Retired {
    /// Of none; without a thread nothing waits.
    pub(super) fn start() -> Self {
        let (sender, retired) = sync_channel(MAX_RETIRED);
        let thread = thread::Builder::new().name("retire".into());
        let started = thread.spawn(move || pace::beside_calls(|| run(&retired)));
        Self(started.ok().map(|_| sender))
    }

    /// Takes one that serves no new calls.
    pub(super) fn add(&self, old: Arc<Generation>) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(old);
        }
    }
}

fn run(retired: &Receiver<Arc<Generation>>) {
    for mut old in retired {
        for _ in 0..MAX_LOOKS {
            match Arc::try_unwrap(old) {
                Ok(generation) => {
                    generation.free();
                    break;
                }
                Err(held) => old = held,
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
