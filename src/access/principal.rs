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

/// The claim at a path. The name of a claim may hold dots itself: of two readings the one with the longer name counts.
pub fn claim<'a>(claims: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    (1..=path.len()).rev().find_map(|length| {
        let value = claims.get(&path[..length].join("."))?;
        let rest = &path[length..];
        if rest.is_empty() { Some(value) } else { claim(value.as_object()?, rest) }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_found_by_path_whatever_their_names_hold() {
        let Value::Object(claims) = json!({
            "roles": 1,
            "realm_access": {"roles": 2},
            "https://example.com/roles": 3,
            "resource_access": {"my.own.client": {"roles": 4}, "my": {"own": 5}},
            "a.b": {"c": 6}, "a": {"b": {"c": 7, "d": 8}, "b.c": 9},
            "list": [1],
        }) else {
            unreachable!()
        };
        for (path, expected) in [
            ("roles", Some(1)),
            ("realm_access.roles", Some(2)),
            ("https://example.com/roles", Some(3)),
            ("resource_access.my.own.client.roles", Some(4)),
            ("resource_access.my.own", Some(5)),
            ("a.b.c", Some(6)),
            ("a.b.d", Some(8)),
            ("realm_access", None),
            ("realm_access.roles.more", None),
            ("list.0", None),
            ("nothing", None),
            ("", None),
        ] {
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            let found = claim(&claims, &steps).and_then(Value::as_i64);
            assert_eq!(found, expected, "{path}");
        }
    }
}
