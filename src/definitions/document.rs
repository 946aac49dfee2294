//! YAML documents as trees that know where each value stands.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Budget, DuplicateKeyPolicy, Location, MergeKeyPolicy, Options, Spanned};

use super::problem::{Place, Problem, ProblemCode, Spot};
use crate::pace::{breathe, paced};

/// How deep a document may nest.
const MAX_DEPTH: usize = 64;
/// Parser events of one file: bounds documents, keys and what aliases expand to.
const MAX_EVENTS: usize = 500_000;
/// Aliases of one file.
const MAX_ALIASES: usize = 1_000;
/// Documents of a file of which one does not parse that are still looked at one by one.
const MAX_SPLIT: usize = 100;

/// A value and where it stands, from 1.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: u32,
    pub column: u32,
    pub content: Content,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Content {
    Scalar(Value),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub line: u32,
    pub column: u32,
    pub value: Node,
}

impl Node {
    /// The value at one step of a JSON pointer.
    fn child(&self, step: &str) -> Option<&Node> {
        match &self.content {
            Content::Mapping(_) => self.get(&step.replace("~1", "/").replace("~0", "~")),
            Content::Sequence(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            Content::Scalar(_) => None,
        }
    }

    /// The value under `key`; of repeated keys the first.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The node as JSON, without the keys that are null.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.entry(entry.key.clone()).or_insert_with(|| entry.value.to_json());
                }
                Value::Object(map)
            }
        }
    }
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Relative to the root, with `/`.
    pub file: String,
    pub root: Node,
}

impl Document {
    /// Where the value at a JSON pointer stands, or the nearest thing around it that is there.
    pub fn place(&self, pointer: &str) -> Place {
        self.spot(pointer).within(&self.file)
    }

    /// The same without its file.
    pub fn spot(&self, pointer: &str) -> Spot {
        let mut node = &self.root;
        for step in pointer.split('/').skip(1) {
            let Some(next) = node.child(step) else { break };
            node = next;
        }
        Spot { line: node.line, column: node.column }
    }

    /// Where the key of the value at a JSON pointer stands.
    pub fn key_place(&self, pointer: &str, key: &str) -> Place {
        let mut node = &self.root;
        for step in pointer.split('/').skip(1) {
            match node.child(step) {
                Some(next) => node = next,
                None => return self.place(pointer),
            }
        }
        match node.entry(key) {
            Some(entry) => {
                Place { file: self.file.clone(), line: entry.line, column: entry.column }
            }
            None => self.place(pointer),
        }
    }
}

/// Reads the documents of a file, with the problems of its YAML and its repeated keys. A document that does not parse
/// leaves the others as they are.
pub fn parse(file: &str, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let mut problems = Vec::new();
    let nodes = match read(text) {
        Ok(nodes) => nodes,
        Err(error) => {
            let parts = split(text);
            if !(2..=MAX_SPLIT).contains(&parts.len()) {
                return (Vec::new(), vec![syntax_problem(file, text, &error)]);
            }
            let mut nodes = Vec::new();
            for part in parts {
                match read(&part) {
                    Ok(read) => nodes.extend(read),
                    Err(error) => problems.push(syntax_problem(file, text, &error)),
                }
            }
            nodes
        }
    };
    let mut documents = Vec::with_capacity(nodes.len());
    for root in paced(nodes) {
        repeated_keys(&root, file, &mut problems);
        documents.push(Document { file: file.to_owned(), root });
    }
    (documents, problems)
}

fn read(text: &str) -> Result<Vec<Node>, serde_saphyr::Error> {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.merge_keys = MergeKeyPolicy::Merge;
    options.with_snippet = false;
    options.strict_booleans = true;
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_events = MAX_EVENTS;
    budget.max_aliases = MAX_ALIASES;
    budget.max_anchors = MAX_ALIASES;
    options.budget = Some(budget);
    serde_saphyr::from_str_multiple_with_options(text, options)
}

/// Each document by itself, in its lines of the file.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            if parts.len() > MAX_SPLIT {
                break;
            }
            parts.push("\n".repeat(i));
        }
        if let Some(last) = parts.last_mut() {
            last.push_str(line);
        }
    }
    parts
}

fn syntax_problem(file: &str, text: &str, error: &serde_saphyr::Error) -> Problem {
    let plain = error.without_snippet();
    let at = plain.location().or_else(|| error.location());
    let (line, column) = at.map_or((1, 1), |at| position(&at));
    let message = plain.to_string();
    let message = message.lines().next().unwrap_or_default();
    // The place stands in front of the problem already.
    let message = message.split_once(" at line ").map_or(message, |(reason, _)| reason);
    let place = Place { file: file.to_owned(), line, column };
    if message.starts_with("budget breached") || message.starts_with("recursion limit") {
        let message = "The YAML nests too deep, or expands to more than a file may hold.";
        let hint = "Nest less, repeat aliases less often, and cut long files into several.";
        return Problem::error(place, ProblemCode::YamlSyntax, message, hint);
    }
    let shown = text.lines().nth(line as usize - 1).unwrap_or_default();
    let hint = if shown.trim_start_matches(' ').starts_with('\t') {
        "Indent with spaces; tabs do not count as indentation in YAML."
    } else {
        "Check indentation and brackets up to here, and quote texts with `: `, `#`, `{`, `[`, `@` and the like."
    };
    let message = message.replace('\'', "`");
    let message = format!("The YAML does not parse: {message}.");
    Problem::error(place, ProblemCode::YamlSyntax, message, hint)
}

fn repeated_keys(node: &Node, file: &str, problems: &mut Vec<Problem>) {
    match &node.content {
        Content::Scalar(_) => {}
        Content::Sequence(items) => {
            for item in items {
                repeated_keys(item, file, problems);
            }
        }
        Content::Mapping(entries) => {
            let mut first_lines = HashMap::with_capacity(entries.len());
            for entry in entries {
                let first = *first_lines.entry(entry.key.as_str()).or_insert(entry);
                if !std::ptr::eq(first, entry) {
                    let place =
                        Place { file: file.to_owned(), line: entry.line, column: entry.column };
                    problems.push(Problem::error(
                        place,
                        ProblemCode::DuplicateKey,
                        format!(
                            "The key `{}` stands here again; it is already in line {}.",
                            entry.key, first.line
                        ),
                        "Keep one of the two.",
                    ));
                }
                repeated_keys(&entry.value, file, problems);
            }
        }
    }
}

fn position(at: &Location) -> (u32, u32) {
    let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    (clamp(at.line()), clamp(at.column()))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        breathe();
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        let (line, column) = position(&spanned.referenced);
        Ok(Self { line, column, content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(Content::Scalar(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Content::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let (line, column) = position(&key.referenced);
            entries.push(Entry { key: key.value, line, column, value: map.next_value()? });
        }
        Ok(Content::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_stand() {
        let text = "kind: role\nname: a\nlist:\n  - x: 1\n    y: {z: true}\n---\nkind: consumer\n";
        let (documents, problems) = parse("a.yaml", text);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(documents.len(), 2);
        let at = |pointer: &str| {
            let place = documents[0].place(pointer);
            (place.line, place.column)
        };
        assert_eq!(at("/name"), (2, 7));
        assert_eq!(at("/list/0/y/z"), (5, 12));
        assert_eq!(at("/list/0/none"), (4, 5));
        assert_eq!(documents[1].place("/kind").line, 7);
        assert_eq!(documents[0].key_place("/list/0", "y").column, 5);
    }

    #[test]
    fn every_repeated_key_is_found() {
        let (_, problems) = parse("a.yaml", "a: 1\nb: {c: 1, c: 2}\na: 2\n");
        let found: Vec<_> = problems.iter().map(|p| (p.place.line, p.place.column)).collect();
        assert_eq!(found, [(2, 11), (3, 1)]);
    }

    #[test]
    fn aliases_and_depth_are_bounded() {
        let bomb = "a: &a [1,2,3,4,5,6,7,8,9]\n".to_owned()
            + &(0..12)
                .map(|i| {
                    let before = if i == 0 { "a".to_owned() } else { format!("b{}", i - 1) };
                    format!("b{i}: &b{i} [{}]\n", vec![format!("*{before}"); 9].join(","))
                })
                .collect::<Vec<_>>()
                .concat();
        let (documents, problems) = parse("a.yaml", &bomb);
        assert!(documents.is_empty() && problems.len() == 1);
        let deep = "a: ".to_owned() + &"[".repeat(5_000) + &"]".repeat(5_000);
        assert_eq!(parse("a.yaml", &deep).1[0].code, ProblemCode::YamlSyntax);
    }
}
