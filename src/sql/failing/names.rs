//! The names that a query gives.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Query, Select, SelectItem, TableAlias, TableFactor,
    Visit, Visitor,
};

use super::literal::is_literal;
use crate::sql::dialect::Dialect;
use crate::sql::relation::fold;

/// The names that a query gives to tables and to columns of its own, as the dialect folds them.
pub struct Names {
    pub dialect: Dialect,
    pub tables: HashSet<String>,
    pub aliases: HashSet<String>,
    /// A function gives rows from what is no literal: it may fail for the rows of another table.
    pub has_open_function: bool,
}

impl Names {
    /// The names of a query.
    pub fn of(query: &Query, dialect: Dialect) -> Self {
        let mut names = Self {
            dialect,
            tables: HashSet::new(),
            aliases: HashSet::new(),
            has_open_function: false,
        };
        let _ = query.visit(&mut names);
        names
    }

    /// The columns that a function gives are of any name and type.
    fn function<'a>(&mut self, arguments: impl Iterator<Item = &'a Expr>) {
        let is_given =
            |expr: &Expr| matches!(expr, Expr::Value(_)) || is_literal(expr, self.dialect);
        if !arguments.into_iter().all(is_given) {
            self.has_open_function = true;
        }
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.alias(&cte.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => {
                    self.aliases.insert(fold(alias, self.dialect));
                }
                SelectItem::ExprWithAliases { aliases, .. } => {
                    self.aliases.extend(aliases.iter().map(|alias| fold(alias, self.dialect)));
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let arguments = |args: &[FunctionArg]| -> Vec<Expr> {
            let expr = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expr.clone(),
                // Named ones and wildcards are looked at no further.
                _ => Expr::Identifier(Ident::new("any")),
            };
            args.iter().map(expr).collect()
        };
        match factor {
            TableFactor::Table { args: Some(given), .. } => {
                self.function(arguments(&given.args).iter());
            }
            TableFactor::Function { args, .. } => self.function(arguments(args).iter()),
            TableFactor::UNNEST { array_exprs, .. } => self.function(array_exprs.iter()),
            TableFactor::JsonTable { json_expr, .. } => self.function(std::iter::once(json_expr)),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => {}
            _ => self.has_open_function = true,
        }
        match factor {
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                if let Some(last) = name.0.last().and_then(|part| part.as_ident()) {
                    self.tables.insert(fold(last, self.dialect));
                }
                alias.iter().for_each(|alias| self.alias(alias));
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::NestedJoin { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::XmlTable { alias, .. } => {
                alias.iter().for_each(|alias| self.alias(alias));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Names {
    fn alias(&mut self, alias: &TableAlias) {
        self.tables.insert(fold(&alias.name, self.dialect));
        self.aliases.extend(alias.columns.iter().map(|column| fold(&column.name, self.dialect)));
    }
}
