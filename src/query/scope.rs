//! The values of a template's names in one call: parameters, the caller, the request, the time.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use super::params::Params;
use crate::access::principal::Principal;
use crate::definitions::snapshot::{Binding, Interface};
use crate::sql::bind::Bind;

/// The values of one call, by index of the template's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub values: Vec<Bind>,
}

/// A claim that the query needs and the caller does not have. Without it the query must not run: a condition on it
/// could be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingClaim(pub String);

/// Binds the names of `interface`.
///
/// # Errors
/// Where the caller has no such claim.
pub fn bind(
    interface: &Interface,
    params: &Params,
    principal: &Principal,
    ip: IpAddr,
    now: Timestamp,
) -> Result<Scope, MissingClaim> {
    let value = |binding: &Binding| {
        Ok(match binding {
            Binding::Parameter(index) => params.values.get(*index).cloned().unwrap_or(Bind::Null),
            Binding::PrincipalName => Bind::Text(principal.name.to_string()),
            Binding::RequestIp => Bind::Text(ip.to_string()),
            Binding::Now => {
                Bind::DateTime(now.to_zoned(TimeZone::UTC).datetime(), Some(Offset::UTC))
            }
            Binding::Claim(path) => principal
                .claim(path)
                .and_then(from_claim)
                .ok_or_else(|| MissingClaim(path.join(".")))?,
        })
    };
    let values = interface.query.bindings.iter().map(value).collect::<Result<_, _>>()?;
    Ok(Scope { values })
}

fn from_claim(value: &Value) -> Option<Bind> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(b) => Bind::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Bind::Number(n.to_string()), Bind::Int),
        Value::String(text) if text.contains('\0') => return None,
        Value::String(text) => Bind::Text(text.clone()),
        Value::Array(items) => Bind::Array(items.iter().map(from_claim).collect::<Option<_>>()?),
        Value::Object(_) => Bind::Json(value.to_string()),
    })
}

impl Scope {
    /// What an answer depends on, as bytes: equal where the answer is the same. The time does not count, since a cached
    /// answer is of an earlier time anyway.
    pub fn fingerprint(&self, interface: &Interface, out: &mut Vec<u8>) {
        for (binding, value) in interface.query.bindings.iter().zip(&self.values) {
            if *binding == Binding::Now {
                continue;
            }
            let text = value.to_json();
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}
