//! From template text to statement: places, safety, LIMIT arithmetic, pages and their count.

use std::sync::Arc;

use sqlparser::ast::{
    BinaryOperator, Expr, LimitClause, Offset, OffsetRows, Query, SetExpr, Statement as Ast,
    UnaryOperator, Value,
};

use super::count::{count, unprintable};
use super::dialect::Dialect;
use super::govern::{Reads, Sight, govern};
use super::grammar::{find, parse, print, with_stack};
use super::lex;
use super::parts::{parse_text, procedure, reprint, resolve, to_parts};
use super::safety;
use super::statement::{IntExpr, Part, Slot, Statement, Text, Ungoverned};
use super::template::{Flaw, Options, TemplateError};
use super::walk::Obstacle;

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
    /// The same, from any row on.
    From {
        offset: usize,
        size: usize,
    },
}

/// Compiles one statement text, for a caller who sees `sight` of its tables; without it, on a governed datasource, only to know
/// what it reads.
///
/// # Errors
/// The first flaw found.
pub fn build(
    text: &str,
    options: &Options,
    sight: Option<&Sight>,
) -> Result<Statement, TemplateError> {
    with_stack(|| build_here(text, options, sight))
}

fn build_here(
    text: &str,
    options: &Options,
    sight: Option<&Sight>,
) -> Result<Statement, TemplateError> {
    let pieces = lex::cut(text, options.dialect)?;
    let parts = to_parts(&pieces, options.dialect, |piece| resolve(piece, options))?;
    let parts = if options.is_procedure { procedure(parts, options.dialect) } else { parts };
    let plain = parse_text(&parts);
    let ast = match parse(&plain, options.dialect) {
        Ok(ast) => ast,
        Err(reason) if options.is_safe || options.is_governed => {
            let offset = reason.offset(text, options.dialect);
            let flaw = if options.is_safe { Flaw::Sql } else { Flaw::Ungovernable };
            return Err(TemplateError::new(flaw(reason.text), offset));
        }
        // What the parser does not know may still run where nobody asked for safety.
        Err(_) => return Ok(unparsed(parts, options)),
    };
    let dialect = options.dialect;
    if options.is_safe || options.is_governed {
        let may_scan = options.paging != Paging::None || !options.is_safe;
        safety::check(&ast, &plain, dialect, options.is_procedure, may_scan).map_err(
            |refusal| {
                let offset = find(text, &refusal.pattern);
                let flaw = match refusal.flaw {
                    // Not refused by safe mode, which could be turned off, but by the datasource.
                    Flaw::Unsafe(text) if !options.is_safe => Flaw::Ungovernable(text),
                    flaw => flaw,
                };
                TemplateError::new(flaw, offset)
            },
        )?;
    }
    let read_only = matches!(ast, Ast::Query(_)) && safety::is_read_only(&ast, &plain, dialect);
    let ungoverned = match (options.is_governed, sight) {
        (true, None) => Some(ungoverned(text, &ast, dialect)?),
        _ => None,
    };
    let (mut ast, parts) = match (ast, sight) {
        (Ast::Query(query), Some(sight)) => governed(query, parts, sight, dialect)?,
        (ast, _) => (ast, parts),
    };
    let Ast::Query(query) = &mut ast else {
        let query = Text::new(parts, options.dialect);
        return Ok(Statement { query, count: None, read_only, ungoverned });
    };
    Ok(Statement { read_only, ungoverned, ..paged(query, &parts, options)? })
}

fn ungoverned(text: &str, ast: &Ast, dialect: Dialect) -> Result<Ungoverned, TemplateError> {
    match Reads::of(ast, dialect) {
        Ok(reads) => Ok(Ungoverned { text: text.into(), reads }),
        Err(obstacle) => Err(ungovernable(obstacle, text)),
    }
}

fn ungovernable(obstacle: Obstacle, text: &str) -> TemplateError {
    TemplateError::new(Flaw::Ungovernable(obstacle.text), find(text, &obstacle.pattern))
}

/// The query that reads only what its caller sees, with places of its own.
fn governed(
    mut query: Box<Query>,
    mut parts: Vec<Part>,
    sight: &Sight,
    dialect: Dialect,
) -> Result<(Ast, Vec<Part>), TemplateError> {
    govern(&mut query, &mut parts, sight, dialect).map_err(|error| ungovernable(error, ""))?;
    let text = print(&query, dialect).ok_or_else(|| {
        let text = "the parser does not write it as it reads it, so it cannot be rewritten";
        TemplateError::new(Flaw::Ungovernable(text.into()), None)
    })?;
    let parts = reprint(&text, &parts, dialect)?;
    let ast = parse(&parse_text(&parts), dialect)
        .map_err(|reason| TemplateError::new(Flaw::Ungovernable(reason.text), None))?;
    Ok((ast, parts))
}

fn paged(query: &mut Query, parts: &[Part], options: &Options) -> Result<Statement, TemplateError> {
    let dialect = options.dialect;
    let count = match options.paging {
        Paging::Own { count: true } => Some(count(query, true, parts, dialect)?),
        Paging::Added { count: true, .. } => Some(count(query, false, parts, dialect)?),
        _ => None,
    };
    let query = if let Some((limit, offset)) = window(options.paging) {
        match cut_limit(query, parts, (&limit, &offset), dialect) {
            Some(cut) => rewritten(query, parts, cut, dialect)?,
            None => add_page(query, parts, limit, offset, dialect),
        }
    } else {
        let one_more = options.paging == Paging::Own { count: false };
        match fold_limit(query, parts, one_more) {
            Some(folded) => rewritten(query, parts, folded, dialect)?,
            None => Text::new(parts.to_vec(), dialect),
        }
    };
    Ok(Statement { query, count, read_only: false, ungoverned: None })
}

/// The text of a query that was changed. The places of the `folded` expressions follow those of the text.
fn rewritten(
    query: &Query,
    parts: &[Part],
    folded: Vec<Part>,
    dialect: Dialect,
) -> Result<Text, TemplateError> {
    let text = print(query, dialect).ok_or_else(unprintable)?;
    let mut all = parts.to_vec();
    all.extend(folded);
    Ok(Text::new(reprint(&text, &all, dialect)?, dialect))
}

/// The query as it is written, cut into pages; as a whole where it has a LIMIT of its own.
fn add_page(query: &Query, parts: &[Part], limit: Slot, offset: Slot, dialect: Dialect) -> Text {
    let has_limit = query.limit_clause.is_some() || query.fetch.is_some();
    let mut paged = Vec::with_capacity(parts.len() + 5);
    if has_limit {
        paged.push(Part::Text("SELECT * FROM (".into()));
    }
    paged.extend(parts.iter().cloned());
    // On a line of its own: the query may end in a comment.
    let end = if has_limit { "\n) AS paged\nLIMIT " } else { "\nLIMIT " };
    paged.push(Part::Text(end.into()));
    paged.push(Part::Slot(limit));
    paged.push(Part::Text(" OFFSET ".into()));
    paged.push(Part::Slot(offset));
    Text::new(paged, dialect)
}

/// Puts the page inside of the query's own LIMIT, where that is made of constants: the order of the rows holds, and no
/// derived table has two columns of one name. `None`: nothing is changed.
fn cut_limit(
    query: &mut Query,
    parts: &[Part],
    (limit, offset): (&Slot, &Slot),
    dialect: Dialect,
) -> Option<Vec<Part>> {
    let constant = |expression: &Expr| match integer(expression, parts) {
        Some(IntExpr::Constant(n)) => Some(n),
        _ => None,
    };
    let (own_limit, own_offset) = match query.limit_clause.as_ref()? {
        LimitClause::LimitOffset { limit: Some(limit), offset, limit_by }
            if limit_by.is_empty() =>
        {
            let offset = offset.as_ref().map_or(Some(0), |offset| constant(&offset.value));
            (constant(limit)?, offset?)
        }
        LimitClause::OffsetCommaLimit { offset, limit } => (constant(limit)?, constant(offset)?),
        LimitClause::LimitOffset { .. } => return None,
    };
    if query.fetch.is_some() || print(query, dialect).is_none() {
        return None;
    }
    let value = |slot: &Slot| Box::new(IntExpr::Slot(slot.clone()));
    let left = IntExpr::Subtract(Box::new(IntExpr::Constant(own_limit)), value(offset));
    let cut = IntExpr::Least(value(limit), Box::new(left));
    let start = IntExpr::Add(Box::new(IntExpr::Constant(own_offset)), value(offset));
    let place =
        |at: usize| Expr::Value(Value::Placeholder(format!(":t{}", parts.len() + at)).into());
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(place(0)),
        offset: Some(Offset { value: place(1), rows: OffsetRows::None }),
        limit_by: Vec::new(),
    });
    let slot = |value: IntExpr| Part::Slot(Slot::Computed(Arc::new(value)));
    Some(vec![slot(cut), slot(start)])
}

fn unparsed(parts: Vec<Part>, options: &Options) -> Statement {
    let dialect = options.dialect;
    let query = if let Some((limit, offset)) = window(options.paging) {
        let mut paged = vec![Part::Text("SELECT * FROM (".into())];
        paged.extend(parts);
        paged.push(Part::Text("\n) AS paged\nLIMIT ".into()));
        paged.push(Part::Slot(limit));
        paged.push(Part::Text(" OFFSET ".into()));
        paged.push(Part::Slot(offset));
        paged
    } else {
        parts
    };
    let query = Text::new(query, dialect);
    Statement { query, count: None, read_only: false, ungoverned: None }
}

/// The limit and offset that the gateway adds, if it does.
fn window(paging: Paging) -> Option<(Slot, Slot)> {
    match paging {
        Paging::None | Paging::Own { .. } => None,
        Paging::Added { page, size, count } => {
            Some((page_limit(size, count), page_offset(page, size)))
        }
        Paging::From { offset, size } => Some((page_limit(size, false), Slot::Name(offset))),
    }
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
        Options {
            dialect,
            names: names.into(),
            is_safe: true,
            is_procedure: false,
            paging,
            is_governed: false,
        }
    }

    fn binds(ids: &[i64]) -> Vec<Bind> {
        let text = |t: &str| Bind::Text(t.into());
        let ids = ids.iter().map(|n| Bind::Int(*n)).collect();
        vec![text("a"), text("b"), Bind::Null, Bind::Int(3), Bind::Int(50), Bind::Array(ids)]
    }

    fn sql(text: &str, dialect: Dialect, paging: Paging, ids: &[i64]) -> (String, Vec<Bind>) {
        let statement = build(text, &options(dialect, paging), None).unwrap();
        let names = binds(ids);
        let (sql, binds) =
            statement.query.bind(&Values { names: &names, rendered: &[], grants: &[] });
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
            build(SEED, &options(Dialect::Sqlite, Paging::Own { count: true }), None).unwrap();
        let names = binds(&[]);
        let (count, values) =
            statement.count.unwrap().bind(&Values { names: &names, rendered: &[], grants: &[] });
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
        assert_eq!(text, "SELECT a FROM t LIMIT ? OFFSET ?");
        let (text, _) = sql("SELECT a FROM t LIMIT :page", Dialect::MySql, added, &[]);
        assert_eq!(text, "SELECT * FROM (SELECT a FROM t LIMIT ?\n) AS paged\nLIMIT ? OFFSET ?");
    }

    #[test]
    fn pages_lie_inside_the_limit_that_the_query_has() {
        let added = Paging::Added { page: 3, size: 4, count: true };
        for (query, expected) in [
            ("SELECT a FROM t ORDER BY a LIMIT 500", [50, 100]),
            ("SELECT a FROM t ORDER BY a LIMIT 120", [20, 100]),
            ("SELECT a FROM t ORDER BY a LIMIT 90", [0, 100]),
            ("SELECT a FROM t ORDER BY a LIMIT 120 OFFSET 7", [20, 107]),
            ("SELECT a FROM t ORDER BY a LIMIT 7, 120", [20, 107]),
        ] {
            let (text, values) = sql(query, Dialect::MySql, added, &[]);
            assert_eq!(text, "SELECT a FROM t ORDER BY a LIMIT ? OFFSET ?");
            assert_eq!(values, expected.map(Bind::Int), "{query}");
        }
    }

    #[test]
    fn what_is_rewritten_stays_what_it_was() {
        let own = Paging::Own { count: true };
        let query = "SELECT a FROM t WHERE a > - -1 AND b = :storeId LIMIT :pageSize OFFSET (:page - 1) * 2";
        let (text, _) = sql(query, Dialect::Sqlite, own, &[]);
        assert_eq!(text, "SELECT a FROM t WHERE a > -(-1) AND b = ?1 LIMIT ?2 OFFSET ?3");
        let query = "SELECT id FROM t WHERE b IS :storeId AND c IS NOT 'x' AND d IS NOT NULL LIMIT (:page - 1)";
        let (text, _) = sql(query, Dialect::Sqlite, own, &[]);
        assert_eq!(
            text,
            "SELECT id FROM t WHERE b IS NOT DISTINCT FROM ?1 AND c IS DISTINCT FROM 'x' AND d IS NOT NULL LIMIT ?2"
        );
        let query = "SELECT a MOD 2, mod(a, 2), `mod` FROM t WHERE a = 1 LIMIT (:page - 1)";
        let (text, _) = sql(query, Dialect::MySql, own, &[]);
        assert_eq!(text, "SELECT a % 2, mod(a, 2), `mod` FROM t WHERE a = 1 LIMIT ?");
    }

    #[test]
    fn a_count_reads_no_columns_but_those_that_matter() {
        let added = Paging::Added { page: 3, size: 4, count: true };
        for (query, expected) in [
            (
                "SELECT * FROM t JOIN u ON t.a = u.a ORDER BY 1",
                "SELECT 1 AS counted_0 FROM t JOIN u ON t.a = u.a",
            ),
            ("SELECT a, b AS c, COUNT(*) FROM t", "SELECT COUNT(*) AS counted_0 FROM t"),
            ("SELECT a, f(b) FROM t LIMIT 9", "SELECT f(b) AS counted_0 FROM t LIMIT 9"),
            (
                "SELECT DISTINCT a.x, b.x FROM a, b",
                "SELECT DISTINCT a.x, b.x AS counted_1 FROM a, b",
            ),
            (
                "SELECT a.x, b.X FROM a, b GROUP BY 1, 2",
                "SELECT a.x, b.X AS counted_1 FROM a, b GROUP BY 1, 2",
            ),
            ("SELECT a FROM t UNION SELECT b FROM u", "SELECT a FROM t UNION SELECT b FROM u"),
        ] {
            let statement = build(query, &options(Dialect::MySql, added), None).unwrap();
            let (text, _) =
                statement.count.unwrap().bind(&Values { names: &[], rendered: &[], grants: &[] });
            assert_eq!(*text, format!("SELECT COUNT(*) AS total FROM ({expected}\n) AS counted"));
        }
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
            None,
        );
        let names = binds(&[7, 8]);
        let (text, _) =
            statement.unwrap().query.bind(&Values { names: &names, rendered: &[], grants: &[] });
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
            "SELECT \"pg_sleep\"(1)",
            "SELECT a FROM t WHERE a = 1 ORDER BY pg_catalog.Pg_Sleep_For('1s')",
            "SELECT pg_stat_reset()",
            "VALUES (pg_sleep(1))",
            "SELECT a FROM t WHERE b = pg_read_file('x')",
            "SELECT * FROM dblink('x', 'y') AS t(a int)",
            "CALL p(1)",
        ];
        for text in refused {
            let error = build(text, &options(Dialect::Postgres, Paging::None), None).unwrap_err();
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
            "SELECT a FROM (SELECT a FROM t WHERE a = 1) AS x CROSS JOIN u",
            "SELECT a FROM (SELECT a FROM t WHERE a = 1) AS x RIGHT JOIN u ON u.a = x.a",
            "SELECT a FROM (SELECT a FROM t WHERE a = 1) AS x JOIN u ON 1 = 1",
            "SELECT a FROM t EXCEPT SELECT a FROM u WHERE a = 1",
        ];
        for text in whole {
            let error = build(text, &options(Dialect::Postgres, Paging::None), None).unwrap_err();
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
            "SELECT a FROM (SELECT a FROM t WHERE a = 1) AS x JOIN u ON u.a = x.a",
            "SELECT a FROM (SELECT a FROM t WHERE a = 1) AS x LEFT JOIN u USING (a)",
            "SELECT a FROM t INTERSECT SELECT a FROM u WHERE a = 1",
            "SELECT a FROM t WHERE a = 1 EXCEPT SELECT a FROM u",
        ];
        for text in fine {
            let built = build(text, &options(Dialect::Postgres, Paging::None), None);
            assert!(built.is_ok(), "{text}: {built:?}");
        }
    }
}
