//! Safe mode by parse: one statement, read-only all the way down, no dangerous function, no unconditional scan.

mod constant;
mod scan;
mod words;

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};

use super::dialect::Dialect;
use super::functions;
use super::template::Flaw;

/// What safe mode has against a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub flaw: Flaw,
    /// Where to look for it: a regular expression for what it begins with in the text.
    pub pattern: String,
}

impl Refusal {
    fn new(text: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self { flaw: Flaw::Unsafe(text.into()), pattern: pattern.into() }
    }

    fn function(called: &str, reason: &str) -> Self {
        let text = format!("the function `{called}` is refused: {reason}");
        Self::new(text, format!(r"{}\b", regex::escape(called)))
    }

    fn lock() -> Self {
        let pattern = r"(FOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)|LOCK\s+IN)\b";
        Self::new("`FOR UPDATE` and `FOR SHARE` lock rows", pattern)
    }

    /// For a statement that does something else than read.
    fn verb(statement: &Statement, what: &str) -> Self {
        let text = statement.to_string();
        let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        Self::new(format!("`{verb}` {what}"), format!(r"{}\b", regex::escape(&verb)))
    }
}

/// Checks a statement for safe mode. `text`: what it was parsed from. `has_page`: the gateway or the template cuts the
/// result into pages.
///
/// # Errors
/// The first flaw found.
pub fn check(
    ast: &Statement,
    text: &str,
    dialect: Dialect,
    is_procedure: bool,
    has_page: bool,
) -> Result<(), Refusal> {
    match ast {
        Statement::Query(query) => {
            reads_only(ast, text, dialect)?;
            if !has_page && scan::returns_whole_table(query) {
                let flaw = Flaw::UnboundedScan("the query would return a whole table".to_owned());
                return Err(Refusal { flaw, pattern: r"\S".to_owned() });
            }
            Ok(())
        }
        Statement::Call(_) if is_procedure => words::check(text, dialect),
        other => Err(Refusal::verb(other, "is not a query")),
    }
}

/// Checks an expression that a policy holds. `text`: what it was parsed from.
///
/// # Errors
/// The first flaw found.
pub fn check_expr(expr: &Expr, text: &str, dialect: Dialect) -> Result<(), Refusal> {
    match expr.visit(&mut Walk { dialect }) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => words::check(text, dialect),
    }
}

/// Whether nothing in the statement writes or locks.
pub fn is_read_only(ast: &Statement, text: &str, dialect: Dialect) -> bool {
    reads_only(ast, text, dialect).is_ok()
}

fn reads_only(ast: &Statement, text: &str, dialect: Dialect) -> Result<(), Refusal> {
    match ast.visit(&mut Walk { dialect }) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => words::check(text, dialect),
    }
}

struct Walk {
    dialect: Dialect,
}

impl Walk {
    fn function(&self, name: &ObjectName) -> ControlFlow<Refusal> {
        let last = name.0.last().and_then(|part| part.as_ident());
        match (last, functions::refusal(name, self.dialect)) {
            (Some(last), Some(reason)) => {
                let called = last.value.to_ascii_lowercase();
                ControlFlow::Break(Refusal::function(&called, reason))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Walk {
    type Break = Refusal;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Refusal> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            other => ControlFlow::Break(Refusal::verb(other, "inside the query writes")),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        if !query.locks.is_empty() {
            return ControlFlow::Break(Refusal::lock());
        }
        match query.body.as_ref() {
            SetExpr::Insert(inner)
            | SetExpr::Update(inner)
            | SetExpr::Delete(inner)
            | SetExpr::Merge(inner) => {
                ControlFlow::Break(Refusal::verb(inner, "inside the query writes"))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refusal> {
        if select.into.is_some() {
            return ControlFlow::Break(Refusal::new("`SELECT … INTO` writes", r"INTO\b"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Refusal> {
        match expr {
            Expr::Function(function) => self.function(&function.name),
            // MySQL's `@x := 1` writes a session variable.
            Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => {
                ControlFlow::Break(Refusal::new("`:=` changes a variable", ":="))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// SQLite's functions that give rows may stand without brackets.
    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Refusal> {
        match self.dialect {
            Dialect::Sqlite => self.function(relation),
            Dialect::Postgres | Dialect::MySql => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refusal> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.function(name)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
