//! Checks the shape of documents against the schema of their kind, and names every problem at its place.

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
            "The document does not say what it is.",
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
            format!("A `{word}` does not belong in `{folder}/`."),
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
    let mut problems = Vec::new();
    for error in kind.validator().iter_errors(&json) {
        explain(document, kind, &error, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if let Some(map) = json.as_object_mut() {
        map.shift_remove("kind");
    }
    Ok(json)
}

fn explain(document: &Document, of: Kind, error: &ValidationError<'_>, out: &mut Vec<Problem>) {
    let pointer = error.instance_path().as_str();
    let place = document.place(pointer);
    let name = what(pointer);
    let shown = short(error.instance());
    let push = |out: &mut Vec<Problem>, place: Place, code, message: String, hint: String| {
        out.push(Problem::error(place, code, message, hint));
    };
    match error.kind() {
        // Optional values are `anyOf` the value or null: what is wrong is in the first branch.
        ValidationErrorKind::AnyOf { context } => match context.first() {
            Some(first) if !first.is_empty() => {
                first.iter().for_each(|inner| explain(document, of, inner, out));
            }
            _ => push(
                out,
                place,
                ProblemCode::BadValue,
                format!("{name} is not valid."),
                use_schema(),
            ),
        },
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                let known = known_keys(of, error);
                let hint = match nearest(key, known.iter().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None if known.len() > MAX_LISTED => {
                        format!("`tidegate schema {}` shows the keys.", of.as_str())
                    }
                    None => format!("The keys here are {}.", known.join(", ")),
                };
                let place = document.key_place(pointer, key);
                push(
                    out,
                    place,
                    ProblemCode::UnknownKey,
                    format!("There is no key `{key}` here."),
                    hint,
                );
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let message = format!("The key `{key}` is missing.");
            push(out, place, ProblemCode::MissingKey, message, format!("Add `{key}:`."));
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = type_words(kind);
            let message = format!("{name} must be {wanted}, not {shown}.");
            let hint = if wanted.contains("text")
                && !error.instance().is_array()
                && !error.instance().is_object()
            {
                format!("Put it in quotes: \"{}\".", plain(error.instance()))
            } else {
                format!("Write {wanted} here.")
            };
            push(out, place, ProblemCode::WrongType, message, hint);
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter(|o| !o.is_null())
                .map(plain)
                .collect();
            let hint = match nearest(&plain(error.instance()), options.iter().map(String::as_str)) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Use one of {}.", options.join(", ")),
            };
            let message = format!("{name} cannot be {shown}.");
            push(out, place, ProblemCode::BadValue, message, hint);
        }
        ValidationErrorKind::Minimum { limit }
        | ValidationErrorKind::ExclusiveMinimum { limit } => {
            let message = format!("{name} is {shown}, which is too small.");
            push(out, place, ProblemCode::BadValue, message, format!("Use at least {limit}."));
        }
        ValidationErrorKind::Maximum { limit }
        | ValidationErrorKind::ExclusiveMaximum { limit } => {
            let message = format!("{name} is {shown}, which is too large.");
            push(out, place, ProblemCode::BadValue, message, format!("Use at most {limit}."));
        }
        ValidationErrorKind::Pattern { pattern } => {
            let message = format!("{name} cannot be {shown}.");
            push(out, place, ProblemCode::BadValue, message, format!("It must match `{pattern}`."));
        }
        ValidationErrorKind::Format { format } if format.starts_with("uint") => {
            let message = format!("{name} is {shown}, which is out of range.");
            push(out, place, ProblemCode::BadValue, message, "Use a whole number from 0.".into());
        }
        _ => {
            push(
                out,
                place,
                ProblemCode::BadValue,
                format!("{name} is not valid: {error}."),
                use_schema(),
            );
        }
    }
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
            out.push_str(&format!("[{step}]"));
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
