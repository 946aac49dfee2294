//! Compiles a tree: documents to specs, specs to a snapshot, and every problem on the way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Document};
use super::load::Tree;
use super::parallel::Share;
use super::problem::{Place, Problem, ProblemCode, nearest};
use super::schema::Kind;
use super::snapshot::{Interface, Snapshot};
use super::spec;
use super::spec::interface::Caller;
use super::{advice, check, datasource, interface, parallel, policy, route};

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
    /// What is defined, even where its definition has problems.
    declared: HashSet<(Kind, String)>,
    /// Folders that hold something which could not be read as a document of a kind.
    unread: HashSet<String>,
}

impl Sources {
    /// Whether something of this name is defined, or may be: a problem elsewhere must not make every mention of it one.
    pub fn may_exist(&self, kind: Kind, name: &str) -> bool {
        self.unread.contains(kind.folder()) || self.declared.contains(&(kind, name.to_owned()))
    }
}

/// Compiles `tree`.
///
/// # Errors
/// All problems, sorted by place, where at least one is an error.
pub fn compile(tree: &Tree) -> Result<Snapshot, Vec<Problem>> {
    compile_with(tree, Share::All)
}

/// The same beside calls that are being answered.
///
/// # Errors
/// As [`compile`].
pub fn compile_beside(tree: &Tree) -> Result<Snapshot, Vec<Problem>> {
    compile_with(tree, Share::Half)
}

fn compile_with(tree: &Tree, share: Share) -> Result<Snapshot, Vec<Problem>> {
    parallel::with_room(|| compile_here(tree, share))
}

fn compile_here(tree: &Tree, share: Share) -> Result<Snapshot, Vec<Problem>> {
    let mut problems = tree.problems.clone();
    let mut sources = read(tree, share, &mut problems);
    let datasources = datasource::compile(&sources, &mut problems);
    let mut interfaces = Vec::new();
    sources.interfaces.sort_by_cached_key(|source| {
        let version = semver::Version::parse(&source.spec.version).ok();
        (source.spec.code.clone(), version)
    });
    let context = interface::Context { tree, sources: &sources, datasources: &datasources };
    let compiled = parallel::map(&sources.interfaces, share, |source| {
        let mut problems = Vec::new();
        (interface::compile(source, &context, &mut problems), problems)
    });
    for (interface, found) in compiled {
        problems.extend(found);
        if let Some(mut interface) = interface {
            interface.index = interfaces.len();
            interfaces.push(interface);
        }
    }
    route::versions(&mut interfaces, &sources, &mut problems);
    let interfaces: Vec<Arc<Interface>> = interfaces.into_iter().map(Arc::new).collect();
    let routes = route::routes(&interfaces, &sources, &mut problems);
    let policies = policy::compile(&sources, tree, &datasources, &interfaces, &mut problems);
    if !problems.iter().any(Problem::is_error) {
        advice::give(&sources, &interfaces, &policies, &mut problems);
    }
    references(&sources, &mut problems);
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

fn read(tree: &Tree, share: Share, problems: &mut Vec<Problem>) -> Sources {
    let mut sources = Sources::default();
    let mut identities: HashMap<(Kind, String), Place> = HashMap::new();
    let folder = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
    sources.unread.extend(tree.problems.iter().map(|problem| folder(&problem.place.file)));
    let files: Vec<_> = tree.yaml().collect();
    let all = parallel::map(&files, share, |(file, text)| Parsed::of(file, text));
    for ((file, _), parsed) in files.iter().zip(all) {
        problems.extend(parsed.problems);
        if parsed.is_unread {
            sources.unread.insert(folder(file));
        }
        sources.declared.extend(parsed.declared);
        for (kind, json, document) in parsed.documents {
            take(kind, json, document, &mut sources, &mut identities, problems);
        }
    }
    sources
}

/// What a file holds, by itself.
#[derive(Default)]
struct Parsed {
    /// With their kinds and their content as JSON.
    documents: Vec<(Kind, Value, Document)>,
    declared: Vec<(Kind, String)>,
    /// Something in it could not be read as a document of a kind.
    is_unread: bool,
    problems: Vec<Problem>,
}

impl Parsed {
    fn of(file: &str, text: &str) -> Self {
        let mut parsed = Self::default();
        let (documents, found) = document::parse(file, text);
        parsed.is_unread = found.iter().any(|problem| problem.code == ProblemCode::YamlSyntax);
        parsed.problems = found;
        for document in documents {
            if matches!(document.root.content, document::Content::Scalar(Value::Null)) {
                continue;
            }
            let kind = match check::kind(&document) {
                Ok(kind) => kind,
                Err(problem) => {
                    parsed.problems.push(problem);
                    parsed.is_unread = true;
                    continue;
                }
            };
            if let Some(name) = document.root.get(kind.identity()).and_then(|node| node.as_str()) {
                parsed.declared.push((kind, name.to_owned()));
            }
            match check::shape(&document, kind) {
                Ok(json) => parsed.documents.push((kind, json, document)),
                Err(found) => parsed.problems.extend(found),
            }
        }
        parsed
    }
}

fn take(
    kind: Kind,
    json: Value,
    document: Document,
    sources: &mut Sources,
    identities: &mut HashMap<(Kind, String), Place>,
    problems: &mut Vec<Problem>,
) {
    let key = kind.identity();
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
                "The {} `{identity}` is defined already, in {}:{}.",
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
    mut json: Value,
    document: Document,
    into: &mut Vec<Source<T>>,
    problems: &mut Vec<Problem>,
) {
    let before = problems.len();
    loop {
        let error = match T::deserialize(&json) {
            Ok(spec) if problems.len() == before => {
                into.push(Source { spec, document });
                return;
            }
            Ok(_) => return,
            Err(error) => error.to_string(),
        };
        // The schema is the same type's, so this is a number that only looks whole: mend each that lets it go on.
        let mut fractions = Vec::new();
        whole_fractions(&json, String::new(), &mut fractions);
        let mended = fractions.into_iter().find_map(|(pointer, whole)| {
            let mut mended = json.clone();
            *mended.pointer_mut(&pointer)? = whole.into();
            let rest = T::deserialize(&mended).err().map(|error| error.to_string());
            (rest.as_ref() != Some(&error)).then_some((pointer, whole, mended))
        });
        let Some((pointer, whole, mended)) = mended else {
            let message = format!("The document does not fit its kind: {error}.");
            let hint = "See the JSON Schema of the kind: `tidegate schema KIND`.";
            problems.push(Problem::error(
                document.place(""),
                ProblemCode::WrongType,
                message,
                hint,
            ));
            return;
        };
        problems.push(Problem::error(
            document.place(&pointer),
            ProblemCode::WrongType,
            "This must be a whole number, without a decimal point.",
            format!("Write {whole}."),
        ));
        json = mended;
    }
}

/// The numbers such as `1.0` in `json`, with their pointers.
fn whole_fractions(json: &Value, pointer: String, out: &mut Vec<(String, i64)>) {
    match json {
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.0}", number.as_f64().unwrap_or_default());
            out.extend(text.parse().ok().map(|whole| (pointer, whole)));
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                whole_fractions(item, format!("{pointer}/{i}"), out);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                whole_fractions(value, format!("{pointer}/{key}"), out);
            }
        }
        _ => {}
    }
}

/// What interfaces say of consumers, roles and each other.
fn references(sources: &Sources, problems: &mut Vec<Problem>) {
    let names = |kind: Kind| {
        sources
            .declared
            .iter()
            .filter(move |(known, _)| *known == kind)
            .map(|(_, name)| name.as_str())
    };
    for Source { spec, document } in &sources.interfaces {
        for (i, test) in spec.tests.iter().enumerate() {
            let named = match &test.caller {
                Some(Caller::Name(name)) => {
                    vec![("/as".to_owned(), name, [Kind::Consumer, Kind::Role].as_slice())]
                }
                Some(Caller::Token(token)) => {
                    let roles = token.roles.iter().enumerate();
                    roles
                        .map(|(r, name)| (format!("/as/roles/{r}"), name, [Kind::Role].as_slice()))
                        .collect()
                }
                None => Vec::new(),
            };
            for (at, name, kinds) in named {
                if !kinds.iter().any(|kind| sources.may_exist(*kind, name)) {
                    let known = kinds.iter().flat_map(|kind| names(*kind));
                    let what = if kinds.len() > 1 { "consumer or role" } else { "role" };
                    let at = format!("/tests/{i}{at}");
                    problems.push(dangling(document, &at, what, name, known));
                }
            }
        }
        for (i, parameter) in spec.parameters.iter().enumerate() {
            let options = parameter.options.as_ref();
            let Some(code) = options.and_then(|options| options.interface.as_ref()) else {
                continue;
            };
            if !sources.may_exist(Kind::Interface, code) {
                let at = format!("/parameters/{i}/options/interface");
                problems.push(dangling(document, &at, "interface", code, names(Kind::Interface)));
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
