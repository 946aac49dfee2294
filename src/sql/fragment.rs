//! SQL that policies hold: row filters and masks as expressions, in which `$principal` values are places and never text.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use regex::Regex;
use sqlparser::ast::{Expr, Ident, Query, Value, Visit, VisitMut, Visitor, VisitorMut};

use super::dialect::Dialect;
use super::grammar;
use super::lex::{self, Piece};
use super::parts::to_parts;
use super::relation::{ColumnType, Shape, is_same_column, quoted};
use super::safety;
use super::statement::{Part, Slot};
use super::template::Flaw;

/// What a place of a policy's SQL is filled with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `$principal.name`.
    Name,
    /// `$principal.claims.…`, by path. `is_list`: stands right of IN or in ANY or ALL, so that one value is a list of one.
    Claim {
        path: Vec<String>,
        is_list: bool,
        form: Form,
    },
    /// The inner or outer pad of the keyed hash, as hexadecimal digits.
    InnerPad,
    OuterPad,
}

/// What form a claim must have. MySQL compares whatever with whatever, and `region = 0` is true for most texts, so that there the
/// column decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The database sees to it.
    Any,
    /// Bound as text.
    Text,
    Number,
    Date,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("$principal.name"),
            Self::Claim { path, .. } => write!(f, "$principal.claims.{}", path.join(".")),
            Self::InnerPad | Self::OuterPad => f.write_str("the mask key"),
        }
    }
}

/// An expression with places `:g0`, `:g1` … for its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub expr: Expr,
    pub references: Vec<Reference>,
}

impl Fragment {
    /// An expression of our own making, without places.
    ///
    /// # Errors
    /// Where it does not parse.
    pub fn plain(text: &str, dialect: Dialect) -> Result<Self, String> {
        let expr = grammar::parse_expr(text, dialect).map_err(|reason| reason.text)?;
        Ok(Self { expr, references: Vec::new() })
    }

    /// Compiles what a policy says.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn compile(text: &str, dialect: Dialect) -> Result<Self, String> {
        let (named, paths) = name_places(text);
        let pieces = lex::cut(&named, dialect).map_err(|error| error.to_string())?;
        let mut seen = 0;
        for piece in &pieces {
            if let Piece::Name(name, _) = piece {
                if place(name).is_none() {
                    return Err(format!(
                        "`:{name}` is no value that a policy has; use `$principal`"
                    ));
                }
                seen += 1;
            }
        }
        if seen != paths.len() {
            return Err("a `$principal` value stands inside quotes or a comment".to_owned());
        }
        let number = |piece: &Piece<'_>| match piece {
            Piece::Name(name, _) => place(name).unwrap_or_default(),
            _ => 0,
        };
        let parts = to_parts(&pieces, dialect, |piece| Ok((Slot::Name(number(piece)), true)))
            .map_err(|error| format!("{:?}", error.flaw))?;
        let mut references = Vec::with_capacity(paths.len());
        let mut out = String::with_capacity(named.len());
        for part in parts {
            let (slot, is_list) = match part {
                Part::Text(text) => {
                    out.push_str(&text);
                    continue;
                }
                Part::List { slot } => (slot, true),
                Part::Slot(slot) => (slot, AFTER_ANY.is_match(&out)),
            };
            let Slot::Name(at) = slot else { continue };
            let place = format!(":g{}", references.len());
            references.push(reference(&paths[at], is_list)?);
            // On PostgreSQL the list is an array, which takes no brackets of its own.
            let brackets = is_list && dialect != Dialect::Postgres;
            out.extend(if brackets { ["(", &place, ")"] } else { ["", &place, ""] });
        }
        let expr = grammar::parse_expr(&out, dialect).map_err(|reason| reason.text)?;
        match safety::check_expr(&expr, &out, dialect) {
            Ok(()) => Ok(Self { expr, references }),
            Err(refusal) => Err(match refusal.flaw {
                Flaw::Unsafe(text) => text,
                other => format!("{other:?}"),
            }),
        }
    }

    /// The expression over the columns of `shape`, its places numbered by `all`, which takes its references.
    ///
    /// # Errors
    /// The column that the table does not have.
    pub fn over(
        &self,
        shape: &Shape,
        dialect: Dialect,
        all: &mut Vec<Reference>,
    ) -> Result<Expr, String> {
        let mut expr = self.expr.clone();
        let mut numbers = Vec::with_capacity(self.references.len());
        let mut forms = Forms { shape, found: vec![Form::Text; self.references.len()], depth: 0 };
        if dialect == Dialect::MySql {
            let _ = Visit::visit(&expr, &mut forms);
        }
        for (at, reference) in self.references.iter().enumerate() {
            let mut reference = reference.clone();
            if let Reference::Claim { form, .. } = &mut reference
                && dialect == Dialect::MySql
            {
                *form = forms.found[at];
            }
            let known = all.iter().position(|known| *known == reference);
            numbers.push(known.unwrap_or_else(|| {
                all.push(reference.clone());
                all.len() - 1
            }));
        }
        let mut over = Over { shape, dialect, numbers: &numbers, depth: 0 };
        match VisitMut::visit(&mut expr, &mut over) {
            ControlFlow::Break(column) => Err(column),
            ControlFlow::Continue(()) => Ok(expr),
        }
    }
}

static AFTER_ANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(any|all|some)\s*\(\s*$").expect("a constant pattern that compiles")
});

/// The text with `:p0`, `:p1` … for its `$principal` values, and what they were.
fn name_places(text: &str) -> (String, Vec<String>) {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\$principal((?:\.[A-Za-z0-9_-]+)*)").expect("a constant pattern that compiles")
    });
    let mut paths = Vec::new();
    let named = PLACE.replace_all(text, |captures: &regex::Captures<'_>| {
        paths.push(captures[1].trim_start_matches('.').to_owned());
        format!(":p{}", paths.len() - 1)
    });
    (named.into_owned(), paths)
}

fn place(name: &str) -> Option<usize> {
    name.strip_prefix('p')?.parse().ok()
}

fn reference(path: &str, is_list: bool) -> Result<Reference, String> {
    match path.strip_prefix("claims.") {
        Some(claim) => {
            let path = claim.split('.').map(str::to_owned).collect();
            Ok(Reference::Claim { path, is_list, form: Form::Any })
        }
        None if path == "name" && !is_list => Ok(Reference::Name),
        None => Err(format!(
            "`$principal.{path}` is nothing that a policy can read; use `$principal.name` or `$principal.claims.NAME`"
        )),
    }
}

/// Finds what columns the places are compared with.
struct Forms<'a> {
    shape: &'a Shape,
    found: Vec<Form>,
    /// Queries inside of the expression have columns of their own.
    depth: usize,
}

impl Forms<'_> {
    fn compared(&mut self, column: &Expr, place: &Expr) {
        let name = match column {
            Expr::Nested(inner) => return self.compared(inner, place),
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        let kind = name.and_then(|name| {
            let mut columns = self.shape.columns.iter();
            columns
                .find(|(known, _)| known.eq_ignore_ascii_case(&name.value))
                .map(|(_, kind)| *kind)
        });
        let Some(at) = place_of(place) else { return };
        if let (Some(kind), Some(form)) = (kind, self.found.get_mut(at)) {
            *form = match kind {
                ColumnType::Number => Form::Number,
                ColumnType::Date | ColumnType::DateTime => Form::Date,
                ColumnType::Text | ColumnType::Other => Form::Text,
            };
        }
    }
}

impl Visitor for Forms<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            _ if self.depth > 0 => {}
            Expr::BinaryOp { left, right, .. } => {
                self.compared(left, right);
                self.compared(right, left);
            }
            Expr::InList { expr, list, .. } => {
                list.iter().for_each(|item| self.compared(expr, item));
            }
            Expr::Between { expr, low, high, .. } => {
                self.compared(expr, low);
                self.compared(expr, high);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The number of a place.
fn place_of(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Nested(inner) => place_of(inner),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix(":g")?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Gives columns their table, so that no outer query can lend one, and places their numbers.
struct Over<'a> {
    shape: &'a Shape,
    dialect: Dialect,
    numbers: &'a [usize],
    /// Queries inside of the expression have columns of their own.
    depth: usize,
}

impl Over<'_> {
    fn qualified(&self, column: &str) -> Expr {
        let table = quoted(&self.shape.name, self.dialect);
        Expr::CompoundIdentifier(vec![table, quoted(column, self.dialect)])
    }
}

impl VisitorMut for Over<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<String> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let column = |name: &Ident| {
            let folded = super::relation::fold(name, self.dialect);
            let columns = self.shape.columns.iter();
            let mut found =
                columns.filter(|(known, _)| is_same_column(known, &folded, self.dialect));
            found.next().map(|(known, _)| known.clone())
        };
        match expr {
            Expr::Identifier(name) if self.depth == 0 => match column(name) {
                Some(known) => *expr = self.qualified(&known),
                None => return ControlFlow::Break(name.value.clone()),
            },
            Expr::CompoundIdentifier(parts) if self.depth == 0 => {
                let is_own = match parts.as_slice() {
                    [table, _] | [_, table, _] => {
                        let folded = super::relation::fold(table, self.dialect);
                        is_same_column(&folded, &self.shape.name, self.dialect)
                    }
                    _ => false,
                };
                match parts.last().filter(|_| is_own).and_then(column) {
                    Some(known) => *expr = self.qualified(&known),
                    None => return ControlFlow::Break(expr.to_string()),
                }
            }
            Expr::Value(value) => {
                if let Value::Placeholder(name) = &mut value.value
                    && let Some(at) = name.strip_prefix(":g").and_then(|n| n.parse::<usize>().ok())
                {
                    *name = format!(":g{}", self.numbers.get(at).copied().unwrap_or_default());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(path: &str, is_list: bool) -> Reference {
        let path = path.split('.').map(str::to_owned).collect();
        Reference::Claim { path, is_list, form: Form::Any }
    }

    #[test]
    fn principal_values_become_places() {
        let compiled = Fragment::compile(
            "region = $principal.claims.org.region AND owner = $principal.name",
            Dialect::Sqlite,
        )
        .unwrap();
        assert_eq!(compiled.expr.to_string(), "region = :g0 AND owner = :g1");
        assert_eq!(compiled.references, [claim("org.region", false), Reference::Name]);
    }

    #[test]
    fn right_of_in_they_are_lists() {
        let texts = [(Dialect::Postgres, "r = ANY(:g0)"), (Dialect::MySql, "r IN (:g0)")];
        for (dialect, printed) in texts {
            for text in ["r IN ($principal.claims.rs)", "r IN $principal.claims.rs"] {
                let compiled = Fragment::compile(text, dialect).unwrap();
                assert_eq!(compiled.expr.to_string(), printed, "{text}");
                assert_eq!(compiled.references, [claim("rs", true)]);
            }
        }
        let several = "r IN ($principal.claims.a, $principal.claims.b)";
        let compiled = Fragment::compile(several, Dialect::Postgres).unwrap();
        assert_eq!(compiled.references, [claim("a", false), claim("b", false)]);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "a = 1; DROP TABLE t",
            "a = 1) OR (1 = 1",
            "a = '$principal.name'",
            "a = :other",
            "a = $principal.password",
            "a = pg_sleep(1)",
            "a = (DELETE FROM t RETURNING 1)",
            "a = 1 UNION SELECT 1",
        ] {
            assert!(Fragment::compile(text, Dialect::Postgres).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_are_those_of_the_table() {
        let shape = Shape {
            schema: "public".into(),
            name: "t".into(),
            is_default_schema: true,
            is_system: false,
            is_virtual: false,
            columns: vec![("region".into(), super::super::relation::ColumnType::Text)],
        };
        let over = |text: &str| {
            let compiled = Fragment::compile(text, Dialect::Postgres).unwrap();
            compiled.over(&shape, Dialect::Postgres, &mut Vec::new()).map(|expr| expr.to_string())
        };
        assert_eq!(over("Region = 'a'").unwrap(), "\"t\".\"region\" = 'a'");
        assert_eq!(over("regio = 'a'").unwrap_err(), "regio");
        let inner = "region IN (SELECT region FROM mine)";
        assert_eq!(over(inner).unwrap(), "\"t\".\"region\" IN (SELECT region FROM mine)");
    }
}
