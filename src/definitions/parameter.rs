//! Compiles the parameters of an interface.

use serde_json::Value;

use super::coerce::{Format, Parameter, Rules};
use super::interface::{Reporter, path_names};
use super::pattern;
use super::problem::ProblemCode;
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
        rules: rules(spec, at, report),
        is_sensitive: spec.sensitive,
    };
    values(spec, &mut compiled, at, report);
    compiled
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

fn rules(spec: &spec::Parameter, at: &str, report: &mut Reporter<'_>) -> Rules {
    let is_text = spec.kind == ParamType::String
        || spec.kind == ParamType::Array
            && spec.items.as_ref().is_none_or(|i| i.kind == ParamType::String);
    let has_length = matches!(spec.kind, ParamType::String | ParamType::Array);
    for (key, given) in
        [("max_length", spec.max_length.is_some()), ("min_length", spec.min_length.is_some())]
    {
        if given && !has_length {
            let message = format!("`{key}` is for texts and arrays.");
            report.error(
                &format!("{at}/{key}"),
                ProblemCode::Conflict,
                message,
                "Use `maximum` and `minimum` for numbers and dates.",
            );
        }
    }
    if let (Some(least), Some(most)) = (spec.min_length, spec.max_length)
        && least > most
    {
        report.error(
            &format!("{at}/min_length"),
            ProblemCode::Conflict,
            "The shortest is longer than the longest.",
            "Exchange `min_length` and `max_length`.",
        );
    }
    let pattern = spec.pattern.as_ref().and_then(|text| {
        if !is_text {
            report.error(
                &format!("{at}/pattern"),
                ProblemCode::Conflict,
                "A pattern is for texts.",
                "Set `type: string`, or remove it.",
            );
        }
        match pattern::compile(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned();
                report.error(
                    &format!("{at}/pattern"),
                    ProblemCode::BadPattern,
                    format!("The pattern does not compile: {reason}."),
                    "Look-around and back-references are not supported.",
                );
                None
            }
        }
    });
    let format = spec.format.as_deref().and_then(Format::parse);
    if format.is_none()
        && spec.format.is_some()
        && matches!(spec.kind, ParamType::Date | ParamType::Datetime)
    {
        let message =
            format!("`{}` is no date format.", spec.format.as_deref().unwrap_or_default());
        report.error(
            &format!("{at}/format"),
            ProblemCode::BadValue,
            message,
            "Use fields such as `yyyy-MM-dd` or `yyyy-MM-dd HH:mm:ss`.",
        );
    }
    Rules {
        format,
        pattern,
        max_length: spec.max_length,
        min_length: spec.min_length,
        ..Rules::default()
    }
}

/// Bounds, allowed values and default are values of the parameter's own type, read by its own rules.
fn values(spec: &spec::Parameter, compiled: &mut Parameter, at: &str, report: &mut Reporter<'_>) {
    let scalar = Parameter {
        name: String::new(),
        location: compiled.location,
        kind: if spec.kind == ParamType::Array { compiled.items } else { spec.kind },
        items: ParamType::String,
        required: false,
        default: None,
        rules: Rules { format: compiled.rules.format.clone(), ..Rules::default() },
        is_sensitive: false,
    };
    let ordered =
        !matches!(scalar.kind, ParamType::String | ParamType::Boolean | ParamType::Object);
    let mut bound = |key: &str, value: Option<&Value>| {
        let value = value?;
        if !ordered {
            let message = format!("`{key}` is for numbers and dates.");
            report.error(
                &format!("{at}/{key}"),
                ProblemCode::Conflict,
                message,
                "Use `max_length` and `min_length` for texts.",
            );
            return None;
        }
        let read = scalar.from_value(value).ok();
        if read.is_none() {
            let message = format!("`{key}` is no value of this type.");
            report.error(
                &format!("{at}/{key}"),
                ProblemCode::BadValue,
                message,
                "Write it as a caller would.",
            );
        }
        read
    };
    // A whole number may bound one with a fraction.
    let maximum = bound("maximum", spec.maximum.as_ref());
    let minimum = bound("minimum", spec.minimum.as_ref());
    compiled.rules.maximum = maximum;
    compiled.rules.minimum = minimum;
    if let Some(allowed) = &spec.allowed {
        if allowed.is_empty() {
            report.error(
                &format!("{at}/enum"),
                ProblemCode::BadValue,
                "An empty `enum` allows nothing.",
                "List the values, or remove it.",
            );
        }
        let mut values = Vec::new();
        for (i, value) in allowed.iter().enumerate() {
            match scalar.from_value(value) {
                Ok(value) => values.push(value),
                Err(_) => report.error(
                    &format!("{at}/enum/{i}"),
                    ProblemCode::BadValue,
                    "This is no value of the parameter's type.",
                    "Write it as a caller would.",
                ),
            }
        }
        compiled.rules.allowed = Some(values);
    }
    if let Some(default) = &spec.default {
        match compiled.from_value(default) {
            Ok(value) => compiled.default = Some(value),
            Err(fault) => {
                let message =
                    format!("The default breaks the parameter's own rules (`{}`).", fault.word());
                report.error(
                    &format!("{at}/default"),
                    ProblemCode::BadValue,
                    message,
                    "Give a default that a caller could send.",
                );
            }
        }
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
