//! Compiles roles and consumers; issuers have a file of their own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use globset::Glob;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil::Date};

use super::grant::{Grant, Grants};
use super::issuer;
use super::load::Tree;
use super::problem::{Problem, ProblemCode, nearest};
use super::schema::Kind;
use super::snapshot::{ApiKey, Consumer, Datasource, Entry, Interface, Policies, Role};
use super::sources::{Source, Sources};
use super::spec;
use crate::pace::paced;

/// Compiles the policies of a tree against its interfaces.
pub fn compile(
    sources: &Sources,
    tree: &Tree,
    datasources: &BTreeMap<String, Arc<Datasource>>,
    interfaces: &[Arc<Interface>],
    problems: &mut Vec<Problem>,
) -> Policies {
    let mut policies = Policies::default();
    let mut grants = Grants::new(datasources);
    for source in &sources.roles {
        policies.role_ids.insert(source.spec.name.clone(), policies.roles.len());
        let data = grants.of(source, problems);
        policies.roles.push(role(source, interfaces, data, problems));
    }
    for source in paced(&sources.consumers) {
        consumer(source, sources, &mut policies, problems);
    }
    for source in &sources.issuers {
        let issuer = issuer::compile(source, sources, tree, &policies.role_ids, problems);
        policies.issuers.extend(issuer);
    }
    policies
}

fn role(
    source: &Source<spec::role::Role>,
    interfaces: &[Arc<Interface>],
    data: HashMap<String, Vec<Arc<Grant>>>,
    problems: &mut Vec<Problem>,
) -> Role {
    let Source { spec, document } = source;
    let mut entries = Vec::new();
    for (i, text) in spec.interfaces.iter().enumerate() {
        let place = document.place(&format!("/interfaces/{i}"));
        match Glob::new(text) {
            Ok(glob) => entries.push((Entry::Codes(glob.compile_matcher()), place)),
            Err(error) => problems.push(Problem::error(
                place,
                ProblemCode::BadPattern,
                format!("`{text}` is no pattern: {}.", error.kind()),
                "Use a code, or a pattern such as `sales_*`.",
            )),
        }
    }
    for (i, tag) in spec.tags.iter().enumerate() {
        entries.push((Entry::Tag(tag.clone()), document.place(&format!("/tags/{i}"))));
    }
    Role::new(spec.name.clone(), entries, interfaces, data, document.place(""))
}

fn consumer(
    source: &Source<spec::consumer::Consumer>,
    sources: &Sources,
    policies: &mut Policies,
    problems: &mut Vec<Problem>,
) {
    let Source { spec, document } = source;
    let mut roles = Vec::new();
    for (i, name) in spec.roles.iter().enumerate() {
        match policies.role_ids.get(name) {
            Some(id) => roles.push(*id),
            None if sources.may_exist(Kind::Role, name) => {}
            None => {
                let near = nearest(name, policies.role_ids.keys().map(String::as_str));
                problems.push(Problem::error(
                    document.place(&format!("/roles/{i}")),
                    ProblemCode::DanglingReference,
                    format!("There is no role `{name}`."),
                    near.map_or("Define it in `policies/`.".into(), |near| {
                        format!("Did you mean `{near}`?")
                    }),
                ));
            }
        }
    }
    let index = policies.consumers.len();
    policies.consumer_ids.insert(spec.name.clone(), index);
    policies.consumers.push(Arc::new(Consumer {
        name: spec.name.clone(),
        description: spec.description.clone(),
        roles,
        claims: spec.claims.clone(),
        place: document.place(""),
    }));
    let mut ids: HashSet<&str> = HashSet::new();
    for (i, key) in spec.api_keys.iter().enumerate() {
        if !ids.insert(key.id.as_str()) {
            problems.push(Problem::error(
                document.place(&format!("/api_keys/{i}/id")),
                ProblemCode::DuplicateIdentity,
                format!("The consumer already has a key `{}`.", key.id),
                "Give each key an id of its own.",
            ));
        }
        let expires_at = match key.expires_at.as_deref().map(end_of).transpose() {
            Ok(expires_at) => expires_at,
            Err(text) => {
                problems.push(Problem::error(
                    document.place(&format!("/api_keys/{i}/expires_at")),
                    ProblemCode::BadValue,
                    format!("`{text}` is no date or time."),
                    "Write `2027-11-30` or `2027-11-30T08:00:00Z`.",
                ));
                continue;
            }
        };
        let place = document.place(&format!("/api_keys/{i}/sha256"));
        let Some(digest) = digest(&key.sha256) else {
            problems.push(Problem::error(
                place,
                ProblemCode::BadValue,
                "This is not a SHA-256 in 64 hexadecimal digits.",
                "Make a key with `tidegate key new`, which prints the line for it.",
            ));
            continue;
        };
        let entry = ApiKey { consumer: index, id: key.id.clone(), expires_at };
        if let Some(other) = policies.keys.insert(digest, entry)
            && let Some(owner) = policies.consumers.get(other.consumer)
        {
            problems.push(Problem::error(
                place,
                ProblemCode::DuplicateIdentity,
                format!("Consumer `{}` already has this key.", owner.name),
                "Give each consumer keys of its own.",
            ));
        }
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

/// The moment after which a key no longer works: the end of a day (UTC), or the moment itself.
fn end_of(text: &str) -> Result<Timestamp, String> {
    let day = || {
        let next = text.parse::<Date>().ok()?.checked_add(1.day()).ok()?;
        next.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
    };
    text.parse::<Timestamp>().ok().or_else(day).ok_or_else(|| text.to_owned())
}
