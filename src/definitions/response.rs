//! Compiles what happens between the query's rows and the answer.

use std::collections::HashSet;
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

use super::interface::Reporter;
use super::problem::ProblemCode;
use super::snapshot::{Response, ResponseSchema, RowExpression};
use super::spec::interface as spec;

/// Steps one expression may take on one row.
const MAX_EXPRESSION_FUEL: u64 = 10_000;

/// Compiles transform, fields and response schema.
pub fn compile(spec: &spec::Interface, report: &mut Reporter<'_>) -> Response {
    let transform = spec.transform.clone().unwrap_or_default();
    let omit: HashSet<String> = transform.omit.iter().cloned().collect();
    let mut targets = HashSet::new();
    for (from, to) in &transform.rename {
        if !targets.insert(to) {
            report.error(
                &format!("/transform/rename/{from}"),
                ProblemCode::Conflict,
                format!("Two columns become `{to}`."),
                "Give each its own name.",
            );
        }
        if omit.contains(from) {
            report.error(
                &format!("/transform/rename/{from}"),
                ProblemCode::Conflict,
                format!("`{from}` is renamed and left out."),
                "Do one of the two.",
            );
        }
    }
    let mut computed = Vec::new();
    for (name, text) in &transform.computed {
        match environment().compile_expression_owned(text.clone()) {
            Ok(expression) => computed.push((name.clone(), RowExpression(expression))),
            Err(error) => {
                let reason = error.detail().unwrap_or("syntax error").to_owned();
                report.error(
                    &format!("/transform/computed/{name}"),
                    ProblemCode::BadExpression,
                    format!("The expression does not parse: {reason}."),
                    "Write an expression over the row's columns: `amount / quantity`.",
                );
            }
        }
    }
    let mut names = HashSet::new();
    for (i, field) in spec.fields.iter().enumerate() {
        if !names.insert(&field.name) {
            report.error(
                &format!("/fields/{i}/name"),
                ProblemCode::DuplicateIdentity,
                format!("There is a field `{}` already.", field.name),
                "Keep one of the two.",
            );
        }
    }
    Response {
        rename: transform.rename.into_iter().collect(),
        omit,
        value_map: transform
            .value_map
            .into_iter()
            .map(|(column, labels)| {
                (
                    column,
                    labels.into_iter().map(|(code, label)| (code, label.to_string())).collect(),
                )
            })
            .collect(),
        computed,
        summary: transform.summary.into_iter().collect(),
        fields: spec.fields.clone(),
        schema: schema(spec, report),
        validate: spec.validate_response,
        example: spec.example.clone().map(Value::Object),
    }
}

fn schema(spec: &spec::Interface, report: &mut Reporter<'_>) -> Option<ResponseSchema> {
    let source = Value::Object(spec.response_schema.clone()?);
    match jsonschema::options().should_validate_formats(true).build(&source) {
        Ok(validator) => Some(ResponseSchema { validator, source }),
        Err(error) => {
            let message = format!("`response_schema` is no JSON Schema: {error}.");
            report.error(
                &format!("/response_schema{}", error.instance_path()),
                ProblemCode::BadSchema,
                message,
                "Write a JSON Schema of the whole envelope.",
            );
            None
        }
    }
}

/// Where expressions over rows are compiled and run.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_fuel(Some(MAX_EXPRESSION_FUEL));
        environment
    });
    &ENVIRONMENT
}
