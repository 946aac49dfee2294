//! The data address: pingora's listener on a runtime of its own, from the first connection to the last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::Fds;
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use super::ServeError;
use crate::gateway::Gateway;
use crate::gateway::service::{GatewayService, endpoint};
use crate::settings::Settings;

/// Longest time in which tasks end once they are not waited for any more.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The data address at work.
#[derive(Debug)]
pub struct DataAddress {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    /// Ends when the listener and every connection have let go of the service.
    open: mpsc::Receiver<Infallible>,
}

impl DataAddress {
    /// Serves on a listener. When this returns connections are accepted.
    ///
    /// # Errors
    /// Where certificate, listener or threads cannot be used.
    pub fn start(
        settings: &Settings,
        listener: TcpListener,
        gateway: Arc<Gateway>,
    ) -> Result<Self, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads)
            .thread_name("data")
            .enable_all()
            .build()?;
        let (held, open) = mpsc::channel(1);
        let mut service = Service::new("data".to_owned(), GatewayService { gateway, held });
        // pingora takes a listener that it finds under the name of the address instead of opening one.
        let address = settings.listen.to_string();
        match &settings.tls {
            None => service.add_listener(endpoint(&address)),
            Some((cert, key)) => service.add_listener(endpoint(&address).tls(tls(cert, key)?)),
        }
        listener.set_nonblocking(true)?;
        let mut listeners = Fds::new();
        listeners.add(address, listener.into_raw_fd());
        let listeners = Some(Arc::new(Mutex::new(listeners)));
        let (stop, stopped) = watch::channel(false);
        let (started, starts) = oneshot::channel();
        runtime.spawn(async move {
            let mut serving = pin!(service.start_service(listeners, stopped, 1));
            // The first poll goes as far as accepting.
            let first = poll_fn(|context| Poll::Ready(serving.as_mut().poll(context))).await;
            if first.is_pending() {
                let _ = started.send(());
                serving.await;
            }
        });
        let broken = |_| io::Error::other("the data address cannot be served");
        starts.blocking_recv().map_err(broken)?;
        Ok(Self { runtime, stop, open })
    }

    /// The runtime that serves the requests.
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Accepts no more connections.
    pub fn stop_accepting(&self) {
        self.stop.send_replace(true);
    }

    /// Returns when nothing is accepted and no connection is open.
    pub async fn closed(&mut self) {
        while self.open.recv().await.is_some() {}
    }

    /// Ends what is still under way.
    pub fn end(self) {
        self.runtime.shutdown_timeout(END_TIMEOUT);
    }
}

fn tls(cert: &Path, key: &Path) -> Result<TlsSettings, ServeError> {
    let mut tls = TlsSettings::intermediate(&cert.to_string_lossy(), &key.to_string_lossy())
        .map_err(|error| ServeError::Tls(error.to_string()))?;
    tls.enable_h2();
    Ok(tls)
}

/// pingora reads the files when it is too late to say what is wrong with them, so they are tried before.
pub fn check_certificate(cert: &Path, key: &Path) -> Result<(), ServeError> {
    try_certificate(cert, key).map_err(ServeError::Tls)
}

fn try_certificate(cert: &Path, key: &Path) -> Result<(), String> {
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
