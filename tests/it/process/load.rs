//! Callers that call one after the other without a pause, each on a connection that it keeps as long as it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use crate::support::raw::Raw;

/// Callers at work.
pub struct Load {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// So many callers of one path, each until it is told to end or nobody listens any more.
    pub fn start(port: u16, callers: usize, path: &'static str) -> Self {
        let (ends, answered) = (Arc::default(), Arc::default());
        let callers = (0..callers)
            .map(|_| {
                let caller = Caller {
                    port,
                    path,
                    ends: Arc::clone(&ends),
                    answered: Arc::clone(&answered),
                    failures: Vec::new(),
                };
                std::thread::spawn(move || caller.run())
            })
            .collect();
        Self { ends, answered, callers }
    }

    /// Calls answered with 200 so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Ends the callers: how many calls were answered, and what went wrong.
    pub fn end(self) -> (u64, Vec<String>) {
        self.ends.store(true, Relaxed);
        let failures = self.callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        (self.answered.load(Relaxed), failures)
    }
}

struct Caller {
    port: u16,
    path: &'static str,
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failures: Vec<String>,
}

impl Caller {
    fn run(mut self) -> Vec<String> {
        while !self.ends.load(Relaxed) {
            let Some(line) = Raw::to(self.port) else { break };
            self.use_up(line);
        }
        self.failures
    }

    /// Calls on one connection until the gateway says that it closes it.
    fn use_up(&mut self, mut line: Raw) {
        for calls in 0.. {
            if self.ends.load(Relaxed) {
                return;
            }
            let is_sent = line.request(&format!("GET {}", self.path), "");
            match line.answer().filter(|_| is_sent) {
                Some(answer) if answer.status == 200 => {
                    self.answered.fetch_add(1, Relaxed);
                    if answer.header("connection") == Some("close") {
                        return;
                    }
                }
                Some(answer) => self.failures.push(format!("{}: {}", answer.status, answer.text())),
                // A listener that closes takes those with it whom it has not accepted; then nobody is let in any more.
                None if calls == 0 && Raw::to(self.port).is_none() => return,
                None => {
                    return self
                        .failures
                        .push(format!("no answer to call {calls} of a connection"));
                }
            }
        }
    }
}
