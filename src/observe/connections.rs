//! The metrics of connections on the data address.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use prometheus::{IntCounter, IntGauge, Opts, Registry};

use super::{Metrics, label_enum};

label_enum! {
    /// What took a connection too long.
    pub enum Overdue {
        /// Nothing, before or between requests.
        Idle = "idle",
        /// A head that began and did not end.
        Head = "head",
        /// An answer that its reader did not take.
        Write = "write",
    }
}

/// Of connections beyond the most, one for so many of those within is told so before it is closed; the rest are closed without
/// a word, since each that waits for its peer to hear it holds an open file.
const OPEN_FOR_EACH_FAREWELL: usize = 8;
/// Most of them, of which each holds an open file.
const MAX_FAREWELLS: usize = 256;

/// What is counted of connections.
pub(super) struct Connections {
    open: IntGauge,
    farewells: AtomicUsize,
    refused: IntCounter,
    overdue: [IntCounter; Overdue::COUNT],
}

/// An open connection: counted in `tidegate_connections` until dropped.
#[must_use = "the connection counts as closed when this is dropped"]
pub struct OpenConnection(Arc<Metrics>);

/// A connection that is told that there are too many, until dropped.
#[must_use = "another one may be told so when this is dropped"]
pub struct Farewell(Arc<Metrics>);

impl Connections {
    /// All at zero, in `registry`.
    pub(super) fn new(registry: &Registry) -> Self {
        let open = IntGauge::new("tidegate_connections", "Open connections on the data address.");
        let refused = IntCounter::new(
            "tidegate_connections_refused_total",
            "Connections closed at once because there were too many.",
        );
        let overdue = Overdue::ALL.map(|reason| {
            let opts = Opts::new(
                "tidegate_connections_overdue_total",
                "Connections closed because something took too long.",
            );
            IntCounter::with_opts(opts.const_label("reason", reason.as_str()))
                .expect("the name and the label are valid")
        });
        let open = open.expect("the name is valid");
        let refused = refused.expect("the name is valid");
        let register =
            |collector| registry.register(collector).expect("each family is registered once");
        register(Box::new(open.clone()));
        register(Box::new(refused.clone()));
        for counter in &overdue {
            register(Box::new(counter.clone()));
        }
        Self { open, farewells: AtomicUsize::new(0), refused, overdue }
    }
}

impl Metrics {
    /// A connection came in; `None`, and counted as refused, where `max` are open already.
    pub fn connection_opened(self: &Arc<Self>, max: usize) -> Option<OpenConnection> {
        self.connections.open.inc();
        let open = OpenConnection(self.clone());
        let is_within = usize::try_from(self.connections.open.get()).is_ok_and(|open| open <= max);
        if !is_within {
            self.connections.refused.inc();
        }
        is_within.then_some(open)
    }

    /// Leave to tell a connection that `max` are open already; `None` where enough others are being told.
    pub fn farewell(self: &Arc<Self>, max: usize) -> Option<Farewell> {
        let farewell = Farewell(self.clone());
        let before = self.connections.farewells.fetch_add(1, Relaxed);
        (before <= MAX_FAREWELLS.min(max / OPEN_FOR_EACH_FAREWELL)).then_some(farewell)
    }

    /// A connection was closed because something took too long.
    pub fn connection_overdue(&self, reason: Overdue) {
        self.connections.overdue[reason.index()].inc();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.open.dec();
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.connections.farewells.fetch_sub(1, Relaxed);
    }
}
