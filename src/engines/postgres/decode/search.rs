//! Full-text search types as `psql` prints them.

use std::fmt::Write;

use super::wire::{Reader, malformed};
use crate::engines::EngineError;

/// Deepest nesting of a query that is read; the server's own parser stops earlier.
const MAX_DEPTH: usize = 2_000;

fn push_quoted(word: &str, out: &mut String) {
    out.push('\'');
    for c in word.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}

/// A `tsvector`: `'cat':3A,7 'sit'`.
pub(super) fn push_vector(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    for i in 0..reader.count()? {
        if i > 0 {
            out.push(' ');
        }
        push_quoted(reader.c_string()?, out);
        for j in 0..reader.u16()? {
            let entry = reader.u16()?;
            out.push(if j == 0 { ':' } else { ',' });
            let _ = write!(out, "{}", entry & 0x3FFF);
            out.push_str(["", "C", "B", "A"][usize::from(entry >> 14)]);
        }
    }
    Ok(())
}

/// A node of a query, as the server sends it: an operator, its right side, its left side.
enum Node<'a> {
    Word { text: &'a str, weights: u8, prefix: bool },
    Not(Box<Node<'a>>),
    Pair { operator: Operator, left: Box<Node<'a>>, right: Box<Node<'a>> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Phrase(i16),
}

impl Operator {
    /// How strongly it binds; `!` binds strongest.
    fn priority(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Phrase(_) => 3,
        }
    }
}

const NOT_PRIORITY: u8 = 4;

/// A `tsquery`: `'fat' & ( 'cat' | 'rat':*A )`.
pub(super) fn push_query(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    if reader.count()? > 0 {
        let node = read_node(&mut reader, 0)?;
        push_node(&node, 0, false, out);
    }
    Ok(())
}

fn read_node<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<Node<'a>, EngineError> {
    if depth > MAX_DEPTH {
        return Err(malformed("tsquery"));
    }
    if reader.u8()? == 1 {
        let (weights, prefix) = (reader.u8()?, reader.u8()? != 0);
        return Ok(Node::Word { text: reader.c_string()?, weights, prefix });
    }
    let operator = match reader.u8()? {
        1 => return Ok(Node::Not(Box::new(read_node(reader, depth + 1)?))),
        2 => Operator::And,
        3 => Operator::Or,
        4 => Operator::Phrase(reader.i16()?),
        _ => return Err(malformed("tsquery")),
    };
    let right = Box::new(read_node(reader, depth + 1)?);
    let left = Box::new(read_node(reader, depth + 1)?);
    Ok(Node::Pair { operator, left, right })
}

/// `outer`: the priority of the operator around; `right_of_phrase`: the order of phrases matters, so they keep brackets.
fn push_node(node: &Node<'_>, outer: u8, right_of_phrase: bool, out: &mut String) {
    match node {
        Node::Word { text, weights, prefix } => {
            push_quoted(text, out);
            if *weights != 0 || *prefix {
                out.push(':');
                out.push_str(if *prefix { "*" } else { "" });
                let letters = [(8, 'A'), (4, 'B'), (2, 'C'), (1, 'D')];
                out.extend(letters.iter().filter(|(bit, _)| weights & bit != 0).map(|(_, c)| *c));
            }
        }
        Node::Not(inner) => {
            bracketed(NOT_PRIORITY < outer, out, |out| {
                out.push('!');
                push_node(inner, NOT_PRIORITY, false, out);
            });
        }
        Node::Pair { operator, left, right } => {
            let priority = operator.priority();
            let is_phrase = matches!(operator, Operator::Phrase(_));
            bracketed(priority < outer || (is_phrase && right_of_phrase), out, |out| {
                push_node(left, priority, false, out);
                let _ = match operator {
                    Operator::And => write!(out, " & "),
                    Operator::Or => write!(out, " | "),
                    Operator::Phrase(1) => write!(out, " <-> "),
                    Operator::Phrase(distance) => write!(out, " <{distance}> "),
                };
                push_node(right, priority, is_phrase, out);
            });
        }
    }
}

fn bracketed(brackets: bool, out: &mut String, write: impl FnOnce(&mut String)) {
    out.push_str(if brackets { "( " } else { "" });
    write(out);
    out.push_str(if brackets { " )" } else { "" });
}
