//! Connections to requests: hyper on pingora's streams. The only file of the gateway that names pingora.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;

use super::Gateway;
use super::pipeline::handle;

/// Longest wait for the head of a request, also between two of them.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers of a request.
const MAX_HEADERS: usize = 128;
/// Bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 200;

/// The gateway as a service of pingora.
#[derive(Debug)]
pub struct GatewayService(pub Arc<Gateway>);

#[async_trait]
impl ServerApp for GatewayService {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let peer = peer(&stream);
        let is_http2 = stream.selected_alpn_proto() == Some(ALPN::H2);
        let gateway = self.0.clone();
        let service = service_fn(move |request| {
            let gateway = gateway.clone();
            async move { Ok::<_, Infallible>(handle(&gateway, request, peer, None).await) }
        });
        let mut shutdown = shutdown.clone();
        let io = TokioIo::new(stream);
        if is_http2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
            let connection = builder.serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return None,
                _ = shutdown.changed() => connection.as_mut().graceful_shutdown(),
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
            _ = shutdown.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
        None
    }
}

fn peer(stream: &Stream) -> IpAddr {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr()).and_then(|at| at.as_inet());
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}
