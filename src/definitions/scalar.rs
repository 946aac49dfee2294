//! Where a part of a scalar's value stands in its file, whatever style the scalar is written in.

use std::iter::Peekable;
use std::str::Chars;

/// Line and column, from 1, of the byte `offset` of `value`, whose scalar begins at `start` of `text`; of white space, of
/// what follows it. `None` where another text stands there, such as at an alias.
pub fn locate(text: &str, start: (u32, u32), value: &str, offset: usize) -> Option<(u32, u32)> {
    let mut cursor = Cursor::at(text, start)?;
    let style = cursor.style()?;
    // White space is folded, cut and joined in many ways; what lies between it is not.
    for (at, wanted) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let (place, found) = cursor.next_solid(style)?;
        if found != wanted {
            return None;
        }
        if at >= offset {
            return Some(place);
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Plain, literal and folded: every character stands for itself.
    Bare,
    Single,
    Double,
}

struct Cursor<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    fn at(text: &'a str, (line, column): (u32, u32)) -> Option<Self> {
        let skipped = usize::try_from(line).ok()?.checked_sub(1)?;
        let from = text.split_inclusive('\n').take(skipped).map(str::len).sum();
        let mut cursor = Self { rest: text[from..].chars().peekable(), line, column: 1 };
        while cursor.column < column {
            cursor.next()?;
        }
        Some(cursor)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    /// Goes past tag, anchor and what opens the scalar.
    fn style(&mut self) -> Option<Style> {
        while matches!(self.rest.peek()?, '&' | '!') {
            while !self.rest.peek()?.is_whitespace() {
                self.next();
            }
            while self.rest.peek()?.is_whitespace() {
                self.next();
            }
        }
        match self.rest.peek()? {
            '|' | '>' => {
                while self.next()? != '\n' {}
                Some(Style::Bare)
            }
            '\'' => self.next().map(|_| Style::Single),
            '"' => self.next().map(|_| Style::Double),
            _ => Some(Style::Bare),
        }
    }

    /// The next character of the value that is not white space, and its place.
    fn next_solid(&mut self, style: Style) -> Option<((u32, u32), char)> {
        loop {
            let place = (self.line, self.column);
            let c = match (self.next()?, style) {
                ('\'', Style::Single) => self.next()?,
                ('\\', Style::Double) => self.escaped()?,
                (c, _) => c,
            };
            if !c.is_whitespace() {
                return Some((place, c));
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let digits = match self.next()? {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'n' | 'r' | 't' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' => return Some(' '),
            '0' => return Some('\0'),
            'a' => return Some('\u{7}'),
            'b' => return Some('\u{8}'),
            'e' => return Some('\u{1b}'),
            other => return Some(other),
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + self.next()?.to_digit(16)?;
        }
        char::from_u32(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::document::parse;

    type Found = Option<(u32, u32)>;

    /// Where the letter `@` of the value of `sql` stands, and where it should.
    fn both(text: &str) -> (Found, Found) {
        let (documents, problems) = parse("a.yaml", text);
        assert!(problems.is_empty(), "{text}: {problems:?}");
        let place = documents[0].place("/sql");
        let value = documents[0].root.get("sql").unwrap().as_str().unwrap();
        let found = locate(text, (place.line, place.column), value, value.find('@').unwrap());
        let (before, _) = text.split_once('@').unwrap();
        let line = u32::try_from(before.matches('\n').count()).unwrap() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count();
        (found, Some((line, u32::try_from(column).unwrap() + 1)))
    }

    #[test]
    fn every_style_of_a_scalar_is_followed() {
        for text in [
            "sql: SELECT @",
            "sql: SELECT\n  a\n  @ b",
            "名: 1\nsql: 选 @",
            "sql: |\n  SELECT a\n    @",
            "sql: |2 # why\n    SELECT\n  @\n",
            "sql: >-\n  SELECT\n\n  a, @\n",
            "x: 1\nsql: &anchor |\n\n  SELECT\n  @\n",
            "sql: 'it''s @'",
            "sql: \"a\\n\\t\\u0062 \\\"c\\\" \\\n  @\"",
            "{a: 1, sql: \"x @\", b: 2}",
        ] {
            let (found, expected) = both(text);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn another_text_is_not_taken_for_the_value() {
        let (found, _) = both("x: &sql |\n  a @\nsql: *sql\n");
        assert_eq!(found, None);
        assert_eq!(locate("sql: abc", (9, 1), "abc", 0), None);
        assert_eq!(locate("sql: abc", (1, 60), "abc", 0), None);
    }
}
