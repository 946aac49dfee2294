//! Whether a datasource is well: the breaker, fed by how queries end, and a check beside the pool where they end in silence.
//!
//! ```text
//! answer ─► well      broken ─► ill, five in a row open      silence ─► check ─► no answer either: open at once
//! open ─► pause ─► the next caller's check is the probe ─► well: everybody passes, the next failure opens again
//! ```
//! A query that times out says nothing of the datasource: it may be slow, or the datasource may hang. A connection of its
//! own tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::any::{AnyEngine, with_engine};
use super::breaker::{Breaker, Passage, State};
use super::{Engine, EngineError};
use crate::observe::Observer;
use crate::observe::event::{BreakerState, Event};
use crate::observe::series::DatasourceMetrics;

/// A datasource at work that has said nothing for so long is checked when the next query comes, and when one goes away.
const SILENCE: Duration = Duration::from_secs(2);
/// How much longer than connecting a check may take.
const CHECK_SLACK: Duration = Duration::from_secs(1);

/// How a datasource has been since it last became well or ill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub since: Timestamp,
    /// What was last wrong with it, while it is ill.
    pub error: Option<String>,
    /// When the breaker lets somebody try again, while it is open.
    pub retry_at: Option<Timestamp>,
}

/// The health of one datasource.
pub(super) struct Health {
    engine: Arc<AnyEngine>,
    breaker: Breaker,
    check_limit: Duration,
    is_up: AtomicBool,
    /// When `is_up` last changed, and why it is not.
    standing: Mutex<(Timestamp, Option<String>)>,
    /// When something was heard of it, or it began to work, and when a check may begin; counted from `origin`.
    heard_us: AtomicU64,
    check_from_us: AtomicU64,
    origin: Instant,
    observer: Observer,
    metrics: Arc<DatasourceMetrics>,
}

impl Health {
    /// Of a datasource that nothing bad is known of. `connect_limit`: the longest wait for a new connection.
    pub fn new(
        engine: Arc<AnyEngine>,
        connect_limit: Duration,
        observer: Observer,
        metrics: Arc<DatasourceMetrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            breaker: Breaker::default(),
            check_limit: connect_limit + CHECK_SLACK,
            is_up: AtomicBool::new(true),
            standing: Mutex::new((Timestamp::now(), None)),
            heard_us: AtomicU64::new(0),
            check_from_us: AtomicU64::new(0),
            origin: Instant::now(),
            observer,
            metrics,
        })
    }

    /// Whether the last that was heard of it was good.
    pub fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    /// What the breaker does now.
    pub fn breaker(&self) -> BreakerState {
        label(self.breaker.state())
    }

    /// How it has been, and since when.
    pub fn standing(&self) -> Standing {
        let (since, error) = self.standing.lock().clone();
        let later = |wait: Duration| Timestamp::now().checked_add(wait).ok();
        Standing { since, error, retry_at: self.refusal().and_then(later) }
    }

    /// A new connection has just been made, and the breaker need not wait for its probe.
    pub fn vouch(&self) {
        let now = Instant::now();
        self.heard(now);
        self.set_up(true, String::new);
        self.tell(self.breaker.probed(true, now), String::new);
    }

    /// Says why the datasource is shut, where it is that rather than busy.
    pub fn because(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Busy { retry_after } if self.breaker.state() != State::Closed => {
                let cause = self.standing.lock().1.clone().unwrap_or_default();
                EngineError::Shut { retry_after, cause }
            }
            error => error,
        }
    }

    /// When to come back, while the breaker lets nobody pass.
    pub fn refusal(&self) -> Option<Duration> {
        self.breaker.refusal(Instant::now())
    }

    /// Asks to use the datasource; first after a pause of the breaker, waits for its check. `is_idle`: nobody else does.
    ///
    /// # Errors
    /// `Busy` while the breaker is open, see [`Self::because`]; as the check fails; `Timeout` at `deadline`.
    pub async fn admit(
        self: &Arc<Self>,
        now: Instant,
        deadline: Instant,
        is_idle: bool,
    ) -> Result<(), EngineError> {
        let busy = |retry_after| EngineError::Busy { retry_after };
        let passage = self.breaker.admit(now, self.check_limit).map_err(busy)?;
        if passage == Passage::Probe {
            return self.probe(deadline).await;
        }
        if is_idle {
            self.heard(now);
        } else if now.saturating_duration_since(self.heard_at()) > SILENCE {
            self.suspect(now);
        }
        Ok(())
    }

    /// Learns from the end of a query that began at `started`; `is_silent`: nothing of an answer had come.
    pub fn settle(
        self: &Arc<Self>,
        error: Option<&EngineError>,
        started: Instant,
        is_silent: bool,
    ) {
        let now = Instant::now();
        match error {
            None | Some(EngineError::Statement { .. }) => self.is(true, now, String::new),
            Some(EngineError::Unavailable(_)) => {
                self.is(false, now, || error.map(ToString::to_string).unwrap_or_default());
            }
            Some(EngineError::Timeout) if is_silent && self.heard_at() <= started => {
                self.suspect(now);
            }
            Some(_) => {}
        }
    }

    /// Learns that the caller of a query that began at `started` has gone away.
    pub fn abandoned(self: &Arc<Self>, started: Instant) {
        let now = Instant::now();
        if now.saturating_duration_since(started.max(self.heard_at())) > SILENCE {
            self.suspect(now);
        }
    }

    fn is(&self, well: bool, now: Instant, cause: impl Fn() -> String) {
        if well {
            self.heard(now);
        }
        self.set_up(well, &cause);
        self.tell(self.breaker.report(well, now), cause);
    }

    /// Notes whether it is well. While it stays well this writes nothing, so that queries share no line of the processor.
    fn set_up(&self, well: bool, cause: impl Fn() -> String) {
        if well && self.is_up.load(Relaxed) {
            return;
        }
        let mut standing = self.standing.lock();
        if self.is_up.swap(well, Relaxed) != well {
            standing.0 = Timestamp::now();
        }
        standing.1 = (!well).then(cause);
    }

    /// The check of an open breaker goes on without its caller, so that it comes to an end.
    async fn probe(self: &Arc<Self>, deadline: Instant) -> Result<(), EngineError> {
        let (tell, told) = oneshot::channel();
        let health = self.clone();
        tokio::spawn(async move {
            // Its caller has time left, so that this is no timeout to it.
            let silent = || EngineError::Unavailable("a new connection has no answer".into());
            let outcome = health.check().await.map_err(|error| match error {
                EngineError::Timeout => silent(),
                error => error,
            });
            let (is_well, now) = (outcome.is_ok(), Instant::now());
            if is_well {
                health.heard(now);
            }
            let cause = || outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            health.set_up(is_well, cause);
            health.tell(health.breaker.probed(is_well, now), cause);
            // Nobody listens where the caller has gone.
            let _ = tell.send(outcome);
        });
        match tokio::time::timeout_at(deadline.into(), told).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(EngineError::Unavailable("the check broke off".into())),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    /// Checks it in a task of its own, unless that was done a moment ago.
    fn suspect(self: &Arc<Self>, now: Instant) {
        let now_us = self.since_origin(now);
        let next_us = self.since_origin(now + self.check_limit);
        let may_check = |from_us: u64| (from_us <= now_us).then_some(next_us);
        // Outside of any runtime there is nobody to wait for the answer either.
        let Ok(runtime) = Handle::try_current() else { return };
        if self.breaker.state() != State::Closed
            || self.check_from_us.fetch_update(Relaxed, Relaxed, may_check).is_err()
        {
            return;
        }
        let health = self.clone();
        runtime.spawn(async move {
            let outcome = health.check().await;
            let now = Instant::now();
            match outcome {
                Ok(()) => health.heard(now),
                Err(EngineError::Timeout) => {
                    let cause = || "queries and a new connection have no answer".to_owned();
                    health.set_up(false, cause);
                    health.tell(health.breaker.trip(now), cause);
                }
                Err(error) => health.is(false, now, || error.to_string()),
            }
        });
    }

    /// Asks for a sign of life; `Timeout` where there is none.
    async fn check(&self) -> Result<(), EngineError> {
        let check = async { with_engine!(&*self.engine, engine => engine.log_in().await) };
        let checked = tokio::time::timeout(self.check_limit, check).await;
        checked.map_or(Err(EngineError::Timeout), |done| done.map_err(|(_, error)| error))
    }

    fn tell(&self, changed: Option<State>, cause: impl FnOnce() -> String) {
        if let Some(state) = changed {
            let (datasource, state, cause) = (&*self.metrics, label(state), &*cause());
            self.observer.report(&Event::BreakerChanged { datasource, state, cause });
        }
    }

    fn heard(&self, now: Instant) {
        self.heard_us.store(self.since_origin(now), Relaxed);
    }

    fn heard_at(&self) -> Instant {
        self.origin + Duration::from_micros(self.heard_us.load(Relaxed))
    }

    fn since_origin(&self, at: Instant) -> u64 {
        let us = at.saturating_duration_since(self.origin).as_micros();
        u64::try_from(us).unwrap_or(u64::MAX)
    }
}

fn label(state: State) -> BreakerState {
    match state {
        State::Closed => BreakerState::Closed,
        State::Open => BreakerState::Open,
        State::HalfOpen => BreakerState::HalfOpen,
    }
}
