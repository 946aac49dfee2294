//! Queries and expressions that fold rows.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Visit, Visitor};

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
                    if name.is_some_and(|name| functions::is_aggregate(&name.value)) {
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
