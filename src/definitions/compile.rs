//! Compiles a tree: documents to specs, specs to a snapshot, and every problem on the way.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Document};
use super::load::Tree;
use super::problem::{Place, Problem, ProblemCode, nearest};
use super::schema::Kind;
use super::snapshot::{Datasource, Interface, Route, Routes, Snapshot};
use super::spec::datasource::EngineKind;
use super::spec::{self, Secret};
use super::{check, interface, policy};
use crate::sql::dialect::Dialect;

/// A spec with the document it was read from.
#[derive(Debug)]
pub struct Source<T> {
    pub spec: T,
    pub document: Document,
}

/// The specs of a tree by kind.
#[derive(Debug, Default)]
pub struct Sources {
    pub datasources: Vec<Source<spec::datasource::Datasource>>,
    pub interfaces: Vec<Source<spec::interface::Interface>>,
    pub consumers: Vec<Source<spec::consumer::Consumer>>,
    pub roles: Vec<Source<spec::role::Role>>,
    pub issuers: Vec<Source<spec::jwt_issuer::JwtIssuer>>,
}

/// Compiles `tree`.
///
/// # Errors
/// All problems, sorted by place, where at least one is an error.
pub fn compile(tree: &Tree) -> Result<Snapshot, Vec<Problem>> {
    let mut problems = tree.problems.clone();
    let mut sources = read(tree, &mut problems);
    let datasources = datasources(&sources, &mut problems);
    let mut interfaces = Vec::new();
    sources.interfaces.sort_by_cached_key(|source| {
        let version = semver::Version::parse(&source.spec.version).ok();
        (source.spec.code.clone(), version)
    });
    for source in &sources.interfaces {
        let index = interfaces.len();
        let context = interface::Context { tree, datasources: &datasources, index };
        if let Some(interface) = interface::compile(source, &context, &mut problems) {
            interfaces.push(interface);
        }
    }
    versions(&mut interfaces, &mut problems);
    let interfaces: Vec<Arc<Interface>> = interfaces.into_iter().map(Arc::new).collect();
    let routes = routes(&interfaces, &mut problems);
    let policies = policy::compile(&sources, tree, &interfaces, &mut problems);
    references(&sources, &policies, &mut problems);
    problems.sort();
    problems.dedup();
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(Snapshot {
        revision: tree.revision.clone(),
        hash: tree.hash.clone(),
        interfaces,
        routes,
        datasources,
        policies,
        warnings: problems,
    })
}

fn read(tree: &Tree, problems: &mut Vec<Problem>) -> Sources {
    let mut sources = Sources::default();
    let mut identities: HashMap<(Kind, String), Place> = HashMap::new();
    for (file, text) in tree.yaml() {
        let (documents, found) = document::parse(file, text);
        problems.extend(found);
        for document in documents {
            if matches!(document.root.content, document::Content::Scalar(Value::Null)) {
                continue;
            }
            let kind = match check::kind(&document) {
                Ok(kind) => kind,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            match check::shape(&document, kind) {
                Ok(json) => take(kind, json, document, &mut sources, &mut identities, problems),
                Err(found) => problems.extend(found),
            }
        }
    }
    sources
}

fn take(
    kind: Kind,
    json: Value,
    document: Document,
    sources: &mut Sources,
    identities: &mut HashMap<(Kind, String), Place>,
    problems: &mut Vec<Problem>,
) {
    let key = match kind {
        Kind::Interface => "code",
        Kind::Datasource => "id",
        _ => "name",
    };
    let mut identity = json[key].as_str().unwrap_or_default().to_owned();
    if kind == Kind::Interface {
        identity.push('@');
        identity.push_str(json["version"].as_str().unwrap_or("1.0.0"));
    }
    let place = document.place(&format!("/{key}"));
    if let Some(first) = identities.get(&(kind, identity.clone())) {
        problems.push(Problem::error(
            place,
            ProblemCode::DuplicateIdentity,
            format!(
                "There is a {} `{identity}` already, in {}:{}.",
                kind.as_str(),
                first.file,
                first.line
            ),
            if kind == Kind::Interface {
                "Give one of them another `code` or `version`."
            } else {
                "Rename one of them."
            },
        ));
        return;
    }
    identities.insert((kind, identity), place);
    match kind {
        Kind::Datasource => push(json, document, &mut sources.datasources, problems),
        Kind::Interface => push(json, document, &mut sources.interfaces, problems),
        Kind::Consumer => push(json, document, &mut sources.consumers, problems),
        Kind::Role => push(json, document, &mut sources.roles, problems),
        Kind::JwtIssuer => push(json, document, &mut sources.issuers, problems),
    }
}

fn push<T: DeserializeOwned>(
    json: Value,
    document: Document,
    into: &mut Vec<Source<T>>,
    problems: &mut Vec<Problem>,
) {
    match serde_json::from_value(json) {
        Ok(spec) => into.push(Source { spec, document }),
        // The schema is the same type's, so this is a number that only looks right, such as `1.0` for a whole one.
        Err(error) => problems.push(Problem::error(
            document.place(""),
            ProblemCode::WrongType,
            format!("A value does not fit: {error}."),
            "Write whole numbers without a decimal point.",
        )),
    }
}

fn datasources(
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Arc<Datasource>> {
    let mut found = BTreeMap::new();
    for Source { spec, document } in &sources.datasources {
        let conflict = |key: &str, message: String, hint: &str| {
            Problem::error(document.place(&format!("/{key}")), ProblemCode::Conflict, message, hint)
        };
        let dialect = match spec.engine {
            EngineKind::Sqlite => Dialect::Sqlite,
            EngineKind::Postgres => Dialect::Postgres,
            EngineKind::Mysql => Dialect::MySql,
            other => {
                problems.push(Problem::error(
                    document.place("/type"),
                    ProblemCode::Unsupported,
                    format!(
                        "Datasources of type `{}` are not supported by this version.",
                        format!("{other:?}").to_lowercase()
                    ),
                    "Use sqlite, postgres or mysql.",
                ));
                continue;
            }
        };
        let missing = |key: &str| {
            let message = format!("A datasource of this type needs `{key}`.");
            Problem::error(
                document.place(""),
                ProblemCode::MissingKey,
                message,
                format!("Add `{key}:`."),
            )
        };
        if dialect == Dialect::Sqlite {
            if spec.path.is_none() {
                problems.push(missing("path"));
            }
            let server = [
                ("host", spec.host.is_some()),
                ("port", spec.port.is_some()),
                ("database", spec.database.is_some()),
                ("username", spec.username.is_some()),
                ("password", spec.password.is_some()),
                ("tls", spec.tls.is_some()),
            ];
            for (key, _) in server.iter().filter(|(_, given)| *given) {
                problems.push(conflict(
                    key,
                    format!("SQLite has no `{key}`."),
                    "Remove it; SQLite has only `path` and `init`.",
                ));
            }
        } else {
            if spec.host.is_none() {
                problems.push(missing("host"));
            }
            for (key, _) in [("path", spec.path.is_some()), ("init", spec.init.is_some())]
                .iter()
                .filter(|(_, given)| *given)
            {
                problems.push(conflict(
                    key,
                    format!("Only SQLite has `{key}`."),
                    "Remove it; name the server with `host` and `port`.",
                ));
            }
        }
        if let Some(secret) = &spec.password {
            check_secret(secret, document, "/password", problems);
        }
        let mut hasher = DefaultHasher::new();
        document.root.to_json().to_string().hash(&mut hasher);
        let datasource = Datasource {
            spec: spec.clone(),
            dialect,
            fingerprint: hasher.finish(),
            place: document.place(""),
        };
        found.insert(spec.id.clone(), Arc::new(datasource));
    }
    found
}

/// A secret names exactly one place.
pub fn check_secret(
    secret: &Secret,
    document: &Document,
    pointer: &str,
    problems: &mut Vec<Problem>,
) {
    if secret.env.is_some() == secret.file.is_some() {
        problems.push(Problem::error(
            document.place(pointer),
            ProblemCode::Conflict,
            "A secret comes from exactly one place.",
            "Give either `env: NAME` or `file: PATH`.",
        ));
    }
}

/// At most one default of a code; successors of what is deprecated.
fn versions(interfaces: &mut [Interface], problems: &mut Vec<Problem>) {
    for i in 0..interfaces.len() {
        let same = |other: &&Interface| other.code == interfaces[i].code;
        if interfaces[i].is_default
            && let Some(first) = interfaces[..i].iter().filter(same).find(|other| other.is_default)
        {
            problems.push(Problem::error(
                interfaces[i].place.clone(),
                ProblemCode::Conflict,
                format!(
                    "Version {} of `{}` is marked `default` already.",
                    first.version, first.code
                ),
                "Keep `default: true` in one version only.",
            ));
        }
        let successor = interfaces.iter().filter(same).rfind(|other| {
            other.status == spec::interface::Status::Active && other.version > interfaces[i].version
        });
        let successor = successor.map(|next| (next.path.clone(), next.version.to_string()));
        if let Some(deprecation) = &mut interfaces[i].deprecation {
            deprecation.successor = successor;
        }
    }
}

fn routes(interfaces: &[Arc<Interface>], problems: &mut Vec<Problem>) -> Routes {
    let mut routes = Routes::default();
    let mut by_path: HashMap<String, usize> = HashMap::new();
    for interface in interfaces {
        let owner = by_path.get(&interface.path).copied();
        if let Some(at) = owner {
            let first = routes.entries[at].versions.first().map(|first| &interfaces[*first]);
            if let Some(first) = first.filter(|first| first.code != interface.code) {
                problems.push(path_conflict(interface, &first.path, &first.label()));
                continue;
            }
            routes.entries[at].versions.push(interface.index);
            continue;
        }
        let at = routes.entries.len();
        if let Err(error) = routes.paths.insert(interface.path.clone(), at) {
            let other = match &error {
                matchit::InsertError::Conflict { with } => with.clone(),
                other => other.to_string(),
            };
            problems.push(path_conflict(interface, &other, "another interface"));
            continue;
        }
        by_path.insert(interface.path.clone(), at);
        let path = interface.path.clone();
        routes.entries.push(Route { path, versions: vec![interface.index], default: None });
    }
    for route in &mut routes.entries {
        route.versions.retain(|index| interfaces[*index].is_callable());
        let marked = route.versions.iter().copied().find(|index| interfaces[*index].is_default);
        let active = route
            .versions
            .iter()
            .copied()
            .rfind(|index| interfaces[*index].status == spec::interface::Status::Active);
        route.default = marked.or(active).or(route.versions.last().copied());
    }
    routes
}

fn path_conflict(interface: &Interface, path: &str, owner: &str) -> Problem {
    Problem::error(
        interface.place.clone(),
        ProblemCode::PathConflict,
        format!(
            "The path `{}` of `{}` belongs to {owner} (`{path}`).",
            interface.path,
            interface.label()
        ),
        "Give one of them another `path`.",
    )
}

/// What interfaces say of consumers, roles and each other.
fn references(
    sources: &Sources,
    policies: &super::snapshot::Policies,
    problems: &mut Vec<Problem>,
) {
    let codes: Vec<&str> =
        sources.interfaces.iter().map(|source| source.spec.code.as_str()).collect();
    for Source { spec, document } in &sources.interfaces {
        for (i, test) in spec.tests.iter().enumerate() {
            let Some(name) = &test.caller else { continue };
            if !policies.consumer_ids.contains_key(name) && !policies.role_ids.contains_key(name) {
                let known = policies.consumer_ids.keys().chain(policies.role_ids.keys());
                problems.push(dangling(
                    document,
                    &format!("/tests/{i}/as"),
                    "consumer or role",
                    name,
                    known.map(String::as_str),
                ));
            }
        }
        for (i, parameter) in spec.parameters.iter().enumerate() {
            let Some(code) =
                parameter.options.as_ref().and_then(|options| options.interface.as_ref())
            else {
                continue;
            };
            if !codes.contains(&code.as_str()) {
                problems.push(dangling(
                    document,
                    &format!("/parameters/{i}/options/interface"),
                    "interface",
                    code,
                    codes.iter().copied(),
                ));
            }
        }
    }
}

/// A name that nothing defines.
pub fn dangling<'a>(
    document: &Document,
    pointer: &str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Problem {
    let hint = match nearest(name, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Define the {what}, or name one that exists."),
    };
    let message = format!("There is no {what} `{name}`.");
    Problem::error(document.place(pointer), ProblemCode::DanglingReference, message, hint)
}
