//! Connections to requests: hyper on pingora's streams. The only file of the gateway that names pingora.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Gateway;
use super::leave::Phase;
use super::pipeline::handle;

/// Longest wait for the head of a request, also between two of them.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers of a request.
const MAX_HEADERS: usize = 128;
/// Bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 200;

/// Longest wait for the first call on a connection once the gateway closes what is idle.
const FIRST_CALL_GRACE: Duration = Duration::from_secs(1);

/// The gateway as a service of pingora.
#[derive(Debug)]
pub struct GatewayService {
    pub gateway: Arc<Gateway>,
    /// Dropped with the service, when the listener and the last connection, however far it has come, have let go of it.
    pub held: mpsc::Sender<Infallible>,
}

#[async_trait]
impl ServerApp for GatewayService {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        _stopped: &ShutdownWatch,
    ) -> Option<Stream> {
        let peer = peer(&stream);
        let is_http2 = stream.selected_alpn_proto() == Some(ALPN::H2);
        let leave = &self.gateway.leave;
        let has_called = AtomicBool::new(false);
        let service = service_fn(|request| {
            has_called.store(true, Relaxed);
            let gateway = self.gateway.clone();
            async move {
                let version = request.version();
                let mut answer = handle(&gateway, request, peer, None).await;
                gateway.leave.tell(version, answer.headers_mut());
                Ok::<_, Infallible>(answer)
            }
        });
        let io = TokioIo::new(stream);
        if is_http2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
            let connection = builder.serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return None,
                // It announces the end of the connection, and refuses no call that is on its way.
                () = leave.reached(Phase::Leaving) => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
            return None;
        }
        // No `pipeline_flush`: with it hyper takes in a whole answer for a slow reader, and does not send its own 400 and 431.
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            // One write an answer. (`pipeline_flush` would hold an answer back while the next request is half here, and
            // swallow the refusal of one that is malformed.)
            .writev(false);
        let connection = builder.serve_connection(io, service);
        tokio::pin!(connection);
        // A connection that breaks says nothing that the requests on it have not reported.
        tokio::select! {
            _ = connection.as_mut() => return None,
            () = leave.reached(Phase::Closing) => connection.as_mut().graceful_shutdown(),
        }
        // It takes a connection that has said nothing yet for a busy one.
        if timeout(FIRST_CALL_GRACE, connection.as_mut()).await.is_err() && has_called.load(Relaxed)
        {
            let _ = connection.await;
        }
        None
    }
}

fn peer(stream: &Stream) -> IpAddr {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr()).and_then(|at| at.as_inet());
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}
