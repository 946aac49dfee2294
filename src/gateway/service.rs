//! Connections to requests: hyper on pingora's streams. The only file of the gateway that names either.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pingora_core::apps::ServerApp;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig, TcpSocketOptions};
use pingora_core::protocols::{ALPN, Stream, TcpKeepalive};
use pingora_core::server::ShutdownWatch;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Gateway;
use super::body::unattended;
use super::connection::{Activity, Answering, Limits, Watch, Watched};
use super::exchange::Pinned;
use super::lane;
use super::leave::{Leave, Phase};
use super::pipeline::handle;
use crate::observe::connections::Overdue;

/// A connection that has been quiet for so long is kept without hyper.
const PARK_AFTER: Duration = Duration::from_secs(1);
/// Headers of a request. A number of our own costs hyper two allocations a request; its own is 100, which some proxies use up.
const MAX_HEADERS: usize = 128;
/// Bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// The same over HTTP/2, as its sender counts them.
const MAX_HEADER_LIST_BYTES: u32 = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 200;
/// Streams of one HTTP/2 connection that were reset before they were looked at; more end the connection.
const MAX_RESETS: usize = 20;
/// How often a quiet HTTP/2 peer is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP asks a quiet peer whether it is there after so long, then so often and so many times.
const PROBE_AFTER: Duration = Duration::from_mins(1);
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: usize = 3;

const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const HEAD_TOO_LATE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Where callers connect to. Without pingora's buffers, of which an idle connection would hold 64 KiB: hyper has its own.
pub fn endpoint(address: &str) -> ListenerConfig {
    let mut options = TcpSocketOptions::default();
    options.tcp_keepalive = Some(TcpKeepalive {
        idle: PROBE_AFTER,
        interval: PROBE_EVERY,
        count: PROBES,
        user_timeout: Duration::ZERO,
    });
    ListenerConfig::tcp(address)
        .tcp_socket_options(options)
        .l4_buffer(L4BufferSettings::unbuffered())
}

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
        let metrics = self.gateway.observer.metrics();
        let is_http2 = stream.selected_alpn_proto() == Some(ALPN::H2);
        let activity = Arc::new(Activity::default());
        let max = self.gateway.settings.max_connections;
        let Some(_open) = metrics.connection_opened(max) else {
            if !is_http2 && let Some(_told) = metrics.farewell(max) {
                Box::pin(Watched::http1(stream, activity).close(TOO_MANY)).await;
            }
            return None;
        };
        // Boxed, so that a connection of one kind does not keep room for the other.
        if is_http2 {
            Box::pin(self.http2(stream, activity)).await;
        } else {
            Box::pin(self.http1(stream, activity)).await;
        }
        None
    }
}

impl GatewayService {
    /// Serves while the peer has something to say. In between nothing of hyper is kept, whose buffers would be most of what
    /// an idle connection costs.
    async fn http1(&self, stream: Stream, activity: Arc<Activity>) {
        let peer = peer(&stream);
        let idle = self.gateway.settings.connection_limits.idle;
        let mut patience = idle;
        let mut has_called = false;
        let mut io = Watched::http1(stream, activity.clone());
        loop {
            let is_awake = tokio::select! {
                biased;
                is_awake = io.wakes() => is_awake,
                () = tokio::time::sleep(patience) => {
                    self.count(Overdue::Idle);
                    false
                }
                () = self.gateway.leave.reached(Phase::Closing) => {
                    // Whoever has connected and not said a word yet could not be told.
                    !has_called && timeout(FIRST_CALL_GRACE, io.wakes()).await.unwrap_or(false)
                }
            };
            if !is_awake {
                return;
            }
            has_called = true;
            let Some(quiet) = self.lane(io, peer, activity.clone()).await else { return };
            (io, patience) = (quiet, idle.saturating_sub(PARK_AFTER));
        }
    }

    /// Serves requests until the connection is over, or has been quiet for [`PARK_AFTER`]: then it is handed back. What is not
    /// plain, and what follows it without a pause, is left to hyper.
    async fn lane(
        &self,
        mut io: Watched<Stream>,
        peer: IpAddr,
        activity: Arc<Activity>,
    ) -> Option<Watched<Stream>> {
        let mut left = lane::End::Over;
        // Boxed, so that a quiet connection does not keep the room for a call.
        let mut serving =
            Box::pin(async { left = lane::serve(&self.gateway, &mut io, peer, &activity).await });
        let watch = Watch::new(activity.clone(), self.limits());
        let end =
            watched(serving.as_mut(), watch, (&self.gateway.leave, Phase::Closing), |_| {}).await;
        drop(serving);
        match (end, left) {
            (End::Ended, lane::End::Other(unread)) => {
                io.put_back(unread);
                return Box::pin(self.serve(io, peer, activity)).await;
            }
            (End::Overdue(Overdue::Idle), _) => return Some(io),
            (End::Overdue(overdue), _) => self.count(overdue),
            (End::Ended, lane::End::Over) if activity.is_open() => Box::pin(io.close(b"")).await,
            (End::Ended | End::Stopped, _) => {}
        }
        None
    }

    fn limits(&self) -> Limits {
        let limits = self.gateway.settings.connection_limits;
        Limits { idle: limits.idle.min(PARK_AFTER), ..limits }
    }

    /// The same by hyper, for everything that may come.
    async fn serve(
        &self,
        io: Watched<Stream>,
        peer: IpAddr,
        activity: Arc<Activity>,
    ) -> Option<Watched<Stream>> {
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            // One write an answer. (`pipeline_flush` would hold an answer back while the next request is half here, take in a
            // whole answer for a slow reader, and swallow the refusal of a request that is malformed.)
            .writev(false)
            .serve_connection(TokioIo::new(io), self.service(peer, activity.clone(), None));
        let watch = Watch::new(activity.clone(), self.limits());
        let leaves = (&self.gateway.leave, Phase::Closing);
        let end = watched(Pin::new(&mut connection), watch, leaves, |connection| {
            connection.graceful_shutdown();
        })
        .await;
        let last_word = match end {
            End::Overdue(Overdue::Idle) => return Some(connection.into_parts().io.into_inner()),
            End::Overdue(overdue) => {
                self.count(overdue);
                if overdue != Overdue::Head {
                    return None;
                }
                HEAD_TOO_LATE
            }
            End::Ended if activity.is_open() => b"",
            End::Ended | End::Stopped => return None,
        };
        Box::pin(connection.into_parts().io.into_inner().close(last_word)).await;
        None
    }

    async fn http2(&self, stream: Stream, activity: Arc<Activity>) {
        let limits = self.gateway.settings.connection_limits;
        let service = self.service(peer(&stream), activity.clone(), Some(limits.write));
        let io = TokioIo::new(Watched::http2(stream, activity.clone()));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let watch = Watch::new(activity, limits);
        // It announces the end of the connection, and refuses no call that is on its way.
        let leaves = (&self.gateway.leave, Phase::Leaving);
        let end = watched(connection, watch, leaves, |connection| {
            connection.graceful_shutdown();
        });
        if let End::Overdue(overdue) = end.await {
            self.count(overdue);
        }
    }

    fn count(&self, overdue: Overdue) {
        self.gateway.observer.metrics().connection_overdue(overdue);
    }

    /// Answers the requests of one connection; `patience`: where each answer has a reader of its own, who may be slow alone.
    fn service(
        &self,
        peer: IpAddr,
        activity: Arc<Activity>,
        patience: Option<Duration>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Answering>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Answering>, Infallible>> + Send + use<>,
    > + Send
    + use<> {
        let gateway = self.gateway.clone();
        service_fn(move |request| {
            let gateway = gateway.clone();
            let busy = activity.begin();
            // Boxed, so that a connection between two calls does not keep the room for one.
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let mut reply = handle(&Pinned::new(&gateway), &parts, body, peer, None).await;
                if parts.version <= Version::HTTP_11 {
                    gateway.leave.tell(&mut reply.head);
                }
                Ok(reply.into_response().map(|body| {
                    let (body, busy) = match patience {
                        Some(patience) => unattended(body, patience, busy),
                        None => (body, Some(busy)),
                    };
                    Answering { body, busy }
                }))
            })
        })
    }
}

/// How a connection ended.
#[derive(Clone, Copy)]
enum End {
    /// By itself; what broke on it, the requests on it have reported.
    Ended,
    Stopped,
    Overdue(Overdue),
}

/// Runs a connection until it ends, something takes too long, or the gateway has gone as far as `leaves` says and `finish` has
/// told it to end.
async fn watched<C: Future>(
    mut connection: Pin<&mut C>,
    watch: Watch,
    (leave, phase): (&Leave, Phase),
    finish: impl Fn(Pin<&mut C>),
) -> End {
    let mut watch = pin!(watch);
    let mut reached = pin!(leave.reached(phase));
    // A wait that was polled once wakes this task by itself; until then a flag tells that there is nothing to hear.
    let (mut is_waiting, mut is_stopping) = (false, false);
    poll_fn(|context| {
        loop {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(if is_stopping { End::Stopped } else { End::Ended });
            }
            if let Poll::Ready(overdue) = watch.as_mut().poll(context) {
                return Poll::Ready(End::Overdue(overdue));
            }
            let may_be_told = !is_stopping && (!is_waiting || leave.has_reached(Phase::Leaving));
            is_waiting = true;
            if !may_be_told || reached.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            is_stopping = true;
            finish(connection.as_mut());
        }
    })
    .await
}

fn peer(stream: &Stream) -> IpAddr {
    let digest = stream.get_socket_digest();
    let address = digest.as_ref().and_then(|digest| digest.peer_addr()).and_then(|at| at.as_inet());
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}
