//! Queries that would return a whole table: no condition, no grouping, no limit.

use sqlparser::ast::{
    Expr, Fetch, FunctionArguments, GroupByExpr, JoinConstraint, JoinOperator, LimitClause,
    ObjectName, Query, Select, SelectItem, SetExpr, SetOperator, TableFactor, UnaryOperator, Value,
};

use super::constant::is_always_true;
use crate::sql::functions;

/// A limit beyond this is none.
const MAX_LIMIT: u64 = u32::MAX as u64;

/// Whether a query returns the rows of a whole table.
pub fn returns_whole_table(query: &Query) -> bool {
    whole_table(query, None)
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

fn whole_table(query: &Query, outer: Option<&Scope<'_>>) -> bool {
    !is_limited(query) && scans_whole_table(&query.body, &Scope { query, outer })
}

/// `LIMIT ALL`, `LIMIT NULL`, `LIMIT -1` and an OFFSET alone limit nothing.
fn is_limited(query: &Query) -> bool {
    let limit = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => limit.as_ref(),
        Some(LimitClause::OffsetCommaLimit { limit, .. }) => Some(limit),
        None => None,
    };
    let fetch = |fetch: &Fetch| !fetch.percent && fetch.quantity.as_ref().is_none_or(is_limit);
    limit.is_some_and(is_limit) || query.fetch.as_ref().is_some_and(fetch)
}

fn is_limit(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_limit(inner),
        Expr::Value(value) => match &value.value {
            Value::Null => false,
            Value::Number(digits, _) => digits.parse::<u64>().is_ok_and(|n| n <= MAX_LIMIT),
            _ => true,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } => false,
        Expr::Identifier(name) => !name.value.eq_ignore_ascii_case("all"),
        _ => true,
    }
}

/// Whether the rows of a whole table come out: no condition, no grouping, nothing but columns.
fn scans_whole_table(body: &SetExpr, scope: &Scope<'_>) -> bool {
    match body {
        SetExpr::Select(select) => {
            reads_whole_table(select, scope)
                && select.selection.as_ref().is_none_or(is_always_true)
                && !is_aggregated(select)
        }
        SetExpr::Query(inner) => whole_table(inner, Some(scope)),
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
            Some(inner) => whole_table(inner, Some(scope)),
            None => true,
        },
        TableFactor::Derived { subquery, .. } => whole_table(subquery, Some(scope)),
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
