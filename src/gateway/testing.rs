//! Requests made from parameters, for test runs: the same path as a caller's, without a socket.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Location, Method as CallMethod};

/// The request that calls `interface` with `parameters`: each goes where its definition says, unknown ones into the
/// query or, for a POST, the body.
pub fn request(interface: &Interface, parameters: &Map<String, Value>) -> Request<Full<Bytes>> {
    let mut path = interface.path.clone();
    let mut query: Vec<String> = Vec::new();
    let mut body = Map::new();
    let mut request = Request::new(Full::new(Bytes::new()));
    for (name, value) in parameters {
        let declared = interface.parameters.iter().find(|parameter| parameter.name == *name);
        let usual =
            if interface.method == CallMethod::Post { Location::Body } else { Location::Query };
        match declared.map_or(usual, |parameter| parameter.location) {
            Location::Path => path = path.replace(&format!("{{{name}}}"), &encode(&text(value))),
            Location::Query => match value {
                Value::Array(items) => query.extend(items.iter().map(|item| pair(name, item))),
                value => query.push(pair(name, value)),
            },
            Location::Header => {
                let parsed = (
                    name.parse::<http::HeaderName>(),
                    HeaderValue::from_bytes(text(value).as_bytes()),
                );
                if let (Ok(name), Ok(value)) = parsed {
                    request.headers_mut().insert(name, value);
                }
            }
            Location::Body => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    // A definition's path and encoded values are always an address.
    *request.uri_mut() = path.parse().unwrap_or_default();
    if interface.method == CallMethod::Post {
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Full::new(Value::Object(body).to_string().into());
    }
    request
}

fn pair(name: &str, value: &Value) -> String {
    format!("{}={}", encode(name), encode(&text(value)))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
