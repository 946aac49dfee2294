//! Roles, consumers and issuers of a snapshot.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Interface;
use crate::definitions::grant::Grant;
use crate::definitions::problem::Place;
use crate::definitions::spec;
use crate::definitions::spec::jwt_issuer::Algorithm;
use crate::pace::paced;

/// Who may do what.
#[derive(Debug, Default)]
pub struct Policies {
    pub roles: Vec<Role>,
    pub role_ids: HashMap<String, usize>,
    pub consumers: Vec<Arc<Consumer>>,
    pub consumer_ids: HashMap<String, usize>,
    /// SHA-256 of a key to the key.
    pub keys: HashMap<[u8; 32], ApiKey>,
    pub issuers: Vec<Issuer>,
}

/// A role with the interfaces and the data it grants.
#[derive(Clone, Debug)]
pub struct Role {
    pub name: String,
    /// A bit for each interface.
    grants: Vec<u64>,
    /// What grants interfaces: a glob on codes or a tag, and where it stands.
    entries: Vec<(Entry, Place)>,
    /// By datasource.
    data: HashMap<String, Vec<Arc<Grant>>>,
    pub place: Place,
}

/// Interfaces by code or by tag.
#[derive(Clone, Debug)]
pub enum Entry {
    Codes(globset::GlobMatcher),
    Tag(String),
}

impl Entry {
    /// Whether it grants the interface.
    pub fn grants(&self, interface: &Interface) -> bool {
        match self {
            Self::Codes(glob) => glob.is_match(&interface.code),
            Self::Tag(tag) => interface.tags.contains(tag),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codes(glob) => write!(f, "interfaces: {}", glob.glob()),
            Self::Tag(tag) => write!(f, "tags: {tag}"),
        }
    }
}

impl Role {
    /// A role that grants some of `interfaces`, and data.
    pub fn new(
        name: String,
        entries: Vec<(Entry, Place)>,
        interfaces: &[Arc<Interface>],
        data: HashMap<String, Vec<Arc<Grant>>>,
        place: Place,
    ) -> Self {
        let mut grants = vec![0_u64; interfaces.len().div_ceil(64)];
        for interface in paced(interfaces) {
            if entries.iter().any(|(entry, _)| entry.grants(interface)) {
                grants[interface.index / 64] |= 1 << (interface.index % 64);
            }
        }
        Self { name, grants, entries, data, place }
    }

    /// What grants interfaces, and where it stands.
    pub fn entries(&self) -> &[(Entry, Place)] {
        &self.entries
    }

    /// Whether it grants the interface with this index.
    pub fn grants(&self, index: usize) -> bool {
        self.grants.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// What it grants, with the datasource.
    pub fn all_data(&self) -> impl Iterator<Item = (&str, &Arc<Grant>)> {
        self.data
            .iter()
            .flat_map(|(id, grants)| grants.iter().map(move |grant| (id.as_str(), grant)))
    }

    /// What it grants of a datasource.
    pub fn data(&self, datasource: &str) -> &[Arc<Grant>] {
        self.data.get(datasource).map_or(&[], Vec::as_slice)
    }
}

/// A calling system.
#[derive(Clone, Debug)]
pub struct Consumer {
    pub name: String,
    pub description: Option<String>,
    /// Indexes of roles.
    pub roles: Vec<usize>,
    pub claims: Map<String, Value>,
    pub place: Place,
}

/// An API key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub consumer: usize,
    pub id: String,
    /// From this moment on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// An issuer of tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub name: String,
    pub issuer: String,
    pub audience: String,
    pub keys: IssuerKeys,
    /// Empty: those that the keys are for.
    pub algorithms: Vec<Algorithm>,
    pub roles_claim: Vec<String>,
    /// Value of the roles claim to indexes of roles; without it, values are names of roles.
    pub roles_map: Option<HashMap<String, Vec<usize>>>,
    pub name_claim: Vec<String>,
    pub leeway_seconds: u64,
    pub place: Place,
}

/// What an issuer signs with.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// Text of a JWKS file.
    Jwks(String),
    /// A JWKS that is fetched while it serves.
    Url(JwksUrl),
    /// Shared secret.
    Hs256(spec::Secret),
}

/// Where a JWKS is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUrl {
    pub url: String,
    /// Authorities to trust instead of the web's, relative to the root.
    pub ca_file: Option<String>,
}
