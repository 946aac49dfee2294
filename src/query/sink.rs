//! Where the rows of a call go: encoded, cut to page and caps, held back until it is clear whether they fit one answer.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::encode::Encoder;
use crate::definitions::snapshot::Caps;
use crate::engines::{Column, EngineError, Flow, Row, RowSink};

/// Bytes held before the answer begins to leave: up to here an error still becomes an error answer.
pub const HOLD_BYTES: usize = 256 << 10;
/// Bytes of a chunk once it does.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Chunks between the query and the socket.
const CHANNEL_CHUNKS: usize = 2;

/// The chunks of an answer, in order.
pub type Chunks = mpsc::Receiver<Bytes>;

/// Where the chunks of an answer leave. Most answers need no channel, so it is opened with the first chunk.
#[derive(Debug)]
pub enum Outlet {
    Closed(oneshot::Sender<Chunks>),
    Open(mpsc::Sender<Bytes>),
    /// Its reader has gone.
    Broken,
}

impl Outlet {
    /// An outlet, and what tells its reader when chunks come.
    pub fn new() -> (Self, oneshot::Receiver<Chunks>) {
        let (tell, told) = oneshot::channel();
        (Self::Closed(tell), told)
    }

    /// Waits until the reader takes a chunk; false where there is none any more.
    async fn send(&mut self, chunk: Bytes) -> bool {
        if let Self::Closed(_) = self
            && let Self::Closed(tell) = std::mem::replace(self, Self::Broken)
        {
            let (sender, chunks) = mpsc::channel(CHANNEL_CHUNKS);
            if tell.send(chunks).is_ok() {
                *self = Self::Open(sender);
            }
        }
        match self {
            Self::Open(sender) => sender.send(chunk).await.is_ok(),
            Self::Closed(_) | Self::Broken => false,
        }
    }
}

/// What may happen to bytes beyond the hold.
pub enum Overflow {
    /// They leave through the outlet, as fast as the reader takes them.
    Stream(Outlet),
    /// The whole answer is needed, up to this many bytes.
    Refuse(usize),
}

/// The sink of one call.
pub struct AnswerSink {
    pub encoder: Encoder,
    overflow: Overflow,
    /// Rows of the page; one more tells that there is a next page.
    page_rows: Option<u64>,
    caps: Option<Caps>,
    pub has_more: bool,
    pub truncated: bool,
    /// The answer is larger than may be kept whole.
    pub overflowed: bool,
    /// Nobody reads any more.
    pub abandoned: bool,
    sent: u64,
}

impl AnswerSink {
    /// A sink that writes with `encoder`.
    pub fn new(
        encoder: Encoder,
        overflow: Overflow,
        page_rows: Option<u64>,
        caps: Option<Caps>,
    ) -> Self {
        Self {
            encoder,
            overflow,
            page_rows,
            caps,
            has_more: false,
            truncated: false,
            overflowed: false,
            abandoned: false,
            sent: 0,
        }
    }

    /// Whether bytes have left: from then on an error can only break the answer off.
    pub fn is_committed(&self) -> bool {
        self.sent > 0
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.sent + self.encoder.buffer.len() as u64
    }

    fn hold(&self) -> usize {
        match &self.overflow {
            Overflow::Stream(_) if self.sent > 0 => CHUNK_BYTES,
            Overflow::Stream(_) => HOLD_BYTES,
            Overflow::Refuse(limit) => *limit,
        }
    }
}

impl RowSink for AnswerSink {
    const REWINDS: bool = true;

    fn rewind(&mut self) {
        self.encoder.rewind();
        (self.has_more, self.truncated) = (false, false);
    }

    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        self.encoder.start(columns)
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        if self.page_rows.is_some_and(|most| self.encoder.rows() >= most) {
            // The statement asks for one row more and no further, so there is nothing to stop.
            self.has_more = true;
            return Ok(Flow::Continue);
        }
        if let Some(caps) = self.caps
            && (self.encoder.rows() >= caps.max_rows || self.bytes() >= caps.max_bytes)
        {
            self.truncated = true;
            return Ok(Flow::Stop);
        }
        self.encoder.row(row)?;
        Ok(if self.encoder.buffer.len() >= self.hold() { Flow::Flush } else { Flow::Continue })
    }

    fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    async fn flush(&mut self) -> Flow {
        let Overflow::Stream(outlet) = &mut self.overflow else {
            self.overflowed = true;
            return Flow::Stop;
        };
        let chunk = std::mem::take(&mut self.encoder.buffer);
        self.sent += chunk.len() as u64;
        if !outlet.send(chunk.into()).await {
            self.abandoned = true;
            return Flow::Stop;
        }
        self.encoder.buffer.reserve(CHUNK_BYTES + CHUNK_BYTES / 4);
        Flow::Continue
    }
}
