//! What safe mode finds in the words of a statement, whatever the parser makes of them: a database that reads the same
//! words in another order still meets no function that is refused, no lock and nothing that writes.

use sqlparser::tokenizer::{Token, Word};

use super::Refusal;
use crate::sql::dialect::Dialect;
use crate::sql::{functions, grammar};

/// Checks the words of a statement.
///
/// # Errors
/// The first flaw found.
pub fn check(text: &str, dialect: Dialect) -> Result<(), Refusal> {
    let tokens = grammar::tokens(text, dialect);
    (0..tokens.len()).try_for_each(|at| {
        let place = Place { tokens: &tokens, at, dialect };
        match &tokens[at] {
            Token::Word(word) => place.word(word),
            // MySQL's `@x := 1` writes a variable of the session; in PostgreSQL it names an argument.
            Token::Assignment if dialect == Dialect::MySql => {
                Err(Refusal::new("`:=` changes a variable", ":="))
            }
            // It depends on the server's mode, and the parser gives it the other's precedence.
            Token::StringConcat if dialect == Dialect::MySql => Err(Refusal::new(
                "`||` is OR on one server and CONCAT on another: write the word",
                r"\|\|",
            )),
            _ => Ok(()),
        }
    })
}

/// A token among others; white space and comments are none.
struct Place<'a> {
    tokens: &'a [Token],
    at: usize,
    dialect: Dialect,
}

impl Place<'_> {
    fn before(&self, back: usize) -> Option<&Token> {
        self.at.checked_sub(back).and_then(|at| self.tokens.get(at))
    }

    fn after(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    /// Whether the unquoted words follow.
    fn is_followed_by(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| is_keyword(self.after(i + 1), word))
    }

    fn word(&self, word: &Word) -> Result<(), Refusal> {
        self.function(word)?;
        if word.quote_style.is_some() || self.before(1) == Some(&Token::Period) {
            return Ok(());
        }
        match word.value.to_ascii_uppercase().as_str() {
            "INTO" => Err(Refusal::new("`SELECT … INTO` writes", r"INTO\b")),
            "FOR"
                if [&["UPDATE"][..], &["SHARE"], &["NO", "KEY"], &["KEY", "SHARE"]]
                    .iter()
                    .any(|words| self.is_followed_by(words)) =>
            {
                Err(Refusal::lock())
            }
            "LOCK" if self.is_followed_by(&["IN"]) => Err(Refusal::lock()),
            "NEXT" | "PREVIOUS" if self.is_followed_by(&["VALUE", "FOR"]) => {
                Err(Refusal::new("a sequence is changed by being read", r"(NEXT|PREVIOUS)\s+VALUE"))
            }
            verb @ ("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE") if self.is_verb() => {
                let text = format!("`{verb}` inside the query writes");
                Err(Refusal::new(text, format!(r"{verb}\b")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a statement could begin here: in brackets, or after those of a common table expression. `REPLACE(` is a
    /// function.
    fn is_verb(&self) -> bool {
        matches!(self.before(1), None | Some(Token::LParen | Token::RParen))
            && matches!(self.after(1), Some(Token::Word(_)))
    }

    /// A function that is called: `f(…)`, and in PostgreSQL also `(…).f`, which passes what stands before.
    fn function(&self, word: &Word) -> Result<(), Refusal> {
        let is_part = self.before(1) == Some(&Token::Period);
        let is_called =
            self.after(1) == Some(&Token::LParen) || is_part && self.dialect == Dialect::Postgres;
        if !is_called {
            return Ok(());
        }
        let schema = match self.before(2) {
            Some(Token::Word(schema)) if is_part => Some(schema.value.to_ascii_lowercase()),
            _ => None,
        };
        let called = word.value.to_ascii_lowercase();
        match functions::refused::refusal(schema.as_deref(), &called, self.dialect) {
            Some(reason) => Err(Refusal::function(&called, reason)),
            None => Ok(()),
        }
    }
}

fn is_keyword(token: Option<&Token>, wanted: &str) -> bool {
    matches!(token, Some(Token::Word(word))
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}
