//! Walks a query to the tables and functions it reaches, through every level, knowing which names are common table expressions.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Ident, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TypedString,
    VisitMut, VisitorMut, With,
};

use super::dialect::Dialect;
use super::functions;
use super::relation::{Relation, fold, is_dual};

/// Why a statement cannot be governed: what it reads cannot be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub text: String,
    /// Where to look for it: a regular expression for what it begins with in the text.
    pub pattern: String,
}

impl Obstacle {
    /// An obstacle that begins with `word`.
    pub fn new(text: impl Into<String>, word: &str) -> Self {
        Self { text: text.into(), pattern: regex::escape(word) }
    }
}

/// What happens on the way.
pub trait Walker {
    /// A table or view, which may be replaced. What takes its place is not walked.
    ///
    /// # Errors
    /// Ends the walk.
    fn table(&mut self, relation: Relation, factor: &mut TableFactor) -> Result<(), Obstacle>;

    /// A function, or what may be one.
    fn function(&mut self, function: Called);

    /// The name of a common table expression, where it is defined and wherever it is used; may be changed, everywhere alike.
    fn common_table(&mut self, _: &mut Ident) {}
}

/// A function that a statement calls. Names are as the dialect folds them, with a schema where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// Not known to compute only.
    Unknown(String),
    /// Known to compute only.
    Fixed,
    /// The same, unless somebody has put another one of the name into the database.
    Known(String),
    /// PostgreSQL calls `f` in `x.f` and `(x).f`, where there is no such column.
    Field(String),
}

/// Walks a query.
///
/// # Errors
/// The first obstacle.
pub fn walk(query: &mut Query, dialect: Dialect, walker: &mut impl Walker) -> Result<(), Obstacle> {
    let mut walk = Walk { dialect, walker, scopes: Vec::new(), withs: Vec::new() };
    match VisitMut::visit(query, &mut walk) {
        ControlFlow::Break(obstacle) => Err(*obstacle),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The function that a name calls.
pub fn called(name: &ObjectName, dialect: Dialect) -> Called {
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(|ident| fold(ident, dialect))).collect();
    let parts = parts.unwrap_or_else(|| vec![name.to_string()]);
    match parts.as_slice() {
        // Nobody can put another one into the engine's own schema.
        [_, _] if functions::is_known_call(name, dialect) => Called::Fixed,
        [called] if functions::is_known_call(name, dialect) => Called::Known(called.clone()),
        _ => Called::Unknown(parts.join(".")),
    }
}

type Flow = ControlFlow<Box<Obstacle>>;

struct Walk<'a, W> {
    dialect: Dialect,
    walker: &'a mut W,
    /// Names of common table expressions, outermost first.
    scopes: Vec<Vec<String>>,
    /// The WITH clauses of the queries under way, which are walked by hand.
    withs: Vec<Option<With>>,
}

impl<W: Walker> Walk<'_, W> {
    /// Walks the expressions of a WITH clause, each seeing the names that it sees in the dialect.
    fn with(&mut self, with: &mut With) -> Flow {
        let names: Vec<String> =
            with.cte_tables.iter().map(|cte| fold(&cte.alias.name, self.dialect)).collect();
        for (i, cte) in with.cte_tables.iter_mut().enumerate() {
            let seen = match (self.dialect, with.recursive) {
                (Dialect::Sqlite, _) | (Dialect::Postgres, true) => names.len(),
                (Dialect::MySql, true) => i + 1,
                (_, false) => i,
            };
            self.scopes.push(names[..seen].to_vec());
            let flow = cte.query.visit(self);
            self.scopes.pop();
            flow?;
            self.walker.common_table(&mut cte.alias.name);
        }
        self.scopes.push(names);
        ControlFlow::Continue(())
    }

    fn is_common_table(&self, relation: &Relation) -> bool {
        relation.schema.is_none() && self.scopes.iter().any(|names| names.contains(&relation.name))
    }

    /// A use goes on under the name that it has in the query, also where the expression's own name is changed.
    fn use_common_table(&mut self, factor: &mut TableFactor) {
        let TableFactor::Table { name, alias, .. } = factor else { return };
        let [ObjectNamePart::Identifier(own)] = name.0.as_mut_slice() else { return };
        let before = own.clone();
        self.walker.common_table(own);
        if *own != before && alias.is_none() {
            *alias =
                Some(TableAlias { explicit: true, name: before, columns: Vec::new(), at: None });
        }
    }

    fn function(&mut self, name: &ObjectName) -> Flow {
        self.walker.function(called(name, self.dialect));
        ControlFlow::Continue(())
    }

    fn known(&mut self, names: &[&str]) -> Flow {
        for name in names {
            self.walker.function(Called::Known((*name).to_owned()));
        }
        ControlFlow::Continue(())
    }

    fn field(&mut self, name: &Ident) {
        if self.dialect == Dialect::Postgres {
            self.walker.function(Called::Field(fold(name, self.dialect)));
        }
    }
}

fn flow(result: Result<(), Obstacle>) -> Flow {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(obstacle) => ControlFlow::Break(Box::new(obstacle)),
    }
}

fn stop(text: impl Into<String>, word: &str) -> Flow {
    ControlFlow::Break(Box::new(Obstacle::new(text, word)))
}

impl<W: Walker> VisitorMut for Walk<'_, W> {
    type Break = Box<Obstacle>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        let has_more = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if has_more {
            return stop("the query has clauses that no dialect here knows", "");
        }
        let mut with = query.with.take();
        match &mut with {
            Some(with) => self.with(with)?,
            None => self.scopes.push(Vec::new()),
        }
        self.withs.push(with);
        plain_sources(&query.body)
    }

    fn post_visit_query(&mut self, query: &mut Query) -> Flow {
        self.scopes.pop();
        query.with = self.withs.pop().flatten();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        let has_more = !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || select.exclude.is_some();
        if has_more {
            return stop("the query has clauses that no dialect here knows", "");
        }
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
            {
                keep_last(&mut name.0, 1);
            }
        }
        ControlFlow::Continue(())
    }

    /// After its arguments, so that what replaces a table is not walked.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                let name = name.clone();
                self.function(&name)
            }
            TableFactor::Table { name, .. } => {
                let Some(relation) = Relation::of(name, self.dialect) else {
                    return stop(
                        format!("`{name}` is no table of one database"),
                        &name.to_string(),
                    );
                };
                if self.is_common_table(&relation) {
                    self.use_common_table(factor);
                } else if !is_dual(name, self.dialect) {
                    return flow(self.walker.table(relation, factor));
                }
                ControlFlow::Continue(())
            }
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. } => ControlFlow::Continue(()),
            _ => stop("FROM holds what no dialect here knows", "FROM"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match expr {
            Expr::Function(function) => {
                let name = function.name.clone();
                self.function(&name)
            }
            Expr::Identifier(name) if name.value.starts_with('@') => {
                stop("variables of the server and the session are not followed", &name.value)
            }
            Expr::CompoundIdentifier(parts) if parts[0].value.starts_with('@') => {
                stop("variables of the server and the session are not followed", &parts[0].value)
            }
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. })
                if names_objects(data_type) =>
            {
                stop("a cast to the name of a table or function tells what there is", "reg")
            }
            Expr::CompoundIdentifier(parts) => {
                keep_last(parts, 2);
                if let [_, name] = parts.as_slice() {
                    self.field(name);
                }
                ControlFlow::Continue(())
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    match access {
                        AccessExpr::Dot(Expr::Identifier(name)) => self.field(name),
                        AccessExpr::Subscript(_) => {}
                        AccessExpr::Dot(_) => {
                            return stop("a field of a value is not named plainly", "");
                        }
                    }
                }
                ControlFlow::Continue(())
            }
            // Functions with a grammar of their own, which some engines look up by name nevertheless.
            Expr::Ceil { .. } => self.known(&["ceil", "ceiling"]),
            Expr::Floor { .. } => self.known(&["floor"]),
            Expr::Substring { .. } => self.known(&["substring", "substr"]),
            Expr::Position { .. } => self.known(&["position"]),
            Expr::Overlay { .. } => self.known(&["overlay"]),
            Expr::QualifiedWildcard(name, _) => {
                keep_last(&mut name.0, 1);
                ControlFlow::Continue(())
            }
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(_), .. } => {
                stop("operators named by their schema can be anything", "OPERATOR")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// `TABLE t`, whose name the parser does not keep as it is written, hides in set operations too.
fn plain_sources(body: &SetExpr) -> Flow {
    match body {
        SetExpr::Table(_) => stop("`TABLE t` is not followed; write `SELECT * FROM t`", "TABLE"),
        SetExpr::SetOperation { left, right, .. } => {
            plain_sources(left)?;
            plain_sources(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// PostgreSQL's `regclass` and its like, but for those of full-text search.
fn names_objects(kind: &DataType) -> bool {
    let name = kind.to_string().to_ascii_lowercase();
    let name = name.trim_start_matches("pg_catalog.").trim_matches('"');
    name.starts_with("reg") && !["regconfig", "regdictionary"].contains(&name)
}

/// Of `schema.table.column` and `schema.table` what they are within the query, whose tables have names of their own.
fn keep_last<T>(parts: &mut Vec<T>, kept: usize) {
    parts.drain(..parts.len().saturating_sub(kept));
}
