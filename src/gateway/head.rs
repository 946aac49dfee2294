//! The head of an answer: its status and headers, written once as HTTP/1 sends them.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use memchr::memchr;

use super::body::Body;

/// Room for the headers of most answers, in bytes.
const USUAL_BYTES: usize = 640;

/// A status and headers. HTTP/1 takes the lines as they are; a map of them, of which each entry costs more than its line, is
/// made only where somebody asks for one.
#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    /// When the answer was asked for, in seconds since 1970: what `Date` says.
    pub at_seconds: u64,
    /// Nothing follows on the connection, where it is one of HTTP/1.
    pub is_last: bool,
    /// `name: value` and a line end, for each.
    lines: Vec<u8>,
}

/// An answer.
pub struct Reply {
    pub head: Head,
    pub body: Body,
}

impl Head {
    /// A head without headers.
    pub fn new(status: StatusCode, at_seconds: u64) -> Self {
        Self { status, at_seconds, is_last: false, lines: Vec::with_capacity(USUAL_BYTES) }
    }

    /// Adds a header, in small letters, which must not be there yet. One whose value cannot stand in a header is left out.
    pub fn put(&mut self, name: &'static str, value: &str) {
        self.put_parts(name, &[value]);
    }

    /// The same with a value of several parts.
    pub fn put_parts(&mut self, name: &'static str, value: &[&str]) {
        if value.iter().all(|part| is_visible(part)) {
            self.put_known(name, value);
        }
    }

    /// The same with a value that is known to fit: a word or number of ours, or a text that was looked at before.
    pub fn put_known(&mut self, name: &'static str, value: &[&str]) {
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        for part in value {
            self.lines.extend_from_slice(part.as_bytes());
        }
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Adds headers that are always the same, each with its line end.
    pub fn put_lines(&mut self, lines: &'static str) {
        self.lines.extend_from_slice(lines.as_bytes());
    }

    /// Adds a header that is a number.
    pub fn put_number(&mut self, name: &'static str, number: impl itoa::Integer) {
        self.put_known(name, &[itoa::Buffer::new().format(number)]);
    }

    /// The headers as lines, each with its end.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The headers as a map.
    fn into_map(self) -> HeaderMap {
        let lines = Bytes::from(self.lines);
        let mut map = HeaderMap::with_capacity(16);
        let mut at = 0;
        while let Some(end) = memchr(b'\n', &lines[at..]) {
            let (line, begin) = (&lines[at..at + end - 1], at);
            at += end + 1;
            let Some(colon) = memchr(b':', line) else { continue };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = lines.slice(begin + colon + 2..begin + line.len());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
                map.insert(name, value);
            }
        }
        if self.is_last {
            map.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        map
    }
}

impl Reply {
    /// An answer of bytes.
    pub fn new(head: Head, body: Body) -> Self {
        Self { head, body }
    }

    /// The answer as others know it.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.head.status;
        *response.headers_mut() = self.head.into_map();
        response
    }
}

/// Whether a text can stand in a header. Looks at every byte whatever it finds, which goes many at a time.
fn is_visible(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & (byte.wrapping_sub(b' ') <= b'~' - b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_map_say_the_same() {
        let mut head = Head::new(StatusCode::OK, 0);
        head.put("x-cache", "HIT");
        head.put_number("age", 12);
        head.put_parts("link", &["<", "/a", ">"]);
        head.put("x-bad", "a\r\nset-cookie: b");
        head.put_parts("x-worse", &["a", "\u{e4}"]);
        assert_eq!(head.lines(), b"x-cache: HIT\r\nage: 12\r\nlink: </a>\r\n");
        head.is_last = true;
        let response = Reply::new(head, Body::empty()).into_response();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [("x-cache", "HIT"), ("age", "12"), ("link", "</a>"), ("connection", "close")]
        );
    }
}
