//! Safe mode by parse: one statement, read-only all the way down, no dangerous function, no unconditional scan.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, GroupByExpr, JoinConstraint, JoinOperator, ObjectName,
    Query, Select, SelectItem, SetExpr, SetOperator, Statement, TableFactor, Value, Visit, Visitor,
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

    /// For a statement that does something else than read.
    fn verb(statement: &Statement, what: &str) -> Self {
        let text = statement.to_string();
        let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        Self::new(format!("`{verb}` {what}"), format!(r"{}\b", regex::escape(&verb)))
    }
}

/// Checks a statement for safe mode. `has_page`: the gateway or the template cuts the result into pages.
///
/// # Errors
/// The first flaw found.
pub fn check(
    ast: &Statement,
    dialect: Dialect,
    is_procedure: bool,
    has_page: bool,
) -> Result<(), Refusal> {
    match ast {
        Statement::Query(query) => {
            let mut walk = Walk { dialect };
            if let ControlFlow::Break(refusal) = ast.visit(&mut walk) {
                return Err(refusal);
            }
            if !has_page && returns_whole_table(query, None) {
                let flaw = Flaw::UnboundedScan("the query would return a whole table".to_owned());
                return Err(Refusal { flaw, pattern: r"\S".to_owned() });
            }
            Ok(())
        }
        Statement::Call(_) if is_procedure => Ok(()),
        other => Err(Refusal::verb(other, "is not a query")),
    }
}

/// Checks an expression that a policy holds.
///
/// # Errors
/// The first flaw found.
pub fn check_expr(expr: &Expr, dialect: Dialect) -> Result<(), Refusal> {
    match expr.visit(&mut Walk { dialect }) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Whether nothing in the statement writes or locks.
pub fn is_read_only(ast: &Statement) -> bool {
    let mut walk = Walk { dialect: Dialect::Postgres };
    !matches!(ast.visit(&mut walk), ControlFlow::Break(_))
}

struct Walk {
    dialect: Dialect,
}

impl Walk {
    fn function(&self, name: &ObjectName) -> ControlFlow<Refusal> {
        let Some(last) = name.0.last().and_then(|part| part.as_ident()) else {
            return ControlFlow::Continue(());
        };
        let called = last.value.to_ascii_lowercase();
        match functions::refusal(name, self.dialect) {
            Some(reason) => ControlFlow::Break(Refusal::new(
                format!("the function `{called}` is refused: {reason}"),
                format!(r"{}\b", regex::escape(&called)),
            )),
            None => ControlFlow::Continue(()),
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
            return ControlFlow::Break(Refusal::new(
                "`FOR UPDATE` and `FOR SHARE` lock rows",
                r"FOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b",
            ));
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

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refusal> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.function(name)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The queries around a place, innermost first: where the names of common table expressions are looked up.
struct Scope<'a> {
    query: &'a Query,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    fn common_table(&self, name: &ObjectName) -> Option<&'a Query> {
        let [part] = name.0.as_slice() else { return None };
        let wanted = &part.as_ident()?.value;
        let tables = self.query.with.iter().flat_map(|with| &with.cte_tables);
        tables
            .filter(|cte| cte.alias.name.value.eq_ignore_ascii_case(wanted))
            .map(|cte| cte.query.as_ref())
            .next()
            .or_else(|| self.outer.and_then(|outer| outer.common_table(name)))
    }

    /// Whether this is a place inside `query`: a recursive expression that names itself.
    fn is_inside(&self, query: &Query) -> bool {
        std::ptr::eq(self.query, query) || self.outer.is_some_and(|outer| outer.is_inside(query))
    }
}

fn returns_whole_table(query: &Query, outer: Option<&Scope<'_>>) -> bool {
    let is_limited = query.limit_clause.is_some() || query.fetch.is_some();
    !is_limited && scans_whole_table(&query.body, &Scope { query, outer })
}

/// Whether the rows of a whole table come out: no condition, no grouping, nothing but columns.
fn scans_whole_table(body: &SetExpr, scope: &Scope<'_>) -> bool {
    match body {
        SetExpr::Select(select) => {
            reads_whole_table(select, scope)
                && select.selection.as_ref().is_none_or(is_always_true)
                && !is_aggregated(select)
        }
        SetExpr::Query(inner) => returns_whole_table(inner, Some(scope)),
        SetExpr::SetOperation { op, left, right, .. } => {
            let (left, right) = (scans_whole_table(left, scope), scans_whole_table(right, scope));
            match op {
                SetOperator::Intersect => left && right,
                SetOperator::Except | SetOperator::Minus => left,
                SetOperator::Union => left || right,
            }
        }
        SetExpr::Table(_) => true,
        _ => false,
    }
}

/// Whether a whole table comes out of FROM: what is joined by a condition to a part of a table is a part as well.
fn reads_whole_table(select: &Select, scope: &Scope<'_>) -> bool {
    select.from.iter().any(|from| {
        let first = is_whole_table(&from.relation, scope);
        from.joins.iter().fold(first, |left, join| {
            let right = is_whole_table(&join.relation, scope);
            match &join.join_operator {
                JoinOperator::Join(on)
                | JoinOperator::Inner(on)
                | JoinOperator::StraightJoin(on)
                | JoinOperator::CrossJoin(on)
                    if is_condition(on) =>
                {
                    left && right
                }
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if is_condition(on) => left,
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) if is_condition(on) => right,
                _ => left || right,
            }
        })
    })
}

fn is_condition(constraint: &JoinConstraint) -> bool {
    match constraint {
        JoinConstraint::On(condition) => !is_always_true(condition),
        JoinConstraint::Using(_) => true,
        // Without a column in common it joins everything.
        JoinConstraint::Natural | JoinConstraint::None => false,
    }
}

/// A table, or a sub-query or common table expression that is itself a whole table.
fn is_whole_table(factor: &TableFactor, scope: &Scope<'_>) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => match scope.common_table(name) {
            Some(inner) if scope.is_inside(inner) => false,
            Some(inner) => returns_whole_table(inner, Some(scope)),
            None => true,
        },
        TableFactor::Derived { subquery, .. } => returns_whole_table(subquery, Some(scope)),
        TableFactor::NestedJoin { .. } => true,
        _ => false,
    }
}

fn is_aggregated(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    grouped
        || (!select.projection.is_empty()
            && select.projection.iter().all(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    folds_rows(expr)
                }
                _ => false,
            }))
}

fn folds_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner)
        | Expr::Cast { expr: inner, .. }
        | Expr::UnaryOp { expr: inner, .. } => folds_rows(inner),
        Expr::BinaryOp { left, right, .. } => folds_rows(left) && folds_rows(right),
        Expr::Function(function) if function.over.is_none() => {
            let name = function.name.0.last().and_then(|part| part.as_ident());
            let is_aggregate = name.is_some_and(|name| functions::is_aggregate(&name.value));
            is_aggregate
                || match &function.args {
                    FunctionArguments::List(list) => {
                        !list.args.is_empty()
                            && list.args.iter().all(|arg| {
                                matches!(arg,
                                sqlparser::ast::FunctionArg::Unnamed(
                                    sqlparser::ast::FunctionArgExpr::Expr(inner),
                                ) if folds_rows(inner))
                            })
                    }
                    _ => false,
                }
        }
        _ => false,
    }
}

/// `1 = 1`, `TRUE` and the like are no conditions; with OR one such side is enough, with AND both.
fn is_always_true(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) => is_always_true(inner),
        Expr::Value(value) => match &value.value {
            Value::Boolean(truth) => *truth,
            Value::Number(digits, _) => digits.parse::<f64>().is_ok_and(|n| n != 0.0),
            _ => false,
        },
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            is_always_true(left) && is_always_true(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            is_always_true(left) || is_always_true(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            matches!(**left, Expr::Value(_) | Expr::Identifier(_)) && left == right
        }
        _ => false,
    }
}
