//! Queries and expressions that fold rows.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    LimitClause, Query, Select, SelectItem, SetExpr, UnaryOperator, Value, Visit, Visitor,
};

use super::literal::count;
use crate::sql::functions;

pub fn column(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Whether a query folds its rows: it has groups, or aggregates among its columns.
pub fn folds(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, modifiers) => !groups.is_empty() || !modifiers.is_empty(),
    };
    grouped || select.projection.iter().filter_map(column).any(has_aggregate)
}

/// Whether an aggregate stands in an expression, but for those of queries in it.
pub fn has_aggregate(expr: &Expr) -> bool {
    struct Finds(usize);
    impl Visitor for Finds {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.0 == 0 && function.over.is_none() => {
                    let name = function.name.0.last().and_then(|part| part.as_ident());
                    let is_aggregate = name.is_some_and(|name| {
                        // With several arguments they are no aggregates on SQLite.
                        let is_least = ["min", "max"].contains(&&*name.value.to_ascii_lowercase());
                        functions::is_aggregate(&name.value)
                            && !(is_least && count(&function.args) > 1)
                    });
                    if is_aggregate {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Finds(0)).is_break()
}

/// Whether it is one aggregate, whose value is worked out above the rows.
pub fn folded(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => folded(inner),
        Expr::Function(_) => has_aggregate(expr),
        _ => false,
    }
}

/// Whether a query in the place of a value gives one at the most: it folds all its rows.
pub fn gives_one_row(query: &Query) -> bool {
    match &*query.body {
        SetExpr::Select(select) => {
            let ungrouped = matches!(&select.group_by,
                GroupByExpr::Expressions(groups, modifiers) if groups.is_empty() && modifiers.is_empty());
            ungrouped && folds(select)
        }
        _ => false,
    }
}

/// Whether a condition has parts that a planner may take apart.
pub fn has_parts(condition: &Expr) -> bool {
    struct Finds;
    impl Visitor for Finds {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::BinaryOp {
                    op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor,
                    ..
                }
                | Expr::UnaryOp { op: UnaryOperator::Not, .. }
                | Expr::Case { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    condition.visit(&mut Finds).is_break()
}

/// Whether the limit of a query is a number, or there is none.
pub fn has_plain_limit(query: &Query) -> bool {
    let is_number = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)));
    match &query.limit_clause {
        None => true,
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter().all(is_number) && offset.iter().all(|offset| is_number(&offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            is_number(offset) && is_number(limit)
        }
    }
}

/// The one argument of a function.
pub fn only(arguments: &FunctionArguments) -> Option<&Expr> {
    match arguments {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some(expr),
            _ => None,
        },
        _ => None,
    }
}
