//! Plain requests: HTTP/1.1, whole in what was read, and so clear that nobody could read them otherwise. All else is left to
//! `framing.rs` and hyper.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use memchr::{memchr_iter, memmem};

use super::framing::length;

/// Headers of a plain request.
const MAX_HEADERS: usize = 32;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What stands at the beginning of what was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Nothing,
    /// A plain request: what it says, and its body.
    Request(Bytes),
    /// Something else, or the beginning of it: left where it was.
    Other,
}

/// Takes a plain request off the beginning of `read`. `parts` says what it is; what it said before is forgotten.
pub fn take(read: &mut BytesMut, parts: &mut Parts) -> Next {
    if read.is_empty() {
        return Next::Nothing;
    }
    let Some(end) = memmem::find(read, HEAD_END) else { return Next::Other };
    let head = read.split_to(end + HEAD_END.len()).freeze();
    let length = understand(&head, parts).filter(|length| *length <= read.len());
    let Some(length) = length else {
        let rest = std::mem::replace(read, BytesMut::from(&head[..]));
        read.extend_from_slice(&rest);
        return Next::Other;
    };
    if length == 0 {
        return Next::Request(Bytes::new());
    }
    Next::Request(read.split_to(length).freeze())
}

/// Reads a head into `parts`; the length of its body, or nothing where it is not plain.
fn understand(head: &Bytes, parts: &mut Parts) -> Option<usize> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut fields).ok()?;
    // A line may end in `\n` alone for the parser, but not for everybody.
    let is_strict = memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r');
    let target = request.path?;
    let is_whole = parsed == httparse::Status::Complete(head.len());
    let is_plain = is_whole && is_strict && request.version == Some(1) && target.starts_with('/');
    let method = Method::from_bytes(request.method?.as_bytes()).ok()?;
    if !is_plain || method == Method::CONNECT {
        return None;
    }
    parts.method = method;
    parts.uri = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).ok()?;
    parts.headers.clear();
    let mut body = None;
    for field in &*request.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if name == CONTENT_LENGTH {
            let length = usize::try_from(length(field.value)?).ok()?;
            if body.replace(length).is_some() {
                return None;
            }
        } else if name == CONNECTION && !field.value.eq_ignore_ascii_case(b"keep-alive")
            || name == TRANSFER_ENCODING
            || name == EXPECT
            || name == UPGRADE
        {
            return None;
        }
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?;
        parts.headers.append(name, value);
    }
    Some(body.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        http::Request::new(()).into_parts().0
    }

    #[test]
    fn plain_requests_are_taken_one_after_the_other() {
        let text = "GET /a?b=c HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nx-a:2 \r\n\r\n\
            POST /d HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\nConnection: Keep-Alive\r\n\r\n{}GET";
        let (mut read, mut parts) = (BytesMut::from(text), parts());
        assert_eq!(take(&mut read, &mut parts), Next::Request(Bytes::new()));
        assert_eq!((&parts.method, parts.uri.to_string().as_str()), (&Method::GET, "/a?b=c"));
        let values: Vec<_> = parts.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(take(&mut read, &mut parts), Next::Request(Bytes::from("{}")));
        assert_eq!((&parts.method, parts.uri.path()), (&Method::POST, "/d"));
        assert!(!parts.headers.contains_key("x-a"));
        assert_eq!(take(&mut read, &mut parts), Next::Other);
        assert_eq!(read, "GET");
        read.clear();
        assert_eq!(take(&mut read, &mut parts), Next::Nothing);
    }

    #[test]
    fn what_is_not_plain_stays_where_it_was() {
        let long = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        for text in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\nHost: t\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: t\n\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: t\r\n",
            "GET http://t/ HTTP/1.1\r\nHost: t\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
            "CONNECT t:1 HTTP/1.1\r\nHost: t\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : t\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: t\r\n x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: t\r\nUpgrade: h2c\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{}",
            "POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}",
            "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            "POST / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\n{}",
            &long,
        ] {
            let mut read = BytesMut::from(text);
            assert_eq!(take(&mut read, &mut parts()), Next::Other, "{text:?}");
            assert_eq!(read, text);
        }
    }
}
