//! What is wrong with a template or the statement that it makes, and where.

use super::lex::LexError;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Jinja that does not parse.
    Template(String),
    /// Jinja that does not render.
    Render(String),
    /// A name that nothing binds.
    Unbound(String),
    /// A value that would become text.
    UnsafeValue(String),
    /// SQL that does not parse.
    Sql(String),
    /// SQL that safe mode refuses.
    Unsafe(String),
    /// A whole table, unconditionally.
    UnboundedScan(String),
    /// On a governed datasource: what it reads cannot be known.
    Ungovernable(String),
}

/// A flaw and where in the template it is: a byte offset, where known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    pub flaw: Flaw,
    pub offset: Option<usize>,
}

impl TemplateError {
    /// A flaw at a place.
    pub fn new(flaw: Flaw, offset: Option<usize>) -> Self {
        Self { flaw, offset }
    }
}

impl From<LexError> for TemplateError {
    fn from(error: LexError) -> Self {
        let offset = Some(error.offset());
        let text = error.to_string();
        let flaw = match error {
            LexError::ValueInside { .. } => Flaw::UnsafeValue(text),
            LexError::SecondStatement { .. } | LexError::ExecutableComment { .. } => {
                Flaw::Unsafe(text)
            }
            LexError::Unclosed { .. }
            | LexError::RawPlaceholder { .. }
            | LexError::Ambiguous { .. } => Flaw::Sql(text),
        };
        Self { flaw, offset }
    }
}
