//! The composition root: wire, run, drain, flush.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::listening::Service;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::attempts::Attempts;
use crate::access::mask_key::MaskKey;
use crate::admin::router::router;
use crate::admin::{Admin, token};
use crate::definitions::problem::Problem;
use crate::gateway::Gateway;
use crate::gateway::calls::Calls;
use crate::gateway::service::GatewayService;
use crate::live::reload::Live;
use crate::live::upkeep;
use crate::live::watch::Watch;
use crate::observe::Observer;
use crate::observe::metrics::Metrics;
use crate::query::cache::AnswerCache;
use crate::settings::Settings;
use crate::store::audit::AuditLog;
use crate::store::{Store, StoreError};

/// The keys of the demo's consumers, known to everybody.
const DEMO_KEYS: [&str; 3] =
    ["tidegate-demo-key", "tidegate-demo-key-east", "tidegate-demo-key-partner"];
/// How often a stopping process looks whether calls are still under way.
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for audit records when stopping.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// Seconds in which connections end after the listener has closed, and then their runtime.
const CLOSE_SECONDS: u64 = 1;

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

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// Where it cannot start.
pub fn serve(settings: &Settings) -> Result<(), ServeError> {
    let started = Instant::now();
    if !settings.root.is_dir() {
        return Err(ServeError::Root(settings.root.display().to_string()));
    }
    if let Some((cert, key)) = &settings.tls {
        check_certificate(cert, key).map_err(ServeError::Tls)?;
    }
    let in_data_dir =
        |error| ServeError::DataDir { path: settings.data_dir.display().to_string(), error };
    fs::create_dir_all(&settings.data_dir).map_err(in_data_dir)?;
    let token = token::load_or_make(&settings.data_dir).map_err(in_data_dir)?;
    let mask_key = MaskKey::open(&settings.mask_key_file).map_err(|error| ServeError::DataDir {
        path: settings.mask_key_file.display().to_string(),
        error,
    })?;
    let admin_listener = listen(settings.admin_listen)?;
    // pingora opens the data address itself; whether it can is better known before.
    drop(listen(settings.listen)?);

    // What is not a caller's request runs here: store, audit, admin.
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()?;
    let store = control.block_on(Store::open(&settings.store_url))?;
    let observer = Observer::new(Arc::new(Metrics::new()));
    let live = Arc::new(
        Live::start(&settings.root, None, observer.clone(), Arc::new(mask_key))
            .map_err(ServeError::Definitions)?,
    );
    control.block_on(upkeep::restore(&live, &store))?;
    let upkeep_task = control.spawn(upkeep::run(live.clone(), store.clone()));
    let audit = AuditLog::start(store.clone(), settings.audit, control.handle());
    let gateway = Arc::new(Gateway {
        live: live.clone(),
        cache: AnswerCache::new(settings.cache_bytes),
        observer: observer.clone(),
        audit: Some(audit.clone()),
        attempts: Attempts::new(settings.max_auth_failures_per_minute),
        calls: Calls::new(settings.gateway.max_in_flight),
        settings: settings.gateway.clone(),
    });
    let admin = Arc::new(Admin {
        gateway: gateway.clone(),
        token,
        started,
        is_draining: AtomicBool::new(false),
    });
    let watch = Watch::start(live.clone())?;
    serve_admin(&control, admin_listener, admin.clone())?;
    let server = data_server(settings, gateway)?;
    announce(settings, &live, started);
    server.run(RunArgs {
        shutdown_signal: Box::new(Stop { admin, timeout: settings.drain_timeout }),
    });

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
    control.shutdown_timeout(Duration::from_secs(CLOSE_SECONDS));
    tracing::info!("stopped");
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|error| ServeError::Listen { address, error })
}

/// pingora reads the files when it is too late to say what is wrong with them, so they are tried before.
fn check_certificate(cert: &Path, key: &Path) -> Result<(), String> {
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| format!("{}: {error}", cert.display()))?;
    let key_file = key.display().to_string();
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key_file}: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(drop)
        .map_err(|error| error.to_string())
}

fn serve_admin(control: &Runtime, listener: TcpListener, admin: Arc<Admin>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let entered = control.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    drop(entered);
    control.spawn(async move {
        if let Err(error) = axum::serve(listener, router(admin)).await {
            tracing::error!(%error, "the admin address broke");
        }
    });
    Ok(())
}

fn data_server(settings: &Settings, gateway: Arc<Gateway>) -> Result<Server, ServeError> {
    let conf = ServerConf {
        threads: settings.threads,
        grace_period_seconds: Some(CLOSE_SECONDS),
        graceful_shutdown_timeout_seconds: Some(CLOSE_SECONDS),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = Service::new("data".to_owned(), GatewayService(gateway));
    service.threads = Some(settings.threads);
    let address = settings.listen.to_string();
    match &settings.tls {
        None => service.add_tcp(&address),
        Some((cert, key)) => {
            let mut tls =
                TlsSettings::intermediate(&cert.to_string_lossy(), &key.to_string_lossy())
                    .map_err(|error| ServeError::Tls(error.to_string()))?;
            tls.enable_h2();
            service.add_tls_with_settings(&address, None, tls);
        }
    }
    server.add_service(service);
    Ok(server)
}

/// Says what runs and where; warns of the demo's key.
fn announce(settings: &Settings, live: &Live, started: Instant) {
    let generation = live.current();
    let snapshot = &generation.snapshot;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    tracing::info!(
        data = %format!("{scheme}://{}/data-api", settings.listen),
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

/// Waits for a signal, then for the calls under way.
struct Stop {
    admin: Arc<Admin>,
    timeout: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("signals cannot be received; only a kill will stop this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: waiting for the calls under way");
        self.admin.drain();
        let drained = async {
            while self.admin.gateway.observer.metrics().in_flight() > 0 {
                tokio::time::sleep(DRAIN_LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(self.timeout, drained) => ShutdownSignal::GracefulTerminate,
            _ = terminate.recv() => ShutdownSignal::FastShutdown,
            _ = interrupt.recv() => ShutdownSignal::FastShutdown,
        }
    }
}
