//! Lists in pages: `page` and `pageSize` of the address, and what `meta` says of them.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::{Value, json};

use super::envelope::{failure, success};
use crate::observe::code::Code;

/// Rows of a page of a list, usually and at most.
pub const PAGE_SIZE: usize = 50;
pub const MAX_PAGE_SIZE: usize = 1_000;

/// Answers with one page of `found`, its rows shown by `show`.
pub fn answer<T>(
    query: &HashMap<String, String>,
    found: &[T],
    show: impl Fn(&T) -> Value,
) -> Response {
    let (page, size) = match asked(query) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let before = (page - 1).saturating_mul(size);
    let rows: Vec<Value> = found.iter().skip(before).take(size).map(show).collect();
    success(rows, meta(page, size, found.len()))
}

/// The page that is asked for, from 1, and its rows at most.
///
/// # Errors
/// The answer to what is no page.
pub fn asked(query: &HashMap<String, String>) -> Result<(usize, usize), Box<Response>> {
    let number = |name: &str, usual: usize| match query.get(name) {
        None => Ok(usual),
        Some(text) => text.parse::<usize>().ok().filter(|n| *n >= 1).ok_or(()),
    };
    let (Ok(page), Ok(size)) = (number("page", 1), number("pageSize", PAGE_SIZE)) else {
        let message = "`page` and `pageSize` are whole numbers from 1.";
        return Err(Box::new(failure(Code::InvalidParam, message)));
    };
    Ok((page, size.min(MAX_PAGE_SIZE)))
}

/// What `meta` says of a page.
pub fn meta(page: usize, size: usize, total: usize) -> Value {
    let has_next = page.saturating_mul(size) < total;
    json!({ "page": page, "pageSize": size, "total": total, "hasNext": has_next })
}

/// Whether one of `texts` holds the `q` of the address, whatever its letters' case.
pub fn fits<'a>(query: &HashMap<String, String>, texts: impl IntoIterator<Item = &'a str>) -> bool {
    let wanted = query.get("q").map(|text| text.to_lowercase()).unwrap_or_default();
    texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
}
