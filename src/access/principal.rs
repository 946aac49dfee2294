//! The caller of a request, once known.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::store::audit::PrincipalKind;

/// A caller.
#[derive(Clone, Debug)]
pub struct Principal {
    pub kind: PrincipalKind,
    /// Consumer, or subject of the token; empty when anonymous.
    pub name: Arc<str>,
    /// The `jwt_issuer` that vouched for a token.
    pub issuer: Option<Arc<str>>,
    /// Indexes of roles in the generation.
    pub roles: Vec<usize>,
    pub claims: Map<String, Value>,
}

impl Principal {
    /// A caller that has not said who it is.
    pub fn anonymous() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            name: Arc::from(""),
            issuer: None,
            roles: Vec::new(),
            claims: Map::new(),
        }
    }

    /// Whether the caller has not said who it is.
    pub fn is_anonymous(&self) -> bool {
        self.kind == PrincipalKind::Anonymous
    }

    /// The claim at a path.
    pub fn claim(&self, path: &[String]) -> Option<&Value> {
        claim(&self.claims, path)
    }
}

/// The claim at a path; a claim whose name holds the dots itself comes first.
pub fn claim<'a>(claims: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    if let Some(value) = claims.get(&path.join(".")) {
        return Some(value);
    }
    let (first, rest) = path.split_first()?;
    let mut value = claims.get(first)?;
    for step in rest {
        value = value.get(step)?;
    }
    Some(value)
}
