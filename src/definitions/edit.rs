//! Changes one document of a YAML file and leaves the rest as it was written: comments, order and looks of what stays the same.

use serde_json::{Map, Value};

use super::document::{self, Content, Document, Entry, Node};
use super::emit;

/// Why a text cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("the file does not parse as it is now")]
    Unreadable,
    #[error("there is no such document in the file")]
    Missing,
    /// What would be written does not read back as what was wanted.
    #[error("the change cannot be written as YAML")]
    Unwritable,
}

/// The text with the document at `index` (from 0) holding `wanted`.
///
/// # Errors
/// Where the text cannot be edited.
pub fn replace(text: &str, index: usize, wanted: &Map<String, Value>) -> Result<String, EditError> {
    let documents = read(text)?;
    let document = documents.get(index).ok_or(EditError::Missing)?;
    let region = region(text, document);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let edited = |body: String| {
        let before: String = lines[..region.0].concat();
        let after: String = lines[region.1..].concat();
        let gap = if body.ends_with('\n') || after.is_empty() { "" } else { "\n" };
        format!("{before}{body}{gap}{after}")
    };
    let gently = match &document.root.content {
        Content::Mapping(entries) if is_block(entries, &lines) => {
            edited(Editor { lines: &lines }.mapping(entries, region, wanted))
        }
        _ => String::new(),
    };
    // What a person wrote in a way that was not foreseen is written anew as a whole.
    let anew = || edited(emit::mapping(wanted, 0));
    [gently, anew()]
        .into_iter()
        .find(|text| holds(text, index, wanted, &documents))
        .ok_or(EditError::Unwritable)
}

/// The document at `index` (from 0) alone, as it is written, with the comments that belong to it.
///
/// # Errors
/// Where the text cannot be read.
pub fn excerpt(text: &str, index: usize) -> Result<String, EditError> {
    let documents = read(text)?;
    let (start, end) = region(text, documents.get(index).ok_or(EditError::Missing)?);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    Ok(lines[start..end].concat().trim_end().to_owned() + "\n")
}

/// The text with another document at its end.
///
/// # Errors
/// Where what would be written does not read back.
pub fn append(text: &str, document: &Map<String, Value>) -> Result<String, EditError> {
    let documents = if text.trim().is_empty() { Vec::new() } else { read(text)? };
    let mut out = text.to_owned();
    if !(out.is_empty() || out.ends_with('\n')) {
        out.push('\n');
    }
    if !documents.is_empty() {
        out.push_str("---\n");
    }
    out.push_str(&emit::mapping(document, 0));
    let is_same = holds(&out, documents.len(), document, &documents);
    is_same.then_some(out).ok_or(EditError::Unwritable)
}

/// The text without the document at `index` (from 0); `None` where it was the only one.
///
/// # Errors
/// Where the text cannot be edited.
pub fn remove(text: &str, index: usize) -> Result<Option<String>, EditError> {
    let documents = read(text)?;
    let document = documents.get(index).ok_or(EditError::Missing)?;
    if documents.len() == 1 {
        return Ok(None);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut start, mut end) = region(text, document);
    // With the mark before it, or after it where it is the first.
    if start > 0 && is_mark(lines[start - 1]) {
        start -= 1;
    } else if end < lines.len() && is_mark(lines[end]) {
        end += 1;
    }
    let out = format!("{}{}", lines[..start].concat(), lines[end..].concat());
    let left = read(&out)?;
    let mut kept =
        documents.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, document)| document);
    let is_same = left.len() + 1 == documents.len()
        && left
            .iter()
            .all(|now| kept.next().is_some_and(|then| then.root.to_json() == now.root.to_json()));
    is_same.then_some(Some(out)).ok_or(EditError::Unwritable)
}

fn read(text: &str) -> Result<Vec<Document>, EditError> {
    let (documents, problems) = document::parse("", text);
    if problems.is_empty() { Ok(documents) } else { Err(EditError::Unreadable) }
}

/// Whether the text holds `wanted` at `index` and the other documents as they were.
fn holds(text: &str, index: usize, wanted: &Map<String, Value>, before: &[Document]) -> bool {
    let Ok(after) = read(text) else { return false };
    after.len() == before.len().max(index + 1)
        && after.iter().enumerate().all(|(i, document)| {
            let now = document.root.to_json();
            if i == index {
                now == Value::Object(wanted.clone())
            } else {
                before[i].root.to_json() == now
            }
        })
}

fn is_mark(line: &str) -> bool {
    line.trim_end() == "---" || line.starts_with("--- ")
}

/// The lines of a document, from 0, the last not included. Marks and what stands before them belong to nobody.
fn region(text: &str, document: &Document) -> (usize, usize) {
    let first = document.root.line as usize - 1;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let start = lines[..first].iter().rposition(|line| is_mark(line)).map_or(0, |mark| mark + 1);
    let ends = |line: &&str| is_mark(line) || line.trim_end() == "...";
    let end = lines[first..].iter().position(ends).map_or(lines.len(), |count| first + count);
    (start, end)
}

/// Whether a mapping is written line by line.
fn is_block(entries: &[Entry], lines: &[&str]) -> bool {
    let stands_alone = |entry: &Entry| {
        let line = lines.get(entry.line as usize - 1).copied().unwrap_or_default();
        let before: String = line.chars().take(entry.column as usize - 1).collect();
        before.chars().all(|c| c == ' ')
    };
    !entries.is_empty() && entries.iter().all(stands_alone)
}

struct Editor<'a> {
    lines: &'a [&'a str],
}

impl Editor<'_> {
    /// The lines of a block mapping, from 0 and the last not included, with `wanted` in place of what they hold.
    fn mapping(
        &self,
        entries: &[Entry],
        region: (usize, usize),
        wanted: &Map<String, Value>,
    ) -> String {
        let indent = entries[0].column as usize - 1;
        let starts: Vec<usize> =
            entries.iter().map(|entry| self.lead(entry.line as usize - 1, region.0)).collect();
        let mut out: String = self.lines[region.0..starts[0]].concat();
        let mut added = false;
        for (i, entry) in entries.iter().enumerate() {
            let own = (entry.line as usize - 1, starts.get(i + 1).copied().unwrap_or(region.1));
            let end = self.trimmed(own);
            let is_last = i + 1 == entries.len();
            if let Some(value) = wanted.get(&entry.key) {
                out.push_str(&self.lines[starts[i]..own.0].concat());
                out.push_str(&self.entry(entry, (own.0, end), value));
                if !out.ends_with('\n') {
                    out.push('\n');
                }
            }
            if is_last {
                let known = |key: &String| entries.iter().any(|entry| entry.key == *key);
                for (key, value) in wanted.iter().filter(|(key, _)| !known(key)) {
                    out.push_str(&emit::member(key, value, indent));
                    added = true;
                }
            }
            out.push_str(&self.lines[end..own.1].concat());
        }
        if added && !out.ends_with('\n') {
            out.push('\n');
        }
        out
    }

    /// One member: as it was, edited within, or written anew.
    fn entry(&self, entry: &Entry, own: (usize, usize), wanted: &Value) -> String {
        if entry.value.to_json() == *wanted {
            return self.lines[own.0..own.1].concat();
        }
        let head = self.lines[own.0];
        let is_below = |node: &Node| node.line > entry.line;
        match (&entry.value.content, wanted) {
            (Content::Mapping(entries), Value::Object(map))
                if !map.is_empty() && is_below(&entry.value) && is_block(entries, self.lines) =>
            {
                format!("{head}{}", self.mapping(entries, (own.0 + 1, own.1), map))
            }
            (Content::Sequence(items), Value::Array(values))
                if !values.is_empty() && self.is_block_list(items, own) =>
            {
                format!("{head}{}", self.sequence(items, (own.0 + 1, own.1), values))
            }
            _ => {
                let written = emit::member(&entry.key, wanted, entry.column as usize - 1);
                with_comment(written, comment(head), own.1 - own.0 == 1)
            }
        }
    }

    /// Whether each item stands behind a dash on a line of its own, below the key.
    fn is_block_list(&self, items: &[Node], own: (usize, usize)) -> bool {
        !items.is_empty()
            && items.iter().all(|item| {
                let at = item.line as usize - 1;
                (own.0 + 1..own.1).contains(&at) && self.lines[at].trim_start().starts_with("- ")
            })
            && items.windows(2).all(|pair| pair[0].line < pair[1].line)
    }

    /// The lines of a block list with `values` in it: items that stay the same at its beginning and end stay as they are written.
    fn sequence(&self, items: &[Node], region: (usize, usize), values: &[Value]) -> String {
        let line = |i: usize| items[i].line as usize - 1;
        let indent = self.lines[line(0)].len() - self.lines[line(0)].trim_start().len();
        let starts: Vec<usize> = (0..items.len()).map(|i| self.lead(line(i), region.0)).collect();
        let own = |i: usize| (starts[i], starts.get(i + 1).copied().unwrap_or(region.1));
        let is_same = |i: usize, j: usize| items[i].to_json() == values[j];
        let most = items.len().min(values.len());
        let front = (0..most).take_while(|i| is_same(*i, *i)).count();
        let back =
            (1..=most - front).take_while(|n| is_same(items.len() - n, values.len() - n)).count();
        let mut out: String = self.lines[region.0..starts[0]].concat();
        let keep = |out: &mut String, i: usize| {
            let (start, end) = own(i);
            out.push_str(&self.lines[start..end].concat());
            if !out.ends_with('\n') {
                out.push('\n');
            }
        };
        (0..front).for_each(|i| keep(&mut out, i));
        for (n, value) in values[front..values.len() - back].iter().enumerate() {
            let i = front + n;
            if i < items.len() - back {
                out.push_str(&self.lines[starts[i]..line(i)].concat());
                out.push_str(&self.item(&items[i], (line(i), own(i).1), indent, value));
            } else {
                out.push_str(&emit::item(value, indent));
            }
        }
        (items.len() - back..items.len()).for_each(|i| keep(&mut out, i));
        out
    }

    /// One item of a block list, with its dash at `indent`: edited within, or written anew.
    fn item(&self, item: &Node, own: (usize, usize), indent: usize, wanted: &Value) -> String {
        let line = self.lines[own.0];
        if let (Content::Mapping(entries), Value::Object(map)) = (&item.content, wanted)
            && !map.is_empty()
        {
            // Without its dash the item is a mapping like any other.
            let plain = format!("{} {}", &line[..indent], &line[indent + 1..]);
            let mut lines = self.lines.to_vec();
            lines[own.0] = &plain;
            if is_block(entries, &lines) {
                return with_dash(&Editor { lines: &lines }.mapping(entries, own, map), indent);
            }
        }
        let end = self.trimmed(own);
        let written = emit::item(wanted, indent);
        let behind = self.lines[end..own.1].concat();
        format!("{}{behind}", with_comment(written, comment(line), end - own.0 == 1))
    }

    /// The first of the comment lines right above a line, not above `least`.
    fn lead(&self, line: usize, least: usize) -> usize {
        let is_comment = |at: &usize| self.lines[*at].trim_start().starts_with('#');
        (least..line).rev().take_while(is_comment).last().unwrap_or(line)
    }

    /// The end of what a member's lines say: empty lines and comments behind it are not its own.
    fn trimmed(&self, own: (usize, usize)) -> usize {
        let first = self.lines[own.0];
        // In a block of text everything counts that is indented.
        if is_text_block(first) {
            let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
            let is_behind = |at: &usize| {
                let line = self.lines[*at];
                let is_comment = line.trim_start().starts_with('#');
                line.trim().is_empty() || is_comment && indent(line) <= indent(first)
            };
            return own.1 - (own.0 + 1..own.1).rev().take_while(is_behind).count();
        }
        let is_idle = |at: &usize| {
            let line = self.lines[*at].trim();
            line.is_empty() || line.starts_with('#')
        };
        own.1 - (own.0 + 1..own.1).rev().take_while(is_idle).count()
    }
}

/// A mapping as an item of a list: with a dash at `indent` before its first member.
fn with_dash(mapping: &str, indent: usize) -> String {
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let before: usize =
        mapping.split_inclusive('\n').take_while(|line| !is_said(line)).map(str::len).sum();
    let at = before + indent;
    format!("{}-{}", &mapping[..at], &mapping[at + 1..])
}

/// Whether a line ends in `|` or `>` with its signs.
fn is_text_block(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    let sign = line.rsplit(' ').next().unwrap_or_default();
    sign.starts_with(['|', '>']) && sign[1..].chars().all(|c| matches!(c, '-' | '+' | '1'..='9'))
}

/// The comment at the end of a line that holds a key and a value.
fn comment(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return Some(line[at..].trim_end()),
            _ => {}
        }
        before = c;
    }
    None
}

fn with_comment(written: String, comment: Option<&str>, was_one_line: bool) -> String {
    match comment {
        Some(comment) if was_one_line && written.lines().count() == 1 => {
            format!("{}  {comment}\n", written.trim_end())
        }
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "\
# Head of the file.
kind: interface
code: a   # never change it
name: 'One, # two'  # shown to people

# How fast.
rate_limit:
  rps: 20  # per second
  # a burst
  burst: 100
tags: [x, y]
parameters:
  # the first day
  - {name: from, type: date}
  - name: to
    type: date  # inclusive
query_template: |
  SELECT 1 -- not a # comment
  # nor this

# The end.
---
kind: role
name: r
";

    fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut wanted = read(FILE).unwrap()[0].root.to_json().as_object().unwrap().clone();
        change(&mut wanted);
        replace(FILE, 0, &wanted).unwrap()
    }

    /// Lines that differ, as `-old` and `+new`.
    fn diff(text: &str) -> Vec<String> {
        let (old, new): (Vec<_>, Vec<_>) = (FILE.lines().collect(), text.lines().collect());
        let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}"));
        gone.chain(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}")))
            .collect()
    }

    #[test]
    fn a_change_of_one_field_changes_one_line() {
        assert_eq!(changed(|_| {}), FILE);
        let text = changed(|map| map["name"] = json!("New"));
        assert_eq!(
            diff(&text),
            ["-name: 'One, # two'  # shown to people", "+name: New  # shown to people"]
        );
        let text = changed(|map| map["rate_limit"]["burst"] = json!(7));
        assert_eq!(diff(&text), ["-  burst: 100", "+  burst: 7"]);
        let text = changed(|map| map["parameters"][0]["type"] = json!("string"));
        assert_eq!(
            diff(&text),
            ["-  - {name: from, type: date}", "+  - {name: from, type: string}"]
        );
    }

    #[test]
    fn a_change_within_an_item_changes_one_line() {
        let text = changed(|map| map["parameters"][1]["name"] = json!("until"));
        assert_eq!(diff(&text), ["-  - name: to", "+  - name: until"]);
        let text = changed(|map| {
            let second = map["parameters"][1].as_object_mut().unwrap();
            second.shift_remove("name");
            second.insert("required".into(), json!(true));
        });
        assert_eq!(
            diff(&text),
            [
                "-  - name: to",
                "-    type: date  # inclusive",
                "+  - type: date  # inclusive",
                "+    required: true"
            ]
        );
        let file =
            "kind: role\nlist:\n- a: 1  # one\n\n  # two\n  b: 2\n- {c: 3}  # three\n- 4 # four\n";
        let wanted = json!({ "kind": "role", "list": [{ "a": 7, "b": 8 }, { "c": 9 }, 5] });
        assert_eq!(
            replace(file, 0, wanted.as_object().unwrap()).unwrap(),
            "kind: role\nlist:\n- a: 7  # one\n\n  # two\n  b: 8\n- {c: 9}  # three\n- 5  # four\n"
        );
    }

    #[test]
    fn members_come_and_go() {
        let text = changed(|map| {
            map.shift_remove("tags");
            map.insert("owner".into(), json!("me"));
            map["rate_limit"].as_object_mut().unwrap().insert("by".into(), json!("ip"));
            map["parameters"].as_array_mut().unwrap().push(json!({ "name": "x" }));
        });
        assert_eq!(diff(&text), ["-tags: [x, y]", "+  by: ip", "+  - {name: x}", "+owner: me"]);
        assert!(text.contains("# nor this\nowner: me\n\n# The end.\n---\nkind: role"), "{text}");
    }

    #[test]
    fn odd_files_are_written_anew() {
        let file = "{kind: role, name: r}\n";
        let wanted = json!({ "kind": "role", "name": "s" });
        assert_eq!(replace(file, 0, wanted.as_object().unwrap()).unwrap(), "kind: role\nname: s\n");
        let file = "kind: role\nname: &n r\nother: *n\n";
        let wanted = json!({ "kind": "role", "name": "s", "other": "r" });
        let text = replace(file, 0, wanted.as_object().unwrap()).unwrap();
        assert_eq!(read(&text).unwrap()[0].root.to_json(), wanted);
    }

    #[test]
    fn documents_come_and_go() {
        assert_eq!(excerpt(FILE, 1).unwrap(), "kind: role\nname: r\n");
        let first = excerpt(FILE, 0).unwrap();
        assert!(first.starts_with("# Head") && first.ends_with("# The end.\n"), "{first}");
        assert_eq!(remove("kind: role\n", 0), Ok(None));
        let text = remove(FILE, 0).unwrap().unwrap();
        assert_eq!(text, "kind: role\nname: r\n");
        let text = remove(FILE, 1).unwrap().unwrap();
        assert!(text.ends_with("# The end.\n") && text.starts_with("# Head"), "{text}");
        let more = json!({ "kind": "role", "name": "t" });
        let text = append(FILE, more.as_object().unwrap()).unwrap();
        assert!(text.starts_with(FILE) && text.ends_with("---\nkind: role\nname: t\n"), "{text}");
        assert_eq!(append("", more.as_object().unwrap()).unwrap(), "kind: role\nname: t\n");
        assert_eq!(remove("kind: role\n", 3), Err(EditError::Missing));
        assert_eq!(replace("a: [\n", 0, &Map::new()), Err(EditError::Unreadable));
    }
}
