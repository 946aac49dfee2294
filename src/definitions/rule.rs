//! The rules of a parameter: lengths, bounds, patterns, allowed values, and the default that must keep them.

use serde_json::Value;

use super::coerce::{Parameter, Rules, compare};
use super::format::Format;
use super::interface::Reporter;
use super::pattern;
use super::problem::ProblemCode;
use super::spec::interface::{self as spec, ParamType};

/// The rules of a parameter that its type allows; values come with [`values`].
pub fn rules(spec: &spec::Parameter, at: &str, report: &mut Reporter<'_>) -> Rules {
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
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ").trim_end_matches('.');
                let hint = match reason {
                    _ if reason.contains("not supported") => {
                        "Say it without look-around and back-references."
                    }
                    _ if reason.contains("limit") => "Repeat less, or use `max_length`.",
                    _ => "Check its brackets and backslashes.",
                };
                report.error(
                    &format!("{at}/pattern"),
                    ProblemCode::BadPattern,
                    format!("The pattern does not compile: {reason}."),
                    hint,
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
pub fn values(
    spec: &spec::Parameter,
    compiled: &mut Parameter,
    at: &str,
    report: &mut Reporter<'_>,
) {
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
                match scalar.kind {
                    ParamType::String => "Use `max_length` and `min_length` for texts.",
                    _ => "Remove it.",
                },
            );
            return None;
        }
        let read = scalar.from_value(value).ok();
        if read.is_none() {
            let message = format!("`{key}` is no {}.", word(scalar.kind));
            report.error(
                &format!("{at}/{key}"),
                ProblemCode::BadValue,
                message,
                "Write it as a caller would; dates in quotes.",
            );
        }
        read
    };
    // A whole number may bound one with a fraction.
    let maximum = bound("maximum", spec.maximum.as_ref());
    let minimum = bound("minimum", spec.minimum.as_ref());
    compiled.rules.maximum = maximum;
    compiled.rules.minimum = minimum;
    let rules = &compiled.rules;
    if let (Some(least), Some(most)) = (&rules.minimum, &rules.maximum)
        && compare(least, most).is_some_and(std::cmp::Ordering::is_gt)
    {
        report.error(
            &format!("{at}/minimum"),
            ProblemCode::Conflict,
            "The smallest value is larger than the largest.",
            "Exchange `minimum` and `maximum`.",
        );
    }
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
                    format!("This is no {}.", word(scalar.kind)),
                    "Write it as a caller would; dates in quotes.",
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

/// The word for a type, as it is written in YAML.
fn word(kind: ParamType) -> &'static str {
    match kind {
        ParamType::String => "text",
        ParamType::Number => "number",
        ParamType::Integer => "integer",
        ParamType::Boolean => "boolean",
        ParamType::Date => "date",
        ParamType::Datetime => "date and time",
        ParamType::Array => "array",
        ParamType::Object => "object",
    }
}
