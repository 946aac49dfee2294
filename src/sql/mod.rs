//! SQL as text: dialects, bound values, templates, safety and pages. Knows no files, no databases and no HTTP.

pub mod bind;
pub mod count;
pub mod dialect;
pub mod failing;
pub mod flaw;
pub mod fragment;
pub mod functions;
pub mod govern;
pub mod grammar;
pub mod ident;
pub mod jinja;
pub mod lex;
pub mod mask;
pub mod page;
pub mod parts;
pub mod relation;
pub mod safety;
pub mod statement;
pub mod template;
pub mod text;
pub mod view;
pub mod walk;
