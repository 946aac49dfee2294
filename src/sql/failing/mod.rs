//! Whether a query can fail for some rows and not for others: then its failure could tell of rows that a filter hides.
//!
//! A planner may evaluate a condition before a filter. What stands above a filter for certain, such as the columns of the outermost
//! query, sees only rows that pass.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator as Op, Expr, FunctionArguments, GroupByExpr, LimitClause, OrderBy, OrderByKind,
    Query, Select, SetExpr, TableFactor, UnaryOperator, Value, Visit, Visitor,
};

mod fold;
mod literal;
mod names;
#[cfg(test)]
mod tests;

use self::fold::{
    column, folded, folds, gives_one_row, has_aggregate, has_parts, has_plain_limit, only,
};
use self::literal::{
    count, has_plain_numbers, has_point, is_literal, is_plain_type, is_short_interval, number,
};
use self::names::Names;
use super::dialect::Dialect;
use super::functions;
use super::relation::{ColumnType, fold};

/// Whole numbers up to this may be added to anything: only values as near to the end of their type would tell.
const MAX_ADDED: f64 = 1_000_000.0;
/// Numbers from this on may divide anything.
const MIN_DIVISOR: f64 = 0.000_001;
/// Longest pattern that every engine takes, in bytes.
const MAX_PATTERN_BYTES: usize = 500;

/// Functions that have a value for every text, number or date.
const TOTAL: &[&str] = &[
    "char_length",
    "coalesce",
    "concat",
    "dense_rank",
    "lag",
    "lead",
    "length",
    "lower",
    "ltrim",
    "nullif",
    "rank",
    "row_number",
    "rtrim",
    "trim",
    "upper",
];
/// The same, of engines that answer NULL where PostgreSQL fails or has no such function.
const TOTAL_BUT_ON_POSTGRES: &[&str] =
    &["date", "date_format", "day", "hour", "last_day", "month", "quarter", "strftime", "year"];
/// The same, where everything but the first argument is a number that is not negative: `LEFT(name, 2)`.
const TOTAL_BY_NUMBERS: &[&str] = &["left", "right", "round", "substr", "substring"];

/// Whether an expression that decides over rows may fail for some value: a division, a cast, an overflow, many functions. `types`: what
/// columns of tables hold, by name. `is_joined`: filters hold queries, which a planner makes joins of, so that nothing is above
/// them for certain.
pub fn may_fail(
    query: &Query,
    dialect: Dialect,
    types: &HashMap<String, ColumnType>,
    is_joined: bool,
) -> bool {
    let names = Names::of(query, dialect);
    if names.has_open_function {
        return true;
    }
    let mut failing = Failing {
        dialect,
        types,
        names,
        is_joined,
        late: HashSet::new(),
        pairs: HashSet::new(),
        own: vec![std::ptr::from_ref(query)],
        levels: 0,
        outer: Vec::new(),
    };
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            failing.late.extend(limit.iter().map(std::ptr::from_ref));
            failing.late.extend(offset.iter().map(|offset| std::ptr::from_ref(&offset.value)));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            failing.late.extend([offset, limit].map(std::ptr::from_ref));
        }
        None => {}
    }
    if !is_joined {
        if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &query.order_by {
            failing.late.extend(order.iter().map(|order| std::ptr::from_ref(&order.expr)));
        }
        failing.outermost(&query.body);
    }
    query.visit(&mut failing).is_break()
}

struct Failing<'a> {
    dialect: Dialect,
    /// What columns of tables hold, by name.
    types: &'a HashMap<String, ColumnType>,
    names: Names,
    is_joined: bool,
    /// Expressions that are evaluated for seen rows only, by address: nobody moves the tree while it is looked at.
    late: HashSet<*const Expr>,
    /// Rows of values that are compared as they are written, so that their types are known before.
    pairs: HashSet<*const Expr>,
    /// Queries that stand on their own: the outermost, and those in FROM and WITH of such ones. Others may read columns of the
    /// queries around them.
    own: Vec<*const Query>,
    /// How many expressions deep it is within one of `late`.
    levels: usize,
    /// The same of the queries around this one: what a query inside of such an expression decides counts again. With it, whether
    /// that one stands on its own.
    outer: Vec<(usize, bool)>,
}

impl Failing<'_> {
    /// The columns and groups of the outermost query are evaluated above its filters.
    fn outermost(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.above(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.outermost(left);
                self.outermost(right);
            }
            _ => {}
        }
    }

    fn above(&mut self, select: &Select) {
        self.late.extend(select.projection.iter().filter_map(column).map(std::ptr::from_ref));
        if let GroupByExpr::Expressions(groups, _) = &select.group_by {
            self.late.extend(groups.iter().map(std::ptr::from_ref));
        }
        self.folded_conditions(select.having.as_ref());
    }

    /// Conditions over aggregates stay above the rows; the others of HAVING are moved down.
    fn folded_conditions(&mut self, having: Option<&Expr>) {
        match having {
            Some(Expr::BinaryOp { left, op: Op::And, right }) => {
                self.folded_conditions(Some(left));
                self.folded_conditions(Some(right));
            }
            Some(Expr::Nested(inner)) => self.folded_conditions(Some(inner)),
            // One of several parts could be taken out of an OR or NOT, and moved down.
            Some(condition) if has_aggregate(condition) && !has_parts(condition) => {
                self.late.insert(std::ptr::from_ref(condition));
            }
            _ => {}
        }
    }

    /// The queries of FROM, and the folded columns of a query that folds its rows, which no planner takes apart.
    fn stands_alone(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                let joined = select.from.iter().flat_map(|from| {
                    std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
                });
                for factor in joined {
                    if let TableFactor::Derived { lateral: false, subquery, .. } = factor {
                        self.own.push(&raw const **subquery);
                    }
                }
                // Groups are no such columns: a condition on one is moved down to the rows.
                if folds(select) && !self.is_joined {
                    let columns = select.projection.iter().filter_map(column);
                    self.late.extend(columns.filter(|c| has_aggregate(c)).map(std::ptr::from_ref));
                    self.folded_conditions(select.having.as_ref());
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.stands_alone(left);
                self.stands_alone(right);
            }
            _ => {}
        }
    }
}

impl Visitor for Failing<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let is_own = self.own.contains(&std::ptr::from_ref(query));
        if !self.outer.is_empty() && !has_plain_limit(query) {
            return ControlFlow::Break(());
        }
        self.outer.push((std::mem::take(&mut self.levels), is_own));
        if is_own {
            let with = query.with.iter().flat_map(|with| &with.cte_tables);
            self.own.extend(with.map(|cte| &raw const *cte.query));
            self.stands_alone(&query.body);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.levels = self.outer.pop().unwrap_or_default().0;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        // What is made of literals alone fails for all rows or for none.
        let is_late =
            self.late.contains(&std::ptr::from_ref(expr)) || is_literal(expr, self.dialect);
        if self.levels > 0 || is_late {
            self.levels += 1;
            return ControlFlow::Continue(());
        }
        self.pair(expr);
        if self.is_total(expr) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.levels = self.levels.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

impl Failing<'_> {
    /// Remembers the rows of values that an expression compares.
    fn pair(&mut self, expr: &Expr) {
        let mut take = |side: &Expr| {
            if let Expr::Tuple(items) = side
                && !items.iter().any(|item| matches!(item, Expr::Tuple(_)))
            {
                self.pairs.insert(std::ptr::from_ref(side));
            }
        };
        match expr {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                take(left);
                take(right);
            }
            Expr::InSubquery { expr, .. } => take(expr),
            Expr::InList { expr, list, .. } => {
                take(expr);
                list.iter().for_each(take);
            }
            _ => {}
        }
    }

    /// Whether an expression has a value whatever its parts are.
    fn is_total(&self, expr: &Expr) -> bool {
        let is_postgres = self.dialect == Dialect::Postgres;
        match expr {
            // PostgreSQL fails where a value matches a pattern up to a backslash at its end.
            Expr::Like { escape_char: None, pattern, .. }
            | Expr::ILike { escape_char: None, pattern, .. } => {
                // SQLite fails where a pattern is too long.
                self.dialect == Dialect::MySql
                    || matches!(&**pattern, Expr::Value(value)
                        if matches!(&value.value, Value::SingleQuotedString(text)
                            if !text.ends_with('\\') && text.len() <= MAX_PATTERN_BYTES))
            }
            Expr::Tuple(_) => self.pairs.contains(&std::ptr::from_ref(expr)),
            Expr::Identifier(name) => {
                !is_postgres || !self.names.tables.contains(&fold(name, self.dialect))
            }
            Expr::CompoundIdentifier(_)
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
            | Expr::Rollup(_)
            | Expr::Cube(_)
            | Expr::GroupingSets(_)
            | Expr::Case { .. }
            | Expr::TypedString(_)
            | Expr::Interval(_)
            | Expr::Trim { .. }
            | Expr::Wildcard(_)
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => true,
            // The other engines cut, warn or answer NULL.
            Expr::Cast { data_type, .. } | Expr::Convert { data_type: Some(data_type), .. } => {
                !is_postgres && is_plain_type(data_type)
            }
            Expr::Convert { .. } | Expr::Extract { .. } => !is_postgres,
            Expr::Substring { substring_from, substring_for, .. } => {
                let mut given = substring_from.iter().chain(substring_for);
                !is_postgres || given.all(|given| number(given).is_some_and(|n| n >= 0.0))
            }
            Expr::AnyOp { compare_op: op, .. } | Expr::AllOp { compare_op: op, .. } => {
                is_comparison(op)
            }
            Expr::BinaryOp { left, op, right } => self.is_total_operator(left, op, right),
            Expr::Subquery(query) => gives_one_row(query),
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(|part| part.as_ident());
                let called = name.map(|name| name.value.to_ascii_lowercase()).unwrap_or_default();
                self.folds_safely(&called, &function.args)
                    || TOTAL.contains(&called.as_str())
                        && !(called.ends_with("length") && count(&function.args) != 1)
                    || !is_postgres && TOTAL_BUT_ON_POSTGRES.contains(&called.as_str())
                    || TOTAL_BY_NUMBERS.contains(&called.as_str())
                        && has_plain_numbers(&function.args)
                    || matches!(function.args, FunctionArguments::None)
            }
            _ => false,
        }
    }

    /// What folds rows does so above the filters of its own query. Within a query that may read columns of others, those can be of
    /// hidden rows, and then a sum may fail too.
    fn folds_safely(&self, called: &str, arguments: &FunctionArguments) -> bool {
        if !functions::is_aggregate(called)
            || count(arguments) > 1 && ["min", "max"].contains(&called)
        {
            return false;
        }
        let is_own = self.outer.last().is_some_and(|(_, is_own)| *is_own);
        is_own && !self.is_joined
            || ["count", "min", "max"].contains(&called)
            || ["sum", "avg"].contains(&called)
                && only(arguments).is_some_and(|by| self.holds(by) == Some(ColumnType::Number))
    }

    fn is_total_operator(&self, left: &Expr, op: &Op, right: &Expr) -> bool {
        match op {
            Op::And | Op::Or | Op::Xor => true,
            // SQLite goes on with a fraction, and divides by zero to NULL.
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo
                if self.dialect == Dialect::Sqlite =>
            {
                true
            }
            // One step from a number or a date: a chain of small ones is a large one.
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {
                self.is_near(left, op, right)
                    || !matches!(op, Op::Divide | Op::Modulo) && self.is_near(right, op, left)
            }
            op => is_comparison(op),
        }
    }

    /// Whether what a literal does to a column stays within the column's type, but for values at its very end.
    fn is_near(&self, column: &Expr, op: &Op, by: &Expr) -> bool {
        if self.holds(column) == Some(ColumnType::Number) || folded(column) {
            let Some(n) = number(by) else { return false };
            let (is_small, is_fraction) = (n.abs() <= MAX_ADDED, has_point(by));
            return match op {
                Op::Divide | Op::Modulo => n >= MIN_DIVISOR,
                Op::Multiply => is_fraction && is_small && n.abs() >= MIN_DIVISOR,
                // MySQL fails where a number without sign would fall below zero.
                Op::Plus if self.dialect == Dialect::MySql => is_small && (is_fraction || n >= 0.0),
                Op::Minus if self.dialect == Dialect::MySql => is_small && is_fraction,
                _ => is_small,
            };
        }
        let is_date = matches!(self.holds(column), Some(ColumnType::Date | ColumnType::DateTime));
        is_date && matches!(op, Op::Plus | Op::Minus) && is_short_interval(by)
    }

    /// What a column holds, where it can only be that of a table.
    fn holds(&self, expr: &Expr) -> Option<ColumnType> {
        let name = match expr {
            Expr::Nested(inner) => return self.holds(inner),
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => names.last()?,
            _ => return None,
        };
        let name = fold(name, self.dialect);
        let folded = if self.dialect == Dialect::MySql { name.to_lowercase() } else { name };
        if self.names.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&folded)) {
            return None;
        }
        self.types.get(&folded).copied()
    }
}

fn is_comparison(op: &Op) -> bool {
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship)
}
