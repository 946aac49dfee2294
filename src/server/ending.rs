//! How a process comes to its end: what it listens for while it serves, and the drain.
//!
//! ```text
//!                ┌─ SIGTERM ───► /readyz 503 ─► delay ─► stops accepting ─┐
//! serves ─ until ┤               `Connection: close` on answers           ├─► idle grace ─► closes idle ─► last call ends
//!                └─ successor ─► stops accepting, hands on ───────────────┘   connections
//! ```

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::admin_address::AdminAddress;
use super::data::DataAddress;
use super::handover::{Holdings, Offer, confirm};
use super::notify::Notify;
use super::pulse::{Heartbeat, status};
use super::signals::{Asked, Signals};
use super::successor::Nursery;
use crate::admin::Admin;
use crate::gateway::leave::Phase;
use crate::live::reload::{BY_SIGNAL, LastReload, Live};

/// Time in which a caller on an idle connection of a stopping process may still come and be told to go elsewhere.
const IDLE_GRACE: Duration = Duration::from_millis(250);

/// Why a process stops serving.
#[derive(Debug)]
pub enum End {
    /// It was asked to.
    Stop,
    /// A successor serves; it waits at the other end of the stream for this process to be gone.
    Relieved(UnixStream),
    /// Nothing is served on the data address any more, and nobody knows why.
    Broken,
}

/// How long a stop may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Still accepting, after `/readyz` has turned.
    pub delay: Duration,
    /// For calls under way.
    pub drain: Duration,
}

/// What serves, and what it is told and tells.
pub struct Serving {
    pub signals: Signals,
    pub data: DataAddress,
    pub admin_address: Option<AdminAddress>,
    pub admin: Arc<Admin>,
    pub notify: Notify,
    pub heartbeat: Option<Heartbeat>,
}

impl Serving {
    /// Serves until there is a reason not to.
    pub async fn until_end(&mut self, offer: Option<&Offer>, holdings: &Holdings) -> End {
        let live = &self.admin.gateway.live;
        let (mut nursery, mut reloads) = (Nursery::default(), Reloads::default());
        let successor = async {
            match offer {
                Some(offer) => offer.taken(holdings).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(successor);
        loop {
            tokio::select! {
                stream = &mut successor => return End::Relieved(stream),
                () = self.data.closed() => return End::Broken,
                () = reloads.ended() => reloads.next(live, &self.notify),
                asked = self.signals.next() => match asked {
                    Asked::Stop => return End::Stop,
                    Asked::Reload => reloads.ask(live, &self.notify),
                    Asked::Upgrade => nursery.start(),
                },
            }
        }
    }

    /// Answers what is under way, and lets go. A second wish to stop ends it at once.
    pub async fn drain(&mut self, end: &mut End, patience: Patience, listeners: [TcpListener; 2]) {
        self.heartbeat = None;
        let leave = &self.admin.gateway.leave;
        match end {
            End::Stop => {
                tracing::info!("stopping: waiting for the calls under way");
                self.admin.drain();
                self.notify.stopping();
                leave.enter(Phase::Leaving);
                tokio::select! {
                    () = tokio::time::sleep(patience.delay) => {}
                    () = self.signals.stop() => return,
                }
                self.data.stop_accepting();
            }
            End::Relieved(successor) => {
                tracing::info!("a successor serves: answering what is under way");
                // The address is as ready as before, so that nobody hears of an upgrade on `/readyz`.
                if let Some(admin_address) = self.admin_address.take() {
                    admin_address.stop();
                }
                self.data.stop_accepting();
                leave.enter(Phase::Leaving);
                confirm(successor).await;
            }
            End::Broken => return,
        }
        // With its last descriptor a listener is closed, and callers are refused instead of left waiting.
        drop(listeners);
        let until = Instant::now() + patience.drain;
        // An upgrade is in no hurry: whoever is idle is told with its next call, or goes by itself.
        let idle_until = match end {
            End::Stop => until.min(Instant::now() + IDLE_GRACE),
            _ => until.checked_sub(IDLE_GRACE).unwrap_or(until),
        };
        tokio::select! {
            () = self.data.closed() => return,
            () = sleep_until(idle_until) => {}
            () = self.signals.stop() => if matches!(end, End::Stop) { return },
        }
        leave.enter(Phase::Closing);
        tokio::select! {
            _ = timeout_at(until, self.data.closed()) => {}
            () = self.signals.stop() => {}
        }
    }
}

/// Looks at the definitions, one at a time; the log says what came of it. A wish to stop does not wait for it: what the
/// definitions stand on may never answer.
#[derive(Default)]
struct Reloads {
    running: Option<JoinHandle<LastReload>>,
    /// Asked for since the one that runs began.
    is_wanted: bool,
}

impl Reloads {
    fn ask(&mut self, live: &Arc<Live>, notify: &Notify) {
        if self.running.is_some() {
            self.is_wanted = true;
            return;
        }
        notify.reloading();
        let live = live.clone();
        self.running = Some(tokio::task::spawn_blocking(move || live.reload(BY_SIGNAL)));
    }

    /// Returns when the one that runs has ended.
    async fn ended(&mut self) {
        match &mut self.running {
            Some(running) => {
                if let Err(error) = running.await {
                    tracing::error!(%error, "the reload did not end");
                }
            }
            None => std::future::pending().await,
        }
    }

    /// After one has ended.
    fn next(&mut self, live: &Arc<Live>, notify: &Notify) {
        self.running = None;
        notify.ready(&status(live));
        if std::mem::take(&mut self.is_wanted) {
            self.ask(live, notify);
        }
    }
}
