//! Cuts statement text into fixed pieces and bound places, knowing strings, comments and quoting of each dialect.

use std::ops::Range;

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
    #[error("{what}: databases and parsers do not read it in the same way")]
    Ambiguous { what: &'static str, offset: usize },
}

impl LexError {
    /// Where in the text, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::Unclosed { offset, .. }
            | Self::SecondStatement { offset }
            | Self::ValueInside { offset, .. }
            | Self::RawPlaceholder { offset, .. }
            | Self::ExecutableComment { offset }
            | Self::Ambiguous { offset, .. } => *offset,
        }
    }
}

/// Cuts `text` into pieces; a `;` at the end is dropped.
///
/// # Errors
/// Where something is not closed, a second statement follows, a value stands inside a string or comment, or the text
/// has placeholders of a driver.
pub fn cut(text: &str, dialect: Dialect) -> Result<Vec<Piece<'_>>, LexError> {
    Ok(lex(text, dialect)?.pieces)
}

/// The text with each comment as white space and nothing but a digit or letter within quotes: what no reader can take
/// apart in another way.
///
/// # Errors
/// Those of [`cut`].
pub fn outline(text: &str, dialect: Dialect) -> Result<String, LexError> {
    let lexer = lex(text, dialect)?;
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (inside, stand_in) in lexer.closed {
        out.push_str(&text[from..inside.start]);
        out.push_str(stand_in);
        from = inside.end;
    }
    out.push_str(&text[from..]);
    Ok(out)
}

fn lex(text: &str, dialect: Dialect) -> Result<Lexer<'_>, LexError> {
    if let Some(offset) = text.find('\0') {
        return Err(LexError::Ambiguous { what: "a NUL", offset });
    }
    let (pieces, closed) = (Vec::new(), Vec::new());
    let mut lexer = Lexer { text, dialect, at: 0, from: 0, pieces, closed };
    lexer.run()?;
    Ok(lexer)
}

struct Lexer<'a> {
    text: &'a str,
    dialect: Dialect,
    /// Next byte to look at.
    at: usize,
    /// Where the current fixed piece began.
    from: usize,
    pieces: Vec<Piece<'a>>,
    /// What stands within quotes, and whole comments; with what may stand there instead.
    closed: Vec<(Range<usize>, &'static str)>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), LexError> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\'' => self.string()?,
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
                b':' => self.colon()?,
                b'?' if self.dialect != Dialect::Postgres => return Err(self.placeholder("?")),
                b'@' if self.dialect == Dialect::Sqlite => return Err(self.placeholder("@")),
                b'$' if self.dialect == Dialect::Sqlite && !self.is_in_word() => {
                    return Err(self.placeholder("$"));
                }
                b';' => return self.end(),
                1 => self.mark(),
                _ => self.plain()?,
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

    fn is_in_word(&self) -> bool {
        self.before(1).is_some_and(is_word)
    }

    fn placeholder(&self, text: &str) -> LexError {
        LexError::RawPlaceholder { text: text.into(), offset: self.at }
    }

    /// A character outside of quotes and comments.
    fn plain(&mut self) -> Result<(), LexError> {
        let c = self.text[self.at..].chars().next().unwrap_or_default();
        if is_odd(c) {
            let what = "a character that only looks like white space or a quote";
            return Err(LexError::Ambiguous { what, offset: self.at });
        }
        self.at += c.len_utf8();
        Ok(())
    }

    fn string(&mut self) -> Result<(), LexError> {
        let escapes = self.has_backslash_escapes();
        self.quoted(b'\'', escapes, "quoted string")?;
        // PostgreSQL takes a string on a line below for a part of this one, backslashes and all.
        if escapes && self.dialect == Dialect::Postgres && self.is_string_next() {
            let what = "an `E'…'` string that goes on in another one";
            return Err(LexError::Ambiguous { what, offset: self.at });
        }
        Ok(())
    }

    /// Whether nothing but white space and line comments stands before the next quote.
    fn is_string_next(&self) -> bool {
        let mut rest = self.text[self.at..].trim_start();
        while let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, below)| below.trim_start());
        }
        rest.starts_with('\'')
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
                    self.closed.push((start + 1..self.at - 1, stand_in(what)));
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
        // The fence of `$$ … $$` is behind us, the bracket of `[ … ]` is not.
        let inside = start + usize::from(self.byte(0) == Some(b'[') && end == "]");
        self.closed.push((inside..start + length, stand_in(what)));
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
        // PostgreSQL's comment ends there, others' does not.
        let ending = self.text[self.at..end].trim_end_matches('\r');
        if let Some(i) = ending.find('\r') {
            let what = "a carriage return inside of a comment";
            return Err(LexError::Ambiguous { what, offset: self.at + i });
        }
        self.closed.push((self.at..end, " "));
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
                    self.closed.push((start..self.at, " "));
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
        if self.is_in_word() {
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
    fn colon(&mut self) -> Result<(), LexError> {
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
            Some(b) if self.dialect == Dialect::Sqlite && is_word(b) => {
                return Err(LexError::RawPlaceholder { text: ":".into(), offset: start });
            }
            _ => {}
        }
        Ok(())
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

/// What may stand within such quotes.
fn stand_in(what: &str) -> &'static str {
    if what == "quoted string" { "0" } else { "q" }
}

/// White space, quotes and invisible characters that are none to a database; outside of quotes nobody means them.
fn is_odd(c: char) -> bool {
    let is_space = c.is_whitespace() && !matches!(c, ' ' | '\t' | '\n' | '\r');
    let is_invisible = matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}');
    let is_quote = matches!(c, '´' | '‘'..='‟' | '′'..='‷' | '‹' | '›' | '«' | '»' | 'ʹ'..='˟' | '＂' | '＇' | '｀');
    is_space || c.is_control() && !matches!(c, '\t' | '\n' | '\r') || is_invisible || is_quote
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
