//! Whether a query can fail for some rows and not for others: then its failure could tell of rows that a filter hides.
//!
//! A planner may evaluate a condition before a filter. What stands above a filter for certain, such as the columns of the outermost
//! query, sees only rows that pass.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator as Op, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, UnaryOperator, Value, Visit, Visitor,
};

use super::dialect::Dialect;
use super::functions;

/// Whole numbers up to this may be added to anything: only values as near to the end of their type would tell.
const MAX_ADDED: f64 = 1_000_000.0;
/// Numbers from this on may divide anything.
const MIN_DIVISOR: f64 = 0.000_001;
/// Digits of the numbers of an interval that may move any date.
const MAX_INTERVAL_DIGITS: usize = 4;

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
/// Types whose literals and arithmetic PostgreSQL works out before there are rows, as the beginnings of their names.
const PLAIN_TYPES: &[&str] = &[
    "BIGINT",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "NUMERIC",
    "REAL",
    "SIGNED",
    "SMALLINT",
    "TEXT",
    "TIMESTAMP",
    "UNSIGNED",
    "VARCHAR",
];

/// Whether an expression that decides over rows may fail for some value: a division, a cast, an overflow, many functions.
pub fn may_fail(query: &Query, dialect: Dialect) -> bool {
    let mut failing =
        Failing { dialect, late: Vec::new(), own: Vec::new(), levels: 0, outer: Vec::new() };
    failing.own.push(std::ptr::from_ref(query));
    if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &query.order_by {
        failing.late.extend(order.iter().map(|order| std::ptr::from_ref(&order.expr)));
    }
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
    failing.outermost(&query.body);
    query.visit(&mut failing).is_break()
}

struct Failing {
    dialect: Dialect,
    /// Expressions that are evaluated for seen rows only, by address.
    late: Vec<*const Expr>,
    /// Queries that stand on their own: the outermost, and those in FROM and WITH of such ones. Others may read columns of the
    /// queries around them.
    own: Vec<*const Query>,
    /// How many expressions deep it is within one of `late`.
    levels: usize,
    /// The same of the queries around this one: what a query inside of such an expression decides counts again.
    outer: Vec<usize>,
}

impl Failing {
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
                if folds(select) {
                    let columns = select.projection.iter().filter_map(column);
                    self.late.extend(columns.filter(|c| has_aggregate(c)).map(std::ptr::from_ref));
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

fn column(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// Whether a query folds its rows: it has groups, or aggregates among its columns.
fn folds(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, modifiers) => !groups.is_empty() || !modifiers.is_empty(),
    };
    grouped || select.projection.iter().filter_map(column).any(has_aggregate)
}

/// Whether an aggregate stands in an expression, but for those of queries in it.
fn has_aggregate(expr: &Expr) -> bool {
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

impl Visitor for Failing {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.outer.push(std::mem::take(&mut self.levels));
        if self.own.contains(&std::ptr::from_ref(query)) {
            let with = query.with.iter().flat_map(|with| &with.cte_tables);
            self.own.extend(with.map(|cte| &raw const *cte.query));
            self.stands_alone(&query.body);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.levels = self.outer.pop().unwrap_or_default();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        // What is made of literals alone fails for all rows or for none.
        let is_late = self.late.contains(&std::ptr::from_ref(expr)) || is_literal(expr);
        if self.levels > 0 || is_late {
            self.levels += 1;
            return ControlFlow::Continue(());
        }
        if self.is_total(expr) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.levels = self.levels.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

impl Failing {
    /// Whether an expression has a value whatever its parts are.
    fn is_total(&self, expr: &Expr) -> bool {
        let is_postgres = self.dialect == Dialect::Postgres;
        match expr {
            // PostgreSQL fails where a value matches a pattern up to a backslash at its end.
            Expr::Like { escape_char: None, pattern, .. }
            | Expr::ILike { escape_char: None, pattern, .. } => {
                !is_postgres
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
            | Expr::Trim { .. }
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..)
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => true,
            // The other engines cut, warn or answer NULL.
            Expr::Cast { .. } | Expr::Convert { .. } | Expr::Extract { .. } => !is_postgres,
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
                // What folds rows does so above the filter; a sum may fail too, but not before it.
                functions::is_aggregate(&called)
                    || TOTAL.contains(&called.as_str())
                    || !is_postgres && TOTAL_BUT_ON_POSTGRES.contains(&called.as_str())
                    || TOTAL_BY_NUMBERS.contains(&called.as_str())
                        && has_plain_numbers(&function.args)
                    || matches!(function.args, FunctionArguments::None)
            }
            _ => false,
        }
    }

    fn is_total_operator(&self, left: &Expr, op: &Op, right: &Expr) -> bool {
        let fraction = |expr| number(expr).is_some_and(|n| n.fract() != 0.0 && n.abs() < MAX_ADDED);
        let small = |expr| number(expr).is_some_and(|n| n.abs() <= MAX_ADDED);
        let added = |expr| number(expr).is_some_and(|n| (0.0..=MAX_ADDED).contains(&n));
        let moved = |by: &Expr, from: &Expr| {
            is_short_interval(by)
                && matches!(from, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        };
        match op {
            Op::And | Op::Or | Op::Xor => true,
            // SQLite goes on with a fraction where a whole number would not fit.
            Op::Plus | Op::Minus | Op::Multiply if self.dialect == Dialect::Sqlite => true,
            Op::Divide | Op::Modulo if self.dialect != Dialect::Postgres => true,
            Op::Divide | Op::Modulo => number(right).is_some_and(|n| n >= MIN_DIVISOR),
            Op::Plus | Op::Minus | Op::Multiply if fraction(left) || fraction(right) => true,
            Op::Plus | Op::Minus if moved(left, right) || moved(right, left) => true,
            // MySQL fails where a number without sign would fall below zero.
            Op::Plus if self.dialect == Dialect::MySql => added(left) || added(right),
            Op::Plus | Op::Minus if self.dialect == Dialect::Postgres => {
                small(left) || small(right)
            }
            op => is_comparison(op),
        }
    }
}

fn is_comparison(op: &Op) -> bool {
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship)
}

/// The value of a number as it is written.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Nested(inner) => number(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr).map(|n| -n),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is made of literals, operators and casts alone, in types that are worked out before there are rows.
fn is_literal(expr: &Expr) -> bool {
    let is_plain = |kind: &DataType| {
        let name = kind.to_string().to_ascii_uppercase();
        PLAIN_TYPES.iter().any(|plain| name.starts_with(plain))
            && !["TZ", " TIME ZONE", "[]"].iter().any(|zone| name.contains(zone))
    };
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::TypedString(typed) => is_plain(&typed.data_type),
        Expr::Interval(interval) => is_literal(&interval.value),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_literal(inner),
        // A cast of a cast may have to wait for the session's settings.
        Expr::Cast { expr: inner, data_type, .. } => {
            matches!(&**inner, Expr::Value(_)) && is_literal(inner) && is_plain(data_type)
        }
        Expr::BinaryOp { left, right, .. } => is_literal(left) && is_literal(right),
        _ => false,
    }
}

/// Whether an interval does not take a date out of its type.
fn is_short_interval(expr: &Expr) -> bool {
    let Expr::Interval(interval) = expr else { return false };
    let Expr::Value(value) = &*interval.value else { return false };
    let (Value::SingleQuotedString(text) | Value::Number(text, _)) = &value.value else {
        return false;
    };
    text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() <= MAX_INTERVAL_DIGITS)
}

/// Whether all arguments but the first are numbers that are not negative.
fn has_plain_numbers(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return false };
    list.args.iter().skip(1).all(|argument| {
        matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            if number(expr).is_some_and(|n| n >= 0.0))
    })
}

/// Whether a query in the place of a value gives one at the most: it folds all its rows.
fn gives_one_row(query: &Query) -> bool {
    match &*query.body {
        SetExpr::Select(select) => {
            let ungrouped = matches!(&select.group_by,
                GroupByExpr::Expressions(groups, modifiers) if groups.is_empty() && modifiers.is_empty());
            ungrouped && folds(select)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar::parse;
    use super::*;
    use sqlparser::ast::Statement;

    fn fails(sql: &str, dialect: Dialect) -> bool {
        match parse(sql, dialect) {
            Ok(Statement::Query(query)) => may_fail(&query, dialect),
            _ => panic!("{sql} is no query"),
        }
    }

    #[test]
    fn what_may_fail_for_a_row() {
        for sql in [
            "SELECT a FROM t WHERE 1 / a > 0",
            "SELECT a FROM t WHERE a + b > 0",
            "SELECT a FROM t WHERE a * 1000 > 0",
            "SELECT a FROM t WHERE a + 2147483000 > 0",
            "SELECT a FROM t WHERE CAST(a AS INT) = 1",
            "SELECT a FROM t WHERE a LIKE :t0",
            "SELECT a FROM t WHERE a LIKE 'x\\'",
            "SELECT a FROM t WHERE CAST(:t0 AS DATE) < b",
            "SELECT a FROM t WHERE CAST(CAST('x' AS TEXT) AS DATE) < b",
            "SELECT a FROM t WHERE TIMESTAMP WITH TIME ZONE '2025-01-01' + INTERVAL '1 day' < b",
            "SELECT a FROM t WHERE d + INTERVAL '300000 years' < b",
            "SELECT a FROM t WHERE EXTRACT(HOUR FROM d) = 1",
            "SELECT a FROM t WHERE a / 0.0000000001 > 1",
            "SELECT a FROM t WHERE f(a) = 1",
            "SELECT a FROM t WHERE SUBSTR(a, 1, -1) = 'x'",
            "SELECT a FROM t JOIN u ON t.a / u.a = 1",
            "SELECT a FROM t WHERE a = (SELECT a FROM u WHERE u.b = t.b)",
            "SELECT a, (SELECT MAX(b) FROM u WHERE 1 / u.a > 0) FROM t",
            "SELECT q FROM (SELECT 1 / a AS q FROM t) AS d",
            "SELECT q FROM (SELECT 1 / a AS q, COUNT(*) AS n FROM t GROUP BY 1 / a) AS d WHERE q > 0",
            "WITH d AS (SELECT 1 / a AS q FROM t) SELECT q FROM d",
            "SELECT a FROM t WHERE a > (SELECT SUM(1 / u.a) FROM u WHERE u.b = t.b)",
            "SELECT a FROM t GROUP BY a HAVING 1 / a > 0",
        ] {
            assert!(fails(sql, Dialect::Postgres), "{sql}");
        }
    }

    #[test]
    fn what_has_a_value_for_every_row() {
        for sql in [
            "SELECT 1 / a, a::int FROM t WHERE a = :t0 ORDER BY 1 / a LIMIT (:t1 - 1) * :t2",
            "SELECT DATE_TRUNC('month', d), SUM(a * b) / COUNT(*) FROM t GROUP BY DATE_TRUNC('month', d)",
            "SELECT a FROM t WHERE a LIKE 'x%' AND LOWER(b) = 'x' AND COALESCE(c, 0) > 1 OR NOT a IS NULL",
            "SELECT a FROM t WHERE d >= CAST('1995-01-01' AS DATE) AND d < DATE '1995-01-01' + INTERVAL '1 year'",
            "SELECT a FROM t WHERE m BETWEEN 1200 AND 1200 + 11 AND a * 1.1 > b AND a / 2 > b AND d + INTERVAL '30 days' > d AND LEFT(c, 2) = 'ab'",
            "SELECT a FROM t WHERE a < (SELECT 0.2 * AVG(u.a) FROM u WHERE u.b = t.b)",
            "SELECT s FROM (SELECT k, SUM(a * (1 - b)) AS s FROM t GROUP BY k) AS d WHERE s > 10",
            "WITH d AS (SELECT k, SUM(a) / COUNT(*) AS s FROM t GROUP BY k) SELECT s FROM d WHERE k IN (SELECT k FROM u)",
        ] {
            assert!(!fails(sql, Dialect::Postgres), "{sql}");
        }
        for sql in
            ["SELECT a FROM t WHERE 1 / a > 0", "SELECT a FROM t WHERE CAST(a AS INTEGER) + a > 1"]
        {
            assert!(!fails(sql, Dialect::Sqlite), "{sql}");
        }
        assert!(!fails("SELECT a FROM t WHERE YEAR(d) = 2025 AND a / b > 1", Dialect::MySql));
        assert!(fails("SELECT a FROM t WHERE a - 10 > 0", Dialect::MySql));
    }
}
