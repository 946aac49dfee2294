//! Reads what a call says: path segments, query, headers and body.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Limited};

use super::error::ApiError;
use super::messages::Message;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Location, Method};
use crate::observe::code::Code;
use crate::query::params::{Input, Pairs, parse_body};

/// A body that is too large is read on for so long and so far, so that its sender gets to read why.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_BYTES: u64 = 4 << 30;

/// Limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub max_bytes: usize,
    pub until: Instant,
}

/// Collects the parameters of a call as text.
///
/// # Errors
/// Where the body is too large, too slow, or no JSON object.
pub async fn read<'a, B>(
    interface: &'a Interface,
    segments: Pairs<'a>,
    query: Pairs<'a>,
    headers: &'a HeaderMap,
    body: B,
    limits: BodyLimits,
) -> Result<Input<'a>, ApiError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut input = Input { path: segments, query, ..Input::default() };
    for parameter in interface.parameters.iter().filter(|p| p.location == Location::Header) {
        for value in headers.get_all(&parameter.name) {
            // Header values that are UTF-8 are taken as such, as most clients send them.
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
                ApiError::parameter(
                    &parameter.name,
                    crate::definitions::fault::Fault::Type(parameter.kind),
                )
            })?;
            input.headers.push((parameter.name.as_str().into(), text.into()));
        }
    }
    if interface.method == Method::Post {
        let bytes = collect(headers, body, limits).await?;
        let is_taken = is_json(headers) && is_uncompressed(headers);
        if !(bytes.is_empty() || is_taken) {
            return Err(
                ApiError::new(Code::InvalidParam, Message::UnsupportedMedia).with_status(415)
            );
        }
        input.body = parse_body(&bytes)?;
    }
    Ok(input)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let media = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media == "application/json" || media.starts_with("application/") && media.ends_with("+json")
}

fn is_uncompressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_none_or(|c| c.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn collect<B>(headers: &HeaderMap, body: B, limits: BodyLimits) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let too_large = || {
        ApiError::new(Code::InvalidParam, Message::BodyTooLarge(limits.max_bytes)).with_status(413)
    };
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limits.max_bytes as u64) {
        linger(body);
        return Err(too_large());
    }
    let mut body = body;
    let limited = Limited::new(&mut body, limits.max_bytes).collect();
    match tokio::time::timeout_at(limits.until.into(), limited).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            linger(body);
            Err(too_large())
        }
        Ok(Err(error)) => {
            Err(ApiError::new(Code::InvalidParam, Message::MalformedJson)
                .because(error.to_string()))
        }
        Err(_) => Err(ApiError::new(Code::InvalidParam, Message::BodyTimeout).with_status(408)),
    }
}

/// Reads on and throws away, while the answer goes out.
fn linger<B>(mut body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let drain = async move {
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
            if left == 0 {
                return;
            }
        }
    };
    drop(tokio::spawn(tokio::time::timeout(LINGER, drain)));
}
