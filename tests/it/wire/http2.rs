//! HTTP/2 peers that are slow, silent or restless. Frames are written by hand, through the TLS of `openssl s_client`.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::databases::{Bench, Kind};
use crate::support::{KEY, Tidegate, eventually};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ENHANCE_YOUR_CALM: u32 = 11;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Names of pseudo headers in the static table of HPACK.
const AUTHORITY: u8 = 1;
const METHOD: u8 = 2;
const PATH: u8 = 4;
const SCHEME: u8 = 6;

/// A peer that says what it is told to.
struct Peer {
    openssl: Child,
    input: ChildStdin,
    output: ChildStdout,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Peer {
    /// Connects and agrees on everything.
    fn connect(gateway: &Tidegate) -> Self {
        let address = format!("127.0.0.1:{}", gateway.data_port);
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-alpn", "h2", "-connect", &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let (input, output) = (openssl.stdin.take().unwrap(), openssl.stdout.take().unwrap());
        let mut peer = Self { openssl, input, output };
        peer.input.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        peer.send(SETTINGS, 0, 0, &[]);
        peer.until(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0);
        peer.send(SETTINGS, ACK, 0, &[]);
        peer
    }

    /// Sends a frame; whether there was somebody to take it.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.input.write_all(&frame).and_then(|()| self.input.flush()).is_ok()
    }

    fn request(&mut self, stream: u32, method: &str, path: &str, flags: u8) -> bool {
        let mut head = Vec::new();
        for (name, value) in
            [(METHOD, method), (SCHEME, "https"), (AUTHORITY, "localhost"), (PATH, path)]
        {
            head.push(name);
            put_text(&mut head, value);
        }
        for (name, value) in [("x-api-key", KEY), ("content-type", "application/json")] {
            head.push(0);
            put_text(&mut head, name);
            put_text(&mut head, value);
        }
        self.send(HEADERS, END_HEADERS | flags, stream, &head)
    }

    /// The next frame; `None` where the connection is over.
    fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.output.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.output.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    fn until(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.frame()?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    fn is_closed(&mut self) {
        assert!(self.until(|_| false).is_none());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}

/// A short text of HPACK, as it is.
fn put_text(head: &mut Vec<u8>, text: &str) {
    head.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
    head.extend(text.as_bytes());
}

fn serve(keys: &str, flags: &[&str]) -> (Bench, Tidegate) {
    let bench = Bench::new(Kind::Sqlite);
    bench.datasource(
        "limits: {max_rows: 1000000000, max_result_bytes: 1000000000000, timeout_ms: 600000}",
    );
    bench.interface("code: one\nquery_template: SELECT 1 AS n\n");
    bench.interface("code: post\nmethod: POST\nparameters: [{name: x, type: integer}]\nquery_template: 'SELECT :x AS x'\n");
    bench.interface(&format!(
        "code: rows\nsafe_mode: false\n{keys}query_template: WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n, hex(randomblob(500)) AS pad FROM s\n"
    ));
    let (cert, key) = bench.tree.certificate();
    let all: Vec<&str> =
        ["--tls-cert", &cert, "--tls-key", &key].into_iter().chain(flags.iter().copied()).collect();
    let gateway = bench.tree.serve_with(&all);
    (bench, gateway)
}

fn is_answered(gateway: &Tidegate) {
    let mut peer = Peer::connect(gateway);
    peer.request(1, "GET", "/data-api/one", END_STREAM);
    let data = peer.until(|frame| frame.kind == DATA).unwrap();
    assert!(String::from_utf8_lossy(&data.payload).contains("\"success\":true"));
}

#[test]
fn a_peer_without_a_call_is_closed_whatever_else_it_says() {
    let (_bench, gateway) = serve("", &["--idle-timeout-ms", "600"]);
    Peer::connect(&gateway).is_closed();
    let mut half = Peer::connect(&gateway);
    half.send(HEADERS, 0, 1, &[0x82]);
    half.is_closed();
    let mut restless = Peer::connect(&gateway);
    let started = Instant::now();
    while restless.send(PING, 0, 0, b"are you?") {
        thread::sleep(Duration::from_millis(50));
        assert!(started.elapsed() < Duration::from_secs(20), "pings are no calls");
    }
    assert!(started.elapsed() >= Duration::from_millis(600));
    let idle = gateway.metric("tidegate_connections_overdue_total{reason=\"idle\"}");
    assert!(idle >= Some(3.0), "{idle:?}");
    is_answered(&gateway);
}

#[test]
fn a_body_that_does_not_end_is_answered_and_harms_no_other_stream() {
    let (_bench, gateway) = serve("", &["--body-timeout-ms", "2000"]);
    let mut peer = Peer::connect(&gateway);
    peer.request(1, "POST", "/data-api/post", 0);
    peer.send(DATA, 0, 1, b"{\"x\":");
    peer.request(3, "GET", "/data-api/one", END_STREAM);
    let first = peer.until(|frame| frame.kind == DATA).unwrap();
    assert_eq!(first.stream, 3);
    let second = peer.until(|frame| frame.kind == DATA).unwrap();
    assert_eq!(second.stream, 1);
    assert!(String::from_utf8_lossy(&second.payload).contains("INVALID_PARAM"));
    peer.request(5, "GET", "/data-api/one", END_STREAM);
    assert_eq!(peer.until(|frame| frame.kind == DATA).unwrap().stream, 5);
}

#[test]
fn a_stream_that_nobody_reads_loses_its_query_and_keeps_nothing() {
    let flags = ["--write-timeout-ms", "2000", "--idle-timeout-ms", "2000"];
    let (_bench, gateway) = serve("timeout_ms: 600000\n", &flags);
    let in_flight = || gateway.metric("tidegate_datasource_in_flight{datasource=\"db\"}");
    let mut peer = Peer::connect(&gateway);
    // The connection may send more, the stream may not.
    peer.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 24).to_be_bytes());
    peer.request(1, "GET", "/data-api/rows", END_STREAM);
    peer.until(|frame| frame.kind == DATA).unwrap();
    assert_eq!(in_flight(), Some(1.0));
    peer.request(3, "GET", "/data-api/one", END_STREAM);
    assert!(peer.until(|frame| frame.kind == DATA && frame.stream == 3).is_some());
    eventually("its query has ended", || in_flight() == Some(0.0));
    peer.request(5, "GET", "/data-api/one", END_STREAM);
    assert!(peer.until(|frame| frame.kind == DATA && frame.stream == 5).is_some());
    // Half an answer is not taken for a whole one, should it be read after all.
    peer.send(WINDOW_UPDATE, 0, 1, &(1_u32 << 24).to_be_bytes());
    assert!(peer.until(|frame| frame.kind == RESET && frame.stream == 1).is_some());
    peer.request(7, "GET", "/data-api/rows", END_STREAM);
    peer.until(|frame| frame.kind == DATA && frame.stream == 7).unwrap();
    let since = Instant::now();
    peer.is_closed();
    // Sooner than a peer that answers no ping is given up.
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    assert_eq!(gateway.metric("tidegate_connections_overdue_total{reason=\"idle\"}"), Some(1.0));
}

#[test]
fn frames_beside_calls_are_limited_and_those_of_calls_are_not() {
    let (_bench, gateway) = serve("", &[]);
    // A priority, an acknowledgement that lets nothing more be sent, and a question.
    let frames: [(u8, &[u8]); 3] =
        [(PRIORITY, &[0, 0, 0, 0, 7]), (WINDOW_UPDATE, &[0, 0, 0, 1]), (PING, b"are you?")];
    for (kind, payload) in frames {
        let mut peer = Peer::connect(&gateway);
        let stream = if kind == PRIORITY { 1 } else { 0 };
        let sent = (0..100_000).take_while(|_| peer.send(kind, 0, stream, payload)).count();
        assert!(sent < 100_000, "{kind}");
        drop(peer);
        is_answered(&gateway);
    }
    // As many beside calls, of which each is answered.
    let mut peer = Peer::connect(&gateway);
    for call in 0..3_000 {
        let stream = 2 * call + 1;
        peer.request(stream, "GET", "/data-api/one", END_STREAM);
        for _ in 0..5 {
            peer.send(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 50]);
        }
        let data = peer.until(|frame| frame.kind == DATA && frame.stream == stream);
        assert!(data.is_some(), "call {call}");
    }
}

#[test]
fn calls_that_are_given_up_at_once_end_the_connection() {
    let (_bench, gateway) = serve("", &[]);
    let mut peer = Peer::connect(&gateway);
    for call in 0..5_000 {
        let stream = 2 * call + 1;
        let is_there = peer.request(stream, "GET", "/data-api/one", END_STREAM)
            && peer.send(RESET, 0, stream, &8_u32.to_be_bytes());
        if !is_there {
            break;
        }
    }
    let last_word = peer.until(|frame| frame.kind == GO_AWAY).unwrap();
    assert_eq!(last_word.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
    peer.is_closed();
    is_answered(&gateway);
}
