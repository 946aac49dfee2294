//! The admin page: files that `build.rs` has made from `src/admin/ui/`, as they are in the binary.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::api::envelope;
use crate::observe::code::Code;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What the page is given in a binary that was built without Node.
const WITHOUT: &str = "<!doctype html><meta charset=utf-8><title>Tidegate</title>\
    <h1>潮闸 Tidegate</h1>\
    <p>This binary was built without its admin page: Node 20 with npm was not there. Install it and run <code>cargo build</code> again, \
    or use the API below <code>/api/</code>.</p>\
    <p>这个程序在构建时没有 Node，因此不含管理页面。请安装 Node 20（含 npm）后重新执行 <code>cargo build</code>，或直接使用 <code>/api/</code> 下的接口。</p>";
/// Nothing comes from elsewhere. The editor and the components set styles of their own, and the editor runs workers.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Names of these files change with their content.
const LASTING: &str = "assets/";

/// Gives a file of the page.
pub async fn show(method: Method, uri: Uri) -> Response {
    let name = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    if FILES.is_empty() && name == "index.html" {
        return answer("text/html; charset=utf-8", "no-store", WITHOUT.as_bytes());
    }
    let is_read = method == Method::GET || method == Method::HEAD;
    let Ok(at) = FILES.binary_search_by(|(known, _)| (*known).cmp(name)) else {
        return envelope::failure(Code::NotFound, "There is nothing at this address.");
    };
    if !is_read {
        let text = "The address does not answer this method.";
        return envelope::with_status(405, envelope::failure(Code::NotFound, text));
    }
    let lasts =
        if name.starts_with(LASTING) { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer(media_type(name), lasts, FILES[at].1)
}

fn answer(media_type: &'static str, lasts: &'static str, bytes: &'static [u8]) -> Response {
    let headers: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, lasts),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
