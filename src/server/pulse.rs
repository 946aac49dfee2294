//! Whether the process is alive: a thread that belongs to no runtime asks each of them for a sign, and tells the service
//! manager only when all have given one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::notify::Notify;
use crate::live::reload::Live;

/// How often it is looked whether the status has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The thread that tells, until this is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    _stop: SyncSender<()>,
}

impl Heartbeat {
    /// Starts to tell the status of `live` when it changes and, every half `watchdog`, that the runtimes are alive.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start(
        notify: Notify,
        watchdog: Option<Duration>,
        runtimes: Vec<Handle>,
        live: Arc<Live>,
    ) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        if notify.is_heard() {
            let every = watchdog.map_or(LOOK_EVERY, |period| (period / 2).min(LOOK_EVERY));
            let pulses = runtimes.into_iter().map(Pulse::new).collect();
            let wanted = watchdog.is_some();
            let beat = move || run(&notify, wanted.then_some(pulses), every, &live, &stopped);
            thread::Builder::new().name("heartbeat".to_owned()).spawn(beat)?;
        }
        Ok(Self { _stop: stop })
    }
}

fn run(
    notify: &Notify,
    mut pulses: Option<Vec<Pulse>>,
    every: Duration,
    live: &Live,
    stopped: &Receiver<()>,
) {
    let mut told = status(live);
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if let Some(pulses) = &mut pulses
            && all_beat(pulses, every)
        {
            notify.alive();
        }
        let now = status(live);
        if now != told {
            notify.status(&now);
            told = now;
        }
    }
}

/// One line on what serves, and what the last reload found.
pub fn status(live: &Live) -> String {
    let generation = live.current();
    let snapshot = &generation.snapshot;
    let revision = match snapshot.revision.as_str() {
        "" => String::new(),
        revision => format!(", revision {revision}"),
    };
    let status = format!("serving {} interfaces{revision}", snapshot.interfaces.len());
    let last = live.last();
    let problems: Vec<_> = last.problems.iter().filter(|problem| problem.is_error()).collect();
    match problems.first() {
        None => status,
        Some(first) => {
            let count = problems.len();
            format!("{status}; last reload failed with {count} problems, the first: {first}")
        }
    }
}

/// Whether every runtime gives a sign within `patience`.
fn all_beat(pulses: &mut [Pulse], patience: Duration) -> bool {
    let until = Instant::now() + patience;
    // Each is asked before the first is waited for.
    pulses.iter_mut().for_each(Pulse::ask);
    let mut all = true;
    for pulse in pulses {
        // Each is looked at, so that no sign is left lying for the next time.
        all &= pulse.beats(until.saturating_duration_since(Instant::now()));
    }
    all
}

/// A runtime that is asked for signs.
struct Pulse {
    runtime: Handle,
    /// A sign that it owes. No second one is asked for before: they would pile up on a runtime that is stuck.
    owed: Option<Receiver<()>>,
}

impl Pulse {
    fn new(runtime: Handle) -> Self {
        Self { runtime, owed: None }
    }

    fn ask(&mut self) {
        if self.owed.is_none() {
            let (sign, owed) = sync_channel(1);
            self.runtime.spawn(async move {
                let _ = sign.send(());
            });
            self.owed = Some(owed);
        }
    }

    fn beats(&mut self, patience: Duration) -> bool {
        let Some(owed) = &self.owed else { return false };
        // A runtime that has ended drops the sign: that is no beat either.
        let is_alive = match owed.recv_timeout(patience) {
            Ok(()) => true,
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => return false,
        };
        self.owed = None;
        is_alive
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn a_stuck_runtime_gives_no_sign_until_it_moves() {
        let (alive, stuck) = (runtime(), runtime());
        let (release, held) = sync_channel::<()>(1);
        let (begun, begins) = sync_channel(1);
        stuck.spawn(async move {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        begins.recv().unwrap();
        let mut pulses = [alive, stuck].map(|runtime| {
            let pulse = Pulse::new(runtime.handle().clone());
            (runtime, pulse)
        });
        let mut beat = |patience| {
            let [(_, first), (_, second)] = &mut pulses;
            first.ask();
            second.ask();
            (first.beats(PATIENCE), second.beats(patience))
        };
        assert_eq!(beat(SOON), (true, false));
        assert_eq!(beat(SOON), (true, false));
        drop(release);
        assert_eq!(beat(PATIENCE), (true, true));
    }

    #[test]
    fn all_must_beat() {
        let (alive, ended) = (runtime(), runtime());
        let handles = [alive.handle().clone(), ended.handle().clone()];
        let mut pulses = handles.map(Pulse::new);
        assert!(all_beat(&mut pulses, PATIENCE));
        ended.shutdown_timeout(PATIENCE);
        assert!(!all_beat(&mut pulses, PATIENCE));
    }
}
