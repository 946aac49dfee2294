//! A statement ready to bind: text with numbered places, filled from a request's values.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::bind::Bind;
use super::dialect::Dialect;
use super::govern::Reads;

/// Statements longer than this are refused, in bytes.
pub const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// Where a bound value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// The template's name with this index.
    Name(usize),
    /// The value with this number that a `{{ }}` gave.
    Rendered(usize),
    /// The value with this number that the caller's grants read.
    Grant(usize),
    /// Integer arithmetic over names, for LIMIT and OFFSET.
    Computed(Arc<IntExpr>),
}

/// Integer arithmetic, saturating: what LIMIT and OFFSET are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum IntExpr {
    Constant(i64),
    Slot(Slot),
    Add(Box<IntExpr>, Box<IntExpr>),
    Subtract(Box<IntExpr>, Box<IntExpr>),
    Multiply(Box<IntExpr>, Box<IntExpr>),
    Least(Box<IntExpr>, Box<IntExpr>),
}

impl IntExpr {
    /// The value, or `None` where a place holds no integer.
    fn evaluate(&self, values: &Values<'_>) -> Option<i64> {
        match self {
            Self::Constant(n) => Some(*n),
            Self::Slot(slot) => match values.get(slot) {
                Bind::Int(n) => Some(n),
                _ => None,
            },
            Self::Add(a, b) => Some(a.evaluate(values)?.saturating_add(b.evaluate(values)?)),
            Self::Subtract(a, b) => Some(a.evaluate(values)?.saturating_sub(b.evaluate(values)?)),
            Self::Multiply(a, b) => Some(a.evaluate(values)?.saturating_mul(b.evaluate(values)?)),
            Self::Least(a, b) => Some(a.evaluate(values)?.min(b.evaluate(values)?)),
        }
    }
}

/// The values of one request.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// By index of the template's names.
    pub names: &'a [Bind],
    /// By number of the rendered values.
    pub rendered: &'a [Bind],
    /// By number of the references of the caller's grants.
    pub grants: &'a [Bind],
}

impl Values<'_> {
    fn get(&self, slot: &Slot) -> Bind {
        let found = match slot {
            Slot::Name(i) => self.names.get(*i).cloned(),
            Slot::Rendered(i) => self.rendered.get(*i).cloned(),
            Slot::Grant(i) => self.grants.get(*i).cloned(),
            Slot::Computed(expression) => {
                return expression.evaluate(self).map_or(Bind::Null, |n| Bind::Int(n.max(0)));
            }
        };
        found.unwrap_or(Bind::Null)
    }
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Slot(Slot),
    /// An array right of IN, there for one placeholder an item. `negated`: NOT IN.
    List {
        slot: Slot,
    },
}

/// Text with places, in one dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    parts: Vec<Part>,
    dialect: Dialect,
    /// The finished text, where it does not depend on how long lists are.
    joined: Option<Joined>,
}

/// A finished text, and where the values of its places come from, in placeholder order.
#[derive(Clone, Debug, PartialEq)]
struct Joined {
    text: Arc<str>,
    slots: Vec<Slot>,
}

impl Text {
    /// Takes the parts of a statement.
    pub fn new(parts: Vec<Part>, dialect: Dialect) -> Self {
        let mut text = Self { parts, dialect, joined: None };
        if !text.parts.iter().any(|part| matches!(part, Part::List { .. })) {
            let nothing = Values { names: &[], rendered: &[], grants: &[] };
            let (joined, slots) = text.write(&nothing, &mut Vec::new());
            text.joined = Some(Joined { text: joined.into(), slots });
        }
        text
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Which of the template's names it reads.
    pub fn names(&self) -> impl Iterator<Item = usize> {
        let mut found = Vec::new();
        for part in &self.parts {
            if let Part::Slot(slot) | Part::List { slot } = part {
                slot_names(slot, &mut found);
            }
        }
        found.into_iter()
    }

    /// Where the value at a position of the binds comes from, where lists do not move the positions.
    pub fn slot_at(&self, position: usize) -> Option<&Slot> {
        self.joined.as_ref()?.slots.get(position)
    }

    /// The statement for these values: its text and the values in placeholder order.
    pub fn bind(&self, values: &Values<'_>) -> (Arc<str>, Vec<Bind>) {
        if let Some(Joined { text, slots }) = &self.joined {
            return (text.clone(), slots.iter().map(|slot| values.get(slot)).collect());
        }
        let mut binds = Vec::with_capacity(self.parts.len() / 2);
        let (text, _) = self.write(values, &mut binds);
        (text.into(), binds)
    }

    /// The text, and where the values outside of lists come from. A name that stands twice has one numbered place.
    fn write(&self, values: &Values<'_>, binds: &mut Vec<Bind>) -> (String, Vec<Slot>) {
        let mut out = String::new();
        let mut slots = Vec::new();
        let mut numbered: Vec<(&Slot, usize)> = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slot(slot) => {
                    let is_shared = self.dialect != Dialect::MySql && !self.is_null_test(at);
                    let known = numbered.iter().find(|(s, _)| is_shared && *s == slot);
                    if let Some((_, number)) = known {
                        self.placeholder(&mut out, *number);
                        continue;
                    }
                    binds.push(values.get(slot));
                    slots.push(slot.clone());
                    if is_shared {
                        numbered.push((slot, binds.len()));
                    }
                    self.placeholder(&mut out, binds.len());
                }
                Part::List { slot } => self.list(&mut out, values.get(slot), binds),
            }
        }
        (out, slots)
    }

    /// Whether `IS NULL` follows. PostgreSQL gives a place that is asked this first no type, and then refuses the type
    /// that its next use gives it (`$1 IS NULL OR a = $1`), so such a place has a number of its own.
    fn is_null_test(&self, at: usize) -> bool {
        static TEST: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i)^\s+is\s+(?:not\s+)?null\b").expect("a constant pattern that compiles")
        });
        self.dialect == Dialect::Postgres
            && matches!(self.parts.get(at + 1), Some(Part::Text(text)) if TEST.is_match(text))
    }

    fn list(&self, out: &mut String, value: Bind, binds: &mut Vec<Bind>) {
        let items = match value {
            Bind::Array(items) => items,
            Bind::Null => Vec::new(),
            one => vec![one],
        };
        if items.is_empty() {
            // A list of nothing: IN is false and NOT IN true, which `IN (NULL)` would not give.
            let from = if self.dialect == Dialect::MySql { " FROM DUAL" } else { "" };
            out.push_str("(SELECT NULL");
            out.push_str(from);
            out.push_str(" WHERE 1 = 0)");
            return;
        }
        out.push('(');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            binds.push(item);
            self.placeholder(out, binds.len());
        }
        out.push(')');
    }

    fn placeholder(&self, out: &mut String, number: usize) {
        match self.dialect {
            Dialect::Postgres => out.push('$'),
            Dialect::Sqlite | Dialect::MySql => out.push('?'),
        }
        if self.dialect != Dialect::MySql {
            out.push_str(itoa::Buffer::new().format(number));
        }
    }
}

fn slot_names(slot: &Slot, found: &mut Vec<usize>) {
    match slot {
        Slot::Name(i) => found.push(*i),
        Slot::Rendered(_) | Slot::Grant(_) => {}
        Slot::Computed(expression) => expression_names(expression, found),
    }
}

fn expression_names(expression: &IntExpr, found: &mut Vec<usize>) {
    match expression {
        IntExpr::Constant(_) => {}
        IntExpr::Slot(slot) => slot_names(slot, found),
        IntExpr::Add(a, b)
        | IntExpr::Subtract(a, b)
        | IntExpr::Multiply(a, b)
        | IntExpr::Least(a, b) => {
            expression_names(a, found);
            expression_names(b, found);
        }
    }
}

/// What a request runs: the query itself and, for pages, the count of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub query: Text,
    /// `SELECT COUNT(*)` over the query without its page.
    pub count: Option<Text>,
    /// Parsed as read-only, all the way down.
    pub read_only: bool,
    /// Not to run as it is: its datasource is governed, and its rewriting for a caller begins with this.
    pub ungoverned: Option<Ungoverned>,
}

/// A statement of a governed datasource, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Ungoverned {
    pub text: Arc<str>,
    pub reads: Reads,
}
