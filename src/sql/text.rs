//! Statements that somebody writes by hand: Jinja over their SQL renders text, as it would for a page.
//!
//! Whoever writes them is not the publisher of a definition, so that a template may do less: `{{ value | filter }}`, `{% if %}` and
//! `{% for %}`, and nothing by which a value grows.

use std::collections::BTreeSet;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Map;

use super::flaw::Flaw;
use super::jinja::{Capped, MAX_RENDER_FUEL};
use super::lex::MARK;
use super::statement::MAX_STATEMENT_BYTES;

/// Bytes within all tags of a template, and of the parameters as JSON.
const MAX_TAG_BYTES: usize = 16 << 10;
const MAX_PARAMS_BYTES: usize = 64 << 10;
const TEMPLATE: &str = "sql";
/// Words that a `{% %}` may begin with.
const STATEMENTS: [&str; 8] = ["if", "elif", "else", "endif", "for", "endfor", "break", "continue"];
/// Filters whose value is no larger than what they are given, but for `join`, which is bounded here.
const FILTERS: [&str; 14] = [
    "abs", "count", "default", "first", "float", "int", "join", "last", "length", "lower", "round",
    "sort", "trim", "upper",
];

/// Renders `sql` with `params`; a null is `NULL`. What comes out is as much the writer's as what goes in, and is checked as such.
///
/// # Errors
/// `Template` where it does not parse or does more than it may, `Render` where it does not render or a variable has no value.
pub fn render(sql: &str, params: &Map<String, serde_json::Value>) -> Result<String, Flaw> {
    check(sql, params)?;
    let environment = environment(sql)?;
    let template = environment.get_template(TEMPLATE).map_err(|error| refused(&error))?;
    let mut text = Capped(Vec::new());
    if let Err(error) = template.render_captured_to(Serde(params), &mut text) {
        let missing = template.undeclared_variables(false).into_iter().collect::<BTreeSet<_>>();
        let missing = missing.into_iter().find(|name| !params.contains_key(name));
        return Err(match (error.kind(), missing) {
            (ErrorKind::UndefinedError, Some(name)) => {
                Flaw::Render(format!("`{name}` has no value"))
            }
            _ => refused(&error),
        });
    }
    let text = String::from_utf8(text.0).map_err(|error| Flaw::Render(error.to_string()))?;
    if text.contains(MARK) {
        return Err(Flaw::Render("it holds a control character".to_owned()));
    }
    Ok(text)
}

/// Whether a template keeps to what those written by hand may do. What follows a tag that is not closed is no matter: that does not
/// parse.
///
/// # Errors
/// `Template` where it does not.
pub fn check(sql: &str, params: &Map<String, serde_json::Value>) -> Result<(), Flaw> {
    let too_long =
        |what: &str, most: usize| Err(Flaw::Template(format!("{what} longer than {most} bytes")));
    if sql.len() > MAX_STATEMENT_BYTES {
        return too_long("it is", MAX_STATEMENT_BYTES);
    }
    if serde_json::to_string(params).map_or(usize::MAX, |json| json.len()) > MAX_PARAMS_BYTES {
        return too_long("its parameters are", MAX_PARAMS_BYTES);
    }
    let (mut rest, mut tag_bytes) = (sql, 0);
    while let Some(start) =
        rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()
    {
        let (kind, inside) = rest[start + 1..].split_at(1);
        if kind == "#" {
            rest = inside.find("#}").map_or("", |end| &inside[end..]);
            continue;
        }
        let end = tag(inside, kind == "%")?;
        tag_bytes += end;
        rest = &inside[end..];
    }
    if tag_bytes > MAX_TAG_BYTES {
        return too_long("its tags are", MAX_TAG_BYTES);
    }
    Ok(())
}

/// Checks a tag from behind its beginning; its length.
fn tag(text: &str, is_statement: bool) -> Result<usize, Flaw> {
    let refuse = |what: &str| {
        Err(Flaw::Template(format!("in SQL that is written by hand {what} is not allowed")))
    };
    let mut outside = String::new();
    let mut chars = text.char_indices().peekable();
    // The mark that keeps white space.
    let _ = chars.next_if(|(_, c)| matches!(c, '+' | '-'));
    let mut length = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' | '"' => {
                while let Some((_, inner)) = chars.next() {
                    if inner == '\\' {
                        chars.next();
                    } else if inner == c {
                        break;
                    }
                }
                outside.push(' ');
            }
            '}' | '%' if text[at..].starts_with(if is_statement { "%}" } else { "}}" }) => {
                length = at;
                break;
            }
            // Nested braces would hide where the tag ends; values grow by the others.
            '{' | '}' | '*' | '+' | '~' => return refuse(&format!("`{c}` within a tag")),
            c => outside.push(c),
        }
    }
    let words = |text: &str| -> Vec<String> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    if let Some(word) = words(&outside).first().filter(|_| is_statement)
        && !STATEMENTS.contains(&word.as_str())
    {
        return refuse(&format!("`{{% {word} %}}`"));
    }
    if is_statement && words(&outside).iter().any(|word| word == "recursive") {
        return refuse("`recursive`");
    }
    for after in outside.split('|').skip(1) {
        if let Some(filter) = words(after).first()
            && !FILTERS.contains(&filter.as_str())
        {
            return refuse(&format!("the filter `{filter}`"));
        }
    }
    Ok(length)
}

fn environment(sql: &str) -> Result<Environment<'static>, Flaw> {
    let mut environment = Environment::new();
    // A condition may ask for what is not given.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(MAX_RENDER_FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.remove_global("debug");
    environment.add_filter("join", join);
    environment.set_formatter(|out, _, value| {
        if value.is_none() {
            return out.write_str("NULL").map_err(Error::from);
        }
        out.write_fmt(format_args!("{value}")).map_err(Error::from)
    });
    let added = environment.add_template_owned(TEMPLATE, sql.to_owned());
    added.map_err(|error| Flaw::Template(error.detail().unwrap_or("syntax error").to_owned()))?;
    Ok(environment)
}

/// The items with `separator` between them, as long as that makes no longer text than a statement.
fn join(items: Value, separator: Option<String>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut out = String::new();
    for (i, item) in items.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(&separator);
        }
        out.push_str(&item.to_string());
        if out.len() > MAX_STATEMENT_BYTES {
            return Err(Error::new(ErrorKind::InvalidOperation, "the joined text is too long"));
        }
    }
    Ok(out)
}

fn refused(error: &Error) -> Flaw {
    Flaw::Render(match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {MAX_RENDER_FUEL} steps"),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(sql: &str, params: &str) -> Result<String, Flaw> {
        render(sql, &serde_json::from_str(params).unwrap())
    }

    #[test]
    fn values_become_text() {
        assert_eq!(
            rendered("select * from {{ table }}", r#"{"table": "user"}"#).unwrap(),
            "select * from user"
        );
        let sql = "SELECT {{ n }}, {{ x }}, {{ nothing }}{% if b %} WHERE {{ b }}{% endif %}";
        let params = r#"{"n": 12, "x": "'a'", "nothing": null, "b": true}"#;
        assert_eq!(rendered(sql, params).unwrap(), "SELECT 12, 'a', NULL WHERE True");
        // What a value says is not read as a template again.
        assert_eq!(rendered("{{ a }}", r#"{"a": "{{ a }}"}"#).unwrap(), "{{ a }}");
        assert_eq!(rendered("{% if a %}x{% endif %}y", "{}").unwrap(), "y");
    }

    #[test]
    fn what_does_not_render_is_said() {
        let text = "`a` has no value".to_owned();
        assert_eq!(rendered("{{ b }}{{ a }}", r#"{"b": 1}"#), Err(Flaw::Render(text)));
        assert!(matches!(rendered("{{ a", "{}"), Err(Flaw::Template(_))));
        let nested = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
        assert!(matches!(rendered(nested, "{}"), Err(Flaw::Render(_))));
        assert!(matches!(rendered("{{ a }}", r#"{"a": "\u0001"}"#), Err(Flaw::Render(_))));
        let many = format!("{{% for i in range(99) %}}{}{{% endfor %}}", "x".repeat(1 << 16));
        assert!(matches!(rendered(&many, "{}"), Err(Flaw::Render(_))));
    }

    #[test]
    fn lists_are_joined() {
        let ids = r#"{"ids": [1, 2, 3], "names": ["a", "b"]}"#;
        assert_eq!(rendered("IN ({{ ids | join(', ') }})", ids).unwrap(), "IN (1, 2, 3)");
        let sql =
            "{% for n in names %}'{{ n|upper }}'{% if not loop.last %}, {% endif %}{% endfor %}";
        assert_eq!(rendered(sql, ids).unwrap(), "'A', 'B'");
        let params = format!(r#"{{"a": "{0}", "b": "{0}"}}"#, "x".repeat(10_000));
        assert!(matches!(rendered("{{ a | join(b) }}", &params), Err(Flaw::Render(_))));
    }

    /// A few doublings would take all memory there is.
    #[test]
    fn values_do_not_grow() {
        for sql in [
            "{% set a = 'x' %}{{ a }}",
            "{%- set a = 'x' -%}",
            "{%+ macro m() %}x{% endmacro %}",
            "{% filter upper %}x{% endfilter %}",
            "{% with a = 1 %}{% endwith %}",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
            "{{ 'x' * 1000000 }}",
            "{{ '}}' ~ 'a' }}",
            "{{ 'it\\'s' + 'a' }}",
            "{{ {'a': {}}} ~ 'a' }}",
            "{{ 'x' | replace('x', 'xx') }}",
            "{{ 'x'|indent(1000000000) }}",
            "{{ 'x' | center(9) }}",
            "{{ ('x' |  indent ) | upper }}",
            "{# {{ #}{{ 'a' ~ 'b' }}",
            "{% if 'a' ~ 'b' %}{% endif %}",
        ] {
            assert!(matches!(rendered(sql, "{}"), Err(Flaw::Template(_))), "{sql}");
        }
        for sql in
            ["SELECT 2 * 3 + 4 || '~{' {# a ~ b #}", "{{ '* + ~ { }' }}", "{%- if 1 %}{% endif -%}"]
        {
            assert!(rendered(sql, "{}").is_ok(), "{sql}");
        }
        let long = format!("{{{{ '{}' }}}}", "x".repeat(MAX_TAG_BYTES));
        assert!(matches!(rendered(&long, "{}"), Err(Flaw::Template(_))));
        let params = format!(r#"{{"a": "{}"}}"#, "x".repeat(MAX_PARAMS_BYTES));
        assert!(matches!(rendered("{{ a }}", &params), Err(Flaw::Template(_))));
    }
}
