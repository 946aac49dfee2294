//! Literals: what is the same for every row, and worked out before there are any.

use sqlparser::ast::{
    BinaryOperator as Op, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value,
};

use super::MAX_ADDED;
use crate::sql::dialect::Dialect;

/// Digits of the numbers of an interval that may move any date.
const MAX_INTERVAL_DIGITS: usize = 3;
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

/// The value of a number as it is written.
pub fn number(expr: &Expr) -> Option<f64> {
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

/// Whether a type is one whose literals are worked out before there are rows.
pub fn is_plain_type(kind: &DataType) -> bool {
    let name = kind.to_string().to_ascii_uppercase();
    PLAIN_TYPES.iter().any(|plain| name.starts_with(plain))
        && !["TZ", " TIME ZONE", "[]"].iter().any(|zone| name.contains(zone))
}

/// Whether a number is written with a decimal point, so that what is computed with it is no whole number.
pub fn has_point(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => has_point(inner),
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(digits, _) if digits.contains('.'))
        }
        _ => false,
    }
}

/// Whether it is made of literals, operators and casts alone, in types that are worked out before there are rows. PostgreSQL works
/// all of that out while planning; the others row by row, so that there only what cannot fail counts.
pub fn is_literal(expr: &Expr, dialect: Dialect) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::TypedString(typed) => is_plain_type(&typed.data_type),
        Expr::Interval(interval) => is_literal(&interval.value, dialect),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_literal(inner, dialect),
        // A cast of a cast may have to wait for the session's settings.
        Expr::Cast { expr: inner, data_type, .. } => {
            matches!(&**inner, Expr::Value(_))
                && is_literal(inner, dialect)
                && is_plain_type(data_type)
        }
        Expr::BinaryOp { left, op, right } => {
            let small = |expr: &Expr| number(expr).is_some_and(|n| n.abs() <= MAX_ADDED);
            let is_plain = is_short_interval(right)
                || small(left) && small(right) && !matches!(op, Op::Divide | Op::Modulo);
            (dialect == Dialect::Postgres || is_plain)
                && is_literal(left, dialect)
                && is_literal(right, dialect)
        }
        _ => false,
    }
}

/// Whether an interval does not take a date out of its type.
pub fn is_short_interval(expr: &Expr) -> bool {
    const UNITS: [&str; 7] = ["second", "minute", "hour", "day", "week", "month", "year"];
    let is_unit = |word: &str| {
        let word = word.to_ascii_lowercase();
        UNITS.iter().any(|unit| word == *unit || word.strip_suffix('s') == Some(unit))
    };
    let is_count =
        |word: &str| word.len() <= MAX_INTERVAL_DIGITS && word.bytes().all(|b| b.is_ascii_digit());
    let Expr::Interval(interval) = expr else { return false };
    let Expr::Value(value) = &*interval.value else { return false };
    let (Value::SingleQuotedString(text) | Value::Number(text, _)) = &value.value else {
        return false;
    };
    match &interval.leading_field {
        Some(field) => is_count(text) && is_unit(&field.to_string()),
        None => text.split(' ').all(|word| is_count(word) || is_unit(word)),
    }
}

pub fn count(arguments: &FunctionArguments) -> usize {
    match arguments {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    }
}

/// Whether all arguments but the first are numbers that are not negative.
pub fn has_plain_numbers(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return false };
    list.args.iter().skip(1).all(|argument| {
        matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            if number(expr).is_some_and(|n| (0.0..=MAX_ADDED).contains(&n)))
    })
}
