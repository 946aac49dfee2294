//! Compiles the parameters of an interface.

use serde_json::Value;

use super::coerce::Parameter;
use super::interface::{Reporter, path_names};
use super::problem::ProblemCode;
use super::rule;
use super::spec::interface::{self as spec, Location, Method, ParamType};
use crate::sql::bind::Bind;

/// Query parameters that every interface has.
pub const RESERVED: [&str; 2] = ["version", "format"];
/// Parameters of one interface, at most.
const MAX_PARAMETERS: usize = 200;

/// Compiles all parameters of `interface`, whose path is `path`.
pub fn compile(
    interface: &spec::Interface,
    path: &str,
    report: &mut Reporter<'_>,
) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    if interface.parameters.len() > MAX_PARAMETERS {
        report.error(
            "/parameters",
            ProblemCode::BadValue,
            format!("There are more than {MAX_PARAMETERS} parameters."),
            "Take an `object` parameter for what belongs together.",
        );
    }
    for (i, spec) in interface.parameters.iter().enumerate() {
        let at = format!("/parameters/{i}");
        if parameters.iter().any(|known| known.name == spec.name) {
            let message = format!("There is a parameter `{}` already.", spec.name);
            report.error(
                &format!("{at}/name"),
                ProblemCode::DuplicateIdentity,
                message,
                "Rename one of them.",
            );
            continue;
        }
        parameters.push(parameter(interface, spec, &at, report));
    }
    let in_path = path_names(path);
    for name in &in_path {
        if !interface
            .parameters
            .iter()
            .any(|p| p.name == *name && p.location == Some(Location::Path))
        {
            let message =
                format!("The path has a segment `{{{name}}}`, and no parameter is for it.");
            report.error(
                "/path",
                ProblemCode::DanglingReference,
                message,
                format!("Add a parameter `{name}` with `in: path`."),
            );
        }
    }
    for (i, spec) in interface.parameters.iter().enumerate() {
        let at = format!("/parameters/{i}");
        if spec.location == Some(Location::Path) && !in_path.contains(&spec.name.as_str()) {
            let message = format!("The path has no segment `{{{}}}`.", spec.name);
            report.error(
                &format!("{at}/in"),
                ProblemCode::DanglingReference,
                message,
                "Put it into `path`, or use `in: query`.",
            );
        }
        if let Some(other) = &spec.depends_on
            && (other == &spec.name || !interface.parameters.iter().any(|p| p.name == *other))
        {
            let message = format!("There is no other parameter `{other}`.");
            report.error(
                &format!("{at}/depends_on"),
                ProblemCode::DanglingReference,
                message,
                "Name a parameter of this interface.",
            );
        }
    }
    parameters
}

fn parameter(
    interface: &spec::Interface,
    spec: &spec::Parameter,
    at: &str,
    report: &mut Reporter<'_>,
) -> Parameter {
    let location = spec.location.unwrap_or(match interface.method {
        Method::Get => Location::Query,
        Method::Post => Location::Body,
    });
    placement(interface, spec, location, at, report);
    let items = spec.items.as_ref().map_or(ParamType::String, |items| items.kind);
    if spec.items.is_some() && spec.kind != ParamType::Array {
        report.error(
            &format!("{at}/items"),
            ProblemCode::Conflict,
            "Only an `array` has items.",
            "Set `type: array`, or remove `items`.",
        );
    }
    if matches!(items, ParamType::Array | ParamType::Object) {
        report.error(
            &format!("{at}/items/type"),
            ProblemCode::BadValue,
            "Items are scalars.",
            "Take `type: object` for nested values.",
        );
    }
    let mut compiled = Parameter {
        name: spec.name.clone(),
        location,
        kind: spec.kind,
        items,
        required: spec.required || location == Location::Path,
        default: None,
        rules: rule::rules(spec, at, report),
        is_sensitive: spec.sensitive,
    };
    rule::values(spec, &mut compiled, at, report);
    if let Some(example) = &spec.example
        && let Err(fault) = compiled.from_value(example)
    {
        report.error(
            &format!("{at}/example"),
            ProblemCode::BadValue,
            format!("The example breaks the parameter's own rules (`{}`).", fault.word()),
            "Give an example that a caller could send.",
        );
    }
    if let Some(choices) = &spec.options {
        options(choices, at, report);
    }
    compiled
}

/// Choices are fixed or from one interface.
fn options(options: &spec::Options, at: &str, report: &mut Reporter<'_>) {
    let columns = [
        ("value_column", options.value_column.is_some()),
        ("label_column", options.label_column.is_some()),
    ];
    if options.interface.is_some() != options.values.is_empty() {
        report.error(
            &format!("{at}/options"),
            ProblemCode::Conflict,
            "Options come from exactly one place.",
            "Give either `values` or `interface`.",
        );
    } else if options.interface.is_none() {
        for (key, _) in columns.iter().filter(|(_, given)| *given) {
            report.error(
                &format!("{at}/options/{key}"),
                ProblemCode::Conflict,
                format!("`{key}` is a column of another interface."),
                "Remove it, or name the `interface`.",
            );
        }
    }
}

fn placement(
    interface: &spec::Interface,
    spec: &spec::Parameter,
    location: Location,
    at: &str,
    report: &mut Reporter<'_>,
) {
    if location == Location::Query && RESERVED.contains(&spec.name.as_str()) {
        let message = format!("`{}` is a parameter of every interface.", spec.name);
        report.error(&format!("{at}/name"), ProblemCode::Conflict, message, "Choose another name.");
    }
    if location == Location::Body && interface.method == Method::Get {
        report.error(
            &format!("{at}/in"),
            ProblemCode::Conflict,
            "A GET has no body.",
            "Use `in: query`, or `method: POST`.",
        );
    }
    if location == Location::Path && matches!(spec.kind, ParamType::Object) {
        report.error(
            &format!("{at}/type"),
            ProblemCode::Conflict,
            "An object cannot stand in a path.",
            "Use `in: body`.",
        );
    }
    if location == Location::Path && spec.default.is_some() {
        report.error(
            &format!("{at}/default"),
            ProblemCode::Conflict,
            "A path always has its segments, so this default is never used.",
            "Remove it.",
        );
    }
    if spec.required && spec.default.is_some() {
        report.error(
            &format!("{at}/default"),
            ProblemCode::Conflict,
            "A required parameter never takes its default.",
            "Remove `required` or `default`.",
        );
    }
}

/// Values to try a template with: usual ones first; NULL last where the parameter may be absent.
pub fn samples(parameter: &Parameter, example: Option<&Value>) -> Vec<Bind> {
    let mut samples = Vec::new();
    samples.extend(example.and_then(|example| parameter.from_value(example).ok()));
    samples.extend(parameter.default.clone());
    let one = |bind: Bind| {
        if parameter.kind == ParamType::Array { Bind::Array(vec![bind]) } else { bind }
    };
    if let Some(allowed) = &parameter.rules.allowed {
        samples.extend(allowed.iter().cloned().map(one));
    }
    if samples.is_empty() {
        let scalar =
            if parameter.kind == ParamType::Array { parameter.items } else { parameter.kind };
        samples.push(one(match scalar {
            ParamType::Integer | ParamType::Number => {
                parameter.rules.minimum.clone().unwrap_or(Bind::Int(1))
            }
            ParamType::Boolean => Bind::Bool(true),
            ParamType::Date => Bind::Date(jiff::civil::date(2025, 1, 31)),
            ParamType::Datetime => {
                Bind::DateTime(jiff::civil::datetime(2025, 1, 31, 10, 0, 0, 0), None)
            }
            ParamType::Object => Bind::Json("{}".into()),
            ParamType::String | ParamType::Array => Bind::Text("sample".into()),
        }));
    }
    if parameter.kind == ParamType::Boolean {
        samples.push(Bind::Bool(false));
        samples.push(Bind::Bool(true));
    }
    if !parameter.required && parameter.default.is_none() {
        samples.push(Bind::Null);
    }
    samples.dedup();
    samples
}
