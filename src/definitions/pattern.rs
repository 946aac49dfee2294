//! Regular expressions of parameters: `\d` and `\w` are ASCII, as in the JSON Schema that describes them.

use regex::Regex;

/// Compiles a pattern.
///
/// # Errors
/// As the pattern is none.
pub fn compile(text: &str) -> Result<Regex, regex::Error> {
    // What is wrong is said of the text as it is written.
    Regex::new(text)?;
    Regex::new(&ascii_classes(text))
}

/// Writes `\d`, `\D`, `\w` and `\W` out; a Unicode `\d` would take digits that no database reads as numbers.
fn ascii_classes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut depth = 0_usize;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match (rest.next(), depth > 0) {
            (Some('d'), true) => out.push_str("0-9"),
            (Some('d'), false) => out.push_str("[0-9]"),
            (Some('D'), _) => out.push_str("[^0-9]"),
            (Some('w'), true) => out.push_str("0-9A-Za-z_"),
            (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
            (Some('W'), _) => out.push_str("[^0-9A-Za-z_]"),
            (Some(other), _) => {
                out.push('\\');
                out.push(other);
            }
            (None, _) => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii() {
        let matches = |pattern: &str, text: &str| compile(pattern).unwrap().is_match(text);
        for (pattern, good, bad) in [
            (r"^\d{3}$", "123", "١٢٣"),
            (r"^[\d-]+$", "1-2", "١"),
            (r"^[^\d]$", "١", "1"),
            (r"^\w+$", "a_1", "中文"),
            (r"^[\w.]+$", "a.b", "é"),
            (r"^\W$", "中", "a"),
            (r"^[\D]$", "x", "7"),
            (r"^\\d$", r"\d", "1"),
            (r"^\[\d\]$", "[1]", "1"),
            (r"^\p{Han}+$", "中文", "ab"),
        ] {
            assert!(matches(pattern, good), "{pattern} {good}");
            assert!(!matches(pattern, bad), "{pattern} {bad}");
        }
        assert!(compile(r"(?=a)").is_err() && compile("[").is_err());
    }
}
