//! Counts what a peer of HTTP/2 says beside its calls: each frame costs a little, and nothing else limits them.

use std::time::Instant;

/// Frames beside calls that a connection may have sent at its start, and the most it saves up.
const MAX_CREDIT: u64 = 10_000;
/// How many more for each call, each so many bytes it was sent, and each second.
const FOR_A_CALL: u64 = 10;
const BYTES_FOR_ONE: usize = 1 << 10;
const FOR_A_SECOND: u64 = 100;

/// What a client of HTTP/2 sends first.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Follows the frames of a connection.
#[derive(Debug)]
pub struct Frames {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that are there.
    known: usize,
    /// Bytes until the next head.
    left: usize,
    credit: u64,
    /// Bytes sent to the peer that have given no credit yet.
    sent: usize,
    credited_at: Instant,
}

impl Frames {
    /// Of a connection that begins.
    pub fn new(now: Instant) -> Self {
        let head = [0; HEAD_BYTES];
        Self { head, known: 0, left: PREFACE_BYTES, credit: MAX_CREDIT, sent: 0, credited_at: now }
    }

    /// Notes bytes that were sent to the peer, which it may acknowledge.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        self.earn((self.sent / BYTES_FOR_ONE) as u64);
        self.sent %= BYTES_FOR_ONE;
    }

    /// Follows what came in; false where it is too much beside the calls.
    pub fn follow(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.credited_at).as_secs();
        if seconds > 0 {
            self.credited_at = now;
            self.earn(seconds.saturating_mul(FOR_A_SECOND));
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                (self.left, bytes) = (self.left - skipped, &bytes[skipped..]);
                continue;
            }
            let more = (HEAD_BYTES - self.known).min(bytes.len());
            self.head[self.known..self.known + more].copy_from_slice(&bytes[..more]);
            (self.known, bytes) = (self.known + more, &bytes[more..]);
            if self.known == HEAD_BYTES && !self.begin() {
                return false;
            }
        }
        true
    }

    /// A frame begins.
    fn begin(&mut self) -> bool {
        let [a, b, c, kind, ..] = self.head;
        (self.known, self.left) = (0, usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
        match kind {
            HEADERS => self.earn(FOR_A_CALL),
            DATA | CONTINUATION => {}
            _ if self.credit == 0 => return false,
            _ => self.credit -= 1,
        }
        true
    }

    fn earn(&mut self, frames: u64) {
        self.credit = self.credit.saturating_add(frames).min(MAX_CREDIT);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).unwrap(), kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD_BYTES + payload, 7);
        frame
    }

    /// Whether as many frames as the credit allows pass in pieces of any size, and one more does not.
    #[test]
    fn frames_are_found_however_they_are_cut() {
        let now = Instant::now();
        let most = usize::try_from(MAX_CREDIT).unwrap();
        let mut all = vec![b'P'; PREFACE_BYTES];
        (0..most).for_each(|_| all.extend(frame(WINDOW_UPDATE, 4)));
        for size in [1, 8, 9, 10, 13, 1 << 14] {
            let mut frames = Frames::new(now);
            assert!(all.chunks(size).all(|piece| frames.follow(piece, now)), "{size}");
            assert!(!frames.follow(&frame(WINDOW_UPDATE, 4), now), "{size}");
        }
    }

    #[test]
    fn calls_bytes_and_time_give_credit() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        frames.credit = 0;
        frames.left = 0;
        assert!(frames.follow(&frame(DATA, 200), now));
        assert!(frames.follow(&frame(HEADERS, 30), now));
        assert_eq!(frames.credit, FOR_A_CALL);
        frames.sent(BYTES_FOR_ONE * 3 - 1);
        frames.sent(1);
        assert_eq!(frames.credit, FOR_A_CALL + 3);
        assert!(frames.follow(&[], now + Duration::from_millis(2_500)));
        assert_eq!(frames.credit, FOR_A_CALL + 3 + 2 * FOR_A_SECOND);
        frames.sent(BYTES_FOR_ONE << 20);
        assert_eq!(frames.credit, MAX_CREDIT);
    }
}
