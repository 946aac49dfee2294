//! The short way of an HTTP/1.1 connection: plain requests are read and answered here, one after the other, with nothing
//! between their bytes and the request path.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::Gateway;
use super::body::Body;
use super::connection::{Activity, Watched};
use super::exchange::Pinned;
use super::head::{Head, Reply};
use super::leave::Phase;
use super::pipeline::handle;
use super::plain::{self, Next};

/// Bytes that are read at once; a head that is longer is not plain.
const READ_BYTES: usize = 8 << 10;
/// Bodies up to this many bytes leave in one write with their head.
const MAX_JOINED_BYTES: usize = 16 << 10;
/// Room for what is written that is kept from answer to answer.
const MAX_KEPT_BYTES: usize = 32 << 10;

/// Why a connection leaves the lane.
#[derive(Debug)]
pub enum End {
    /// Nothing more is to be read or said.
    Over,
    /// What was read begins with something that is not plain.
    Other(Bytes),
}

/// Answers the plain requests of a connection until something else comes.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    gateway: &Arc<Gateway>,
    io: &mut Watched<S>,
    peer: IpAddr,
    activity: &Arc<Activity>,
) -> End {
    let mut lane = Lane {
        io,
        read: BytesMut::new(),
        parts: http::Request::new(()).into_parts().0,
        out: Vec::new(),
        date: Date::default(),
    };
    let mut pinned = Pinned::new(gateway);
    loop {
        let body = match plain::take(&mut lane.read, &mut lane.parts) {
            Next::Request(body) => body,
            Next::Other => return End::Other(lane.read.freeze()),
            Next::Nothing => match lane.more(gateway).await {
                Ok(true) => continue,
                Ok(false) | Err(_) => return End::Over,
            },
        };
        let _busy = activity.begin();
        if !gateway.live.is_current(&pinned.generation) {
            pinned = Pinned::new(gateway);
        }
        let Some(mut reply) = lane.answer(&pinned, body, peer).await else { return End::Over };
        gateway.leave.tell(&mut reply.head);
        let is_last = reply.head.is_last;
        // What breaks off here, the request has reported.
        if lane.write(reply).await.is_err() || is_last {
            return End::Over;
        }
    }
}

struct Lane<'a, S> {
    io: &'a mut Watched<S>,
    /// What was read and not taken yet.
    read: BytesMut,
    /// The request under way; kept for the room that its headers take.
    parts: Parts,
    /// What is being written; kept for its room.
    out: Vec<u8>,
    date: Date,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lane<'_, S> {
    /// Waits for the next request; false where there will be none.
    async fn more(&mut self, gateway: &Gateway) -> io::Result<bool> {
        // What the last request said shares the room that the next one is read into.
        self.parts.headers.clear();
        self.parts.uri = Uri::default();
        poll_fn(|context| match self.io.poll_fill(context, &mut self.read, READ_BYTES) {
            Poll::Ready(read) => Poll::Ready(read.map(|bytes| bytes > 0)),
            Poll::Pending if gateway.leave.has_reached(Phase::Closing) => Poll::Ready(Ok(false)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Answers the request in `parts`, for as long as its caller is there.
    async fn answer(&mut self, pinned: &Arc<Pinned>, body: Bytes, peer: IpAddr) -> Option<Reply> {
        let Self { io, read, parts, .. } = self;
        let mut call = pin!(handle(pinned, parts, Full::new(body), peer, None));
        poll_fn(|context| {
            if let Poll::Ready(reply) = call.as_mut().poll(context) {
                return Poll::Ready(Some(reply));
            }
            if is_gone(context, io, read) { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    async fn write(&mut self, reply: Reply) -> io::Result<()> {
        let Reply { head, body } = reply;
        self.out.clear();
        self.out.shrink_to(MAX_KEPT_BYTES);
        let is_bare = self.parts.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        match body {
            Body::Full(body) => {
                self.begin(&head, Some(body.len()));
                if is_bare {
                    self.flush().await
                } else if body.len() <= MAX_JOINED_BYTES {
                    self.out.extend_from_slice(&body);
                    self.flush().await
                } else {
                    self.io.write_all(&self.out).await?;
                    self.io.write_all(&body).await?;
                    self.io.flush().await
                }
            }
            Body::Stream(mut parts) => {
                self.begin(&head, None);
                if is_bare {
                    return self.flush().await;
                }
                loop {
                    let (io, read) = (&mut *self.io, &mut self.read);
                    let part = poll_fn(|context| match parts.poll_next_unpin(context) {
                        Poll::Pending if is_gone(context, io, read) => Poll::Ready(Some(Err(
                            io::Error::from(io::ErrorKind::ConnectionAborted),
                        ))),
                        polled => polled,
                    });
                    match part.await.transpose()? {
                        Some(part) if part.is_empty() => {}
                        Some(part) => {
                            self.chunk(&part);
                            self.flush().await?;
                            self.out.clear();
                        }
                        None => {
                            self.out.extend_from_slice(b"0\r\n\r\n");
                            return self.flush().await;
                        }
                    }
                }
            }
        }
    }

    /// The head, as [`write`](Self::write) sends it; `length` of its body, where that is known.
    fn begin(&mut self, head: &Head, length: Option<usize>) {
        let out = &mut self.out;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(head.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(head.lines());
        match length {
            // Neither has a body, nor says how long it would be.
            Some(0)
                if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status) => {}
            Some(length) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            None if self.parts.method == Method::HEAD => {}
            None => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        if head.is_last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(self.date.at(head.at_seconds));
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn chunk(&mut self, part: &[u8]) {
        let digits = format!("{:x}\r\n", part.len());
        self.out.extend_from_slice(digits.as_bytes());
        self.out.extend_from_slice(part);
        self.out.extend_from_slice(b"\r\n");
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.io.write_all(&self.out).await?;
        self.io.flush().await
    }
}

/// Whether the caller has left while its answer is made; what it says meanwhile is kept, up to a bound.
fn is_gone<S: AsyncRead + AsyncWrite + Unpin>(
    context: &mut std::task::Context<'_>,
    io: &mut Watched<S>,
    read: &mut BytesMut,
) -> bool {
    while read.len() < READ_BYTES {
        match io.poll_fill(context, read, READ_BYTES) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(_) => return true,
            Poll::Pending => return false,
        }
    }
    false
}

/// `Date`, written once a second.
#[derive(Default)]
struct Date {
    seconds: u64,
    text: String,
}

impl Date {
    fn at(&mut self, seconds: u64) -> &[u8] {
        if self.text.is_empty() || self.seconds != seconds {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            (self.seconds, self.text) = (seconds, httpdate::fmt_http_date(at));
        }
        self.text.as_bytes()
    }
}
