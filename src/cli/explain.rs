//! `tidegate explain`: what a caller would get of an interface, and why. Exit 0: allowed, 1: refused, 2: could not run.

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::{Bench, Root, cannot_run};
use crate::definitions::problem::nearest;
use crate::definitions::spec::interface::Caller;
use crate::gateway::explain::{Because, Explanation, caller, explain};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    root: Root,
    /// Code of the interface.
    code: String,
    /// Version of it; default: the one that a call without version gets.
    #[arg(long, value_name = "VERSION")]
    at_version: Option<String>,
    /// Consumer or role that calls; without it and without claims: an anonymous caller.
    #[arg(long = "as", value_name = "CONSUMER|ROLE")]
    caller: Option<String>,
    /// Claims of the caller, over those it has, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    claims: Option<Map<String, Value>>,
    /// Parameters of the call, as a JSON object; required ones that are missing get a usual value.
    #[arg(long, value_name = "JSON", value_parser = object)]
    parameters: Option<Map<String, Value>>,
    /// How the explanation is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))
}

/// Explains a call.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Bench { runtime, live, .. } = match Bench::open(&arguments.root) {
        Ok(bench) => bench,
        Err(code) => return code,
    };
    let generation = live.current();
    let snapshot = &generation.snapshot;
    let Some(interface) = snapshot.find(&arguments.code, arguments.at_version.as_deref()) else {
        let codes = snapshot.interfaces.iter().map(|interface| interface.code.as_str());
        let near = nearest(&arguments.code, codes);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return cannot_run(format!("there is no interface `{}`{hint}", arguments.code));
    };
    let named = arguments.caller.clone().map(Caller::Name);
    let claims = arguments.claims.clone().unwrap_or_default();
    let Some(principal) = caller(&generation, named.as_ref(), &claims) else {
        let name = arguments.caller.as_deref().unwrap_or_default();
        let known = snapshot.policies.consumer_ids.keys().chain(snapshot.policies.role_ids.keys());
        let near = nearest(name, known.map(String::as_str));
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return cannot_run(format!("there is no consumer or role `{name}`{hint}"));
    };
    let parameters = arguments.parameters.clone().unwrap_or_default();
    let explanation = runtime.block_on(explain(&generation, interface, &principal, &parameters));
    match arguments.format {
        Format::Json => {
            say!("{:#}", serde_json::to_value(&explanation).unwrap_or_default());
        }
        Format::Text => print(&explanation),
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    if explanation.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(explanation: &Explanation) {
    let word = if explanation.allowed { "allowed" } else { "refused" };
    say!("{word}  {} for {}", explanation.interface, explanation.caller);
    say!("  code    {}", explanation.code);
    say!("  reason  {}", explanation.reason);
    let roles =
        if explanation.roles.is_empty() { "none".into() } else { explanation.roles.join(", ") };
    say!("  roles   {roles}");
    if !explanation.interface_grants.is_empty() {
        say!("interface granted by");
        explanation.interface_grants.iter().for_each(print_because);
    }
    for table in &explanation.tables {
        if table.grants.is_empty() {
            say!("table {}: granted by nothing", table.table);
        } else {
            say!("table {} seen by", table.table);
            table.grants.iter().for_each(print_because);
        }
    }
    for (title, sql) in [("sql", &explanation.sql), ("count", &explanation.count_sql)] {
        if let Some(sql) = sql {
            say!("{title}");
            sql.lines().for_each(|line| say!("  {line}"));
        }
    }
    if let Some(reason) = &explanation.sql_missing {
        say!("not as it should be: {reason}");
    }
}

fn print_because(because: &Because) {
    let Because { role, place, grant } = because;
    let said = match grant {
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    say!("  {role}  {}:{}  {said}", place.file, place.line);
}
