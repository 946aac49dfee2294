//! Rewrites a query so that it reads of every table only what its caller may see.
//!
//! ```text
//! FROM t AS x   becomes   FROM (SELECT a, mask(b) AS b FROM "s"."t" WHERE rows) AS x
//! ```
//! Everything above then sees masked values and filtered rows alone, conditions, orders and counts among them. Inside, a table has
//! its schema, so that no common table expression of the query can take its place.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint, JoinOperator,
    LimitClause, ObjectName, Offset, OffsetRows, Query, Select, SelectItem, SetExpr,
    Statement as Ast, TableAlias, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::dialect::Dialect;
use super::failing::may_fail;
use super::fragment::Reference;
use super::grammar;
use super::relation::{ColumnType, Relation, quoted};
use super::statement::{Part, Slot};
use super::view::View;
use super::walk::{Called, Obstacle, Walker, called, walk};

/// In front of the names of all common table expressions. Then neither a filter's own table nor one that an engine looks for where we
/// see an expression (MariaDB within one of the same name) can be taken for one. A prefix, since long names are cut at their end.
const COMMON_TABLE_PREFIX: &str = "tg__";

/// What a statement reads: what its caller must be granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Tables and views, each once.
    pub tables: Vec<Relation>,
    /// Functions that are not known to compute only, each once.
    pub functions: Vec<String>,
    /// On PostgreSQL: known functions, of which somebody may have made another one with the same name.
    pub known: Vec<String>,
    /// On PostgreSQL: names behind a dot, which call a function where there is no such column.
    pub fields: Vec<String>,
    /// Names of columns in conditions, as they are written.
    pub conditions: Vec<String>,
    /// A column of the answer has no name, and the engine gives it one that is made of the text.
    pub is_unnamed: bool,
}

impl Reads {
    /// What a statement reads.
    ///
    /// # Errors
    /// Where that cannot be known.
    pub fn of(ast: &Ast, dialect: Dialect) -> Result<Self, Obstacle> {
        let mut reads = Self::default();
        match ast {
            Ast::Query(query) => {
                let mut query = query.clone();
                walk(&mut query, dialect, &mut reads)?;
                let mut conditions = Conditions::default();
                let _ = query.visit(&mut conditions);
                reads.conditions = conditions.columns;
                reads.is_unnamed = dialect != Dialect::Postgres && is_unnamed(&query.body);
            }
            Ast::Call(call) => {
                if !takes_values(&call.args) {
                    let text = "a procedure takes only values: `:name`, numbers and texts";
                    return Err(Obstacle::new(text, "CALL"));
                }
                reads.function(called(&call.name, dialect));
            }
            other => {
                let text = other.to_string();
                let verb = text.split_whitespace().next().unwrap_or_default();
                return Err(Obstacle::new(format!("`{verb}` is not a query"), verb));
            }
        }
        Ok(reads)
    }
}

/// Whether all arguments are parameters or literals.
fn takes_values(arguments: &FunctionArguments) -> bool {
    fn is_value(expr: &Expr) -> bool {
        match expr {
            Expr::Value(_) => true,
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_value(inner),
            _ => false,
        }
    }
    match arguments {
        FunctionArguments::None => true,
        FunctionArguments::Subquery(_) => false,
        FunctionArguments::List(list) => list.args.iter().all(|argument| {
            matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if is_value(expr))
        }),
    }
}

impl Walker for Reads {
    fn table(&mut self, relation: Relation, _: &mut TableFactor) -> Result<(), Obstacle> {
        if !self.tables.contains(&relation) {
            self.tables.push(relation);
        }
        Ok(())
    }

    fn function(&mut self, function: Called) {
        let (names, name) = match function {
            Called::Fixed => return,
            Called::Unknown(name) => (&mut self.functions, name),
            Called::Known(name) => (&mut self.known, name),
            Called::Field(name) => (&mut self.fields, name),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

/// What a caller sees of the tables that a statement reads.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub views: HashMap<Relation, View>,
    /// What fills the places of the views' expressions, by number.
    pub references: Vec<Reference>,
    /// The names of the columns that the statement would give as it is written, where the engine makes them of its text.
    pub names: Vec<String>,
    /// What columns hold, by their names as the dialect folds them, where all tables of the statement agree.
    pub types: HashMap<String, ColumnType>,
}

/// Rewrites `query`, whose places are `parts`: what the views' expressions need is added to them.
///
/// # Errors
/// Where a table has no view.
pub fn govern(
    query: &mut Query,
    parts: &mut Vec<Part>,
    sight: &Sight,
    dialect: Dialect,
) -> Result<(), Obstacle> {
    let is_joined = sight.views.values().any(View::asks);
    let is_fenced = may_fail(query, dialect, &sight.types, is_joined);
    if dialect != Dialect::Postgres {
        keep_names(&mut query.body, &sight.names, dialect);
    }
    walk(query, dialect, &mut Rewrite { sight, dialect, is_fenced })?;
    let _ = VisitMut::visit(query, &mut Renumber { first: parts.len() });
    parts.extend(sight.references.iter().enumerate().map(|(number, reference)| {
        let slot = Slot::Grant(number);
        match reference {
            Reference::Claim { is_list: true, .. } if dialect != Dialect::Postgres => {
                Part::List { slot }
            }
            _ => Part::Slot(slot),
        }
    }));
    Ok(())
}

/// Names the outermost columns as they were named before: MySQL would take the case of their letters from the sub-query, and
/// expressions are named by their text, which is written anew. `names`: those of the answer, where they are known.
fn keep_names(body: &mut SetExpr, names: &[String], dialect: Dialect) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return keep_names(left, names, dialect),
        SetExpr::Query(query) => return keep_names(&mut query.body, names, dialect),
        _ => return,
    };
    let is_wildcard = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    let first = select.projection.iter().position(is_wildcard);
    let last = select.projection.iter().rposition(is_wildcard);
    let count = select.projection.len();
    for (at, item) in select.projection.iter_mut().enumerate() {
        // Behind a wildcard they are counted from the end.
        let known = match (first, last) {
            (None, _) => names.get(at),
            (Some(first), _) if at < first => names.get(at),
            (_, Some(last)) if at > last => {
                names.len().checked_sub(count - at).and_then(|at| names.get(at))
            }
            _ => None,
        };
        let alias = match item {
            // SQLite names columns as the table does.
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                if dialect == Dialect::Sqlite =>
            {
                None
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().cloned(),
            SelectItem::UnnamedExpr(_) => known.map(|name| quoted(name, dialect)),
            _ => None,
        };
        if let (SelectItem::UnnamedExpr(expr), Some(alias)) = (&*item, alias) {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Whether an expression stands among the outermost columns without a name.
fn is_unnamed(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.projection.iter().any(|item| {
            matches!(item, SelectItem::UnnamedExpr(expr)
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
        }),
        SetExpr::SetOperation { left, .. } => is_unnamed(left),
        SetExpr::Query(query) => is_unnamed(&query.body),
        _ => false,
    }
}

struct Rewrite<'a> {
    sight: &'a Sight,
    dialect: Dialect,
    is_fenced: bool,
}

impl Walker for Rewrite<'_> {
    fn table(&mut self, relation: Relation, factor: &mut TableFactor) -> Result<(), Obstacle> {
        let missing = || Obstacle::new(format!("`{relation}` is not granted"), &relation.name);
        let view = self.sight.views.get(&relation).ok_or_else(missing)?;
        let TableFactor::Table { name, alias, .. } = factor else { return Err(missing()) };
        // The name it goes by, quoted or not as it is written.
        let own = name.0.last().and_then(|part| part.as_ident()).cloned();
        let alias = alias.take().or_else(|| own.map(named));
        name.clone_from(&view.table);
        if view.columns.is_none() && view.rows.is_none() {
            let TableFactor::Table { alias: place, .. } = factor else { return Err(missing()) };
            *place = alias;
            return Ok(());
        }
        let subquery = self.subquery(view, factor.clone()).ok_or_else(missing)?;
        *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        Ok(())
    }

    fn function(&mut self, _: Called) {}

    fn common_table(&mut self, name: &mut Ident) {
        name.value.insert_str(0, COMMON_TABLE_PREFIX);
    }
}

impl Rewrite<'_> {
    /// `SELECT columns FROM table WHERE rows`.
    fn subquery(&self, view: &View, table: TableFactor) -> Option<Box<Query>> {
        let Ok(Ast::Query(mut query)) = grammar::parse("SELECT * FROM t", self.dialect) else {
            return None;
        };
        let SetExpr::Select(select) = query.body.as_mut() else { return None };
        select.from.first_mut()?.relation = table;
        if let Some(columns) = &view.columns {
            let item = |(column, expr): &(String, Expr)| SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: quoted(column, self.dialect),
            };
            select.projection = columns.iter().map(item).collect();
        }
        select.selection.clone_from(&view.rows);
        if view.rows.is_some() && self.is_fenced {
            query.limit_clause = Some(fence(self.dialect));
        }
        Some(query)
    }
}

fn named(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// What keeps conditions from being evaluated below a row filter, where their failure would tell of hidden rows.
fn fence(dialect: Dialect) -> LimitClause {
    let number = |digits: &str| Expr::Value(Value::Number(digits.to_owned(), false).into());
    let (limit, offset) = match dialect {
        Dialect::Postgres => (None, Some(Offset { value: number("0"), rows: OffsetRows::None })),
        Dialect::MySql => (Some(number("18446744073709551615")), None),
        Dialect::Sqlite => (Some(number("9223372036854775807")), None),
    };
    LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() }
}

/// Gives the places of the views the numbers that they have among all places of the statement.
struct Renumber {
    first: usize,
}

impl VisitorMut for Renumber {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &mut value.value
            && let Some(number) = name.strip_prefix(":g").and_then(|n| n.parse::<usize>().ok())
        {
            *name = format!(":t{}", self.first + number);
        }
        ControlFlow::Continue(())
    }
}

/// The names of columns in conditions of a query, at every level.
#[derive(Default)]
struct Conditions {
    columns: Vec<String>,
}

impl Conditions {
    fn take(&mut self, expr: &Expr) {
        struct Names<'a>(&'a mut Vec<String>);
        impl Visitor for Names<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                let name = match expr {
                    Expr::Identifier(name) => Some(name),
                    Expr::CompoundIdentifier(names) => names.last(),
                    _ => None,
                };
                if let Some(name) = name
                    && !self.0.contains(&name.value)
                {
                    self.0.push(name.value.clone());
                }
                ControlFlow::Continue(())
            }
        }
        let _ = expr.visit(&mut Names(&mut self.columns));
    }
}

impl Visitor for Conditions {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for condition in select.selection.iter().chain(&select.having) {
            self.take(condition);
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            let (JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::StraightJoin(constraint)) = &join.join_operator
            else {
                continue;
            };
            match constraint {
                JoinConstraint::On(condition) => self.take(condition),
                JoinConstraint::Using(names) => {
                    let last = |name: &ObjectName| Some(name.0.last()?.as_ident()?.value.clone());
                    self.columns.extend(names.iter().filter_map(last));
                }
                JoinConstraint::Natural | JoinConstraint::None => {}
            }
        }
        ControlFlow::Continue(())
    }
}
