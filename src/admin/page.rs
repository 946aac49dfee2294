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
    let is_read = method == Method::GET || method == Method::HEAD;
    file(FILES, is_read, uri.path())
}

/// The file of this path among `files`, which are in the order of their names.
fn file(files: &[(&str, &'static [u8])], is_read: bool, path: &str) -> Response {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    if files.is_empty() && name == "index.html" {
        return answer("text/html; charset=utf-8", "no-store", WITHOUT.as_bytes());
    }
    let Ok(at) = files.binary_search_by(|(known, _)| (*known).cmp(name)) else {
        return envelope::failure(Code::NotFound, "There is nothing at this address.");
    };
    if !is_read {
        let text = "The address does not answer this method.";
        return envelope::with_status(405, envelope::failure(Code::NotFound, text));
    }
    let lasts =
        if name.starts_with(LASTING) { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer(media_type(name), lasts, files[at].1)
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

#[cfg(test)]
mod tests {
    use axum::http::header::CACHE_CONTROL;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn without_node_the_page_says_how_to_get_one() {
        let answer = file(&[], true, "/");
        assert_eq!(
            (answer.status(), &answer.headers()[CACHE_CONTROL]),
            (StatusCode::OK, &"no-store".parse().unwrap())
        );
        let said = text(answer).await;
        assert!(
            said.contains("Node 20") && said.contains("cargo build") && said.contains("重新执行"),
            "{said}"
        );
        assert_eq!(file(&[], true, "/assets/a.js").status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn files_of_changing_names_last() {
        let files: [(&str, &'static [u8]); 2] = [("assets/a.js", b"a"), ("index.html", b"page")];
        let lasts = |path: &str| file(&files, true, path).headers()[CACHE_CONTROL].clone();
        assert!(lasts("/assets/a.js").to_str().unwrap().contains("immutable"));
        assert_eq!(lasts("/"), "no-cache");
        assert_eq!(text(file(&files, true, "/")).await, "page");
        assert_eq!(file(&files, false, "/index.html").status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(file(&files, true, "/nothing").status(), StatusCode::NOT_FOUND);
    }
}
