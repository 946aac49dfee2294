//! The composition root: wire, run, drain, flush.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use crate::access::attempts::Attempts;
use crate::access::mask_key::MaskKey;
use crate::admin::auth::Auth;
use crate::admin::edit::Edits;
use crate::admin::running::Running;
use crate::admin::{Admin, token};
use crate::definitions::problem::Problem;
use crate::gateway::Gateway;
use crate::gateway::leave::Leave;
use crate::gateway::misses::Misses;
use crate::gateway::refusals::Refusals;
use crate::live::reload::Live;
use crate::live::upkeep;
use crate::live::watch::Watch;
use crate::observe::Observer;
use crate::observe::history::{self, History};
use crate::observe::host::Host;
use crate::observe::log::LeftOut;
use crate::observe::metrics::Metrics;
use crate::query::cache::AnswerCache;
use crate::settings::Settings;
use crate::store::audit::AuditLog;
use crate::store::{Store, StoreError};

mod admin_address;
mod data;
mod ending;
mod handover;
mod lock;
mod notify;
mod open_files;
mod pulse;
mod signals;
mod successor;

use admin_address::AdminAddress;
use data::{DataAddress, check_certificate};
use ending::{End, Patience, Serving};
use handover::{HandoverError, Holdings, Offer, Predecessor};
use lock::{Lock, LockError};
use notify::Notify;
use pulse::{Heartbeat, status};
use signals::Signals;

/// The keys of the demo's consumers, known to everybody.
const DEMO_KEYS: [&str; 3] =
    ["tidegate-demo-key", "tidegate-demo-key-east", "tidegate-demo-key-partner"];
/// Longest wait for audit records when stopping.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time in which tasks of the control runtime end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How a process begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the only one on its data directory.
    Alone,
    /// In place of the one that serves.
    Upgrade,
}

/// Why the appliance cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the definitions have problems:\n{}", list(.0))]
    Definitions(Vec<Problem>),
    #[error("`{path}` of the appliance's own data cannot be used: {error}")]
    DataDir { path: String, error: io::Error },
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Locked(#[from] LockError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("the data address broke")]
    Broken,
    #[error("the root `{0}` is no directory")]
    Root(String),
    #[error("the certificate cannot be used: {0}")]
    Tls(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Runs the appliance until it is told to stop or a successor has taken over.
///
/// # Errors
/// Where it cannot start.
pub fn serve(settings: &Settings, start: Start, log: LeftOut) -> Result<(), ServeError> {
    let started = Instant::now();
    if !settings.root.is_dir() {
        return Err(ServeError::Root(settings.root.display().to_string()));
    }
    if let Some((cert, key)) = &settings.tls {
        check_certificate(cert, key)?;
    }
    // What is not a caller's request runs here: signals, store, audit, admin.
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()?;
    let signals = within(&control, Signals::listen)?;
    let notify = Notify::from_env();

    let in_data_dir =
        |error| ServeError::DataDir { path: settings.data_dir.display().to_string(), error };
    fs::create_dir_all(&settings.data_dir).map_err(in_data_dir)?;
    let lock = match start {
        Start::Alone => Some(Lock::take(&settings.data_dir)?),
        Start::Upgrade => None,
    };
    let mask_key = MaskKey::open(&settings.mask_key_file).map_err(|error| ServeError::DataDir {
        path: settings.mask_key_file.display().to_string(),
        error,
    })?;
    let observer = Observer::new(Arc::new(Metrics::new()));
    let live = Arc::new(
        Live::start(&settings.root, None, observer.clone(), Arc::new(mask_key))
            .map_err(ServeError::Definitions)?,
    );
    // A predecessor is asked only by a process that has something to serve.
    let (holdings, predecessor) = match lock {
        Some(lock) => (Holdings::open(lock, settings)?, None),
        None => Predecessor::ask(settings).map(|(holdings, asked)| (holdings, Some(asked)))?,
    };
    let token = token::load_or_make(&settings.data_dir).map_err(in_data_dir)?;
    let auth = Auth::default();

    let store = control.block_on(Store::open(&settings.store_url))?;
    store.share(predecessor.is_some());
    control.block_on(upkeep::restore(&live, &store))?;
    let upkeep_task = control.spawn(upkeep::run(live.clone(), store.clone()));
    let audit = AuditLog::start(store.clone(), settings.audit, control.handle())?;
    let gateway = Arc::new(Gateway {
        live: live.clone(),
        cache: AnswerCache::new(settings.cache_bytes),
        observer,
        audit: Some(audit.clone()),
        attempts: Attempts::new(settings.max_auth_failures_per_minute),
        leave: Leave::default(),
        settings: open_files::fit(settings.gateway.clone()),
        misses: Misses::default(),
        refusals: Refusals::default(),
    });
    let history = Arc::new(History::default());
    control.spawn(history::run(history.clone(), gateway.observer.metrics().clone()));
    let admin = Arc::new(Admin {
        gateway: gateway.clone(),
        data_address: data_address(settings),
        store: store.clone(),
        running: Running::default(),
        history,
        host: Host::new(vec![settings.data_dir.clone()]),
        token,
        auth,
        edits: Edits::new(settings.edit),
        log,
        started,
        is_draining: AtomicBool::new(false),
    });
    let watch = Watch::start(live.clone())?;
    let data = DataAddress::start(settings, holdings.data.try_clone()?, gateway)?;
    let admin_address = AdminAddress::start(&control, holdings.admin.try_clone()?, admin.clone())?;
    if let Some(predecessor) = predecessor {
        succeed(predecessor, &holdings, &control, &live, &store)?;
    }
    let offer = offer(settings, &control);
    announce(settings, &live, started);
    if !control.block_on(store.has_accounts())? {
        invite(settings, &admin);
    }
    notify.ready(&status(&live));
    let runtimes = vec![data.handle().clone(), control.handle().clone()];
    let heartbeat = Heartbeat::start(notify.clone(), notify::watchdog(), runtimes, live.clone())?;

    let mut serving = Serving {
        signals,
        data,
        admin_address: Some(admin_address),
        admin,
        notify,
        heartbeat: Some(heartbeat),
    };
    let mut end = control.block_on(serving.until_end(offer.as_ref(), &holdings));
    if matches!(end, End::Relieved(_)) {
        store.share(true);
    }
    // The lock is held to the very end; listeners are let go of where nobody is accepted any more.
    let Holdings { lock: _lock, data: listener, admin: admin_listener } = holdings;
    let patience = Patience { delay: settings.drain_delay, drain: settings.drain_timeout };
    control.block_on(serving.drain(&mut end, patience, [listener, admin_listener]));
    serving.data.end();

    drop(watch);
    if let Err(error) = control.block_on(audit.flush(FLUSH_TIMEOUT)) {
        tracing::error!(%error, "audit records were lost while stopping");
    }
    drop(audit);
    upkeep_task.abort();
    if let Err(error) = control.block_on(upkeep::store_uses(&live, &store)) {
        tracing::error!(%error, "the last use of keys was lost while stopping");
    }
    control.block_on(store.close());
    control.shutdown_timeout(END_TIMEOUT);
    if matches!(end, End::Broken) {
        return Err(ServeError::Broken);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Runs what needs a runtime around it.
fn within<T>(runtime: &Runtime, run: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    run()
}

/// Takes the place of the predecessor, and takes over what it stores at its end.
fn succeed(
    mut predecessor: Predecessor,
    holdings: &Holdings,
    control: &Runtime,
    live: &Arc<Live>,
    store: &Store,
) -> Result<(), ServeError> {
    predecessor.relieve()?;
    holdings.lock.sign()?;
    let (live, store) = (live.clone(), store.clone());
    control.spawn(async move {
        let restored = async {
            let ended = predecessor.ended().await;
            store.share(false);
            ended?;
            tracing::info!("the predecessor has ended");
            upkeep::restore(&live, &store).await.map_err(io::Error::other)
        };
        if let Err(error) = restored.await {
            tracing::warn!(%error, "the last use of keys was not taken over");
        }
    });
    Ok(())
}

/// Lets successors ask. Without that the appliance serves as well, and is upgraded by a restart.
fn offer(settings: &Settings, control: &Runtime) -> Option<Offer> {
    match within(control, || Offer::open(&settings.data_dir)) {
        Ok(offer) => Some(offer),
        Err(error) => {
            tracing::warn!(%error, "no successor can take over from this process");
            None
        }
    }
}

fn data_address(settings: &Settings) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", settings.listen)
}

/// Says how the first account is made: nobody can log in yet.
fn invite(settings: &Settings, admin: &Admin) {
    match admin.auth.setup.open() {
        Ok(token) => {
            let link = format!("http://{}/#/setup?token={token}", settings.admin_listen);
            tracing::info!(
                link,
                "nobody has an account yet: make the first one by this link, once, or by `tidegate admin create`"
            );
        }
        Err(error) => {
            tracing::warn!(%error, "no link for the first account: use `tidegate admin create`");
        }
    }
}

/// Says what runs and where; warns of the demo's key.
fn announce(settings: &Settings, live: &Live, started: Instant) {
    let generation = live.current();
    let snapshot = &generation.snapshot;
    tracing::info!(
        data = %format!("{}/data-api", data_address(settings)),
        admin = %format!("http://{}", settings.admin_listen),
        interfaces = snapshot.interfaces.len(),
        revision = snapshot.revision,
        start_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "serving"
    );
    tracing::info!(file = %settings.data_dir.join(token::FILE).display(), "the admin token is in this file");
    for demo in DEMO_KEYS {
        let digest: [u8; 32] = Sha256::digest(demo).into();
        if let Some(key) = snapshot.policies.keys.get(&digest)
            && let Some(consumer) = snapshot.policies.consumers.get(key.consumer)
        {
            tracing::warn!(
                consumer = consumer.name,
                "a DEMO KEY is let in: `X-API-Key: {demo}`. Everybody knows it; remove it before real data is served."
            );
        }
    }
}
