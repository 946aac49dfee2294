//! Parses statements in each dialect, and says in plain words where one does not parse.

use std::sync::LazyLock;

use regex::Regex;
use sqlparser::ast::Statement as Ast;
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserOptions};

use super::dialect::Dialect;

/// How deep SQL may nest.
const MAX_SQL_DEPTH: usize = 64;

/// Parses one statement.
///
/// # Errors
/// Where the parser does not take it, or there is not exactly one.
pub fn parse(text: &str, dialect: Dialect) -> Result<Ast, Reason> {
    let grammar: &dyn Grammar = match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
    };
    let mut statements = Parser::new(grammar)
        .with_recursion_limit(MAX_SQL_DEPTH)
        .with_options(ParserOptions::new().with_trailing_commas(false))
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| Reason::new(&error.to_string()))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(Reason::new("there is no statement")),
        _ => Err(Reason::new("there is more than one statement")),
    }
}

/// Why the parser does not take a text.
pub struct Reason {
    pub text: String,
    /// Line and column in what was parsed.
    pub at: Option<(usize, usize)>,
}

impl Reason {
    /// Takes `Expected: x, found: y at Line: 1, Column: 10` apart.
    fn new(error: &str) -> Self {
        let error = error.trim_start_matches("sql parser error: ");
        let (text, at) = match error.rsplit_once(" at Line: ") {
            Some((text, at)) => (text, at.split_once(", Column: ")),
            None => (error, None),
        };
        let found = text.strip_prefix("Expected").and_then(|rest| rest.split_once(", found: "));
        let found = found.map(|(wanted, found)| (wanted.trim_start_matches([':', ' ']), found));
        let text = match found {
            Some((wanted, "EOF")) => format!("expected {wanted}, found the end"),
            Some((wanted, found)) => format!("expected {wanted}, found `{found}`"),
            None => text.to_owned(),
        };
        let at = at.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
        Self { text, at }
    }

    /// Where that is in the text as written: the parser reads its names as well as ours, so it is asked again.
    pub fn offset(&self, text: &str, dialect: Dialect) -> Option<usize> {
        static MARKED: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("\u{1}([0-9]+a?)\u{1}").expect("a constant pattern that compiles")
        });
        // As long as before, so that places stay.
        let plain = MARKED.replace_all(text, ":t$1");
        let again = parse(&plain, dialect).err().filter(|again| again.text == self.text)?;
        let Some((line, column)) = again.at else {
            return text.char_indices().rfind(|(_, c)| !c.is_whitespace()).map(|(at, _)| at);
        };
        let before: usize =
            text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let within =
            text[before..].char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at);
        Some(before + within)
    }
}

/// The first place of a pattern, whatever its case; not inside a word.
pub fn find(text: &str, pattern: &str) -> Option<usize> {
    let anchored = format!(r"(?i)(?:\b|^|\W){pattern}");
    let found = Regex::new(&anchored).ok()?.find(text)?;
    let inner = Regex::new(&format!("(?i){pattern}")).ok()?.find(found.as_str())?;
    Some(found.start() + inner.start())
}
