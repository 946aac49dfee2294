//! Whether a query can fail for some rows and not for others: then its failure could tell of rows that a filter hides.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, SelectItem,
    SetExpr, Value, Visit, Visitor,
};

use super::dialect::Dialect;
use super::functions;

/// Whether an expression that decides over rows may fail for some value: a division, a cast, most functions. What stands in the
/// outermost columns, groups, order and limit is evaluated for rows that are seen.
pub fn may_fail(query: &Query, dialect: Dialect) -> bool {
    let mut late = Vec::new();
    if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &query.order_by {
        late.extend(order.iter().map(|order| &order.expr));
    }
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            late.extend(limit);
            late.extend(offset.iter().map(|offset| &offset.value));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => late.extend([offset, limit]),
        None => {}
    }
    outermost(&query.body, &mut late);
    let late = late.into_iter().map(std::ptr::from_ref).collect();
    query.visit(&mut Failing { dialect, late, levels: 0, outer: Vec::new() }).is_break()
}

/// The columns and groups of the outermost query.
fn outermost<'a>(body: &'a SetExpr, late: &mut Vec<&'a Expr>) {
    match body {
        SetExpr::Select(select) => {
            late.extend(select.projection.iter().filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            }));
            if let GroupByExpr::Expressions(groups, _) = &select.group_by {
                late.extend(groups);
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            outermost(left, late);
            outermost(right, late);
        }
        _ => {}
    }
}

struct Failing {
    dialect: Dialect,
    /// Expressions that are evaluated for seen rows only, by address.
    late: Vec<*const Expr>,
    /// How many expressions deep it is within one of those.
    levels: usize,
    /// The same of the queries around this one: what a query inside of such an expression decides counts again.
    outer: Vec<usize>,
}

impl Visitor for Failing {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.outer.push(std::mem::take(&mut self.levels));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.levels = self.outer.pop().unwrap_or_default();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.levels > 0 || self.late.contains(&std::ptr::from_ref(expr)) {
            self.levels += 1;
            return ControlFlow::Continue(());
        }
        if is_total(expr, self.dialect) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.levels = self.levels.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// Whether an expression has a value whatever its parts are.
fn is_total(expr: &Expr, dialect: Dialect) -> bool {
    use sqlparser::ast::{BinaryOperator as Op, UnaryOperator};
    match expr {
        // PostgreSQL fails where a value matches a pattern up to a backslash at its end.
        Expr::Like { escape_char: None, pattern, .. }
        | Expr::ILike { escape_char: None, pattern, .. } => {
            dialect != Dialect::Postgres
                || matches!(&**pattern, Expr::Value(value)
                    if matches!(&value.value, Value::SingleQuotedString(text) if !text.ends_with('\\')))
        }
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::Nested(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Exists { .. }
        | Expr::Between { .. }
        | Expr::Tuple(_)
        | Expr::Case { .. }
        | Expr::TypedString(_)
        | Expr::Interval(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(..)
        | Expr::UnaryOp { op: UnaryOperator::Not, .. } => true,
        Expr::BinaryOp { op, .. }
        | Expr::AnyOp { compare_op: op, .. }
        | Expr::AllOp { compare_op: op, .. } => matches!(
            op,
            Op::And
                | Op::Or
                | Op::Xor
                | Op::Eq
                | Op::NotEq
                | Op::Lt
                | Op::LtEq
                | Op::Gt
                | Op::GtEq
                | Op::Spaceship
        ),
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident());
            let called = name.map(|name| name.value.to_ascii_lowercase()).unwrap_or_default();
            // What folds rows does so above the filter; a SUM may fail too, but not before it.
            functions::is_aggregate(&called)
                || ["coalesce", "nullif", "lower", "upper", "row_number", "rank", "dense_rank"]
                    .contains(&called.as_str())
                || matches!(function.args, FunctionArguments::None)
        }
        _ => false,
    }
}
