//! Compiles issuers of tokens: where their keys come from, and which roles their claims give.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use super::document::Document;
use super::load::Tree;
use super::problem::{Problem, ProblemCode, dangling};
use super::schema::Kind;
use super::snapshot::{Issuer, IssuerKeys, JwksUrl};
use super::sources::{Source, Sources};
use super::spec::jwt_issuer::{JwtIssuer, Keys, MappedRoles};

/// A JSON Web Key Set, its keys as they stand: one of a kind that is not known must not spoil the others.
#[derive(Debug, Deserialize)]
pub struct JwkList {
    pub keys: Vec<Value>,
}

/// Compiles an issuer; `None` where it has problems.
pub fn compile(
    source: &Source<JwtIssuer>,
    sources: &Sources,
    tree: &Tree,
    role_ids: &HashMap<String, usize>,
    problems: &mut Vec<Problem>,
) -> Option<Issuer> {
    let Source { spec, document } = source;
    let roles_map = spec.roles_map.as_ref().map(|map| {
        let mapped = map.iter().map(|(value, roles)| {
            let roles = mapped(value, roles, document, sources, role_ids, problems);
            (value.clone(), roles)
        });
        mapped.collect()
    });
    let keys = keys(&spec.keys, document, tree, problems)?;
    let split = |path: &str| path.split('.').map(str::to_owned).collect();
    Some(Issuer {
        name: spec.name.clone(),
        issuer: spec.issuer.clone(),
        audience: spec.audience.clone(),
        keys,
        algorithms: spec.algorithms.clone(),
        roles_claim: split(&spec.roles_claim),
        roles_map,
        name_claim: split(&spec.name_claim),
        leeway_seconds: spec.leeway_seconds,
        place: document.place(""),
    })
}

/// The roles that a value of the claim stands for.
fn mapped(
    value: &str,
    roles: &MappedRoles,
    document: &Document,
    sources: &Sources,
    role_ids: &HashMap<String, usize>,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let pointer = format!("/roles_map/{}", value.replace('~', "~0").replace('/', "~1"));
    let named: Vec<(String, &String)> = match roles {
        MappedRoles::One(name) => vec![(pointer, name)],
        MappedRoles::Several(names) => {
            names.iter().enumerate().map(|(i, name)| (format!("{pointer}/{i}"), name)).collect()
        }
    };
    let mut ids = Vec::new();
    for (pointer, name) in named {
        match role_ids.get(name) {
            Some(id) => ids.push(*id),
            None if sources.may_exist(Kind::Role, name) => {}
            None => {
                let known = role_ids.keys().map(String::as_str);
                problems.push(dangling(document.place(&pointer), "role", name, known));
            }
        }
    }
    ids
}

fn keys(
    keys: &Keys,
    document: &Document,
    tree: &Tree,
    problems: &mut Vec<Problem>,
) -> Option<IssuerKeys> {
    if keys.ca_file.is_some() && keys.jwks_url.is_none() {
        problems.push(Problem::error(
            document.place("/keys/ca_file"),
            ProblemCode::Conflict,
            "Authorities are for keys that come by URL.",
            "Give `jwks_url` too, or leave `ca_file` out.",
        ));
        return None;
    }
    match (&keys.jwks_file, &keys.jwks_url, &keys.hs256) {
        (Some(file), None, None) => jwks_file(file, document, tree, problems),
        (None, Some(text), None) => {
            let url = jwks_url(text, document, problems)?;
            Some(IssuerKeys::Url(JwksUrl { url, ca_file: keys.ca_file.clone() }))
        }
        (None, None, Some(secret)) => {
            super::datasource::check_secret(secret, document, "/keys/hs256", problems);
            Some(IssuerKeys::Hs256(secret.clone()))
        }
        _ => {
            problems.push(Problem::error(
                document.place("/keys"),
                ProblemCode::Conflict,
                "The keys of an issuer come from exactly one place.",
                "Give one of `jwks_file`, `jwks_url` and `hs256`.",
            ));
            None
        }
    }
}

fn jwks_file(
    file: &str,
    document: &Document,
    tree: &Tree,
    problems: &mut Vec<Problem>,
) -> Option<IssuerKeys> {
    let Some(text) = tree.files.get(file.trim_start_matches("./")) else {
        problems.push(Problem::error(
            document.place("/keys/jwks_file"),
            ProblemCode::FileNotFound,
            format!("There is no file `{file}`."),
            "The path is relative to the root and ends in `.json`; put the file below `policies/`.",
        ));
        return None;
    };
    if let Err(error) = serde_json::from_str::<JwkList>(text) {
        problems.push(Problem::error(
            document.place("/keys/jwks_file"),
            ProblemCode::BadValue,
            format!("`{file}` is no JSON Web Key Set: {error}."),
            "The file holds `{\"keys\": [...]}` with public keys.",
        ));
        return None;
    }
    Some(IssuerKeys::Jwks(text.clone()))
}

/// The address in its usual form. Who can change keys on their way can sign, so they come encrypted or from this machine.
fn jwks_url(text: &str, document: &Document, problems: &mut Vec<Problem>) -> Option<String> {
    let url = Url::parse(text).ok();
    let (message, hint) = match &url {
        Some(url) if !url.username().is_empty() || url.password().is_some() => (
            "The address of the keys holds a user or a password.".to_owned(),
            "Keys that verify are public; leave it out.",
        ),
        Some(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)) => {
            return Some(url.to_string());
        }
        Some(url) if url.scheme() == "http" => (
            format!("The keys would come unencrypted from `{text}`."),
            "Use `https://`; `http://` is only for this machine.",
        ),
        _ => (
            format!("`{text}` is no address that keys can come from."),
            "Write it as `https://sso.example.com/keys.json`.",
        ),
    };
    let place = document.place("/keys/jwks_url");
    problems.push(Problem::error(place, ProblemCode::BadValue, message, hint));
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
