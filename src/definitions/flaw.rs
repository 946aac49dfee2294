//! What is wrong with a template, as problems at its lines.

use super::document::Document;
use super::interface::Reporter;
use super::load::Tree;
use super::problem::{Place, Problem, ProblemCode, nearest};
use super::scalar;
use super::spec::interface as spec;
use crate::sql::template::{Flaw, Template, TemplateError};

/// The text of a template and where it stands.
#[derive(Debug)]
pub struct Text {
    pub sql: String,
    pub pointer: &'static str,
    /// The `.sql` file, where it has one of its own.
    pub file: Option<String>,
}

/// Reports the flaws of a template at their lines.
pub fn report(
    compiled: Result<Template, Vec<TemplateError>>,
    text: &Text,
    spec: &spec::Interface,
    tree: &Tree,
    report: &mut Reporter<'_>,
) -> Option<Template> {
    let errors = match compiled {
        Ok(template) => return Some(template),
        Err(errors) => errors,
    };
    for TemplateError { flaw, offset } in errors {
        let place = place(text, offset, tree, report.document);
        let (code, message) = describe(&flaw);
        let hint = hint(&flaw, spec);
        report.problems.push(Problem::error(place, code, message, hint));
    }
    None
}

/// A flaw's code, and the sentence that says it.
pub fn describe(flaw: &Flaw) -> (ProblemCode, String) {
    match flaw {
        Flaw::Template(reason) => {
            (ProblemCode::TemplateSyntax, format!("The template does not parse: {reason}."))
        }
        Flaw::Render(reason) => {
            (ProblemCode::TemplateSyntax, format!("The template does not render: {reason}."))
        }
        Flaw::Unbound(name) => (ProblemCode::TemplateUnbound, format!("Nothing binds `{name}`.")),
        Flaw::UnsafeValue(reason) => {
            (ProblemCode::TemplateUnsafe, format!("A value would become text: {reason}."))
        }
        Flaw::Sql(reason) => (ProblemCode::SqlSyntax, format!("The SQL does not parse: {reason}.")),
        Flaw::Unsafe(reason) => {
            (ProblemCode::SqlUnsafe, format!("Safe mode refuses the statement: {reason}."))
        }
        Flaw::UnboundedScan(reason) => {
            (ProblemCode::SqlUnboundedScan, format!("Safe mode refuses the statement: {reason}."))
        }
        Flaw::Ungovernable(reason) => (
            ProblemCode::SqlUngovernable,
            format!("The datasource is governed, and what this reads cannot be known: {reason}."),
        ),
    }
}

fn hint(flaw: &Flaw, spec: &spec::Interface) -> String {
    let text = match flaw {
        Flaw::Template(_) => "Check the `{{ }}` and `{% %}` tags.",
        Flaw::Render(reason) if reason.contains("none") => {
            "Optional parameters are none when absent; test them with `{% if x %}`."
        }
        Flaw::Render(_) => "Check what stands in the `{{ }}` and `{% %}` tags.",
        Flaw::Unbound(name) => {
            let parameters = spec.parameters.iter().map(|parameter| parameter.name.as_str());
            let known = parameters.chain(spec.param_binding.keys().map(String::as_str));
            return nearest(name, known).map_or_else(
                || "Declare it in `parameters` or `param_binding`.".to_owned(),
                |near| format!("Did you mean `{near}`?"),
            );
        }
        Flaw::UnsafeValue(reason) if reason.contains("ident") => {
            "`ident` takes a parameter with an `enum`, or with a `pattern` such as `^[a-z_]+$`."
        }
        Flaw::UnsafeValue(_) => "Write it outside quotes and comments: `'%' || {{ x }} || '%'`.",
        Flaw::Sql(reason) if reason.contains("driver") => "Write `:name` for a value.",
        Flaw::Sql(_) => {
            "Write one statement of the datasource's dialect; `safe_mode: false` skips the check."
        }
        Flaw::Unsafe(_) => "Write one read-only query, or set `safe_mode: false` if this is meant.",
        Flaw::UnboundedScan(_) => "Add a WHERE, a LIMIT or `pagination`.",
        Flaw::Ungovernable(_) => "Write plain queries of tables and views that roles can grant.",
    };
    text.to_owned()
}

/// A byte offset of a template as a place in its file.
fn place(text: &Text, offset: Option<usize>, tree: &Tree, document: &Document) -> Place {
    if let Some(file) = &text.file {
        let before = &text.sql[..text.sql.floor_char_boundary(offset.unwrap_or_default())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        return Place { file: file.clone(), line: number(line), column: number(column) };
    }
    let start = document.place(text.pointer);
    let source = tree.files.get(&document.file);
    let found = source.zip(offset).and_then(|(source, offset)| {
        scalar::locate(source, (start.line, start.column), &text.sql, offset)
    });
    match found {
        Some((line, column)) => Place { line, column, ..start },
        None => start,
    }
}
