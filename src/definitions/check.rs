//! Checks the shape of documents against the schema of their kind, and names every problem at its place.

use std::collections::HashSet;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::Value;

use super::document::Document;
use super::problem::{Place, Problem, ProblemCode, nearest};
use super::schema::Kind;

/// Keys that a hint lists, at most.
const MAX_LISTED: usize = 12;

/// The kind of a document, checked against the folder it stands in.
///
/// # Errors
/// Where it names none, an unknown one, or one that belongs elsewhere.
pub fn kind(document: &Document) -> Result<Kind, Problem> {
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let list = known.join(", ");
    let Some(word) = document.root.get("kind").and_then(|node| node.as_str()) else {
        return Err(Problem::error(
            document.place("/kind"),
            ProblemCode::UnknownKind,
            "The document does not say of what kind it is.",
            format!("Start it with `kind:` and one of {list}."),
        ));
    };
    let Some(kind) = Kind::parse(word) else {
        let hint = match nearest(word, known) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("The kinds are {list}."),
        };
        let message = format!("There is no kind `{word}`.");
        return Err(Problem::error(
            document.place("/kind"),
            ProblemCode::UnknownKind,
            message,
            hint,
        ));
    };
    let folder = document.file.split('/').next().unwrap_or_default();
    if folder != kind.folder() {
        return Err(Problem::error(
            document.place("/kind"),
            ProblemCode::WrongFolder,
            format!("Documents of kind `{word}` do not belong in `{folder}/`."),
            format!("Move the document to `{}/`.", kind.folder()),
        ));
    }
    Ok(kind)
}

/// The document as JSON without its `kind`, ready for the spec of its kind.
///
/// # Errors
/// Every problem of its shape.
pub fn shape(document: &Document, kind: Kind) -> Result<Value, Vec<Problem>> {
    let mut json = document.root.to_json();
    let mut findings = Findings {
        document,
        kind,
        problems: Vec::new(),
        missing: Vec::new(),
        meant: HashSet::new(),
    };
    for error in kind.validator().iter_errors(&json) {
        findings.explain(&error);
    }
    let problems = findings.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    if let Some(map) = json.as_object_mut() {
        map.shift_remove("kind");
    }
    Ok(json)
}

/// Gathers what the schema has against a document.
struct Findings<'a> {
    document: &'a Document,
    kind: Kind,
    problems: Vec<Problem>,
    /// Pointer and name of missing keys.
    missing: Vec<(String, String)>,
    /// Pointer and name of keys that unknown ones were probably meant to be.
    meant: HashSet<(String, String)>,
}

impl Findings<'_> {
    fn push(&mut self, pointer: &str, code: ProblemCode, message: String, hint: String) {
        let place = self.document.place(pointer);
        self.problems.push(Problem::error(place, code, message, hint));
    }

    fn explain(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        let name = what(pointer);
        let shown = short(error.instance());
        let mut bad_value = |message: String, hint: String| {
            self.push(pointer, ProblemCode::BadValue, message, hint);
        };
        match error.kind() {
            // Optional values are `anyOf` the value or null: what is wrong is in the first branch.
            ValidationErrorKind::AnyOf { context } => match context.first() {
                Some(first) if !first.is_empty() => {
                    for inner in first {
                        self.explain(inner);
                    }
                }
                _ => bad_value(format!("{name} is not valid."), use_schema()),
            },
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    self.unknown(pointer, key, error);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                self.missing.push((pointer.to_owned(), key.to_owned()));
            }
            ValidationErrorKind::Type { kind } => {
                let (message, hint) = wrong_type(pointer, kind, error.instance());
                self.push(pointer, ProblemCode::WrongType, message, hint);
            }
            ValidationErrorKind::Enum { options } => {
                let all = options.as_array().into_iter().flatten();
                let options: Vec<String> = all.filter(|o| !o.is_null()).map(plain).collect();
                let given = plain(error.instance());
                let hint = match nearest(&given, options.iter().map(String::as_str)) {
                    Some(near) if near == given => "Write it without quotes.".to_owned(),
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("Use one of {}.", options.join(", ")),
                };
                bad_value(format!("{name} cannot be {shown}."), hint);
            }
            ValidationErrorKind::Minimum { limit }
            | ValidationErrorKind::ExclusiveMinimum { limit } => bad_value(
                format!("{name} is {shown}, which is too small."),
                format!("Use at least {limit}."),
            ),
            ValidationErrorKind::Maximum { limit }
            | ValidationErrorKind::ExclusiveMaximum { limit } => bad_value(
                format!("{name} is {shown}, which is too large."),
                format!("Use at most {limit}."),
            ),
            ValidationErrorKind::Pattern { pattern } => bad_value(
                format!("{name} cannot be {shown}."),
                format!("It must match `{pattern}`."),
            ),
            _ => bad_value(format!("{name} is not valid: {error}."), use_schema()),
        }
    }

    fn unknown(&mut self, pointer: &str, key: &str, error: &ValidationError<'_>) {
        let known = known_keys(self.kind, error);
        let hint = match nearest(key, known.iter().map(String::as_str)) {
            Some(near) => {
                self.meant.insert((pointer.to_owned(), near.to_owned()));
                format!("Did you mean `{near}`?")
            }
            None if known.len() > MAX_LISTED => {
                format!("`tidegate schema {}` shows the keys.", self.kind.as_str())
            }
            None => format!("The keys here are {}.", known.join(", ")),
        };
        let place = self.document.key_place(pointer, key);
        let message = format!("There is no key `{key}` here.");
        self.problems.push(Problem::error(place, ProblemCode::UnknownKey, message, hint));
    }

    /// The problems, one for each cause: a key that is only misspelt is not missing too, and a value out of its set
    /// need not be of its type.
    fn finish(mut self) -> Vec<Problem> {
        for (pointer, key) in std::mem::take(&mut self.missing) {
            if !self.meant.contains(&(pointer.clone(), key.clone())) {
                let message = format!("The key `{key}` is missing.");
                self.push(&pointer, ProblemCode::MissingKey, message, format!("Add `{key}:`."));
            }
        }
        let out_of_set: Vec<Place> = self
            .problems
            .iter()
            .filter(|problem| problem.code == ProblemCode::BadValue)
            .map(|problem| problem.place.clone())
            .collect();
        self.problems.retain(|problem| {
            problem.code != ProblemCode::WrongType || !out_of_set.contains(&problem.place)
        });
        self.problems
    }
}

/// Message and hint for a value of another type. What stands where a mapping should may be a secret, so it is not shown.
fn wrong_type(pointer: &str, kind: &TypeKind, value: &Value) -> (String, String) {
    let wanted = type_words(kind);
    let is_secret = pointer.ends_with("/password") || pointer.ends_with("/hs256");
    let shown = match value {
        Value::String(_) if wanted == "a mapping" => "a text".to_owned(),
        Value::String(text) => format!("the text {}", short(&Value::String(format!("\"{text}\"")))),
        other => short(other),
    };
    let message = format!("{} must be {wanted}, not {shown}.", what(pointer));
    let hint = match value {
        _ if is_secret => {
            "Give either `{env: NAME}` or `{file: PATH}`; no secret stands in YAML.".to_owned()
        }
        Value::Bool(_) | Value::Number(_) if wanted.contains("text") => {
            format!("Put it in quotes: \"{}\".", plain(value))
        }
        Value::String(text) if wanted == "a list" => format!("Write a list: [{text}]."),
        Value::String(text)
            if serde_json::from_str::<Value>(text).is_ok_and(|inner| !inner.is_string()) =>
        {
            "Write it without quotes.".to_owned()
        }
        _ => format!("Write {wanted} here."),
    };
    (message, hint)
}

fn use_schema() -> String {
    "See the JSON Schema of the kind: `tidegate schema KIND`.".to_owned()
}

/// The keys that the object around an unknown key may have.
fn known_keys(kind: Kind, error: &ValidationError<'_>) -> Vec<String> {
    let path = error.schema_path().as_str();
    let parent = path.strip_suffix("/additionalProperties").unwrap_or(path);
    // A path through `$ref` holds the reference's steps; follow them one by one.
    let object = follow(kind.schema(), parent);
    let properties = object.and_then(|object| object.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

fn follow<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = schema;
    for step in path.split('/').skip(1) {
        if step == "$ref" {
            let reference = at.get("$ref")?.as_str()?.strip_prefix('#')?;
            at = schema.pointer(reference)?;
            continue;
        }
        at = match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => at.get(step.replace("~1", "/").replace("~0", "~"))?,
        };
    }
    Some(at)
}

/// `parameters[2].type` for `/parameters/2/type`, in quotes for a sentence.
fn what(pointer: &str) -> String {
    let mut out = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.parse::<usize>().is_ok() {
            out.extend(["[", &step, "]"]);
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&step);
        }
    }
    if out.is_empty() { "The document".to_owned() } else { format!("`{out}`") }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
        other => {
            let text: String = plain(other).chars().take(60).collect();
            format!("`{text}`")
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn type_words(kind: &TypeKind) -> String {
    let word = |name: String| match name.as_str() {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(one) => word(one.to_string()).to_owned(),
        TypeKind::Multiple(many) => {
            let words: Vec<&str> =
                many.iter().map(|t| word(t.to_string())).filter(|w| *w != "nothing").collect();
            words.join(" or ")
        }
    }
}
