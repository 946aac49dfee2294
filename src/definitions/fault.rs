//! What can be wrong with a value that a caller sends.

use super::spec::interface::ParamType;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    Required,
    Type(ParamType),
    /// The form the text should have.
    Format(String),
    Enum(Vec<String>),
    MaxLength(u64),
    MinLength(u64),
    MaxItems(u64),
    MinItems(u64),
    Maximum(String),
    Minimum(String),
    Pattern(String),
    Unknown,
    Repeated,
    /// The database could not take it.
    Unfit,
}

impl Fault {
    /// Stable word for `details[].error`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Type(_) => "type",
            Self::Format(_) => "format",
            Self::Enum(_) => "enum",
            Self::MaxLength(_) => "max_length",
            Self::MinLength(_) => "min_length",
            Self::MaxItems(_) => "max_items",
            Self::MinItems(_) => "min_items",
            Self::Maximum(_) => "maximum",
            Self::Minimum(_) => "minimum",
            Self::Pattern(_) => "pattern",
            Self::Unknown => "unknown",
            Self::Repeated => "repeated",
            Self::Unfit => "value",
        }
    }
}
