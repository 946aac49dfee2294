//! From template text to statement: places, safety, LIMIT arithmetic, pages and their count.

use std::sync::Arc;

use sqlparser::ast::{
    BinaryOperator, Expr, LimitClause, Query, SetExpr, Statement as Ast, UnaryOperator, Value,
};

use super::grammar::{find, parse};
use super::lex;
use super::parts::{parse_text, procedure, reprint, resolve, to_parts};
use super::safety;
use super::statement::{IntExpr, Part, Slot, Statement, Text};
use super::template::{Flaw, Options, TemplateError};

/// How a query is cut into pages. Indexes are into the template's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    None,
    /// The template uses `:page` or `:pageSize`. `count`: rows are counted; else one row more is asked for.
    Own {
        count: bool,
    },
    /// The gateway adds LIMIT and OFFSET.
    Added {
        page: usize,
        size: usize,
        count: bool,
    },
}

/// Compiles one statement text.
///
/// # Errors
/// The first flaw found.
pub fn build(text: &str, options: &Options) -> Result<Statement, TemplateError> {
    let pieces = lex::cut(text, options.dialect)?;
    let parts = to_parts(&pieces, options.dialect, |piece| resolve(piece, options))?;
    let parts = if options.is_procedure { procedure(parts, options.dialect) } else { parts };
    let plain = parse_text(&parts);
    let mut ast = match parse(&plain, options.dialect) {
        Ok(ast) => ast,
        Err(reason) if options.is_safe => {
            let offset = reason.offset(text, options.dialect);
            return Err(TemplateError::new(Flaw::Sql(reason.text), offset));
        }
        // What the parser does not know may still run where nobody asked for safety.
        Err(_) => return Ok(unparsed(parts, options)),
    };
    let has_page = options.paging != Paging::None;
    if options.is_safe {
        safety::check(&ast, options.dialect, options.is_procedure, has_page).map_err(
            |refusal| {
                let offset = find(text, &refusal.pattern);
                TemplateError::new(refusal.flaw, offset)
            },
        )?;
    }
    let read_only = matches!(ast, Ast::Query(_)) && safety::is_read_only(&ast);
    let Ast::Query(query) = &mut ast else {
        return Ok(Statement { query: Text::new(parts, options.dialect), count: None, read_only });
    };
    paged(query, &parts, options, read_only)
}

fn paged(
    query: &mut Query,
    parts: &[Part],
    options: &Options,
    read_only: bool,
) -> Result<Statement, TemplateError> {
    let dialect = options.dialect;
    let print = |query: &Query| reprint(&query.to_string(), parts, dialect);
    let count = match options.paging {
        Paging::Own { count: true } | Paging::Added { count: true, .. } => {
            let mut inner = query.clone();
            if matches!(options.paging, Paging::Own { .. }) {
                inner.limit_clause = None;
                inner.fetch = None;
            }
            if inner.limit_clause.is_none() && inner.fetch.is_none() {
                inner.order_by = None;
            }
            let mut counted = vec![Part::Text("SELECT COUNT(*) AS total FROM (".into())];
            counted.extend(print(&inner)?);
            counted.push(Part::Text(") AS counted".into()));
            Some(Text::new(counted, dialect))
        }
        _ => None,
    };
    let has_limit = query.limit_clause.is_some() || query.fetch.is_some();
    let query = match options.paging {
        Paging::Added { page, size, count } => {
            let mut paged = Vec::with_capacity(parts.len() + 5);
            if has_limit {
                paged.push(Part::Text("SELECT * FROM (".into()));
            }
            paged.extend(parts.iter().cloned());
            // On a line of its own: the query may end in a comment.
            paged.push(Part::Text(
                if has_limit { "\n) AS paged\nLIMIT " } else { "\nLIMIT " }.into(),
            ));
            paged.push(Part::Slot(page_limit(size, count)));
            paged.push(Part::Text(" OFFSET ".into()));
            paged.push(Part::Slot(page_offset(page, size)));
            Text::new(paged, dialect)
        }
        paging => {
            let one_more = paging == Paging::Own { count: false };
            match fold_limit(query, parts, one_more) {
                Some(folded) => {
                    // The places of the folded expressions follow those of the text.
                    let mut all = parts.to_vec();
                    all.extend(folded);
                    Text::new(reprint(&query.to_string(), &all, dialect)?, dialect)
                }
                None => Text::new(parts.to_vec(), dialect),
            }
        }
    };
    Ok(Statement { query, count, read_only })
}

fn unparsed(parts: Vec<Part>, options: &Options) -> Statement {
    let dialect = options.dialect;
    let query = match options.paging {
        Paging::Added { page, size, count } => {
            let mut paged = vec![Part::Text("SELECT * FROM (".into())];
            paged.extend(parts);
            paged.push(Part::Text("\n) AS paged\nLIMIT ".into()));
            paged.push(Part::Slot(page_limit(size, count)));
            paged.push(Part::Text(" OFFSET ".into()));
            paged.push(Part::Slot(page_offset(page, size)));
            paged
        }
        _ => parts,
    };
    Statement { query: Text::new(query, dialect), count: None, read_only: false }
}

/// The page's size; one row more where nothing is counted, to see whether there is a next page.
fn page_limit(size: usize, count: bool) -> Slot {
    if count {
        return Slot::Name(size);
    }
    let size = Box::new(IntExpr::Slot(Slot::Name(size)));
    Slot::Computed(Arc::new(IntExpr::Add(size, Box::new(IntExpr::Constant(1)))))
}

fn page_offset(page: usize, size: usize) -> Slot {
    let slot = |i| Box::new(IntExpr::Slot(Slot::Name(i)));
    let before = IntExpr::Subtract(slot(page), Box::new(IntExpr::Constant(1)));
    Slot::Computed(Arc::new(IntExpr::Multiply(Box::new(before), slot(size))))
}

/// Turns arithmetic in the outer LIMIT and OFFSET into single places, since MySQL takes nothing else there and since
/// the sum must not overflow the database's integers. `None`: nothing to do.
fn fold_limit(query: &mut Query, parts: &[Part], one_more: bool) -> Option<Vec<Part>> {
    if matches!(*query.body, SetExpr::Values(_)) {
        return None;
    }
    let mut folded: Vec<Part> = Vec::new();
    let mut fold = |expression: &mut Expr, add: i64| {
        let is_arithmetic = matches!(expression, Expr::BinaryOp { .. } | Expr::Nested(_));
        if !is_arithmetic && add == 0 {
            return;
        }
        if let Some(mut value) = integer(expression, parts) {
            if add > 0 {
                value = IntExpr::Add(Box::new(value), Box::new(IntExpr::Constant(add)));
            }
            let place = format!(":t{}", parts.len() + folded.len());
            folded.push(Part::Slot(Slot::Computed(Arc::new(value))));
            *expression = Expr::Value(Value::Placeholder(place).into());
        }
    };
    match query.limit_clause.as_mut()? {
        LimitClause::LimitOffset { limit, offset, .. } => {
            if let Some(limit) = limit {
                fold(limit, i64::from(one_more));
            }
            if let Some(offset) = offset {
                fold(&mut offset.value, 0);
            }
        }
        LimitClause::OffsetCommaLimit { offset, limit } => {
            fold(offset, 0);
            fold(limit, i64::from(one_more));
        }
    }
    if folded.is_empty() { None } else { Some(folded) }
}

fn integer(expression: &Expr, parts: &[Part]) -> Option<IntExpr> {
    let pair = |left: &Expr, right: &Expr| {
        Some((Box::new(integer(left, parts)?), Box::new(integer(right, parts)?)))
    };
    match expression {
        Expr::Nested(inner) => integer(inner, parts),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok().map(IntExpr::Constant),
            Value::Placeholder(name) => {
                let at: usize = name.strip_prefix(":t")?.parse().ok()?;
                match parts.get(at)? {
                    Part::Slot(slot) => Some(IntExpr::Slot(slot.clone())),
                    _ => None,
                }
            }
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let value = Box::new(integer(expr, parts)?);
            Some(IntExpr::Subtract(Box::new(IntExpr::Constant(0)), value))
        }
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = pair(left, right)?;
            match op {
                BinaryOperator::Plus => Some(IntExpr::Add(left, right)),
                BinaryOperator::Minus => Some(IntExpr::Subtract(left, right)),
                BinaryOperator::Multiply => Some(IntExpr::Multiply(left, right)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bind::Bind;
    use super::super::dialect::Dialect;
    use super::super::statement::Values;
    use super::super::template::Name;
    use super::*;

    const SEED: &str = "SELECT date, store_id, SUM(amount) AS total_amount FROM fact_sales WHERE date BETWEEN \
        :startDate AND :endDate AND (:storeId IS NULL OR store_id = :storeId) GROUP BY date, store_id \
        ORDER BY date LIMIT :pageSize OFFSET (:page - 1) * :pageSize";

    fn options(dialect: Dialect, paging: Paging) -> Options {
        let names =
            ["startDate", "endDate", "storeId", "page", "pageSize", "ids"].map(|name| Name {
                name: name.into(),
                is_array: name == "ids",
                is_closed: false,
                samples: vec![Bind::Text("x".into())],
            });
        Options { dialect, names: names.into(), is_safe: true, is_procedure: false, paging }
    }

    fn binds(ids: &[i64]) -> Vec<Bind> {
        let text = |t: &str| Bind::Text(t.into());
        let ids = ids.iter().map(|n| Bind::Int(*n)).collect();
        vec![text("a"), text("b"), Bind::Null, Bind::Int(3), Bind::Int(50), Bind::Array(ids)]
    }

    fn sql(text: &str, dialect: Dialect, paging: Paging, ids: &[i64]) -> (String, Vec<Bind>) {
        let statement = build(text, &options(dialect, paging)).unwrap();
        let names = binds(ids);
        let (sql, binds) = statement.query.bind(&Values { names: &names, rendered: &[] });
        (sql.to_string(), binds)
    }

    #[test]
    fn the_arithmetic_of_limit_is_done_before_the_database() {
        let (mysql, values) = sql(SEED, Dialect::MySql, Paging::Own { count: true }, &[]);
        assert!(mysql.ends_with("LIMIT ? OFFSET ?"), "{mysql}");
        assert_eq!(values[4..], [Bind::Int(50), Bind::Int(100)]);
        let (postgres, values) = sql(SEED, Dialect::Postgres, Paging::Own { count: false }, &[]);
        assert!(postgres.contains("($3 IS NULL OR store_id = $4)"), "{postgres}");
        assert!(postgres.ends_with("LIMIT $5 OFFSET $6"), "{postgres}");
        assert_eq!(values[4..], [Bind::Int(51), Bind::Int(100)]);
    }

    #[test]
    fn the_count_leaves_the_page_out() {
        let statement =
            build(SEED, &options(Dialect::Sqlite, Paging::Own { count: true })).unwrap();
        let names = binds(&[]);
        let (count, values) =
            statement.count.unwrap().bind(&Values { names: &names, rendered: &[] });
        assert!(
            count.starts_with("SELECT COUNT(*) AS total FROM (SELECT date, store_id"),
            "{count}"
        );
        assert!(!count.contains("LIMIT") && !count.contains("ORDER BY"), "{count}");
        assert_eq!(values.len(), 3);
    }

    #[test]
    fn pages_are_added_on_a_line_of_their_own() {
        let added = Paging::Added { page: 3, size: 4, count: false };
        let (text, values) = sql("SELECT a FROM t -- all", Dialect::Postgres, added, &[]);
        assert_eq!(text, "SELECT a FROM t -- all\nLIMIT $1 OFFSET $2");
        assert_eq!(values, [Bind::Int(51), Bind::Int(100)]);
        let (text, _) = sql("SELECT a FROM t LIMIT 500", Dialect::MySql, added, &[]);
        assert_eq!(text, "SELECT * FROM (SELECT a FROM t LIMIT 500\n) AS paged\nLIMIT ? OFFSET ?");
    }

    #[test]
    fn arrays_become_lists() {
        let query = "SELECT a FROM t WHERE id IN (:ids) AND b = :storeId";
        let (text, values) = sql(query, Dialect::MySql, Paging::None, &[7, 8]);
        assert_eq!(text, "SELECT a FROM t WHERE id IN (?, ?) AND b = ?");
        assert_eq!(values.len(), 3);
        let (text, _) = sql(query, Dialect::Sqlite, Paging::None, &[]);
        assert_eq!(text, "SELECT a FROM t WHERE id IN (SELECT NULL WHERE 1 = 0) AND b = ?1");
        let query = "SELECT a FROM t WHERE id NOT IN :ids OR id IN (:ids)";
        let (text, values) = sql(query, Dialect::Postgres, Paging::None, &[7, 8]);
        assert_eq!(text, "SELECT a FROM t WHERE id <> ALL($1) OR id = ANY($1)");
        assert_eq!(values.len(), 1);
        let added = Paging::Own { count: true };
        let statement = build(
            "SELECT a FROM t WHERE id IN (:ids) LIMIT (:page - 1)",
            &options(Dialect::Sqlite, added),
        );
        let names = binds(&[7, 8]);
        let (text, _) = statement.unwrap().query.bind(&Values { names: &names, rendered: &[] });
        assert_eq!(&*text, "SELECT a FROM t WHERE id IN (?1, ?2) LIMIT ?3");
    }

    #[test]
    fn safe_mode_refuses() {
        let refused = [
            "DELETE FROM t WHERE a = 1",
            "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x WHERE a = 1",
            "SELECT a FROM t WHERE a = 1 FOR UPDATE",
            "SELECT a INTO b FROM t WHERE a = 1",
            "SELECT pg_sleep(1)",
            "SELECT a FROM t WHERE b = pg_read_file('x')",
            "SELECT * FROM dblink('x', 'y') AS t(a int)",
            "CALL p(1)",
        ];
        for text in refused {
            let error = build(text, &options(Dialect::Postgres, Paging::None)).unwrap_err();
            assert!(matches!(error.flaw, Flaw::Unsafe(_)), "{text}: {error:?}");
        }
        let whole = [
            "SELECT * FROM t",
            "SELECT a FROM t WHERE 1 = 1",
            "SELECT a FROM t WHERE TRUE ORDER BY a",
            "SELECT a FROM (SELECT * FROM t) AS x",
            "WITH x AS (SELECT * FROM t) SELECT a FROM x",
            "SELECT a FROM t WHERE b = 1 UNION SELECT a FROM u",
            "SELECT t.a FROM t JOIN u ON t.id = u.id",
        ];
        for text in whole {
            let error = build(text, &options(Dialect::Postgres, Paging::None)).unwrap_err();
            assert!(matches!(error.flaw, Flaw::UnboundedScan(_)), "{text}: {error:?}");
        }
        let fine = [
            "SELECT 1",
            "SELECT * FROM t LIMIT 10",
            "SELECT COUNT(*) FROM t",
            "SELECT ROUND(SUM(a), 2) AS s FROM t",
            "SELECT a, COUNT(*) FROM t GROUP BY a",
            "WITH x AS (SELECT * FROM t WHERE a = 1), y AS (SELECT * FROM x) SELECT * FROM y",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
            "SELECT * FROM generate_series(1, 3) AS g(a)",
        ];
        for text in fine {
            let built = build(text, &options(Dialect::Postgres, Paging::None));
            assert!(built.is_ok(), "{text}: {built:?}");
        }
    }
}
