//! Keys by URL: fetched, kept, refreshed on an unknown key, and never at the cost of a start, a reload or their issuer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header, encode};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use super::issuer::{ISSUER, Signer, claims, issuer, openssl, refused, unlimited};
use super::{whoami, with_token};
use crate::support::{KEY, Tidegate, Tree, eventually, quiet_port};

/// A server of key sets on the loopback address: answers each path with the bytes that are set for it.
struct KeyServer {
    port: u16,
    reply: Arc<Mutex<Vec<u8>>>,
    hits: Arc<AtomicUsize>,
    is_gone: Arc<AtomicBool>,
}

impl KeyServer {
    fn start(reply: Vec<u8>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), reply, None)
    }

    fn on(listener: TcpListener, reply: Vec<u8>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (reply, hits) = (Arc::new(Mutex::new(reply)), Arc::new(AtomicUsize::new(0)));
        let is_gone = Arc::new(AtomicBool::new(false));
        let server = Self { port, reply, hits, is_gone };
        let (reply, hits) = (server.reply.clone(), server.hits.clone());
        let is_gone = server.is_gone.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_gone.load(Relaxed) {
                    return;
                }
                let bytes = reply.lock().unwrap().clone();
                let done = match &tls {
                    None => answer(stream, &bytes, &hits),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                        answer(rustls::StreamOwned::new(connection, stream), &bytes, &hits)
                    }
                };
                drop(done);
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys.json", self.port)
    }

    fn set(&self, reply: Vec<u8>) {
        *self.reply.lock().unwrap() = reply;
    }

    fn hits(&self) -> usize {
        self.hits.load(Relaxed)
    }
}

impl Drop for KeyServer {
    /// Closes the port.
    fn drop(&mut self) {
        self.is_gone.store(true, Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn answer<S: Read + Write>(mut stream: S, bytes: &[u8], hits: &AtomicUsize) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    hits.fetch_add(1, Relaxed);
    stream.write_all(bytes)?;
    stream.flush()
}

fn reply(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into()
}

fn keys(signers: &[&Signer]) -> Vec<u8> {
    let keys: Vec<&Jwk> = signers.iter().map(|signer| &signer.public).collect();
    reply("200 OK", &json!({ "keys": keys }).to_string())
}

/// A signer whose key has this name.
fn named(kid: &str) -> Signer {
    let mut signer = Signer::new(Algorithm::EdDSA);
    signer.public.common.key_id = Some(kid.to_owned());
    signer
}

fn tree(url: &str, more: &str) -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    whoami(&tree, "who", "");
    whoami(&tree, "open", "visibility: public\nauth_required: false");
    issuer(&tree, "sso", ISSUER, &format!("{{jwks_url: \"{url}\"{more}}}"), "");
    tree
}

fn status(gateway: &Tidegate, signer: &Signer) -> u16 {
    with_token(gateway, "who", &signer.sign(&claims(json!({})))).status
}

fn fetches(gateway: &Tidegate, result: &str) -> f64 {
    let series = format!("tidegate_jwks_fetches_total{{issuer=\"sso\",result=\"{result}\"}}");
    gateway.metric(&series).unwrap()
}

#[test]
fn keys_are_fetched_and_change_without_a_gap() {
    let (old, new) = (named("old"), named("new"));
    let server = KeyServer::start(keys(&[&old]));
    let tree = tree(&server.url(), "");
    let gateway = unlimited(&tree);
    let remembered = old.sign(&claims(json!({})));
    assert_eq!(with_token(&gateway, "who", &remembered).status, 200, "the first call may wait");
    assert_eq!(gateway.metric("tidegate_jwks_keys{issuer=\"sso\"}"), Some(1.0));
    // The issuer signs with a key that has just come.
    server.set(keys(&[&old, &new]));
    assert_eq!(status(&gateway, &new), 200, "at once");
    assert_eq!(with_token(&gateway, "who", &remembered).status, 200);
    assert_eq!(fetches(&gateway, "failed"), 0.0);
    // It takes a key back: with the next fetch, tokens of that key end, also remembered ones.
    server.set(keys(&[&new]));
    let unknown = named("unknown");
    eventually("the key that was taken back is gone", || {
        assert_eq!(status(&gateway, &unknown), 401);
        with_token(&gateway, "who", &remembered).status == 401
    });
    refused(&gateway, "signed with a key taken back", &old.sign(&claims(json!({}))));
    assert_eq!(status(&gateway, &new), 200);
    assert!(
        gateway.metric("tidegate_jwks_last_success_timestamp_seconds{issuer=\"sso\"}").is_some()
    );
}

#[test]
fn keys_without_names_change_too() {
    let (old, new) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let nameless = |signer: &Signer| {
        let mut public = signer.public.clone();
        public.common.key_id = None;
        reply("200 OK", &json!({ "keys": [public] }).to_string())
    };
    let server = KeyServer::start(nameless(&old));
    let tree = tree(&server.url(), "");
    let gateway = tree.serve();
    let call = |signer: &Signer| {
        let token =
            encode(&Header::new(Algorithm::ES256), &claims(json!({})), &signer.key).unwrap();
        with_token(&gateway, "who", &token).status
    };
    assert_eq!(call(&old), 200);
    server.set(nameless(&new));
    assert_eq!(call(&new), 200);
    assert_eq!(call(&old), 401);
}

#[test]
fn invented_keys_do_not_hammer_the_issuer() {
    let good = named("good");
    let server = KeyServer::start(keys(&[&good]));
    let tree = tree(&server.url(), "");
    let gateway = unlimited(&tree);
    assert_eq!(status(&gateway, &good), 200);
    let (began, before) = (Instant::now(), server.hits());
    std::thread::scope(|scope| {
        for i in 0..24 {
            let (gateway, good) = (&gateway, &good);
            scope.spawn(move || {
                let header = Header { kid: Some(i.to_string()), ..Header::new(Algorithm::EdDSA) };
                let token = encode(&header, &claims(json!({})), &good.key).unwrap();
                refused(gateway, "an invented key", &token);
            });
        }
    });
    // One at once, and then one in two seconds.
    let most = 1 + usize::try_from(began.elapsed().as_secs() / 2).unwrap();
    let hits = server.hits() - before;
    assert!((1..=most).contains(&hits), "{hits} of {most} in {:?}", began.elapsed());
    assert_eq!(status(&gateway, &good), 200);
    // Nor do they keep a key out that has just come.
    let new = named("new");
    server.set(keys(&[&good, &new]));
    assert_eq!(status(&gateway, &new), 200);
}

#[test]
fn an_issuer_that_is_away_hinders_nobody() {
    let signer = named("key");
    let port = quiet_port();
    let tree = tree(&format!("http://127.0.0.1:{port}/keys.json"), "");
    let gateway = unlimited(&tree);
    assert_eq!(gateway.get("/data-api/who").status, 200, "keys do as ever");
    gateway.reload();
    refused(&gateway, "keys that are not there", &signer.sign(&claims(json!({}))));
    eventually("the fetch fails", || fetches(&gateway, "failed") >= 1.0);
    assert_eq!(gateway.metric("tidegate_jwks_keys{issuer=\"sso\"}"), Some(0.0));
    // It comes, and goes again; its keys stay, also across reloads.
    let server =
        KeyServer::on(TcpListener::bind(("127.0.0.1", port)).unwrap(), keys(&[&signer]), None);
    eventually("the keys are there", || status(&gateway, &signer) == 200);
    drop(server);
    let failed = fetches(&gateway, "failed");
    let token = named("other").sign(&claims(json!({})));
    eventually("another key is looked for in vain", || {
        refused(&gateway, "another key", &token);
        fetches(&gateway, "failed") > failed
    });
    whoami(&tree, "more", "");
    gateway.reload();
    assert_eq!(status(&gateway, &signer), 200);
    assert_eq!(gateway.log().matches("keys cannot be fetched").count(), 2, "once for each time");
}

#[test]
fn callers_are_not_to_blame_for_their_issuer() {
    let signer = named("key");
    let tree = tree(&format!("http://127.0.0.1:{}/keys.json", quiet_port()), "");
    let gateway = tree.serve_with(&["--max-auth-failures-per-minute", "3"]);
    for i in 0..4 {
        let token = signer.sign(&claims(json!({"sub": format!("ann {i}")})));
        refused(&gateway, "keys that are not there", &token);
    }
    let reason = "tidegate_auth_failures_total{reason=\"keys_unavailable\"}";
    assert_eq!(gateway.metric(reason), Some(8.0));
}

#[test]
fn an_issuer_that_does_not_answer_is_not_waited_for() {
    // Connections are taken by the system, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let tree = tree(&format!("http://127.0.0.1:{port}/keys.json"), "");
    let gateway = tree.serve();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let timed = |what: &str, most: u64, act: &dyn Fn()| {
        let began = Instant::now();
        act();
        assert!(began.elapsed() < Duration::from_secs(most), "{what}: {:?}", began.elapsed());
    };
    timed("a reload", 4, &|| gateway.reload());
    timed("a key", 4, &|| assert_eq!(gateway.get("/data-api/who").status, 200));
    // Within the bound of three seconds.
    timed("a token", 5, &|| assert_eq!(status(&gateway, &named("any")), 401));
}

#[test]
fn answers_that_are_no_keys_change_nothing() {
    let signer = named("key");
    let elsewhere = KeyServer::start(keys(&[&signer]));
    let set = json!({"keys": [signer.public]}).to_string();
    for (what, bytes) in [
        ("a redirect", {
            let to = elsewhere.url();
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into()
        }),
        ("an error", reply("500 Oops", &set)),
        ("nothing", reply("204 No Content", "")),
        ("a page", reply("200 OK", "<html></html>")),
        ("too much", reply("200 OK", &format!("{set}{}", " ".repeat(300_000)))),
        ("less than promised", {
            format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{set}").into()
        }),
        ("no HTTP", set.clone().into_bytes()),
    ] {
        let server = KeyServer::start(bytes);
        let tree = tree(&server.url(), "");
        let gateway = tree.serve();
        refused(&gateway, what, &signer.sign(&claims(json!({}))));
        eventually(what, || fetches(&gateway, "failed") >= 1.0);
        assert_eq!(fetches(&gateway, "ok"), 0.0, "{what}");
    }
    assert_eq!(elsewhere.hits(), 0, "a redirect was followed");
}

#[test]
fn https_is_trusted_by_the_authorities_that_are_named() {
    let signer = named("key");
    let dir = tempfile::tempdir().unwrap();
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout tls.pem -out tls.csr",
        "x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -days 2 -copy_extensions copy -out cert.pem",
    ] {
        openssl(dir.path(), line);
    }
    let chain = vec![CertificateDer::from_pem_file(dir.path().join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.path().join("tls.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = KeyServer::on(listener, keys(&[&signer]), Some(config.into()));
    let url = format!("https://localhost:{}/keys.json", server.port);
    let tree = tree(&url, ", ca_file: secrets/ca.pem");
    tree.write("secrets/ca.pem", &std::fs::read_to_string(dir.path().join("ca.pem")).unwrap());
    let gateway = tree.serve();
    assert_eq!(status(&gateway, &signer), 200, "{}", gateway.log());
    assert_eq!(gateway.get_with("/data-api/who", &[("x-api-key", KEY)]).status, 200);
    // The web's authorities do not know it.
    issuer(&tree, "sso", ISSUER, &format!("{{jwks_url: \"{url}\"}}"), "");
    gateway.reload();
    assert_eq!(status(&gateway, &signer), 401);
    eventually("the fetch fails", || fetches(&gateway, "failed") >= 1.0);
}
