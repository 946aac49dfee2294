//! How the bytes of an HTTP/1 connection divide into requests, read so strictly that nobody before us can have divided
//! them otherwise. What passes here, hyper reads in the same way; what does not, it never sees.

use memchr::memchr;

/// Bytes of one line of a head or of trailers; hyper ends heads earlier.
const MAX_LINE_BYTES: usize = 256 << 10;
/// Bytes of a line that tells the size of a chunk, with its extensions.
const MAX_CHUNK_LINE_BYTES: usize = 4 << 10;
/// Digits of a body's length, so that it stays below 2⁶⁴.
const MAX_LENGTH_DIGITS: usize = 19;
/// Digits of a chunk's size, so that it stays below 2⁶⁰.
const MAX_CHUNK_DIGITS: usize = 15;

/// Follows a connection from request to request.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    /// How the body of the head under way ends.
    body: BodyEnd,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

/// What comes next; numbers are bytes that are still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    RequestLine,
    Header,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum BodyEnd {
    #[default]
    None,
    Length(u64),
    Chunked,
}

/// Bytes that can be divided in two ways, or in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// How many of the bytes come before the line that is at fault.
    pub good_bytes: usize,
    /// Whether it stands in a head, and not in a body.
    pub is_in_head: bool,
}

impl Framing {
    /// Follows the next bytes.
    ///
    /// # Errors
    /// At the first line that can be read in two ways. What comes after it must not be followed.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), Ambiguous> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if let Some(taken) = self.skip(rest.len()) {
                at += taken;
                continue;
            }
            let is_in_head = matches!(self.state, State::RequestLine | State::Header);
            let ambiguous = Ambiguous { good_bytes: at, is_in_head };
            let Some(end) = memchr(b'\n', rest) else {
                if self.line.len() + rest.len() > self.max_line_bytes() {
                    return Err(ambiguous);
                }
                self.line.extend_from_slice(rest);
                return Ok(());
            };
            let line = &rest[..=end];
            let is_clear = if self.line.is_empty() {
                self.take(line)
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take(&whole)
            };
            if !is_clear {
                return Err(ambiguous);
            }
            at += end + 1;
        }
        Ok(())
    }

    /// Whether a head has begun and not ended.
    pub fn is_in_head(&self) -> bool {
        self.state == State::Header || self.state == State::RequestLine && !self.line.is_empty()
    }

    /// Whether a head has ended and its body has not.
    pub fn is_in_body(&self) -> bool {
        !matches!(self.state, State::RequestLine | State::Header)
    }

    /// Passes over what is no line: how many of the bytes.
    fn skip(&mut self, available: usize) -> Option<usize> {
        let (State::Body(left) | State::Chunk(left)) = self.state else { return None };
        let taken = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - taken as u64;
        self.state = match self.state {
            State::Body(_) if left == 0 => State::RequestLine,
            State::Body(_) => State::Body(left),
            _ if left == 0 => State::ChunkEnd,
            _ => State::Chunk(left),
        };
        Some(taken)
    }

    fn max_line_bytes(&self) -> usize {
        match self.state {
            State::ChunkSize => MAX_CHUNK_LINE_BYTES,
            State::ChunkEnd => b"\r\n".len(),
            _ => MAX_LINE_BYTES,
        }
    }

    /// Takes a line with its end; false where it is not clear.
    fn take(&mut self, line: &[u8]) -> bool {
        let Some(text) = line.strip_suffix(b"\r\n") else { return false };
        match self.state {
            // An empty line before a request is left over from the one before it.
            State::RequestLine if text.is_empty() => true,
            State::RequestLine => {
                (self.state, self.body) = (State::Header, BodyEnd::None);
                text.ends_with(b" HTTP/1.1") || text.ends_with(b" HTTP/1.0")
            }
            State::Header if text.is_empty() => {
                self.state = match self.body {
                    BodyEnd::None | BodyEnd::Length(0) => State::RequestLine,
                    BodyEnd::Length(bytes) => State::Body(bytes),
                    BodyEnd::Chunked => State::ChunkSize,
                };
                true
            }
            State::Header => self.header(text),
            State::ChunkSize => match chunk_size(text) {
                Some(0) => {
                    self.state = State::Trailer;
                    true
                }
                Some(bytes) => {
                    self.state = State::Chunk(bytes);
                    true
                }
                None => false,
            },
            State::Trailer if text.is_empty() => {
                self.state = State::RequestLine;
                true
            }
            State::Trailer => is_trailer(text),
            State::ChunkEnd => {
                self.state = State::ChunkSize;
                text.is_empty()
            }
            State::Body(_) | State::Chunk(_) => false,
        }
    }

    /// Looks at a header for what says where the body ends, which only one may say, once.
    fn header(&mut self, text: &[u8]) -> bool {
        let end = match framing_header(text) {
            None => return true,
            Some((Framer::Length, value)) => length(value).map(BodyEnd::Length),
            Some((Framer::Coding, value)) => {
                value.eq_ignore_ascii_case(b"chunked").then_some(BodyEnd::Chunked)
            }
        };
        match (self.body, end) {
            (BodyEnd::None, Some(end)) => {
                self.body = end;
                true
            }
            _ => false,
        }
    }
}

enum Framer {
    Length,
    Coding,
}

/// `Content-Length` and `Transfer-Encoding` with their values.
fn framing_header(text: &[u8]) -> Option<(Framer, &[u8])> {
    let value = |name: &[u8]| {
        let value = text.get(name.len()..)?.strip_prefix(b":")?;
        text[..name.len()].eq_ignore_ascii_case(name).then(|| trim(value))
    };
    let length = value(b"content-length").map(|value| (Framer::Length, value));
    length.or_else(|| value(b"transfer-encoding").map(|value| (Framer::Coding, value)))
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The number that a `Content-Length` tells.
pub fn length(value: &[u8]) -> Option<u64> {
    let is_number = value.len() <= MAX_LENGTH_DIGITS && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

/// The size that a chunk's first line tells; extensions are passed over, if they are text.
fn chunk_size(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = text.split_at(digits);
    let extension = trim(rest);
    let is_text = extension.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    if digits.len() > MAX_CHUNK_DIGITS
        || !is_text
        || !(rest.is_empty() || extension.starts_with(b";"))
    {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a line may stand behind the last chunk: a header that says nothing of where a message ends.
fn is_trailer(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_graphic() && *byte != b':';
    let name = text.iter().take_while(|byte| is_token(byte)).count();
    name > 0 && text.get(name) == Some(&b':') && framing_header(text).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Whether the text is clear, in one piece and byte by byte, and whether a head is open at its end.
    fn follow(text: &str) -> Option<bool> {
        let mut whole = Framing::default();
        let mut pieces = Framing::default();
        let is_clear = whole.follow(text.as_bytes()).is_ok();
        let is_clear_in_pieces = text.bytes().all(|byte| pieces.follow(&[byte]).is_ok());
        assert_eq!(is_clear, is_clear_in_pieces, "{text:?}");
        is_clear.then(|| {
            assert_eq!(whole.is_in_head(), pieces.is_in_head(), "{text:?}");
            whole.is_in_head()
        })
    }

    #[test]
    fn whole_requests_follow_each_other() {
        let get = "\r\nGET / HTTP/1.1\r\nHost: t\r\nContent-Length:0\r\n\r\n";
        let post = "POST / HTTP/1.1\r\ncontent-length: \t5 \r\n\r\nGET /";
        let chunks = "5;a=\"b\"\r\nGET /\r\nA ;x\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
        let all = format!("{get}{post}{CHUNKED}{chunks}{post}{get}");
        assert_eq!(follow(&all), Some(false));
        assert_eq!(follow(&format!("{all}GET")), Some(true));
        assert_eq!(follow("GET / HTTP/1.0\r\nHost: t\r\n"), Some(true));
        assert_eq!(follow(&post[..post.len() - 2]), Some(false));
        assert_eq!(follow(&format!("{CHUNKED}5\r\nGE")), Some(false));
        for (text, is_in_body) in [("", true), ("5", true), ("5\r\nGE", true), ("0\r\n\r\n", false)]
        {
            let mut framing = Framing::default();
            framing.follow(format!("{CHUNKED}{text}").as_bytes()).unwrap();
            assert_eq!(framing.is_in_body(), is_in_body, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_clear_ends_at_its_line() {
        let text = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
        let at = text.rfind("Content").unwrap();
        let ambiguous = Ambiguous { good_bytes: at, is_in_head: true };
        assert_eq!(Framing::default().follow(text.as_bytes()), Err(ambiguous));
        let chunk = format!("{CHUNKED}+5\r\n");
        let ambiguous = Ambiguous { good_bytes: CHUNKED.len(), is_in_head: false };
        assert_eq!(Framing::default().follow(chunk.as_bytes()), Err(ambiguous));
    }

    #[test]
    fn lines_are_bounded() {
        let mut framing = Framing::default();
        framing.follow(CHUNKED.as_bytes()).unwrap();
        framing.follow(b"5;").unwrap();
        assert!(framing.follow(&[b'x'; MAX_CHUNK_LINE_BYTES]).is_err());
    }
}
