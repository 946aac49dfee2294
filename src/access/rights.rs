//! What a caller may see of a governed datasource: the data grants of its roles that count for an interface.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use parking_lot::RwLock;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::mask_key::MaskKey;
use super::principal::Principal;
use crate::definitions::grant::Grant;
use crate::definitions::snapshot::{Interface, Policies};
use crate::sql::bind::Bind;
use crate::sql::fragment::{Form, Reference};
use crate::sql::relation::Relation;
use crate::sql::statement::Statement;

/// Sets of grants remembered, over all interfaces of a generation.
const MAX_RIGHTS: u64 = 10_000;
/// Rewritten statements kept for one set of grants; beyond it the memory starts anew.
const MAX_STATEMENTS: usize = 64;

/// Why a caller is refused before its parameters are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has roles who does not say who it is.
    Anonymous,
    /// No role of it grants what the interface reads.
    NotGranted(String),
    /// A grant would, and reads a claim that the caller does not have.
    MissingClaim(String),
}

/// Grants that count together for one interface. Shared by the callers that have them.
#[derive(Debug)]
pub struct Rights {
    pub grants: Vec<Arc<Grant>>,
    /// Equal where answers differ by nothing but the values of the references.
    fingerprint: [u8; 16],
    /// What of the caller an answer may depend on.
    references: Vec<Reference>,
    /// The roles whose grants count, each once.
    pub roles: Vec<String>,
    /// Why they cannot cover what the interface reads, so far as that is known at load.
    lack: Option<String>,
    statements: RwLock<HashMap<usize, Arc<Rewritten>>>,
}

/// A statement rewritten for a set of grants.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// As it is written. Held so that its address stays its own.
    source: Arc<Statement>,
    pub statement: Arc<Statement>,
    /// What fills its places for grants, by number.
    pub references: Vec<Reference>,
    /// Columns of its tables that are not seen.
    pub hidden: Vec<String>,
    made_at: Instant,
}

impl Rewritten {
    /// `source` as `statement`, made now.
    pub fn new(
        source: &Arc<Statement>,
        statement: Statement,
        references: Vec<Reference>,
        hidden: Vec<String>,
    ) -> Self {
        let (source, statement) = (source.clone(), Arc::new(statement));
        Self { source, statement, references, hidden, made_at: Instant::now() }
    }
}

impl Rights {
    fn new(grants: Vec<Arc<Grant>>, interface: &Interface) -> Self {
        let reads = interface.query.reads.as_ref().filter(|reads| reads.is_complete);
        let counts = |grant: &&Arc<Grant>| {
            let Some(reads) = reads else { return true };
            let tables = grant.tables.as_ref();
            // A function may be called behind a dot, or under the name of a built-in one.
            !grant.functions.is_empty()
                || tables.is_some_and(|tables| reads.tables.iter().any(|t| tables.may_cover(t)))
        };
        let mut roles: Vec<String> = Vec::new();
        let mut counted: Vec<&Arc<Grant>> = Vec::new();
        for grant in grants.iter().filter(counts) {
            if !roles.contains(&grant.role) {
                roles.push(grant.role.clone());
            }
            // Roles that grant the same in the same order share their answers, whatever their names. The first mask counts, so
            // that the order matters.
            if counted.iter().all(|known| known.content != grant.content) {
                counted.push(grant);
            }
        }
        let mut references: Vec<Reference> = Vec::new();
        for reference in counted.iter().flat_map(|grant| grant.references()) {
            if !references.contains(reference) {
                references.push(reference.clone());
            }
        }
        let text: Vec<&str> = counted.iter().map(|grant| grant.content.as_str()).collect();
        let text = text.join("\n");
        let digest = Sha256::digest(text);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&digest[..16]);
        let statements = RwLock::default();
        let mut rights = Self { grants, fingerprint, references, roles, lack: None, statements };
        rights.lack = rights.lacks(interface);
        rights
    }

    /// The statement as it was rewritten at most `ttl` ago.
    pub fn rewritten(&self, source: &Arc<Statement>, ttl: Duration) -> Option<Arc<Rewritten>> {
        let statements = self.statements.read();
        let found = statements.get(&(Arc::as_ptr(source) as usize))?;
        (found.made_at.elapsed() < ttl).then(|| found.clone())
    }

    /// Remembers a rewritten statement.
    pub fn remember(&self, rewritten: Arc<Rewritten>) {
        let mut statements = self.statements.write();
        if statements.len() >= MAX_STATEMENTS {
            statements.clear();
        }
        statements.insert(Arc::as_ptr(&rewritten.source) as usize, rewritten);
    }

    /// Forgets all of them: the database does not agree with them any more.
    pub fn forget(&self) {
        self.statements.write().clear();
    }

    /// The grants that cover a table, so far as that is known without asking the database.
    pub fn covering(&self, table: &Relation) -> impl Iterator<Item = &Arc<Grant>> {
        covering(&self.grants, table)
    }

    /// Whether a function is granted, by its name in lower case.
    pub fn has_function(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant.functions.iter().any(|glob| glob.is_match(name)))
    }

    fn lacks(&self, interface: &Interface) -> Option<String> {
        if self.grants.is_empty() {
            return Some("no role of the caller grants anything of the datasource".to_owned());
        }
        let reads = interface.query.reads.as_ref().filter(|reads| reads.is_complete)?;
        let table = reads.tables.iter().find(|table| self.covering(table).next().is_none());
        let function = || reads.functions.iter().find(|name| !self.has_function(name));
        table.map(|table| format!("no role of the caller grants the table `{table}`")).or_else(
            || Some(format!("no role of the caller grants the function `{}`", function()?)),
        )
    }
}

fn covering<'a>(
    grants: &'a [Arc<Grant>],
    table: &Relation,
) -> impl Iterator<Item = &'a Arc<Grant>> {
    grants
        .iter()
        .filter(move |grant| grant.tables.as_ref().is_some_and(|tables| tables.may_cover(table)))
}

/// A caller with its rights.
#[derive(Clone, Debug)]
pub struct Granted {
    pub rights: Arc<Rights>,
    pub principal: Arc<Principal>,
    mask_key: Arc<MaskKey>,
}

impl Granted {
    /// The values of references, by number.
    ///
    /// # Errors
    /// The claim that is not of the form that its column needs.
    pub fn values(&self, references: &[Reference]) -> Result<Vec<Bind>, String> {
        let value = |reference: &Reference| match reference {
            Reference::InnerPad => Ok(Bind::Text(self.mask_key.inner().to_owned())),
            Reference::OuterPad => Ok(Bind::Text(self.mask_key.outer().to_owned())),
            // Grants whose references have no value do not count.
            other => value(other, &self.principal)
                .map_or(Some(Bind::Null), |value| formed(value, reference))
                .ok_or_else(|| format!("`{reference}` is not of the form that its column needs")),
        };
        references.iter().map(value).collect()
    }

    /// What an answer depends on of the caller, as bytes: equal where the answer is the same.
    pub fn fingerprint(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rights.fingerprint);
        for reference in &self.rights.references {
            let text = value(reference, &self.principal).unwrap_or(Bind::Null).to_json();
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// The sets of grants in use.
#[derive(Debug)]
pub struct RightsTable {
    known: Cache<(usize, Box<[usize]>), Arc<Rights>>,
    mask_key: Arc<MaskKey>,
}

impl RightsTable {
    /// An empty table.
    pub fn new(mask_key: Arc<MaskKey>) -> Self {
        Self { known: Cache::new(MAX_RIGHTS), mask_key }
    }

    /// The rights of a caller on an interface; `None` where its datasource is not governed.
    ///
    /// # Errors
    /// Where its grants cannot cover what the interface reads.
    pub fn of(
        &self,
        principal: &Arc<Principal>,
        interface: &Interface,
        policies: &Policies,
    ) -> Result<Option<Granted>, Refusal> {
        if !interface.datasource.spec.governed {
            return Ok(None);
        }
        let (grants, missing) = counting(principal, &interface.datasource.spec.id, policies);
        let ids: Box<[usize]> = grants.iter().map(|grant| grant.id).collect();
        let rights = self
            .known
            .get_with((interface.index, ids), || Arc::new(Rights::new(grants, interface)));
        match (&rights.lack, missing) {
            (Some(_), _) if principal.is_anonymous() => Err(Refusal::Anonymous),
            (None, _) => {
                let (principal, mask_key) = (principal.clone(), self.mask_key.clone());
                Ok(Some(Granted { rights: rights.clone(), principal, mask_key }))
            }
            (Some(_), Some(reference)) => Err(Refusal::MissingClaim(match reference {
                Reference::Claim { path, .. } => path.join("."),
                other => other.to_string(),
            })),
            (Some(lack), None) => Err(Refusal::NotGranted(lack.clone())),
        }
    }
}

/// All grants of a caller's roles on a datasource, each once.
pub fn grants_of<'a>(
    principal: &Principal,
    datasource: &str,
    policies: &'a Policies,
) -> Vec<&'a Arc<Grant>> {
    let roles = principal.roles.iter().filter_map(|role| policies.roles.get(*role));
    let mut grants: Vec<&Arc<Grant>> = roles.flat_map(|role| role.data(datasource)).collect();
    grants.sort_by_key(|grant| grant.id);
    grants.dedup_by_key(|grant| grant.id);
    grants
}

/// The grants of a caller's roles on a datasource, each once, without those that read what the caller does not have; one
/// such thing.
fn counting(
    principal: &Principal,
    datasource: &str,
    policies: &Policies,
) -> (Vec<Arc<Grant>>, Option<Reference>) {
    let mut grants = grants_of(principal, datasource, policies);
    let mut missing = None;
    grants.retain(|grant| {
        let absent = grant.references().find(|reference| value(reference, principal).is_none());
        if let Some(reference) = absent {
            missing = Some(reference.clone());
        }
        absent.is_none()
    });
    (grants.into_iter().cloned().collect(), missing)
}

/// The value of a reference; `None` where the caller does not have it, or not in the form that its place needs.
fn value(reference: &Reference, principal: &Principal) -> Option<Bind> {
    match reference {
        // A token may have no name.
        Reference::Name if principal.name.is_empty() => None,
        Reference::Name => Some(Bind::Text(principal.name.to_string())),
        Reference::Claim { path, is_list, .. } => {
            let claim = principal.claim(path)?;
            match (claim, is_list) {
                (Value::Array(items), true) => {
                    items.iter().map(scalar).collect::<Option<_>>().map(Bind::Array)
                }
                (one, true) => Some(Bind::Array(vec![scalar(one)?])),
                (one, false) => scalar(one),
            }
        }
        Reference::InnerPad | Reference::OuterPad => None,
    }
}

/// A value in the form that its place needs.
fn formed(value: Bind, reference: &Reference) -> Option<Bind> {
    let Reference::Claim { form, .. } = reference else { return Some(value) };
    let one = |value: Bind| match (form, &value) {
        (Form::Text, _) => Some(Bind::Text(value.to_text())),
        (Form::Number, Bind::Text(text)) => is_number(text).then_some(value),
        (Form::Any | Form::Number, _) => Some(value),
        (Form::Date, Bind::Text(text)) => {
            let begins = text.get(..10).and_then(|date| date.parse::<jiff::civil::Date>().ok());
            begins.is_some().then_some(value)
        }
        (Form::Date, _) => None,
    };
    match value {
        Bind::Array(items) => items.into_iter().map(one).collect::<Option<_>>().map(Bind::Array),
        value => one(value),
    }
}

/// Whether a text is a number to every database: digits, perhaps with sign and point.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match digits.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(digits),
    }
}

fn scalar(value: &Value) -> Option<Bind> {
    match value {
        Value::Bool(b) => Some(Bind::Bool(*b)),
        Value::Number(n) => Some(n.as_i64().map_or_else(|| Bind::Number(n.to_string()), Bind::Int)),
        Value::String(text) if !text.contains('\0') => Some(Bind::Text(text.clone())),
        _ => None,
    }
}
