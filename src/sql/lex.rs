//! Cuts statement text into fixed pieces and bound places, knowing strings, comments and quoting of each dialect.

use super::dialect::Dialect;

/// Stands around the number of a rendered value (`{{ }}`) in rendered template text: `␁7␁`, for an array `␁7a␁`. No
/// template may contain it.
pub const MARK: char = '\u{1}';

/// A piece of a statement's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// `:name`, with the byte offset of the colon.
    Name(&'a str, usize),
    /// The value that a `{{ }}` left at this place, and whether it is an array.
    Rendered(usize, bool),
}

/// Why text cannot be cut. Offsets are bytes into the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    #[error("a {what} is never closed")]
    Unclosed { what: &'static str, offset: usize },
    #[error("more than one statement")]
    SecondStatement { offset: usize },
    #[error("a value stands inside a {what}")]
    ValueInside { what: &'static str, offset: usize },
    #[error("`{text}` is a driver's placeholder")]
    RawPlaceholder { text: String, offset: usize },
    #[error("a comment that the server would run")]
    ExecutableComment { offset: usize },
}

impl LexError {
    /// Where in the text, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::Unclosed { offset, .. }
            | Self::SecondStatement { offset }
            | Self::ValueInside { offset, .. }
            | Self::RawPlaceholder { offset, .. }
            | Self::ExecutableComment { offset } => *offset,
        }
    }
}

/// Cuts `text` into pieces; a `;` at the end is dropped.
///
/// # Errors
/// Where something is not closed, a second statement follows, a value stands inside a string or comment, or the text
/// has placeholders of a driver.
pub fn cut(text: &str, dialect: Dialect) -> Result<Vec<Piece<'_>>, LexError> {
    let mut lexer = Lexer { text, dialect, at: 0, from: 0, pieces: Vec::new() };
    lexer.run()?;
    Ok(lexer.pieces)
}

struct Lexer<'a> {
    text: &'a str,
    dialect: Dialect,
    /// Next byte to look at.
    at: usize,
    /// Where the current fixed piece began.
    from: usize,
    pieces: Vec<Piece<'a>>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), LexError> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\'' => self.quoted(b'\'', self.has_backslash_escapes(), "quoted string")?,
                b'"' => {
                    let escapes = self.dialect == Dialect::MySql;
                    self.quoted(b'"', escapes, "quoted name")?;
                }
                b'`' if self.dialect != Dialect::Postgres => {
                    self.quoted(b'`', false, "quoted name")?;
                }
                b'[' if self.dialect == Dialect::Sqlite => self.until("]", "quoted name")?,
                b'-' if self.starts_line_comment() => self.line_comment()?,
                b'#' if self.dialect == Dialect::MySql => self.line_comment()?,
                b'/' if self.byte(1) == Some(b'*') => self.block_comment()?,
                b'$' if self.dialect == Dialect::Postgres => self.dollar()?,
                b':' => self.colon(),
                b'?' if self.dialect != Dialect::Postgres => {
                    return Err(LexError::RawPlaceholder { text: "?".into(), offset: self.at });
                }
                b';' => return self.end(),
                1 => self.mark(),
                _ => self.at += 1,
            }
        }
        self.fixed_until(self.at);
        Ok(())
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn before(&self, back: usize) -> Option<u8> {
        self.at.checked_sub(back).and_then(|i| self.text.as_bytes().get(i).copied())
    }

    fn fixed_until(&mut self, end: usize) {
        if self.from < end {
            self.pieces.push(Piece::Text(&self.text[self.from..end]));
        }
        self.from = end;
    }

    /// MySQL strings always know backslashes, PostgreSQL's only as `E'…'`.
    fn has_backslash_escapes(&self) -> bool {
        match self.dialect {
            Dialect::MySql => true,
            Dialect::Sqlite => false,
            Dialect::Postgres => {
                matches!(self.before(1), Some(b'e' | b'E')) && !self.before(2).is_some_and(is_word)
            }
        }
    }

    fn quoted(&mut self, quote: u8, escapes: bool, what: &'static str) -> Result<(), LexError> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            if byte == 1 {
                return Err(LexError::ValueInside { what, offset: self.at });
            }
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == quote {
                if self.byte(0) != Some(quote) {
                    return Ok(());
                }
                self.at += 1;
            }
        }
        Err(LexError::Unclosed { what, offset: start })
    }

    fn until(&mut self, end: &str, what: &'static str) -> Result<(), LexError> {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find(end).ok_or(LexError::Unclosed { what, offset: start })?;
        self.no_mark_in(start, start + length, what)?;
        self.at = start + length + end.len();
        Ok(())
    }

    fn no_mark_in(&self, from: usize, to: usize, what: &'static str) -> Result<(), LexError> {
        match self.text[from..to].find(MARK) {
            Some(i) => Err(LexError::ValueInside { what, offset: from + i }),
            None => Ok(()),
        }
    }

    /// MySQL wants white space after the two dashes.
    fn starts_line_comment(&self) -> bool {
        self.byte(1) == Some(b'-')
            && (self.dialect != Dialect::MySql
                || self.byte(2).is_none_or(|b| b.is_ascii_whitespace() || b.is_ascii_control()))
    }

    fn line_comment(&mut self) -> Result<(), LexError> {
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |i| self.at + i);
        self.no_mark_in(self.at, end, "comment")?;
        self.at = end;
        Ok(())
    }

    /// PostgreSQL's block comments nest; MySQL runs what stands in `/*! … */`.
    fn block_comment(&mut self) -> Result<(), LexError> {
        let start = self.at;
        if self.dialect == Dialect::MySql && matches!(self.byte(2), Some(b'!' | b'M' | b'+')) {
            return Err(LexError::ExecutableComment { offset: start });
        }
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            let rest = &self.text.as_bytes()[self.at..];
            if rest.starts_with(b"/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return self.no_mark_in(start, self.at, "comment");
                }
            } else {
                self.at += 1;
            }
        }
        Err(LexError::Unclosed { what: "comment", offset: start })
    }

    /// `$1` is a placeholder, `$tag$ … $tag$` a string, `a$b` a name.
    fn dollar(&mut self) -> Result<(), LexError> {
        if self.before(1).is_some_and(is_word) {
            self.at += 1;
            return Ok(());
        }
        let start = self.at;
        let rest = &self.text[start + 1..];
        let tag = rest.bytes().take_while(|b| is_word(*b)).count();
        if rest.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            let text = format!("${}", &rest[..tag]);
            return Err(LexError::RawPlaceholder { text, offset: start });
        }
        if rest.as_bytes().get(tag) != Some(&b'$') {
            self.at += 1;
            return Ok(());
        }
        let fence = &self.text[start..start + tag + 2];
        self.at = start + fence.len();
        self.until(fence, "quoted string")
    }

    /// `::` casts and `:=` assigns; `:name` is a bound place.
    fn colon(&mut self) {
        let start = self.at;
        self.at += 1;
        match self.byte(0) {
            Some(b':' | b'=') => self.at += 1,
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
                self.fixed_until(start);
                let length = self.text[self.at..].bytes().take_while(|b| is_word(*b)).count();
                self.pieces.push(Piece::Name(&self.text[self.at..self.at + length], start));
                self.at += length;
                self.from = self.at;
            }
            _ => {}
        }
    }

    fn mark(&mut self) {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let Some(length) = rest.find(MARK) else {
            self.at += 1;
            return;
        };
        let (digits, is_array) = match rest[..length].strip_suffix('a') {
            Some(digits) => (digits, true),
            None => (&rest[..length], false),
        };
        if let Ok(number) = digits.parse() {
            self.fixed_until(start);
            self.pieces.push(Piece::Rendered(number, is_array));
            self.from = start + length + 2;
        }
        self.at = start + length + 2;
    }

    /// After a `;` only white space and comments may follow.
    fn end(&mut self) -> Result<(), LexError> {
        self.fixed_until(self.at);
        let offset = self.at;
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'-' if self.starts_line_comment() => self.line_comment()?,
                b'#' if self.dialect == Dialect::MySql => self.line_comment()?,
                b'/' if self.byte(1) == Some(b'*') => self.block_comment()?,
                b';' => self.at += 1,
                b if b.is_ascii_whitespace() => self.at += 1,
                _ => return Err(LexError::SecondStatement { offset }),
            }
        }
        Ok(())
    }
}

/// Bytes that can stand in a name; those above ASCII count, so that `名字` is one word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, dialect: Dialect) -> Vec<String> {
        cut(text, dialect)
            .unwrap()
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Name(name, _) => Some(name.to_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn names_are_found_outside_strings_comments_and_casts() {
        let text = r#"SELECT ':a', ":b", x::int, /* :c */ :d -- :e
            FROM t WHERE y = :f AND z = 'it''s :g'"#;
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            assert_eq!(names(text, dialect), ["d", "f"], "{dialect:?}");
        }
        assert_eq!(
            names("SELECT $$ :a $$, $x$ ' $x$, :b, E'\\' :c', :d", Dialect::Postgres),
            ["b", "d"]
        );
        assert_eq!(names("SELECT '\\' :a', `:b`, :c # :d", Dialect::MySql), ["c"]);
        assert_eq!(names("SELECT 'a\\', [:b], :c", Dialect::Sqlite), ["c"]);
        assert_eq!(names("SELECT /* /* :a */ :b */ :c", Dialect::Postgres), ["c"]);
    }

    #[test]
    fn one_statement_only() {
        assert!(cut("SELECT 1; -- done\n", Dialect::Postgres).is_ok());
        let second = cut("SELECT 1; DROP TABLE t", Dialect::Postgres);
        assert_eq!(second, Err(LexError::SecondStatement { offset: 8 }));
        assert!(matches!(
            cut("SELECT 1; SELECT 2", Dialect::Sqlite),
            Err(LexError::SecondStatement { .. })
        ));
    }

    #[test]
    fn values_inside_strings_are_refused() {
        for text in [
            "SELECT '\u{1}0\u{1}'",
            "SELECT 1 -- \u{1}0\u{1}",
            "SELECT \"a\u{1}0\u{1}\"",
            "/* \u{1}0\u{1} */",
        ] {
            assert!(
                matches!(cut(text, Dialect::Postgres), Err(LexError::ValueInside { .. })),
                "{text:?}"
            );
        }
        let pieces = cut("a = \u{1}12\u{1}", Dialect::Postgres).unwrap();
        assert_eq!(pieces, [Piece::Text("a = "), Piece::Rendered(12, false)]);
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        for text in ["SELECT 'a", "SELECT /* a", "SELECT $x$ a $y$", "SELECT \"a"] {
            assert!(
                matches!(cut(text, Dialect::Postgres), Err(LexError::Unclosed { .. })),
                "{text:?}"
            );
        }
    }
}
