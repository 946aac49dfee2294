//! Bodies of answers: whole, or in parts as the reader takes them; compressed where the caller likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::io::{ReaderStream, StreamReader};

use super::negotiate::Encoding;

/// Bodies below this many bytes are not worth compressing.
const MIN_COMPRESSED_BYTES: usize = 1 << 10;
/// Bodies up to this many bytes are compressed at once, larger ones in parts.
const MAX_AT_ONCE_BYTES: usize = 64 << 10;
/// Bytes of a compressed part.
const PART_BYTES: usize = 32 << 10;
/// Brotli's own default is made for files that are compressed once.
const BROTLI_LEVEL: Level = Level::Precise(4);

/// Parts of a body. An error breaks the connection off, so that nobody takes half an answer for a whole one.
pub type Parts = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Body of an answer.
pub enum Body {
    Full(Bytes),
    Stream(Parts),
}

impl Body {
    /// A body of nothing.
    pub fn empty() -> Self {
        Self::Full(Bytes::new())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(parts) => {
                parts.as_mut().poll_next(cx).map(|part| part.map(|part| part.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Compresses a body where it is worth it; says which encoding it has now.
pub async fn compress(body: Body, encoding: Option<Encoding>) -> (Body, Option<Encoding>) {
    let Some(encoding) = encoding else { return (body, None) };
    match body {
        Body::Full(bytes) if bytes.len() < MIN_COMPRESSED_BYTES => (Body::Full(bytes), None),
        Body::Full(bytes) if bytes.len() <= MAX_AT_ONCE_BYTES => {
            let mut compressed = Vec::with_capacity(bytes.len() / 2);
            let ended = encoder(&bytes[..], encoding).read_to_end(&mut compressed).await;
            match ended {
                Ok(_) => (Body::Full(compressed.into()), Some(encoding)),
                Err(_) => (Body::Full(bytes), None),
            }
        }
        Body::Full(bytes) => {
            let once = futures::stream::once(async move { Ok(bytes) });
            (in_parts(Box::pin(once), encoding), Some(encoding))
        }
        Body::Stream(parts) => (in_parts(parts, encoding), Some(encoding)),
    }
}

/// A body whose parts are dropped, and its query with them, when nobody takes one for longer than `patience`. For readers
/// who cannot be watched on their connection: a stream of HTTP/2 can stall alone. `busy` is dropped when the last part has been
/// taken, or when there is none to take; it is handed back where the body has no parts.
pub fn unattended<B: Send + 'static>(body: Body, patience: Duration, busy: B) -> (Body, Option<B>) {
    let mut parts = match body {
        Body::Stream(parts) => parts,
        whole @ Body::Full(_) => return (whole, Some(busy)),
    };
    // `None` is the end; without it the body broke off.
    let (sender, receiver) = mpsc::channel::<Option<io::Result<Bytes>>>(1);
    tokio::spawn(async move {
        let _busy = busy;
        loop {
            let part = tokio::select! {
                part = parts.next() => part,
                () = sender.closed() => return,
            };
            let is_last = !matches!(part, Some(Ok(_)));
            let taken = timeout(patience, sender.send(part)).await;
            if is_last || !matches!(taken, Ok(Ok(()))) {
                return;
            }
        }
    });
    let parts = futures::stream::unfold(receiver, |mut receiver| async {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "nobody took the answer");
        let part = receiver.recv().await.unwrap_or_else(|| Some(Err(late())));
        part.map(|part| (part, receiver))
    });
    (Body::Stream(parts.boxed()), None)
}

fn in_parts(parts: Parts, encoding: Encoding) -> Body {
    let encoder = encoder(StreamReader::new(parts), encoding);
    Body::Stream(ReaderStream::with_capacity(encoder, PART_BYTES).boxed())
}

fn encoder<'a>(
    reader: impl tokio::io::AsyncBufRead + Send + 'a,
    encoding: Encoding,
) -> Pin<Box<dyn AsyncRead + Send + 'a>> {
    match encoding {
        Encoding::Zstd => Box::pin(ZstdEncoder::with_quality(reader, Level::Fastest)),
        Encoding::Brotli => Box::pin(BrotliEncoder::with_quality(reader, BROTLI_LEVEL)),
        Encoding::Gzip => Box::pin(GzipEncoder::with_quality(reader, Level::Fastest)),
    }
}
