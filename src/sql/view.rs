//! What a caller sees of a table: the rules of its grants added up, cell by cell.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, ObjectName, Query, Value, Visit, Visitor};

use super::dialect::Dialect;
use super::fragment::{Fragment, Reference};
use super::mask::{self, Mask};
use super::relation::{ColumnType, Shape, is_same_column, quoted};

/// What one grant lets through of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Columns shown; `None`: all.
    pub allow: Option<Vec<String>>,
    /// Columns not shown.
    pub deny: Vec<String>,
    /// Columns shown masked.
    pub masks: Vec<(String, Mask)>,
    /// The rows shown; `None`: all.
    pub rows: Option<Fragment>,
    /// The table is named by the letter, so that a column it lacks is a mistake.
    pub is_exact: bool,
}

impl Rule {
    /// Whether everything is shown as it is.
    pub fn is_plain(&self) -> bool {
        self.has_all_columns() && self.rows.is_none()
    }

    /// Whether every column is shown as it is.
    fn has_all_columns(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty() && self.masks.is_empty()
    }

    /// How it shows a column.
    fn show(&self, column: &str, dialect: Dialect) -> Show<'_> {
        let is = |name: &String| is_same_column(name, column, dialect);
        // What hides does so whatever the case it is written in: a slip must not show what was meant to be hidden.
        let hides = |name: &String| name.to_lowercase() == column.to_lowercase();
        let is_allowed = self.allow.as_ref().is_none_or(|allow| allow.iter().any(is));
        let mask = self.masks.iter().find(|(name, _)| hides(name)).map(|(_, mask)| mask);
        if self.deny.iter().any(hides) {
            return Show::Hidden;
        }
        match mask {
            // A mask shows its column, so that it need not stand in `allow` too.
            Some(mask) => Show::Masked(mask),
            None if is_allowed => Show::Plain,
            None => Show::Hidden,
        }
    }

    /// A column that the rule names and the table does not have.
    fn stray(&self, shape: &Shape) -> Option<&String> {
        let named = self.allow.iter().flatten().chain(&self.deny);
        let mut named = named.chain(self.masks.iter().map(|(name, _)| name));
        let has = |name: &String| {
            shape.columns.iter().any(|(known, _)| known.to_lowercase() == name.to_lowercase())
        };
        named.find(|name| !has(name))
    }
}

enum Show<'a> {
    Plain,
    Masked(&'a Mask),
    Hidden,
}

/// A table as a caller sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// With its schema, quoted.
    pub table: ObjectName,
    /// The columns and what stands for each; `None`: as the table has them.
    pub columns: Option<Vec<(String, Expr)>>,
    /// The rows seen; `None`: all.
    pub rows: Option<Expr>,
    /// Columns that the table has and the caller does not see.
    pub hidden: Vec<String>,
}

impl View {
    /// Whether its filter holds queries.
    pub fn asks(&self) -> bool {
        struct Finds;
        impl Visitor for Finds {
            type Break = ();

            fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
                ControlFlow::Break(())
            }
        }
        self.rows.iter().any(|rows| rows.visit(&mut Finds).is_break())
    }

    /// What the rules show together of a table. Their references are numbered by `references`.
    ///
    /// # Errors
    /// Where a rule does not fit the table, or none is left.
    pub fn of(
        shape: &Shape,
        rules: &[&Rule],
        dialect: Dialect,
        references: &mut Vec<Reference>,
    ) -> Result<Self, String> {
        if rules.is_empty() {
            return Err(format!("nothing is granted of `{shape}`"));
        }
        for rule in rules.iter().filter(|rule| rule.is_exact) {
            if let Some(column) = rule.stray(shape) {
                return Err(format!(
                    "a grant names the column `{column}`, which `{shape}` does not have"
                ));
            }
        }
        let table = shape.quoted(dialect);
        if rules.iter().any(|rule| rule.is_plain()) {
            return Ok(Self { table, columns: None, rows: None, hidden: Vec::new() });
        }
        if shape.is_virtual {
            // Such a table answers questions about its columns (MATCH) whatever is shown of them.
            return Err(format!(
                "`{shape}` is a virtual table, which can be granted as a whole only"
            ));
        }
        let mut of = Of { shape, dialect, rules, rows: Vec::new(), references };
        of.rows = rules.iter().map(|rule| of.rows_of(rule)).collect::<Result<_, _>>()?;
        let (mut columns, mut hidden) = (Vec::new(), Vec::new());
        for (column, kind) in &shape.columns {
            match of.cell(column, *kind)? {
                Some(expr) => columns.push((column.clone(), expr)),
                None => hidden.push(column.clone()),
            }
        }
        if columns.is_empty() {
            return Err(format!("no column of `{shape}` is granted"));
        }
        let rows = of.any_row();
        hidden.extend(dialect.system_columns().iter().map(|column| (*column).to_owned()));
        // Else named one by one, since a table can have columns that `*` does not give.
        let is_whole = rules.iter().all(|rule| rule.has_all_columns());
        Ok(Self { table, columns: (!is_whole).then_some(columns), rows, hidden })
    }
}

struct Of<'a> {
    shape: &'a Shape,
    dialect: Dialect,
    rules: &'a [&'a Rule],
    /// The rows of each rule.
    rows: Vec<Option<Expr>>,
    references: &'a mut Vec<Reference>,
}

impl Of<'_> {
    fn rows_of(&mut self, rule: &Rule) -> Result<Option<Expr>, String> {
        let Some(fragment) = &rule.rows else { return Ok(None) };
        match fragment.over(self.shape, self.dialect, self.references) {
            Ok(expr) => Ok(Some(expr)),
            Err(column) => {
                Err(format!("a row filter reads `{column}`, which `{}` does not have", self.shape))
            }
        }
    }

    fn plain(&self, column: &str) -> Expr {
        let table = quoted(&self.shape.name, self.dialect);
        Expr::CompoundIdentifier(vec![table, quoted(column, self.dialect)])
    }

    /// The rows that any rule shows.
    fn any_row(&self) -> Option<Expr> {
        let all: Vec<usize> = (0..self.rules.len()).collect();
        self.rows_shown(&all)
    }

    /// The rows that any of these rules shows; `None`: all.
    fn rows_shown(&self, rules: &[usize]) -> Option<Expr> {
        let mut shown: Vec<&Expr> = Vec::new();
        for rule in rules {
            let rows = self.rows[*rule].as_ref()?;
            if !shown.contains(&rows) {
                shown.push(rows);
            }
        }
        let nested = |expr: &Expr| Expr::Nested(Box::new(expr.clone()));
        shown.into_iter().map(nested).reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::Or,
            right: Box::new(right),
        })
    }

    /// What stands for a column: as it is in rows where a rule shows it so, else masked in rows where a rule masks it, else
    /// NULL. `None`: no rule shows it.
    fn cell(&mut self, column: &str, kind: ColumnType) -> Result<Option<Expr>, String> {
        let (mut plain, mut masked) = (Vec::new(), Vec::new());
        for (i, rule) in self.rules.iter().enumerate() {
            match rule.show(column, self.dialect) {
                Show::Plain => plain.push(i),
                Show::Masked(mask) => masked.push((i, mask)),
                Show::Hidden => {}
            }
        }
        if plain.is_empty() && masked.is_empty() {
            return Ok(None);
        }
        let everywhere = |rules: &[usize]| rules.len() == self.rules.len();
        if everywhere(&plain) || (!plain.is_empty() && self.rows_shown(&plain).is_none()) {
            return Ok(Some(self.plain(column)));
        }
        let as_text =
            kind != ColumnType::Text && masked.iter().any(|(_, mask)| mask.makes_text(kind));
        let mut cases: Vec<(Option<Expr>, Expr)> = Vec::new();
        if !plain.is_empty() {
            let value = self.plain(column);
            let value = if as_text { self.text(value)? } else { value };
            cases.push((self.rows_shown(&plain), value));
        }
        let mut done = plain;
        for (rule, mask) in masked {
            done.push(rule);
            let shape = self.shape;
            let mut value =
                mask.over((column, kind), shape, self.dialect, self.references).map_err(
                    |column| format!("a mask reads `{column}`, which `{shape}` does not have"),
                )?;
            if as_text && !mask.makes_text(kind) {
                value = self.text(value)?;
            }
            let rows = self.rows[rule].clone();
            // Whoever sees the row by nothing but the rules so far sees this.
            let is_last = rows.is_none() || done.len() == self.rules.len();
            cases.push((if is_last { None } else { rows }, value));
            if is_last {
                break;
            }
        }
        Ok(Some(case(cases)))
    }

    fn text(&self, value: Expr) -> Result<Expr, String> {
        let sql = mask::text(&value.to_string(), self.dialect);
        Ok(Fragment::plain(&sql, self.dialect)?.expr)
    }
}

/// `CASE WHEN rows THEN value … ELSE value END`; without a condition the value itself.
fn case(cases: Vec<(Option<Expr>, Expr)>) -> Expr {
    let (mut conditions, mut otherwise) = (Vec::new(), None);
    for (rows, value) in cases {
        match rows {
            Some(condition) => conditions.push(CaseWhen { condition, result: value }),
            None => otherwise = Some(value),
        }
    }
    if conditions.is_empty() {
        return otherwise.unwrap_or_else(|| Expr::Value(Value::Null.into()));
    }
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: otherwise.map(Box::new),
    }
}
