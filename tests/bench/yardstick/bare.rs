//! Hyper on pingora's stream, with nothing behind it: the same bytes for every request.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownWatch};
use pingora_core::services::listening::Service;

/// Headers that hyper writes itself.
const OF_HYPER: [&str; 3] = ["date", "content-length", "connection"];

struct Bare {
    headers: HeaderMap,
    body: Bytes,
}

/// Serves the answer in a file, as `curl -i` writes it.
pub fn serve(port: u16, file: &str) {
    let text = std::fs::read_to_string(file).expect("the answer can be read");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has head and body");
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = fields
        .filter(|(name, _)| !OF_HYPER.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        })
        .collect();
    let bare = Bare { headers, body: Bytes::from(body.to_owned()) };
    let mut server = Server::new_with_opt_and_conf(None, ServerConf::default());
    server.bootstrap();
    let mut service = Service::new("bare".to_owned(), bare);
    service.threads = Some(super::threads());
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run(RunArgs::default());
}

#[async_trait]
impl ServerApp for Bare {
    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let app = self.clone();
        let service = service_fn(move |_| {
            let mut response = Response::new(Full::new(app.body.clone()));
            *response.headers_mut() = app.headers.clone();
            async move { Ok::<_, Infallible>(response) }
        });
        let builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        None
    }
}
