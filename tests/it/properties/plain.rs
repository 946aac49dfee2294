//! What is taken for a plain request, the strict reader of framing divides in the same way; what is not, stays as it was.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use tidegate::gateway::framing::Framing;
use tidegate::gateway::plain::{Next, take};

use super::cases;

/// Pieces that requests are made of, and pieces that make them unclear.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let clear = select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b=c HTTP/1.1\r\n",
        "Host: t\r\n",
        "Content-Length: 2\r\n",
        "content-length:0\r\n",
        "X-A: b \r\n",
        "Connection: keep-alive\r\n",
        "\r\n",
        "\r\n",
        "{}",
    ]);
    let odd = select(vec![
        "GET / HTTP/1.0\r\n",
        "GET /  HTTP/1.1\r\n",
        "GET http://t/ HTTP/1.1\r\n",
        "Content-Length: 1\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length : 2\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "X-A: b\n",
        "\n",
        "\r",
        " folded\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "\0",
    ]);
    prop_oneof![
        12 => clear.prop_map(|text| text.as_bytes().to_vec()),
        2 => odd.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ]
}

/// Mostly the shape of a request, so that many are whole.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![4 => Just(b"POST / HTTP/1.1\r\n".to_vec()), 1 => piece()];
    let end = prop_oneof![4 => Just(b"\r\n".to_vec()), 1 => piece()];
    (line, vec(piece(), 0..4), end, prop_oneof![Just(b"{}".to_vec()), Just(Vec::new())])
        .prop_map(|(line, headers, end, body)| [line, headers.concat(), end, body].concat())
}

#[test]
fn plain_requests_are_those_that_framing_sees() {
    let taken = std::cell::Cell::new(0);
    let property = |pieces: Vec<Vec<u8>>| {
        let bytes = pieces.concat();
        let mut read = BytesMut::from(&bytes[..]);
        let mut parts = http::Request::new(()).into_parts().0;
        loop {
            let before = read.clone();
            let next = take(&mut read, &mut parts);
            let Next::Request(body) = next else {
                prop_assert_eq!(&read, &before, "nothing is lost");
                return Ok(());
            };
            taken.set(taken.get() + 1);
            let request = &before[..before.len() - read.len()];
            let mut framing = Framing::default();
            prop_assert!(framing.follow(request).is_ok(), "{:?}", request);
            prop_assert!(!framing.is_in_head() && !framing.is_in_body(), "{:?}", request);
            // One byte less is no whole request, so it is one and not several.
            let mut shorter = Framing::default();
            prop_assert!(shorter.follow(&request[..request.len() - 1]).is_ok());
            prop_assert!(shorter.is_in_head() || shorter.is_in_body(), "{:?}", request);
            prop_assert!(request.ends_with(&body));
        }
    };
    let mut runner = TestRunner::new(cases(10_000));
    runner.run(&vec(request(), 1..4), property).unwrap_or_else(|error| panic!("{error}"));
    assert!(taken.get() > 1_000, "{taken:?} plain requests prove little");
}
