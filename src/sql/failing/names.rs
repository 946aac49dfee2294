//! The names that a query gives.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Query, Select, SelectItem, TableAlias, TableFactor, Visitor};

use crate::sql::dialect::Dialect;
use crate::sql::relation::fold;

/// The names that a query gives to tables and to columns of its own, as the dialect folds them.
pub struct Names {
    pub dialect: Dialect,
    pub tables: HashSet<String>,
    pub aliases: HashSet<String>,
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
