//! The count of a query's rows: the same query without its page, its order, and the columns that nobody reads.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Value,
};

use super::dialect::Dialect;
use super::grammar::print;
use super::parts::reprint;
use super::statement::{Part, Text};
use super::template::{Flaw, TemplateError};

/// The statement that counts the rows of `query`, whose text is `parts`. `is_own`: its LIMIT is that of the page.
///
/// # Errors
/// Where the query cannot be written again without its LIMIT.
pub fn count(
    query: &Query,
    is_own: bool,
    parts: &[Part],
    dialect: Dialect,
) -> Result<Text, TemplateError> {
    let mut inner = query.clone();
    if is_own {
        inner.limit_clause = None;
        inner.fetch = None;
    }
    // Only ties make the order matter to how many rows there are.
    if inner.fetch.is_none() {
        inner.order_by = None;
        narrow(&mut inner.body);
    }
    if dialect == Dialect::MySql {
        tell_apart(&mut inner.body);
    }
    let mut counted = vec![Part::Text("SELECT COUNT(*) AS total FROM (".into())];
    match print(&inner, dialect) {
        Some(text) => counted.extend(reprint(&text, parts, dialect)?),
        None if is_own => return Err(unprintable()),
        None => counted.extend(parts.iter().cloned()),
    }
    // On a line of its own: the query may end in a comment.
    counted.push(Part::Text("\n) AS counted".into()));
    Ok(Text::new(counted, dialect))
}

/// For a statement that would have to be rewritten and whose parts the parser does not write as it reads them.
pub fn unprintable() -> TemplateError {
    let text =
        "the statement is read, but cannot be rewritten for its pages; leave LIMIT to the gateway";
    TemplateError::new(Flaw::Sql(text.into()), None)
}

/// Leaves out the columns that have no say in how many rows there are, above all those that share a name, which MySQL
/// does not allow in a derived table.
fn narrow(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else { return };
    // MySQL takes SQL_NO_CACHE and its like in the outermost SELECT only.
    select.select_modifiers = None;
    if !is_plain(select) {
        return;
    }
    // What is computed may fold rows into one, or unfold them.
    let computed = select.projection.drain(..).filter_map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        | SelectItem::ExprWithAlias {
            expr: Expr::Identifier(_) | Expr::CompoundIdentifier(_),
            ..
        } => None,
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    let mut kept: Vec<Expr> = computed.collect();
    if kept.is_empty() {
        kept.push(Expr::Value(Value::Number("1".into(), false).into()));
    }
    let named = kept.into_iter().enumerate();
    select.projection =
        named.map(|(i, expr)| SelectItem::ExprWithAlias { expr, alias: alias(i) }).collect();
}

/// Whether each row of the tables gives a row, but for what the columns do.
fn is_plain(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, modifiers) => {
            !expressions.is_empty() || !modifiers.is_empty()
        }
    };
    let unfolds = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
                | SelectItem::ExprWithAliases { .. }
        )
    });
    !grouped
        && !unfolds
        && select.distinct.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.top.is_none()
}

/// Gives each column that repeats a name another one.
fn tell_apart(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return tell_apart(left),
        SetExpr::Query(inner) => return tell_apart(&mut inner.body),
        _ => return,
    };
    let mut seen: Vec<String> = Vec::new();
    for (i, item) in select.projection.iter_mut().enumerate() {
        let (name, expr) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (alias.value.clone(), expr),
            SelectItem::UnnamedExpr(expr) => (name(expr), expr),
            _ => continue,
        };
        let name = name.to_lowercase();
        if seen.contains(&name) {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: alias(i) };
        } else {
            seen.push(name);
        }
    }
}

fn name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => {
            names.last().map(|name| name.value.clone()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

fn alias(i: usize) -> Ident {
    Ident::new(format!("counted_{i}"))
}
