//! `{{ x | ident }}`: where it may stand, and which parameters are closed enough for it.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

static TAG: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)\{\{.*?\}\}|\{%.*?%\}"));
static IDENT_WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"\bident\b"));
static PLAIN_USE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)\s*\|\s*ident\s*-?\}\}$"));
static LOOP: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^\{%-?\s*for\s+([A-Za-z_][A-Za-z0-9_]*)\s+in\s+([A-Za-z_][A-Za-z0-9_]*)\s*-?%\}$")
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern that compiles")
}

/// Checks every use of the `ident` filter in a template. Allowed is only `{{ x | ident }}`, where `x` is a closed
/// parameter, or runs over one in `{% for x in list %}`. Answers the byte offsets and texts of the others.
pub fn unsafe_uses(source: &str, is_closed: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut loop_names = Vec::new();
    let mut found = Vec::new();
    let assigned = assigned_words(source);
    let is_closed = |name: &str| is_closed(name) && !assigned.contains(name);
    for tag in TAG.find_iter(source) {
        if let Some(captures) = LOOP.captures(tag.as_str()) {
            loop_names.push((captures[1].to_owned(), captures[2].to_owned()));
        }
        if !IDENT_WORD.is_match(tag.as_str()) {
            continue;
        }
        let closed = PLAIN_USE.captures(tag.as_str()).is_some_and(|captures| {
            let name = &captures[1];
            if assigned.contains(name) {
                return false;
            }
            let mut loops = loop_names.iter().filter(|(item, _)| item == name).peekable();
            if loops.peek().is_some() {
                loops.all(|(_, list)| is_closed(list))
            } else {
                is_closed(name)
            }
        });
        if !closed {
            found.push((tag.start(), tag.as_str().to_owned()));
        }
    }
    found
}

/// Where a word first stands in a tag, as a byte offset.
pub fn word_in_tags(source: &str, word: &str) -> Option<usize> {
    let pattern = Regex::new(&format!(r"\b{}\b", regex::escape(word))).ok()?;
    TAG.find_iter(source)
        .find_map(|tag| pattern.find(tag.as_str()).map(|found| tag.start() + found.start()))
}

/// Every word of the tags that give names new values in ways this page does not follow; taking too many is safe.
fn assigned_words(source: &str) -> HashSet<&str> {
    let opens = |tag: &str, word: &str| {
        tag.trim_start_matches(['{', '%', '-']).trim_start().starts_with(word)
    };
    TAG.find_iter(source)
        .map(|tag| tag.as_str())
        .filter(|tag| tag.starts_with("{%"))
        .filter(|tag| !LOOP.is_match(tag))
        .filter(|tag| {
            ["set", "with", "for", "macro", "call", "import", "from"].iter().any(|w| opens(tag, w))
        })
        .flat_map(|tag| tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect()
}

/// Whether a pattern is anchored at both ends and lets only letters, digits and `_` through.
pub fn is_closed_pattern(pattern: &str) -> bool {
    let Ok(hir) = regex_syntax::parse(pattern) else { return false };
    let HirKind::Concat(parts) = hir.kind() else { return false };
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    matches!(first.kind(), HirKind::Look(Look::Start))
        && matches!(last.kind(), HirKind::Look(Look::End))
        && middle.iter().all(only_word_bytes)
}

fn only_word_bytes(hir: &Hir) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Literal(literal) => literal.0.iter().all(|b| is_word(char::from(*b))),
        HirKind::Class(Class::Unicode(class)) => class
            .iter()
            .all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(is_word)),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().all(|range| (range.start()..=range.end()).all(|b| is_word(char::from(b))))
        }
        HirKind::Look(_) => false,
        HirKind::Repetition(repetition) => only_word_bytes(&repetition.sub),
        HirKind::Capture(capture) => only_word_bytes(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(only_word_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_anchored_patterns_count() {
        for closed in ["^[a-z_]+$", "^(asc|desc)$", "^col_[0-9]{1,3}$"] {
            assert!(is_closed_pattern(closed), "{closed}");
        }
        for open in [
            "[a-z]+",
            "^.*$",
            "^[^;]+$",
            "^a b$",
            "^[a-z]+",
            r"^\w+$",
            "(?m)^[a-z]+$",
            "^a$|b",
            "(",
        ] {
            assert!(!is_closed_pattern(open), "{open}");
        }
    }

    #[test]
    fn ident_stands_only_on_closed_names() {
        let closed = |name: &str| name == "column" || name == "columns";
        assert!(unsafe_uses("SELECT {{ column | ident }} FROM t", closed).is_empty());
        let looped = "SELECT {% for c in columns %}{{ c | ident }},{% endfor %} 1";
        assert!(unsafe_uses(looped, closed).is_empty());
        for bad in [
            "SELECT {{ free | ident }}",
            "SELECT {{ (column ~ free) | ident }}",
            "{% set column = free %}{{ column | upper | ident }}",
            "{% for c in free %}{{ c | ident }}{% endfor %}",
            "{% set x = free | ident %}{{ x }}",
            "{% set column = free %}{{ column | ident }}",
            "{% for i, column in free %}{{ column | ident }}{% endfor %}",
            "{% with column = free %}{{ column | ident }}{% endwith %}",
            "{% set columns = [free] %}{% for c in columns %}{{ c | ident }}{% endfor %}",
        ] {
            assert_eq!(unsafe_uses(bad, closed).len(), 1, "{bad}");
        }
    }
}
