//! A connection under watch: what it is doing, since when, and how long it may. Nothing is timed for each request: one
//! alarm a connection looks, when it rings, at what really happened.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::io::poll_read_buf;

use super::body::Body;
use super::frames::Frames;
use super::framing::Framing;
use crate::observe::connections::Overdue;

/// What hyper gets to see in place of a head that can be read in two ways: no head may hold it, so it is refused with
/// 400, after the answers to the requests before it.
const REFUSED_HEAD: &[u8] = b"\0\r\n\r\n";
/// A peer that was refused is listened to for so long and so far: closing over unread bytes would reset the connection,
/// and the peer would not read why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// How long a connection may do one thing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A whole head, from its first byte.
    pub head: Duration,
    /// Nothing, before and between requests.
    pub idle: Duration,
    /// Waiting for room to write, without any progress.
    pub write: Duration,
}

/// What a connection did so far, told by those who see it.
#[derive(Debug, Default)]
pub struct Activity {
    /// Calls that came in.
    calls: AtomicU64,
    /// Calls whose answer is not wholly written.
    busy: AtomicU32,
    /// Writes that took bytes.
    writes: AtomicU64,
    /// The last write found no room.
    is_blocked: AtomicBool,
    /// A head has begun and not ended, or a body.
    is_in_head: AtomicBool,
    is_in_body: AtomicBool,
    /// The peer sends no more.
    is_at_end: AtomicBool,
}

impl Activity {
    /// A call came in; it lasts until the guard goes.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.calls.fetch_add(1, Relaxed);
        self.busy.fetch_add(1, Relaxed);
        Busy(self.clone())
    }

    /// Whether the peer may still be sending.
    pub fn is_open(&self) -> bool {
        !self.is_at_end.load(Relaxed)
    }

    /// What it is doing, with a number that changes when it begins to do so anew.
    fn doing(&self) -> (Doing, u64) {
        let calls = self.calls.load(Relaxed);
        if self.is_blocked.load(Relaxed) {
            (Doing::Blocked, self.writes.load(Relaxed))
        } else if self.busy.load(Relaxed) > 0 || self.is_in_body.load(Relaxed) {
            (Doing::Answering, calls)
        } else if self.is_in_head.load(Relaxed) {
            (Doing::Head, calls)
        } else {
            (Doing::Nothing, calls)
        }
    }
}

/// A call under way on a connection.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Head,
    /// Calls have deadlines of their own, and so has the rest of a body that nobody needs.
    Answering,
    Blocked,
}

/// Ends when the connection has done one thing for longer than it may. To be polled after the connection, in its task.
#[derive(Debug)]
pub struct Watch {
    activity: Arc<Activity>,
    limits: Limits,
    doing: (Doing, u64),
    /// Since when, but for pauses between calls, which nobody times: they begin with the alarm that finds them.
    since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl Watch {
    /// A watch over a connection that does nothing yet.
    pub fn new(activity: Arc<Activity>, limits: Limits) -> Self {
        let (doing, now) = (activity.doing(), Instant::now());
        let alarm = Box::pin(sleep_until(now + limits.idle));
        Self { activity, limits, doing, since: Some(now), alarm }
    }

    /// When what it does now has lasted too long, where that is known, and what to call that.
    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let since = self.since?;
        let (limit, overdue) = match self.doing.0 {
            Doing::Nothing => (self.limits.idle, Overdue::Idle),
            Doing::Head => (self.limits.head, Overdue::Head),
            Doing::Blocked => (self.limits.write, Overdue::Write),
            Doing::Answering => return None,
        };
        Some((since + limit, overdue))
    }
}

impl Future for Watch {
    type Output = Overdue;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Overdue> {
        let doing = self.activity.doing();
        if doing != self.doing {
            self.doing = doing;
            self.since = (doing.0 != Doing::Nothing).then(Instant::now);
        }
        if let Some((at, _)) = self.deadline()
            && at < self.alarm.deadline()
        {
            self.alarm.as_mut().reset(at);
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            self.since.get_or_insert(now);
            let next = match self.deadline() {
                Some((at, overdue)) if at <= now => return Poll::Ready(overdue),
                Some((at, _)) => at,
                None => now + self.limits.idle,
            };
            self.alarm.as_mut().reset(next);
        }
    }
}

/// A stream that tells what happens on it, and lets only clear HTTP/1 pass.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    framing: Option<Framing>,
    /// Of HTTP/2.
    frames: Option<Box<Frames>>,
    /// What was read and is still to be passed on.
    unread: Bytes,
    /// What is still to be read in place of what was refused.
    instead: Option<&'static [u8]>,
}

impl<S> Watched<S> {
    /// A stream of HTTP/1.
    pub fn http1(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            framing: Some(Framing::default()),
            frames: None,
            unread: Bytes::new(),
            instead: None,
        }
    }

    /// A stream of HTTP/2, whose framing leaves no doubts.
    pub fn http2(stream: S, activity: Arc<Activity>) -> Self {
        let frames = Some(Box::new(Frames::new(std::time::Instant::now())));
        Self { stream, activity, framing: None, frames, unread: Bytes::new(), instead: None }
    }

    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        match written {
            Poll::Ready(_) => self.activity.is_blocked.store(false, Relaxed),
            Poll::Pending => self.activity.is_blocked.store(true, Relaxed),
        }
    }

    fn took(&mut self, written: &Poll<io::Result<usize>>) {
        self.wrote(written);
        if let Poll::Ready(Ok(bytes @ 1..)) = written {
            if let Some(frames) = &mut self.frames {
                frames.sent(*bytes);
            }
            let writes = self.activity.writes.load(Relaxed);
            self.activity.writes.store(writes + 1, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.instead.is_none() {
            let read = if this.unread.is_empty() {
                ready!(Pin::new(&mut this.stream).poll_read(cx, buf))
            } else {
                let now = this.unread.len().min(buf.remaining());
                buf.put_slice(&this.unread[..now]);
                this.unread.advance(now);
                Ok(())
            };
            let fresh = &buf.filled()[before..];
            if read.is_err() || fresh.is_empty() {
                this.activity.is_at_end.store(true, Relaxed);
                return Poll::Ready(read);
            }
            if let Some(frames) = &mut this.frames
                && !frames.follow(fresh, std::time::Instant::now())
            {
                let why = "the peer says too much beside its calls";
                return Poll::Ready(Err(io::Error::other(why)));
            }
            let Some(framing) = &mut this.framing else { return Poll::Ready(Ok(())) };
            let followed = framing.follow(fresh);
            this.activity.is_in_head.store(framing.is_in_head(), Relaxed);
            this.activity.is_in_body.store(framing.is_in_body(), Relaxed);
            let Err(ambiguous) = followed else { return Poll::Ready(Ok(())) };
            buf.set_filled(before + ambiguous.good_bytes);
            // A body that just ends is malformed enough.
            this.instead = Some(if ambiguous.is_in_head { REFUSED_HEAD } else { b"" });
            if ambiguous.good_bytes > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let left = this.instead.unwrap_or_default();
        let (now, later) = left.split_at(left.len().min(buf.remaining()));
        buf.put_slice(now);
        this.instead = Some(later);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.took(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.took(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wrote(&shut);
        shut
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// Waits for the peer to say something; false where it has left. To be called between requests only.
    pub async fn wakes(&mut self) -> bool {
        let mut byte = [0];
        let is_awake = matches!(self.stream.read(&mut byte).await, Ok(1));
        if is_awake {
            self.unread = Bytes::copy_from_slice(&byte);
        }
        is_awake
    }

    /// Reads up to `bytes` more behind those in `read`, for one who divides them into requests himself; how many, 0 at the end.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        read: &mut BytesMut,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        read.reserve(bytes);
        let before = read.len();
        read.extend_from_slice(&std::mem::take(&mut self.unread));
        let filled = poll_read_buf(Pin::new(&mut self.stream), cx, read);
        match filled {
            _ if read.len() > before => Poll::Ready(Ok(read.len() - before)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(end) => {
                self.activity.is_at_end.store(true, Relaxed);
                Poll::Ready(end)
            }
        }
    }

    /// Gives back what was read and is for somebody else.
    pub fn put_back(&mut self, unread: Bytes) {
        self.unread = unread;
    }

    /// Says a last word where there is one, and closes in a way that lets the peer read what was said.
    pub async fn close(mut self, last_word: &[u8]) {
        let farewell = async {
            self.stream.write_all(last_word).await?;
            self.stream.shutdown().await?;
            let mut ignored = vec![0; 8 << 10];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match self.stream.read(&mut ignored).await? {
                    0 => break,
                    bytes => left = left.saturating_sub(bytes),
                }
            }
            io::Result::Ok(())
        };
        // Whether it went well makes no difference: the connection is over.
        let _ = timeout(LINGER, farewell).await;
    }
}

/// The body of an answer; its call lasts as long as it, but where somebody else knows its end.
pub struct Answering {
    pub body: Body,
    pub busy: Option<Busy>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
