//! The admin address: axum on the control runtime.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::admin::Admin;
use crate::admin::router::router;

/// The admin address at work, until it is told to stop or its runtime ends.
#[derive(Debug)]
pub struct AdminAddress {
    stop: oneshot::Sender<()>,
}

impl AdminAddress {
    /// Serves on a listener.
    ///
    /// # Errors
    /// Where the listener cannot be used.
    pub fn start(control: &Runtime, listener: TcpListener, admin: Arc<Admin>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let entered = control.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(entered);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        control.spawn(async move {
            let service = router(admin).into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(listener, service).with_graceful_shutdown(stopped);
            if let Err(error) = serving.await {
                tracing::error!(%error, "the admin address broke");
            }
        });
        Ok(Self { stop })
    }

    /// Accepts no more connections, and ends those that there are after what they are answering.
    pub fn stop(self) {
        // Nobody hears it where the address broke.
        let _ = self.stop.send(());
    }
}
