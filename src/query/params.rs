//! Takes the parameters of a call: from path, query, headers and body to typed values, with every fault at once.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::definitions::coerce::{MAX_ARRAY_ITEMS, Parameter};
use crate::definitions::fault::Fault;
use crate::definitions::parameter::RESERVED;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Location, ParamType};
use crate::sql::bind::Bind;

/// Faults listed in one answer.
const MAX_FAULTS: usize = 100;
/// Query parameters looked at.
const MAX_PAIRS: usize = 10_000;
/// Bytes of a refused value that a record shows.
const MAX_GIVEN_BYTES: usize = 256;
/// How deep a body may nest.
const MAX_BODY_DEPTH: usize = 64;

/// Names and decoded values, which stay where they were read if they had nothing to decode.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What a call says, still as text.
#[derive(Debug, Default)]
pub struct Input<'a> {
    pub path: Pairs<'a>,
    pub query: Pairs<'a>,
    /// Headers that are parameters of the interface, by parameter name.
    pub headers: Pairs<'a>,
    pub body: Vec<(String, Box<RawValue>)>,
}

/// The values of an interface's parameters, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    pub values: Vec<Bind>,
}

/// What is wrong with a parameter.
pub type ParamFault = (String, Fault);

/// Takes the parameters of `interface` from `input`.
///
/// # Errors
/// Every fault, up to a limit.
pub fn take(interface: &Interface, input: &Input<'_>) -> Result<Params, Vec<ParamFault>> {
    let mut faults = Vec::new();
    let mut values = Vec::with_capacity(interface.parameters.len());
    for parameter in &interface.parameters {
        match one(parameter, input) {
            Ok(Some(value)) => values.push(value),
            Ok(None) if parameter.required => {
                faults.push((parameter.name.clone(), Fault::Required));
            }
            Ok(None) => values.push(parameter.default.clone().unwrap_or(Bind::Null)),
            Err(fault) => faults.push((parameter.name.clone(), fault)),
        }
    }
    if !interface.allow_unknown {
        unknown(interface, input, &mut faults);
    }
    if faults.is_empty() {
        return Ok(Params { values });
    }
    faults.truncate(MAX_FAULTS);
    Err(faults)
}

fn one(parameter: &Parameter, input: &Input<'_>) -> Result<Option<Bind>, Fault> {
    let name = &parameter.name;
    let pairs = match parameter.location {
        Location::Path => &input.path,
        Location::Query => &input.query,
        Location::Header => &input.headers,
        Location::Body => {
            let mut found = input.body.iter().filter(|(key, _)| key == name);
            let Some((_, value)) = found.next() else { return Ok(None) };
            if found.next().is_some() {
                return Err(Fault::Repeated);
            }
            // An explicit null is the same as nothing.
            return if value.get() == "null" {
                Ok(None)
            } else {
                parameter.from_json(value).map(Some)
            };
        }
    };
    let mut found = pairs.iter().filter(|(key, _)| key == name).map(|(_, text)| &**text);
    let Some(first) = found.next() else { return Ok(None) };
    let more: Vec<&str> = found.take(MAX_ARRAY_ITEMS + 1).collect();
    if more.is_empty() {
        // `?x=` gives nothing to anything that is not a text.
        let is_text = matches!(parameter.kind, ParamType::String | ParamType::Array);
        return if first.is_empty() && !is_text {
            Err(Fault::Type(parameter.kind))
        } else {
            parameter.from_text(first).map(Some)
        };
    }
    if parameter.kind != ParamType::Array {
        return Err(Fault::Repeated);
    }
    let all: Vec<String> = std::iter::once(first).chain(more).map(str::to_owned).collect();
    parameter.from_texts(&all).map(Some)
}

fn unknown(interface: &Interface, input: &Input<'_>, faults: &mut Vec<ParamFault>) {
    let declared = |name: &str, location: Location| {
        interface.parameters.iter().any(|p| p.location == location && p.name == name)
    };
    let in_query = input.query.iter().map(|(name, _)| (&**name, Location::Query));
    let in_body = input.body.iter().map(|(name, _)| (name.as_str(), Location::Body));
    for (name, location) in in_query.chain(in_body) {
        let reserved = location == Location::Query && RESERVED.contains(&name);
        let listed = |faults: &[ParamFault]| faults.iter().any(|(listed, _)| listed == name);
        if faults.len() < MAX_FAULTS && !reserved && !declared(name, location) && !listed(faults) {
            faults.push((name.to_owned(), Fault::Unknown));
        }
    }
}

/// What was given for the parameters of `interface`, as it came, as JSON for the record of a call whose parameters were
/// refused: sensitive ones masked, long ones cut, unknown ones left out.
pub fn given(interface: &Interface, input: &Input<'_>) -> String {
    let mut map = Map::new();
    for parameter in &interface.parameters {
        let texts: Vec<&str> = match parameter.location {
            Location::Path => all(&input.path, &parameter.name),
            Location::Query => all(&input.query, &parameter.name),
            Location::Header => all(&input.headers, &parameter.name),
            Location::Body => {
                let own = input.body.iter().filter(|(key, _)| *key == parameter.name);
                own.map(|(_, value)| value.get().trim_matches('"')).collect()
            }
        };
        if texts.is_empty() {
            continue;
        }
        let text = texts.join(", ");
        let cut = &text[..text.floor_char_boundary(MAX_GIVEN_BYTES)];
        let shown = if parameter.is_sensitive { "***" } else { cut };
        map.insert(parameter.name.clone(), shown.into());
    }
    Value::Object(map).to_string()
}

fn all<'a>(pairs: &'a Pairs<'_>, name: &str) -> Vec<&'a str> {
    let own = pairs.iter().filter(|(key, _)| key == name).map(|(_, text)| &**text);
    own.take(MAX_ARRAY_ITEMS).collect()
}

/// Why the text of a query or body cannot be taken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Percent codes that are none, or are not UTF-8.
    Query,
    TooManyParameters,
    /// Not a JSON object.
    Json,
    TooDeep,
}

/// Decodes a query string.
///
/// # Errors
/// Where it is not percent-encoded UTF-8, or endless.
pub fn parse_query(text: &str) -> Result<Pairs<'_>, Malformed> {
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() >= MAX_PAIRS {
            return Err(Malformed::TooManyParameters);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name, true)?, decode(value, true)?));
    }
    Ok(pairs)
}

/// Decodes percent codes; in a query `+` is a space.
///
/// # Errors
/// Where a code is cut short or the result is not UTF-8.
pub fn decode(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, Malformed> {
    let bytes = text.as_bytes();
    let is_coded = bytes.contains(&b'%') || plus_is_space && bytes.contains(&b'+');
    if !is_coded {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(Malformed::Query);
                };
                out.push(u8::try_from(high * 16 + low).map_err(|_| Malformed::Query)?);
                at += 3;
                continue;
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(*other),
        }
        at += 1;
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Malformed::Query)
}

/// Reads a body: a JSON object, or nothing.
///
/// # Errors
/// Where it is something else, or nests too deep.
pub fn parse_body(body: &[u8]) -> Result<Vec<(String, Box<RawValue>)>, Malformed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    if is_too_deep(body) {
        return Err(Malformed::TooDeep);
    }
    let Members(members) = serde_json::from_slice(body).map_err(|_| Malformed::Json)?;
    Ok(members)
}

fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > MAX_BODY_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The members of a JSON object in order, repeated ones kept.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() >= MAX_PAIRS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Params {
    /// The values of sensitive parameters as text.
    pub fn secrets(&self, interface: &Interface) -> Vec<String> {
        let given = interface.parameters.iter().zip(&self.values);
        let sensitive = given.filter(|(parameter, _)| parameter.is_sensitive);
        let texts = sensitive.flat_map(|(_, value)| match value {
            Bind::Array(items) => items.iter().map(Bind::to_text).collect(),
            one => vec![one.to_text()],
        });
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// The parameters as JSON for the audit record, sensitive ones masked.
    pub fn to_audit(&self, interface: &Interface) -> String {
        let mut map = Map::new();
        for (parameter, value) in interface.parameters.iter().zip(&self.values) {
            let shown = match value {
                Bind::Null => continue,
                _ if parameter.is_sensitive => Value::from("***"),
                value => serde_json::from_str(&value.to_json())
                    .unwrap_or_else(|_| value.to_text().into()),
            };
            map.insert(parameter.name.clone(), shown);
        }
        Value::Object(map).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_decode_strictly() {
        let pairs = parse_query("a=1&b=%E9%97%A8+x&c&d=a%2Bb").unwrap();
        let expected = [("a", "1"), ("b", "门 x"), ("c", ""), ("d", "a+b")];
        let found: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(found, expected);
        for bad in ["a=%", "a=%2", "a=%zz", "a=%FF", "%C3=1"] {
            assert_eq!(parse_query(bad), Err(Malformed::Query), "{bad}");
        }
    }

    #[test]
    fn bodies_are_objects_of_bounded_depth() {
        assert_eq!(parse_body(b" \n").unwrap().len(), 0);
        assert_eq!(parse_body(br#"{"a": 1.50, "a": 2}"#).unwrap()[0].1.get(), "1.50");
        for bad in ["[1]", "{", "{\"a\":}", "nul", "\"a\"", "{\"a\":1}x"] {
            assert_eq!(parse_body(bad.as_bytes()).err(), Some(Malformed::Json), "{bad}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse_body(deep.as_bytes()).err(), Some(Malformed::TooDeep));
        assert!(parse_body(b"{\"a\": \"[[[[\xff\"}").is_err());
    }
}
