//! The process's limit of open files, which connections must leave room in.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::gateway::GatewaySettings;

/// Files that are not callers' connections: databases, the store, definitions being read.
const RESERVED_FILES: usize = 1_024;

/// Raises the limit of open files as far as the process may; where not all connections fit below it, fewer are
/// taken, since one that finds no file left would hinder the databases and the store as well.
pub fn fit(settings: GatewaySettings) -> GatewaySettings {
    let Some(files) = raise() else { return settings };
    // Of a very low limit, half is left for connections.
    let room = files.saturating_sub(RESERVED_FILES).max(files / 2);
    if settings.max_connections <= room {
        return settings;
    }
    tracing::warn!(
        files,
        max_connections = settings.max_connections,
        "the limit of open files is too low for so many connections: {room} are taken"
    );
    GatewaySettings { max_connections: room, ..settings }
}

/// Makes the soft limit the hard one; the limit then, `None` where there is none.
fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}
