//! Notices changes of the definitions directory: file events as a hint, a cheap look at every file as the truth.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::{Config, EventKindMask, RecursiveMode, Watcher};

use super::reload::{BY_WATCH, Live};
use crate::definitions::load::{FOLDERS, stamp};
use crate::pace;

/// How often the files are looked at, whatever events say: events get lost, and symbolic links are swapped.
const LOOK_EVERY: Duration = Duration::from_millis(900);
/// A look may take one part in so many of the time: many files are looked at less often, and events tell in between.
const LOOK_SHARE: u32 = 50;
/// Longest pause between two looks.
const LOOK_EVERY_AT_MOST: Duration = Duration::from_secs(15);
/// Writers save in several steps; this long without an event counts as done.
const QUIET_FOR: Duration = Duration::from_millis(60);
/// Looks at the files in a row that wait for writers to become quiet.
const MAX_WAITS: usize = 10;

/// What may mean a change. To read the files, as a reload does, would be two events for each of them.
const CHANGES: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

/// Watches until the returned guard is dropped.
#[derive(Debug)]
pub struct Watch {
    _stop: SyncSender<()>,
}

impl Watch {
    /// Starts the thread that watches the root of `live` and reloads.
    pub fn start(live: Arc<Live>) -> std::io::Result<Self> {
        // One event says as much as many.
        let (hint, hints) = sync_channel(1);
        let (stop, stopped) = sync_channel(1);
        thread::Builder::new()
            .name("watch".into())
            .spawn(move || pace::beside_calls(|| run(&live, &hint, &hints, &stopped)))?;
        Ok(Self { _stop: stop })
    }
}

fn run(live: &Live, hint: &SyncSender<()>, hints: &Receiver<()>, stopped: &Receiver<()>) {
    let mut watcher = watcher(live.root(), hint);
    let started = Instant::now();
    let mut seen = stamp(live.root());
    let mut pause = pause_after(started.elapsed());
    // Between the first load and the first look a file may have changed.
    live.reload_if_changed(BY_WATCH);
    while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
        if hints.recv_timeout(pause).is_ok() {
            settle(hints);
        }
        let started = Instant::now();
        let now = stamp(live.root());
        pause = pause_after(started.elapsed());
        if now == seen {
            continue;
        }
        seen = now;
        live.reload_if_changed(BY_WATCH);
        // New folders and swapped links need watching as well.
        watcher = self::watcher(live.root(), hint).or(watcher);
    }
}

/// How long until the next look after one that took so long.
fn pause_after(look: Duration) -> Duration {
    (look * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_EVERY_AT_MOST)
}

fn settle(hints: &Receiver<()>) {
    for _ in 0..MAX_WAITS {
        if hints.recv_timeout(QUIET_FOR) == Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn watcher(root: &Path, hint: &SyncSender<()>) -> Option<notify::RecommendedWatcher> {
    let hint = hint.clone();
    let tell = move |_: notify::Result<notify::Event>| {
        let _ = hint.try_send(());
    };
    let config = Config::default().with_event_kinds(CHANGES);
    let mut watcher = notify::RecommendedWatcher::new(tell, config).ok()?;
    for folder in FOLDERS {
        let path = root.join(folder);
        if path.is_dir()
            && let Err(error) = watcher.watch(&path, RecursiveMode::Recursive)
        {
            tracing::warn!(%error, folder, "cannot watch; changes are still seen by looking");
        }
    }
    Some(watcher)
}
