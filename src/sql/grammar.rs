//! Parses statements in each dialect, and says in plain words where one does not parse.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use regex::Regex;
use sqlparser::ast::{
    Expr, Query, SetExpr, Statement as Ast, Value, Visit, VisitMut, Visitor, visit_expressions_mut,
};
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::Dialect;
use super::lex;

/// How deep SQL may nest in brackets.
const MAX_SQL_DEPTH: usize = 64;
/// How deep the tree of a statement may be: a chain such as `a OR b OR …` is as deep as it is long.
const MAX_TREE_DEPTH: usize = 1_000;
/// Operators of a statement, so that no tree is too deep to be looked at.
const MAX_OPERATORS: usize = 20_000;
/// Stack on which statements are parsed and written anew, which recurses into them.
pub const STACK_BYTES: usize = 64 << 20;

/// Does `work` on a stack that is large enough for any statement that is let through.
pub fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, work)
}

/// Parses one statement.
///
/// # Errors
/// Where the parser does not take it, or there is not exactly one.
pub fn parse(text: &str, dialect: Dialect) -> Result<Ast, Reason> {
    let mut statements = parser(text, dialect)?
        .parse_statements()
        .map_err(|error| Reason::new(&error.to_string()))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(mut statement), true) => {
            check_depth(&statement)?;
            keep_signs_apart(&mut statement);
            Ok(statement)
        }
        (None, _) => Err(Reason::new("there is no statement")),
        _ => Err(Reason::new("there is more than one statement")),
    }
}

/// Parses one expression.
///
/// # Errors
/// Where the parser does not take it, or something follows it.
pub fn parse_expr(text: &str, dialect: Dialect) -> Result<Expr, Reason> {
    let mut parser = parser(text, dialect)?;
    let mut expr = parser.parse_expr().map_err(|error| Reason::new(&error.to_string()))?;
    match parser.next_token().token {
        Token::EOF => {
            check_depth(&expr)?;
            keep_signs_apart(&mut expr);
            Ok(expr)
        }
        next => Err(Reason::new(&format!("`{next}` follows the expression"))),
    }
}

/// A statement in lines, for people; as it is where the parser does not take it. It may hold placeholders of drivers.
pub fn pretty(text: &str, dialect: Dialect) -> String {
    with_stack(|| pretty_here(text, dialect))
}

fn pretty_here(text: &str, dialect: Dialect) -> String {
    let grammar = grammar(dialect);
    let Ok(mut tokens) = Tokenizer::new(grammar, text).tokenize_with_location() else {
        return text.to_owned();
    };
    translate(&mut tokens, dialect);
    let parser = Parser::new(grammar).with_recursion_limit(MAX_SQL_DEPTH);
    match parser.with_tokens_with_locations(tokens).parse_statements().as_deref() {
        Ok([statement]) => format!("{statement:#}"),
        _ => text.to_owned(),
    }
}

fn parser(text: &str, dialect: Dialect) -> Result<Parser<'static>, Reason> {
    let grammar = grammar(dialect);
    let mut tokens = Tokenizer::new(grammar, text)
        .tokenize_with_location()
        .map_err(|error| Reason::new(&error.to_string()))?;
    if let Some(at) = tokens.windows(3).find(|three| is_escaped_name(three)) {
        let text = "names with Unicode escapes (`U&\"…\"`) are not supported".to_owned();
        let start = at[0].span.start;
        let at = usize::try_from(start.line).ok().zip(usize::try_from(start.column).ok());
        return Err(Reason { text, at });
    }
    if !is_read_alike(&tokens, text, dialect) {
        let text = "its quotes and comments can be read in two ways";
        return Err(Reason::new(text));
    }
    if tokens.iter().filter(|token| is_operator(&token.token)).count() > MAX_OPERATORS {
        return Err(Reason::new(&format!("it has more than {MAX_OPERATORS} operators")));
    }
    translate(&mut tokens, dialect);
    Ok(Parser::new(grammar)
        .with_recursion_limit(MAX_SQL_DEPTH)
        .with_options(ParserOptions::new().with_trailing_commas(false))
        .with_tokens_with_locations(tokens))
}

/// What makes a chain: the words and signs between two of the same.
fn is_operator(token: &Token) -> bool {
    const WORDS: [Keyword; 9] = [
        Keyword::AND,
        Keyword::OR,
        Keyword::XOR,
        Keyword::NOT,
        Keyword::UNION,
        Keyword::EXCEPT,
        Keyword::INTERSECT,
        Keyword::IS,
        Keyword::COLLATE,
    ];
    match token {
        Token::Word(word) => word.quote_style.is_none() && WORDS.contains(&word.keyword),
        Token::Comma
        | Token::Period
        | Token::Colon
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::Number(..)
        | Token::Whitespace(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_) => false,
        _ => true,
    }
}

fn check_depth(tree: &impl Visit) -> Result<(), Reason> {
    if tree.visit(&mut Depth::default()).is_continue() {
        return Ok(());
    }
    Err(Reason::new(&format!("it is more than {MAX_TREE_DEPTH} operators or queries deep")))
}

/// Counts how deep a tree is; breaks where it is too deep.
#[derive(Default)]
struct Depth(usize);

impl Depth {
    fn enter(&mut self, levels: usize) -> ControlFlow<()> {
        self.0 += levels;
        if self.0 > MAX_TREE_DEPTH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.enter(set_operations(&query.body))
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0 -= set_operations(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.enter(1)
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}

/// How long a chain of UNION and the like is, itself among it.
fn set_operations(mut body: &SetExpr) -> usize {
    let mut count = 1;
    while let SetExpr::SetOperation { left, .. } = body {
        count += 1;
        body = left;
    }
    count
}

fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
    }
}

/// Whether the parser sees strings, names and comments where the database does. Our own lexer follows the database; what
/// it leaves of the text holds no quotes that could be taken in two ways, and must give the same tokens.
fn is_read_alike(tokens: &[TokenWithSpan], text: &str, dialect: Dialect) -> bool {
    let Ok(outline) = lex::outline(text, dialect) else { return false };
    let Ok(plain) = Tokenizer::new(grammar(dialect), &outline).tokenize() else { return false };
    let kinds = tokens.iter().filter_map(|token| kind(&token.token));
    kinds.eq(plain.iter().filter_map(kind))
}

/// The tokens of a text, without white space and comments; none where it cannot be cut.
pub fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    let mut tokens = Tokenizer::new(grammar(dialect), text).tokenize().unwrap_or_default();
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    tokens
}

/// What a token is, whatever stands within its quotes; `None`: it separates others.
fn kind(token: &Token) -> Option<String> {
    match token {
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_some() => Some("name".to_owned()),
        Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_) => Some("string".to_owned()),
        // Between blanks, so that it is no name's kind.
        other => Some(format!(" {other} ")),
    }
}

/// The text of a query; `None` where the parser would not read the same in it, since it writes some things wrongly.
pub fn print(query: &Query, dialect: Dialect) -> Option<String> {
    let text = query.to_string();
    match parse(&text, dialect) {
        Ok(Ast::Query(again)) if *again == *query => Some(text),
        _ => None,
    }
}

/// `- -1` is written `--1` otherwise, which is a comment.
fn keep_signs_apart(node: &mut impl VisitMut) {
    let _ = visit_expressions_mut(node, |expr| {
        if let Expr::UnaryOp { expr: inner, .. } = expr
            && matches!(**inner, Expr::UnaryOp { .. })
        {
            let signed = std::mem::replace(&mut **inner, Expr::Value(Value::Null.into()));
            **inner = Expr::Nested(Box::new(signed));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// `U&"pg\005Fsleep"`, in which the parser reads a column `U` and an `&`, and PostgreSQL the name `pg_sleep`.
fn is_escaped_name(three: &[TokenWithSpan]) -> bool {
    matches!(
        [&three[0].token, &three[1].token, &three[2].token],
        [Token::Word(u), Token::Ampersand, Token::Word(name)]
            if u.quote_style.is_none() && u.value.eq_ignore_ascii_case("u") && name.quote_style == Some('"')
    )
}

/// Says in words that the parser knows what it does not know of a dialect: SQLite's `a IS b` and `AS MATERIALIZED`,
/// MySQL's `a MOD b`.
fn translate(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) {
    if dialect == Dialect::Postgres {
        return;
    }
    let mut at = 0;
    while at < tokens.len() {
        let (_, next) = solid(tokens, at + 1);
        match (dialect, keyword(&tokens[at].token)) {
            (Dialect::MySql, Keyword::MOD) if next != Some(&Token::LParen) => {
                tokens[at].token = Token::Mod;
            }
            (Dialect::Sqlite, Keyword::IS) => at += distinct(tokens, at),
            (Dialect::Sqlite, Keyword::MATERIALIZED) if next == Some(&Token::LParen) => {
                tokens[at].token = Token::Whitespace(Whitespace::Space);
                let before = tokens[..at].iter_mut().rev();
                let mut before = before.filter(|t| !matches!(t.token, Token::Whitespace(_)));
                if let Some(not) = before.next().filter(|t| keyword(&t.token) == Keyword::NOT) {
                    not.token = Token::Whitespace(Whitespace::Space);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Makes `IS x` of `tokens[at]` to `IS NOT DISTINCT FROM x` and `IS NOT x` to `IS DISTINCT FROM x`; how many tokens are new.
fn distinct(tokens: &mut Vec<TokenWithSpan>, at: usize) -> usize {
    const KNOWN: [Keyword; 5] =
        [Keyword::NULL, Keyword::TRUE, Keyword::FALSE, Keyword::DISTINCT, Keyword::JSON];
    let (mut end, mut next) = solid(tokens, at + 1);
    let is_negated = next.is_some_and(|token| keyword(token) == Keyword::NOT);
    if is_negated {
        (end, next) = solid(tokens, end + 1);
    }
    if next.is_none_or(|token| KNOWN.contains(&keyword(token))) {
        return 0;
    }
    let words: &[&str] =
        if is_negated { &["DISTINCT", "FROM"] } else { &["NOT", "DISTINCT", "FROM"] };
    let span = tokens[at].span;
    let spaced = words
        .iter()
        .flat_map(|word| [Token::Whitespace(Whitespace::Space), Token::make_keyword(word)]);
    let mut new: Vec<TokenWithSpan> = spaced.map(|token| TokenWithSpan::new(token, span)).collect();
    new.push(TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
    let count = new.len();
    tokens.splice(at + 1..end, new);
    count
}

/// The first token from `from` on that is no white space, and where it is.
fn solid(tokens: &[TokenWithSpan], from: usize) -> (usize, Option<&Token>) {
    let rest = tokens.get(from..).unwrap_or_default();
    let skipped = rest.iter().take_while(|t| matches!(t.token, Token::Whitespace(_))).count();
    (from + skipped, rest.get(skipped).map(|t| &t.token))
}

fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
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
