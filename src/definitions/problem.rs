//! Problems: what is wrong with the definitions, where, and how to mend it.

use std::fmt;

use serde::Serialize;

/// How bad a problem is. Only errors keep a tree from being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// Stable codes of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProblemCode {
    /// The YAML does not parse.
    YamlSyntax,
    /// A file or the tree is larger than its limit, or cannot be read.
    Unreadable,
    DuplicateKey,
    /// A document names no `kind`, or one that does not exist.
    UnknownKind,
    /// A kind stands in a folder that is for others.
    WrongFolder,
    UnknownKey,
    MissingKey,
    WrongType,
    /// A value out of its range, set or form.
    BadValue,
    /// Two documents with one identity.
    DuplicateIdentity,
    /// A name that nothing defines.
    DanglingReference,
    /// Keys that do not go together.
    Conflict,
    /// A file that is named but not there.
    FileNotFound,
    /// The template's Jinja does not parse or render.
    TemplateSyntax,
    /// A name in the template that nothing binds.
    TemplateUnbound,
    /// A value would become text of the statement.
    TemplateUnsafe,
    SqlSyntax,
    /// Safe mode refuses the statement.
    SqlUnsafe,
    /// Safe mode refuses an unconditional scan.
    SqlUnboundedScan,
    /// On a governed datasource: what the statement reads cannot be known.
    SqlUngovernable,
    /// The database refuses the statement (`validate --live`).
    SqlRefused,
    /// Two interfaces at one address.
    PathConflict,
    /// A regular expression, JSON Schema or expression that does not compile.
    BadPattern,
    BadSchema,
    BadExpression,
    /// Something the contract names and this version does not have yet.
    Unsupported,
    /// A secret that cannot be read now.
    SecretMissing,
    /// A policy that has no effect, or one that its author probably did not mean.
    PolicyUnused,
    PolicyDoubtful,
}

impl ProblemCode {
    /// All codes.
    pub const ALL: [Self; 29] = [
        Self::YamlSyntax,
        Self::Unreadable,
        Self::DuplicateKey,
        Self::UnknownKind,
        Self::WrongFolder,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::BadValue,
        Self::DuplicateIdentity,
        Self::DanglingReference,
        Self::Conflict,
        Self::FileNotFound,
        Self::TemplateSyntax,
        Self::TemplateUnbound,
        Self::TemplateUnsafe,
        Self::SqlSyntax,
        Self::SqlUnsafe,
        Self::SqlUnboundedScan,
        Self::SqlUngovernable,
        Self::SqlRefused,
        Self::PathConflict,
        Self::BadPattern,
        Self::BadSchema,
        Self::BadExpression,
        Self::Unsupported,
        Self::SecretMissing,
        Self::PolicyUnused,
        Self::PolicyDoubtful,
    ];

    /// The code as it is printed, such as `UNKNOWN_KEY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::YamlSyntax => "YAML_SYNTAX",
            Self::Unreadable => "UNREADABLE",
            Self::DuplicateKey => "DUPLICATE_KEY",
            Self::UnknownKind => "UNKNOWN_KIND",
            Self::WrongFolder => "WRONG_FOLDER",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::MissingKey => "MISSING_KEY",
            Self::WrongType => "WRONG_TYPE",
            Self::BadValue => "BAD_VALUE",
            Self::DuplicateIdentity => "DUPLICATE_IDENTITY",
            Self::DanglingReference => "DANGLING_REFERENCE",
            Self::Conflict => "CONFLICT",
            Self::FileNotFound => "FILE_NOT_FOUND",
            Self::TemplateSyntax => "TEMPLATE_SYNTAX",
            Self::TemplateUnbound => "TEMPLATE_UNBOUND",
            Self::TemplateUnsafe => "TEMPLATE_UNSAFE",
            Self::SqlSyntax => "SQL_SYNTAX",
            Self::SqlUnsafe => "SQL_UNSAFE",
            Self::SqlUnboundedScan => "SQL_UNBOUNDED_SCAN",
            Self::SqlUngovernable => "SQL_UNGOVERNABLE",
            Self::SqlRefused => "SQL_REFUSED",
            Self::PathConflict => "PATH_CONFLICT",
            Self::BadPattern => "BAD_PATTERN",
            Self::BadSchema => "BAD_SCHEMA",
            Self::BadExpression => "BAD_EXPRESSION",
            Self::Unsupported => "UNSUPPORTED",
            Self::SecretMissing => "SECRET_MISSING",
            Self::PolicyUnused => "POLICY_UNUSED",
            Self::PolicyDoubtful => "POLICY_DOUBTFUL",
        }
    }
}

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Relative to the root, with `/`.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// A place in a file that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

impl Spot {
    /// The place that it is in `file`.
    pub fn within(self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line, column: self.column }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Place,
    pub severity: Severity,
    pub code: ProblemCode,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to mend it, in one sentence.
    pub hint: String,
}

impl Problem {
    /// An error.
    pub fn error(
        place: Place,
        code: ProblemCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { place, severity: Severity::Error, code, message: message.into(), hint: hint.into() }
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether it keeps the tree from being served.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let code = self.code.as_str();
        write!(
            f,
            "{file}:{line}:{column}: {severity} {code}: {}\n  hint: {}",
            self.message, self.hint
        )
    }
}

/// A name that nothing defines.
pub fn dangling<'a>(
    place: Place,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let hint = match nearest(name, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Define the {what}, or name one that exists."),
    };
    let message = format!("There is no {what} `{name}`.");
    Problem::error(place, ProblemCode::DanglingReference, message, hint)
}

/// The word of `known` that `word` was probably meant to be: a few edits away, or the only one that goes on where it ends.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= (length / 3).min(3))
        .min();
    let mut longer = known.iter().filter(|candidate| length >= 3 && candidate.starts_with(word));
    let only = match (longer.next(), longer.next()) {
        (Some(only), None) => Some(*only),
        _ => None,
    };
    near.map(|(_, candidate)| candidate).or(only)
}

/// Edits from one word to the other, ignoring case; two letters exchanged are one edit.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(row[j - 1] + 1).min(rows[i - 1][j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_slip_or_a_beginning() {
        let known = ["title", "type", "ttl_seconds", "db", "jwks_file", "jwks_url"];
        for (word, meant) in [
            ("titel", Some("title")),
            ("Type", Some("type")),
            ("ttl", Some("ttl_seconds")),
            ("jwks", None),
            ("bd", None),
            ("DB", Some("db")),
            ("entirely", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
