//! The admin address: probes, metrics and the JSON API.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use self::auth::Auth;
use self::edit::Edits;
use self::running::Running;
use crate::definitions::secret::SecretText;
use crate::gateway::Gateway;
use crate::observe::history::History;
use crate::observe::host::Host;
use crate::observe::log::LeftOut;
use crate::store::Store;

pub mod api;
pub mod auth;
pub mod edit;
pub mod page;
pub mod router;
pub mod running;
pub mod token;

pub use auth::person;

/// What the admin address works with.
#[derive(Debug)]
pub struct Admin {
    pub gateway: Arc<Gateway>,
    /// Queries by hand.
    pub running: Running,
    /// The last hour of the interfaces.
    pub history: Arc<History>,
    /// The machine.
    pub host: Host,
    /// Where callers call, such as `http://127.0.0.1:8080`.
    pub data_address: String,
    pub token: SecretText,
    pub store: Store,
    pub auth: Auth,
    pub edits: Edits,
    /// Lines of the log that nobody took.
    pub log: LeftOut,
    pub started: Instant,
    /// The process is stopping: `/readyz` says so before anything else changes.
    pub is_draining: AtomicBool,
}

impl Admin {
    /// From now on the process takes no new work.
    pub fn drain(&self) {
        self.is_draining.store(true, Relaxed);
    }
}
