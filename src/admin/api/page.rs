//! Lists in pages: `page` and `pageSize` of the address, and what `meta` says of them.

use std::collections::HashMap;

use axum::response::Response;
use serde_json::{Value, json};

use super::envelope::{failure, success};
use crate::observe::code::Code;

/// Rows of a page of a list, usually and at most.
const PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1_000;

/// Answers with one page of `found`, its rows shown by `show`.
pub fn answer<T>(
    query: &HashMap<String, String>,
    found: &[T],
    show: impl Fn(&T) -> Value,
) -> Response {
    let number = |name: &str, usual: usize| match query.get(name) {
        None => Ok(usual),
        Some(text) => text.parse::<usize>().ok().filter(|n| *n >= 1).ok_or(()),
    };
    let (Ok(page), Ok(size)) = (number("page", 1), number("pageSize", PAGE_SIZE)) else {
        return failure(Code::InvalidParam, "`page` and `pageSize` are whole numbers from 1.");
    };
    let size = size.min(MAX_PAGE_SIZE);
    let before = (page - 1).saturating_mul(size);
    let rows: Vec<Value> = found.iter().skip(before).take(size).map(show).collect();
    let has_next = before.saturating_add(rows.len()) < found.len();
    let meta = json!({ "page": page, "pageSize": size, "total": found.len(), "hasNext": has_next });
    success(rows.into(), meta)
}

/// Whether one of `texts` holds the `q` of the address, whatever its letters' case.
pub fn fits<'a>(query: &HashMap<String, String>, texts: impl IntoIterator<Item = &'a str>) -> bool {
    let wanted = query.get("q").map(|text| text.to_lowercase()).unwrap_or_default();
    texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
}
