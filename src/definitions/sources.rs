//! The specs of a tree by kind, read from its files, and what may stay as it was compiled before.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Document};
use super::kept::Kept;
use super::load::Tree;
use super::mention::Outline;
use super::parallel;
use super::problem::{Place, Problem, ProblemCode};
use super::schema::Kind;
use super::snapshot::Definition;
use super::{check, spec};
use crate::pace::{breathe, free, paced};

/// A spec with the document it was read from.
#[derive(Debug)]
pub struct Source<T> {
    pub spec: T,
    pub document: Document,
}

/// An interface of the tree.
#[derive(Debug)]
pub enum Given {
    /// As it is written.
    Written(Box<Source<spec::interface::Interface>>, Outline),
    /// As it was compiled before, from the same texts.
    Kept(Arc<Definition>),
}

impl Given {
    /// What it says of others, and in which file.
    pub fn outline(&self) -> (&Outline, &str) {
        match self {
            Self::Written(source, outline) => (outline, &source.document.file),
            Self::Kept(definition) => (&definition.outline, &definition.place.file),
        }
    }

    /// What it is sorted by.
    fn order(&self) -> (String, Option<semver::Version>) {
        match self {
            Self::Written(source, _) => {
                let version = semver::Version::parse(&source.spec.version);
                (source.spec.code.clone(), version.ok())
            }
            Self::Kept(kept) => (kept.code.clone(), Some(kept.version.clone())),
        }
    }
}

/// The specs of a tree by kind.
#[derive(Debug, Default)]
pub struct Sources {
    pub datasources: Vec<Source<spec::datasource::Datasource>>,
    pub interfaces: Vec<Given>,
    pub consumers: Vec<Source<spec::consumer::Consumer>>,
    pub roles: Vec<Source<spec::role::Role>>,
    pub issuers: Vec<Source<spec::jwt_issuer::JwtIssuer>>,
    /// What is defined, even where its definition has problems.
    declared: HashSet<(Kind, String)>,
    /// What is defined soundly, and where.
    identities: HashMap<(Kind, String), Place>,
    /// Folders that hold something which could not be read as a document of a kind.
    unread: HashSet<String>,
}

impl Sources {
    /// Of a tree of which nothing is read yet.
    pub fn new(tree: &Tree) -> Self {
        let unread = tree.problems.iter().map(|problem| folder(&problem.place.file).to_owned());
        Self { unread: unread.collect(), ..Self::default() }
    }

    /// Whether something of this name is defined, or may be: a problem elsewhere must not make every mention of it one.
    pub fn may_exist(&self, kind: Kind, name: &str) -> bool {
        self.unread.contains(kind.folder()) || self.declared.contains(&(kind, name.to_owned()))
    }

    /// The names that are defined of a kind.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let of_kind = self.declared.iter().filter(move |(known, _)| *known == kind);
        of_kind.map(|(_, name)| name.as_str())
    }

    /// Reads the files of some folders, except for what is `kept`.
    pub fn read(
        &mut self,
        tree: &Tree,
        is_wanted: impl Fn(&str) -> bool,
        kept: &Kept<'_>,
        problems: &mut Vec<Problem>,
    ) {
        let files = paced(tree.yaml()).filter(|(file, _)| is_wanted(folder(file)));
        let files: Vec<_> = files.collect();
        let all = parallel::map(&files, |(file, text)| Parsed::of(file, text, kept));
        self.declared.reserve(files.len());
        self.identities.reserve(files.len());
        for ((file, _), parsed) in paced(files.iter().zip(all)) {
            problems.extend(parsed.problems);
            if parsed.is_unread {
                self.unread.insert(folder(file).to_owned());
            }
            self.declared.extend(parsed.declared);
            for document in paced(parsed.documents) {
                self.take(document, problems);
            }
        }
    }

    /// Puts interfaces in their order, by code and version.
    pub fn sort_interfaces(&mut self) {
        self.interfaces.sort_by_cached_key(|given| {
            breathe();
            given.order()
        });
    }

    /// Drops them with room made for calls.
    pub fn free(self) {
        free(self.interfaces);
        free(self.consumers);
        free(self.declared);
        free(self.identities);
    }

    fn take(&mut self, document: Read, problems: &mut Vec<Problem>) {
        let Read { kind, name, place, content } = document;
        if !self.is_first(kind, name, place, problems) {
            return;
        }
        match content {
            Ok(Content::Datasource(source)) => self.datasources.push(*source),
            Ok(Content::Interface(given)) => self.interfaces.push(given),
            Ok(Content::Consumer(source)) => self.consumers.push(*source),
            Ok(Content::Role(source)) => self.roles.push(*source),
            Ok(Content::Issuer(source)) => self.issuers.push(*source),
            Err(found) => problems.extend(found),
        }
    }

    /// Whether nothing before has this name; complains where something has.
    fn is_first(
        &mut self,
        kind: Kind,
        name: String,
        place: Place,
        problems: &mut Vec<Problem>,
    ) -> bool {
        match self.identities.entry((kind, name)) {
            Entry::Vacant(free) => {
                free.insert(place);
                true
            }
            Entry::Occupied(first) => {
                let (name, first) = (&first.key().1, first.get());
                problems.push(Problem::error(
                    place,
                    ProblemCode::DuplicateIdentity,
                    format!(
                        "The {} `{name}` is defined already, in {}:{}.",
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
                false
            }
        }
    }
}

/// The folder of the root that a file is in.
fn folder(file: &str) -> &str {
    file.split('/').next().unwrap_or_default()
}

/// What names an interface among all.
fn identity(code: &str, version: &str) -> String {
    format!("{code}@{version}")
}

/// What a file holds, by itself.
#[derive(Default)]
struct Parsed {
    documents: Vec<Read>,
    declared: Vec<(Kind, String)>,
    /// Something in it could not be read as a document of a kind.
    is_unread: bool,
    problems: Vec<Problem>,
}

/// A document of a sound shape.
struct Read {
    kind: Kind,
    /// What names it among all of its kind, and where that stands.
    name: String,
    place: Place,
    content: Result<Content, Vec<Problem>>,
}

enum Content {
    Datasource(Box<Source<spec::datasource::Datasource>>),
    Interface(Given),
    Consumer(Box<Source<spec::consumer::Consumer>>),
    Role(Box<Source<spec::role::Role>>),
    Issuer(Box<Source<spec::jwt_issuer::JwtIssuer>>),
}

impl Parsed {
    fn of(file: &str, text: &str, kept: &Kept<'_>) -> Self {
        let mut parsed = Self::default();
        if let Some(kept) = kept.of(file) {
            let declared = kept.iter().map(|kept| (Kind::Interface, kept.code.clone()));
            parsed.declared = declared.collect();
            parsed.documents = kept.into_iter().map(Read::kept).collect();
            return parsed;
        }
        let (documents, found) = document::parse(file, text);
        parsed.is_unread = found.iter().any(|problem| problem.code == ProblemCode::YamlSyntax);
        parsed.problems = found;
        for document in paced(documents) {
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
                Ok(json) => parsed.documents.push(Read::of(kind, json, document)),
                Err(found) => parsed.problems.extend(found),
            }
        }
        parsed
    }
}

impl Read {
    fn of(kind: Kind, json: Value, document: Document) -> Self {
        let key = kind.identity();
        let mut name = json[key].as_str().unwrap_or_default().to_owned();
        if kind == Kind::Interface {
            name = identity(&name, json["version"].as_str().unwrap_or("1.0.0"));
        }
        let place = document.place(&format!("/{key}"));
        let content = match kind {
            Kind::Datasource => source(json, document).map(Content::Datasource),
            Kind::Interface => source(json, document).map(|source| {
                let outline = Outline::of(&source);
                Content::Interface(Given::Written(source, outline))
            }),
            Kind::Consumer => source(json, document).map(Content::Consumer),
            Kind::Role => source(json, document).map(Content::Role),
            Kind::JwtIssuer => source(json, document).map(Content::Issuer),
        };
        Self { kind, name, place, content }
    }

    fn kept(definition: Arc<Definition>) -> Self {
        Self {
            kind: Kind::Interface,
            name: identity(&definition.code, &definition.version.to_string()),
            place: definition.place.clone(),
            content: Ok(Content::Interface(Given::Kept(definition))),
        }
    }
}

/// A document with its spec.
fn source<T: DeserializeOwned>(
    mut json: Value,
    document: Document,
) -> Result<Box<Source<T>>, Vec<Problem>> {
    let mut problems = Vec::new();
    loop {
        let error = match T::deserialize(&json) {
            Ok(spec) if problems.is_empty() => return Ok(Box::new(Source { spec, document })),
            Ok(_) => return Err(problems),
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
            let place = document.place("");
            problems.push(Problem::error(place, ProblemCode::WrongType, message, hint));
            return Err(problems);
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
