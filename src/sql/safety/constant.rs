//! Conditions that are none: whatever the row, they are true.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator as Op, Expr, Ident, Query, SetExpr, UnaryOperator, Value, Visit, Visitor,
};

/// Functions that give another value for each row, though they are given none.
const RANDOM: [&str; 4] = ["gen_random_uuid", "rand", "random", "uuid"];

/// Sides of an OR that are compared with each other.
const MAX_COMPARED: usize = 100;

/// Whether a condition holds for every row (NULLs aside): `1 = 1`, `id = id`, `NOT FALSE`, `LENGTH('a') = 1`,
/// `id IS NULL OR id IS NOT NULL`. A constant that is not clearly false counts as true; a parameter is no constant.
pub fn is_always_true(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) | Expr::IsTrue(inner) | Expr::IsNotFalse(inner) => {
            is_always_true(inner)
        }
        Expr::IsFalse(inner) | Expr::IsNotTrue(inner) => is_always_false(inner),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => {
            is_always_false(expr)
        }
        Expr::BinaryOp { left, op: Op::And, right } => {
            is_always_true(left) && is_always_true(right)
        }
        Expr::BinaryOp { op: Op::Or, .. } => {
            let sides = alternatives(condition);
            sides.iter().any(|side| is_always_true(side))
                || sides[..sides.len().min(MAX_COMPARED)]
                    .iter()
                    .enumerate()
                    .any(|(i, a)| sides[..i].iter().any(|b| is_opposite(a, b)))
        }
        Expr::BinaryOp { left, op: Op::Eq | Op::GtEq | Op::LtEq | Op::Spaceship, right }
        | Expr::IsNotDistinctFrom(left, right)
        | Expr::Like { negated: false, expr: left, pattern: right, .. }
        | Expr::ILike { negated: false, expr: left, pattern: right, .. }
            if is_same(left, right) =>
        {
            true
        }
        Expr::Like { negated: false, pattern, .. }
        | Expr::ILike { negated: false, pattern, .. }
            if matches!(literal(pattern), Some(Value::SingleQuotedString(text))
                if !text.is_empty() && text.chars().all(|c| c == '%')) =>
        {
            true
        }
        Expr::InList { expr, list, negated: false }
            if list.iter().any(|item| is_same(expr, item)) =>
        {
            true
        }
        Expr::Between { expr, negated: false, low, high }
            if is_same(expr, low) && is_same(expr, high) =>
        {
            true
        }
        Expr::Case { conditions, else_result: Some(otherwise), .. }
            if is_always_true(otherwise)
                && conditions.iter().all(|when| is_always_true(&when.result)) =>
        {
            true
        }
        Expr::Exists { subquery, negated: false } if gives_a_row(subquery) => true,
        _ => is_constant(condition) && truth(condition) != Some(false),
    }
}

/// Whether a condition holds for no row.
fn is_always_false(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) | Expr::IsTrue(inner) | Expr::IsNotFalse(inner) => {
            is_always_false(inner)
        }
        Expr::IsFalse(inner)
        | Expr::IsNotTrue(inner)
        | Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr: inner } => {
            is_always_true(inner)
        }
        Expr::BinaryOp { left, op: Op::And, right } => {
            is_always_false(left) || is_always_false(right) || is_opposite(left, right)
        }
        Expr::BinaryOp { left, op: Op::Or, right } => {
            is_always_false(left) && is_always_false(right)
        }
        Expr::BinaryOp { left, op: Op::NotEq | Op::Lt | Op::Gt, right }
        | Expr::IsDistinctFrom(left, right)
            if is_same(left, right) =>
        {
            true
        }
        // A constant that cannot be told is taken for the worse: after NOT that is false.
        _ => is_constant(condition) && truth(condition) != Some(true),
    }
}

/// The sides of ORs, also nested ones.
fn alternatives(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => alternatives(inner),
        Expr::BinaryOp { left, op: Op::Or, right } => {
            let mut sides = alternatives(left);
            sides.extend(alternatives(right));
            sides
        }
        side => vec![side],
    }
}

fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

fn literal(expr: &Expr) -> Option<&Value> {
    match bare(expr) {
        Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)) => Some(&value.value),
        _ => None,
    }
}

/// Whether both sides are one value: the same column, or the same expression over columns.
fn is_same(a: &Expr, b: &Expr) -> bool {
    let (a, b) = (bare(a), bare(b));
    let same_name = |a: &Ident, b: &Ident| a.value.eq_ignore_ascii_case(&b.value);
    match (a, b) {
        (Expr::Identifier(a), Expr::Identifier(b)) => same_name(a, b),
        (Expr::CompoundIdentifier(a), Expr::CompoundIdentifier(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_name(a, b))
        }
        _ => a == b && !Seen::of(a).varies,
    }
}

/// Whether one of two conditions holds where the other does not.
fn is_opposite(a: &Expr, b: &Expr) -> bool {
    let one_way = |a: &Expr, b: &Expr| match (bare(a), bare(b)) {
        (Expr::IsNull(a), Expr::IsNotNull(b))
        | (Expr::IsTrue(a), Expr::IsNotTrue(b))
        | (Expr::IsFalse(a), Expr::IsNotFalse(b))
        | (Expr::IsUnknown(a), Expr::IsNotUnknown(b)) => is_same(a, b),
        (Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr }, b) => {
            is_same(expr, b)
        }
        (
            Expr::BinaryOp { left: a, op, right: b },
            Expr::BinaryOp { left: c, op: other, right: d },
        ) => {
            let opposite = match op {
                Op::Eq => Op::NotEq,
                Op::Lt => Op::GtEq,
                Op::LtEq => Op::Gt,
                _ => return false,
            };
            *other == opposite && is_same_or_constant(a, c) && is_same_or_constant(b, d)
        }
        _ => false,
    };
    one_way(a, b) || one_way(b, a)
}

fn is_same_or_constant(a: &Expr, b: &Expr) -> bool {
    is_same(a, b) || literal(a).is_some() && literal(a) == literal(b)
}

/// Whether a sub-query gives a row in any case: `SELECT 1`.
fn gives_a_row(query: &Query) -> bool {
    let limited = query.limit_clause.is_some() || query.fetch.is_some();
    match query.body.as_ref() {
        SetExpr::Select(select) => {
            !limited
                && select.from.is_empty()
                && select.selection.as_ref().is_none_or(is_always_true)
        }
        SetExpr::Values(_) => !limited,
        _ => false,
    }
}

/// Whether the value is the same for each row: it reads no column, no parameter and nothing by chance.
fn is_constant(expr: &Expr) -> bool {
    let seen = Seen::of(expr);
    !seen.varies && !seen.reads_column
}

/// What an expression is made of.
#[derive(Default)]
struct Seen {
    reads_column: bool,
    varies: bool,
}

impl Seen {
    fn of(expr: &Expr) -> Self {
        let mut seen = Self::default();
        let _: ControlFlow<()> = expr.visit(&mut seen);
        seen
    }
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            // A variable of the server or the session is no column.
            Expr::Identifier(name) if name.value.starts_with('@') && name.quote_style.is_none() => {
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::MatchAgainst { .. } => {
                self.reads_column = true;
            }
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                self.varies = true;
            }
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(|part| part.as_ident());
                let is_random = |name: &Ident| {
                    RANDOM.iter().any(|random| name.value.eq_ignore_ascii_case(random))
                };
                self.varies |= name.is_some_and(is_random);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The truth of comparisons of literals, as far as it is plain in every database.
fn truth(expr: &Expr) -> Option<bool> {
    match bare(expr) {
        Expr::Value(_) => match literal(expr)? {
            Value::Boolean(truth) => Some(*truth),
            Value::Number(digits, _) => digits.parse::<f64>().ok().map(|n| n != 0.0),
            Value::Null => Some(false),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => truth(expr).map(|truth| !truth),
        Expr::BinaryOp { left, op: Op::And, right } => Some(truth(left)? && truth(right)?),
        Expr::BinaryOp { left, op: Op::Or, right } => Some(truth(left)? || truth(right)?),
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (literal(left)?, literal(right)?);
            match (left, right) {
                (Value::Number(a, _), Value::Number(b, _)) => {
                    compare(op, a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?)?)
                }
                // Databases differ in how they sort texts and whether case counts.
                (Value::SingleQuotedString(a), Value::SingleQuotedString(b)) if a == b => {
                    compare(op, std::cmp::Ordering::Equal)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn compare(op: &Op, order: std::cmp::Ordering) -> Option<bool> {
    Some(match op {
        Op::Eq => order.is_eq(),
        Op::NotEq => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::LtEq => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::GtEq => order.is_ge(),
        _ => return None,
    })
}
