//! Compiles the query of an interface: template, names and where their values come from, pages, totals.

use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use regex::Regex;

use super::coerce::{Parameter, Rules};
use super::document::Document;
use super::flaw::{self, Text};
use super::interface::Reporter;
use super::load::Tree;
use super::parameter::samples;
use super::problem::{ProblemCode, nearest};
use super::snapshot::{Binding, Datasource, KnownReads, Page, QueryPlan};
use super::spec::interface::{self as spec, Count, Location, ParamType, QueryType};
use crate::sql::bind::Bind;
use crate::sql::dialect::Dialect;
use crate::sql::ident;
use crate::sql::page::Paging;
use crate::sql::statement::Ungoverned;
use crate::sql::template::{Name, Options, Template};

/// The names that cut a query into pages.
const PAGE: &str = "page";
const PAGE_SIZE: &str = "pageSize";
/// Rows of a page where nothing says so.
const USUAL_PAGE_SIZE: u64 = 50;
/// Most rows of a page of a template that pages itself and does not say.
const USUAL_MAX_PAGE_SIZE: u64 = 1_000;

/// Compiles the query; pages may add the parameters `page` and `pageSize`.
pub fn compile(
    spec: &spec::Interface,
    datasource: &Datasource,
    mut parameters: Vec<Parameter>,
    tree: &Tree,
    report: &mut Reporter<'_>,
) -> Option<(QueryPlan, Vec<Parameter>)> {
    if matches!(spec.query_type, QueryType::Aggregation | QueryType::Dsl) {
        report.error(
            "/query_type",
            ProblemCode::Unsupported,
            "Structured queries are not supported by this version.",
            "Use `sql` or `stored_proc`.",
        );
        return None;
    }
    if spec.query_type == QueryType::StoredProc && datasource.dialect == Dialect::Sqlite {
        report.error(
            "/query_type",
            ProblemCode::Conflict,
            "SQLite has no stored procedures.",
            "Use `sql`.",
        );
        return None;
    }
    let text = text(spec, tree, report)?;
    let own = uses_page(&text.sql);
    let page = page(spec, own, &mut parameters, report);
    let (names, bindings) = names(spec, &parameters, report);
    let at = |name: &str| names.iter().position(|known| known.name == name);
    let paging = match (&page, own) {
        (None, _) => Paging::None,
        (Some(page), true) => Paging::Own { count: page.count },
        (Some(page), false) => {
            Paging::Added { page: at(PAGE)?, size: at(PAGE_SIZE)?, count: page.count }
        }
    };
    let mut options = Options {
        dialect: datasource.dialect,
        names: names.into(),
        is_safe: spec.safe_mode,
        is_procedure: spec.query_type == QueryType::StoredProc,
        paging,
        is_governed: datasource.spec.governed,
    };
    let template = Template::compile(&text.sql, options.clone());
    options.paging = Paging::None;
    let total = spec.total.as_ref().map(|total| {
        let text = Text {
            sql: total.query_template.clone(),
            pointer: "/total/query_template",
            file: None,
        };
        // One row is taken, so an unconditional total is as cheap to send as any.
        (Template::compile(&total.query_template, options), text)
    });
    let template = flaw::report(template, &text, spec, tree, report);
    let total = match total {
        Some((total, text)) => Some(flaw::report(total, &text, spec, tree, report)?),
        None => None,
    };
    let template = template?;
    let reads = datasource.spec.governed.then(|| reads(&template, total.as_ref()));
    Some((QueryPlan { kind: spec.query_type, template, total, bindings, page, reads }, parameters))
}

/// What the templates read in the statements that they are known to give.
fn reads(template: &Template, total: Option<&Template>) -> KnownReads {
    let templates = || std::iter::once(template).chain(total);
    let is_complete = templates().all(|template| template.fixed().is_some());
    let mut known = KnownReads { is_complete, ..KnownReads::default() };
    for statement in templates().flat_map(Template::known) {
        let Some(Ungoverned { reads, .. }) = &statement.ungoverned else { continue };
        known.tables.extend(reads.tables.iter().cloned());
        known.functions.extend(reads.functions.iter().cloned());
    }
    known.tables.sort();
    known.tables.dedup();
    known.functions.sort();
    known.functions.dedup();
    known
}

impl QueryPlan {
    /// Feeds what the definition's own text does not hold: the file of the query.
    pub fn hash_source(
        &self,
        spec: &spec::Interface,
        tree: &Tree,
        document: &Document,
        hasher: &mut impl Hasher,
    ) {
        if let Some(file) = &spec.query_file {
            tree.files.get(&beside(&document.file, file)).hash(hasher);
        }
    }
}

fn text(spec: &spec::Interface, tree: &Tree, report: &mut Reporter<'_>) -> Option<Text> {
    match (&spec.query_template, &spec.query_file) {
        (Some(sql), None) => {
            Some(Text { sql: sql.clone(), pointer: "/query_template", file: None })
        }
        (None, Some(file)) => {
            let path = beside(&report.document.file, file);
            if let Some(sql) = tree.files.get(&path) {
                return Some(Text { sql: sql.clone(), pointer: "/query_file", file: Some(path) });
            }
            report.error(
                "/query_file",
                ProblemCode::FileNotFound,
                format!("There is no file `{path}`."),
                "The path is relative to the YAML file, stays below `definitions/` and ends in `.sql`.",
            );
            None
        }
        (Some(_), Some(_)) => {
            report.error(
                "/query_file",
                ProblemCode::Conflict,
                "The query stands in two places.",
                "Keep `query_template` or `query_file`.",
            );
            None
        }
        (None, None) => {
            report.error(
                "",
                ProblemCode::MissingKey,
                "There is no query.",
                "Add `query_template` or `query_file`.",
            );
            None
        }
    }
}

/// A path relative to the folder of `file`, without `.` and `..`.
pub fn beside(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn uses_page(sql: &str) -> bool {
    static USE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^:]):(?:page|pageSize)\b|\{[{%][^}]*\b(?:page|pageSize)\b")
            .expect("a constant pattern that compiles")
    });
    USE.is_match(sql)
}

/// Whether and how answers come in pages; adds the parameters that pages need, and their bounds.
fn page(
    spec: &spec::Interface,
    own: bool,
    parameters: &mut Vec<Parameter>,
    report: &mut Reporter<'_>,
) -> Option<Page> {
    let declared = |name: &str| parameters.iter().any(|p| p.name == name);
    let enabled = match &spec.pagination {
        Some(pagination) => pagination.enabled,
        None => own && declared(PAGE) && declared(PAGE_SIZE),
    };
    if !enabled {
        return None;
    }
    if spec.query_type == QueryType::StoredProc {
        report.error(
            "/pagination",
            ProblemCode::Conflict,
            "The rows of a procedure are not cut into pages.",
            "Let the procedure take a page, and set `enabled: false`.",
        );
    }
    let cap =
        spec.pagination.as_ref().map_or(USUAL_MAX_PAGE_SIZE, |pagination| pagination.max_page_size);
    let usual = spec.pagination.as_ref().and_then(|pagination| pagination.default_page_size);
    if usual.is_some_and(|usual| usual > cap) {
        report.error(
            "/pagination/default_page_size",
            ProblemCode::Conflict,
            "The usual page is larger than the largest.",
            "Raise `max_page_size`.",
        );
    }
    let location = match spec.method {
        spec::Method::Get => Location::Query,
        spec::Method::Post => Location::Body,
    };
    let int = |n: u64| Bind::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let mut index_of = |name: &str, default: u64, cap: Option<u64>| {
        let index = parameters.iter().position(|p| p.name == name).unwrap_or_else(|| {
            parameters.push(Parameter {
                name: name.to_owned(),
                location,
                kind: ParamType::Integer,
                items: ParamType::String,
                required: false,
                default: Some(int(default)),
                rules: Rules::default(),
                is_sensitive: false,
            });
            parameters.len() - 1
        });
        let parameter = &mut parameters[index];
        if parameter.kind != ParamType::Integer {
            report.error(
                &format!("/parameters/{index}/type"),
                ProblemCode::Conflict,
                format!("`{name}` must be an integer, since it cuts pages."),
                "Set `type: integer`.",
            );
        }
        if parameter.default.is_none() {
            parameter.default = Some(int(default));
        }
        let least = |bind: &Bind| matches!(bind, Bind::Int(n) if *n >= 1);
        if !parameter.rules.minimum.as_ref().is_some_and(least) {
            parameter.rules.minimum = Some(Bind::Int(1));
        }
        if let Some(cap) = cap.map(int) {
            let within =
                |bind: &Bind| matches!((bind, &cap), (Bind::Int(n), Bind::Int(cap)) if n <= cap);
            // A template that pages itself and says nothing else keeps the bound of its parameter.
            let keeps = spec.pagination.is_none() && parameter.rules.maximum.is_some();
            if !keeps && !parameter.rules.maximum.as_ref().is_some_and(within) {
                parameter.rules.maximum = Some(cap);
            }
        } else if parameter.rules.maximum.is_none() {
            parameter.rules.maximum = Some(Bind::Int(i64::MAX));
        }
        index
    };
    let page = index_of(PAGE, 1, None);
    let size = index_of(PAGE_SIZE, usual.unwrap_or(USUAL_PAGE_SIZE.min(cap)), Some(cap));
    let count = spec.pagination.as_ref().is_none_or(|pagination| pagination.count == Count::Auto);
    Some(Page { page, size, count })
}

/// The names of the template, and where each gets its value.
fn names(
    spec: &spec::Interface,
    parameters: &[Parameter],
    report: &mut Reporter<'_>,
) -> (Vec<Name>, Vec<Binding>) {
    let mut names = Vec::new();
    let mut bindings = Vec::new();
    for (i, parameter) in parameters.iter().enumerate() {
        if spec.param_binding.contains_key(&parameter.name) {
            continue;
        }
        names.push(name_of(&parameter.name, parameter, spec));
        bindings.push(Binding::Parameter(i));
    }
    for (name, path) in &spec.param_binding {
        // A binding that is wrong still binds its name: the template is not to blame.
        let binding = binding(name, path, parameters, report).unwrap_or(Binding::Now);
        let declared = parameters.iter().any(|parameter| parameter.name == *name);
        if declared && !matches!(binding, Binding::Parameter(_)) {
            report.error(
                &format!("/param_binding/{name}"),
                ProblemCode::Conflict,
                format!("`{name}` is a parameter too, so a caller could think to set it."),
                "Remove the parameter, or bind another name.",
            );
        }
        names.push(match binding {
            Binding::Parameter(i) => name_of(name, &parameters[i], spec),
            _ => Name {
                name: name.clone(),
                is_array: false,
                is_closed: false,
                samples: vec![Bind::Text("sample".into())],
            },
        });
        bindings.push(binding);
    }
    (names, bindings)
}

fn name_of(name: &str, parameter: &Parameter, spec: &spec::Interface) -> Name {
    let example =
        spec.parameters.iter().find(|p| p.name == parameter.name).and_then(|p| p.example.as_ref());
    let closed_pattern = |pattern: &Regex| ident::is_closed_pattern(pattern.as_str());
    let is_text = |kind| kind == ParamType::String;
    Name {
        name: name.to_owned(),
        is_array: parameter.kind == ParamType::Array,
        is_closed: (parameter.rules.allowed.is_some()
            || parameter.rules.pattern.as_ref().is_some_and(closed_pattern))
            && (is_text(parameter.kind)
                || parameter.kind == ParamType::Array && is_text(parameter.items)),
        samples: samples(parameter, example),
    }
}

fn binding(
    name: &str,
    path: &str,
    parameters: &[Parameter],
    report: &mut Reporter<'_>,
) -> Option<Binding> {
    let pointer = format!("/param_binding/{name}");
    if let Some(parameter) = path.strip_prefix("$.parameters.") {
        let found = parameters.iter().position(|known| known.name == parameter);
        if found.is_none() {
            let near = nearest(parameter, parameters.iter().map(|known| known.name.as_str()));
            let hint = near.map_or("Declare it in `parameters`.".into(), |near| {
                format!("Did you mean `{near}`?")
            });
            report.error(
                &pointer,
                ProblemCode::DanglingReference,
                format!("There is no parameter `{parameter}`."),
                hint,
            );
        }
        return found.map(Binding::Parameter);
    }
    if let Some(claim) = path.strip_prefix("$.principal.claims.").filter(|claim| !claim.is_empty())
    {
        return Some(Binding::Claim(claim.split('.').map(str::to_owned).collect()));
    }
    match path {
        "$.principal.name" => Some(Binding::PrincipalName),
        "$.request.ip" => Some(Binding::RequestIp),
        "$.now" => Some(Binding::Now),
        _ => {
            report.error(
                &pointer,
                ProblemCode::BadValue,
                format!("`{path}` is nothing that can be bound."),
                "Use `$.parameters.NAME`, `$.principal.name`, `$.principal.claims.NAME`, `$.request.ip` or `$.now`.",
            );
            None
        }
    }
}
