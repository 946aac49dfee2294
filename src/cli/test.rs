//! `tidegate test`: runs the tests of the interfaces through the real request path, without a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use globset::Glob;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{Bench, Root, cannot_run};
use crate::access::attempts::Attempts;
use crate::access::principal::Principal;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::{Expect, TestCase};
use crate::gateway::calls::Calls;
use crate::gateway::explain::caller;
use crate::gateway::leave::Leave;
use crate::gateway::misses::Misses;
use crate::gateway::pipeline::{TestRun, handle};
use crate::gateway::testing::request;
use crate::gateway::{Gateway, GatewaySettings};
use crate::live::generation::Generation;
use crate::query::cache::AnswerCache;

/// Memory of cached answers while testing, in bytes.
const CACHE_BYTES: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    root: Root,
    /// Codes of interfaces to test, as a pattern such as `sales_*`.
    #[arg(long, default_value = "*")]
    filter: String,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

/// How one test ended.
struct Outcome {
    interface: String,
    name: String,
    duration: Duration,
    /// What was not as expected; empty: passed.
    differences: Vec<String>,
}

/// Runs the tests. Exit 0: all passed, 1: some failed, 2: could not run.
pub fn run(arguments: &Arguments) -> ExitCode {
    let filter = match Glob::new(&arguments.filter) {
        Ok(glob) => glob.compile_matcher(),
        Err(error) => {
            return cannot_run(format!("`{}` is no pattern: {}", arguments.filter, error.kind()));
        }
    };
    let Bench { runtime, observer, live } = match Bench::open(&arguments.root) {
        Ok(bench) => bench,
        Err(code) => return code,
    };
    let live = Arc::new(live);
    let gateway = Arc::new(Gateway {
        live: live.clone(),
        cache: AnswerCache::new(CACHE_BYTES),
        observer,
        audit: None,
        attempts: Attempts::new(0),
        leave: Leave::default(),
        calls: Calls::new(GatewaySettings::default().max_in_flight),
        misses: Misses::default(),
        settings: GatewaySettings::default(),
    });
    let generation = live.current();
    let mut outcomes = Vec::new();
    for interface in generation.snapshot.interfaces.iter().filter(|i| filter.is_match(&i.code)) {
        for test in &interface.tests {
            outcomes.push(runtime.block_on(one(&gateway, &generation, interface, test)));
        }
    }
    print(&outcomes, arguments.format);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let passed = outcomes.iter().all(|outcome| outcome.differences.is_empty());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn one(
    gateway: &Arc<Gateway>,
    generation: &Arc<Generation>,
    interface: &Arc<Interface>,
    test: &TestCase,
) -> Outcome {
    let started = Instant::now();
    // Names that nothing defines are problems at load.
    let principal = caller(generation, test.caller.as_ref(), &test.claims)
        .unwrap_or_else(|| Arc::new(Principal::anonymous()));
    let run = TestRun { generation: generation.clone(), principal, interface: interface.clone() };
    let request = request(interface, &test.parameters);
    let response = handle(gateway, request, IpAddr::V4(Ipv4Addr::LOCALHOST), Some(&run)).await;
    let status = response.status().as_u16();
    let differences = match response.into_body().collect().await {
        Ok(body) => {
            let envelope = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
            differences(&test.expect, status, &envelope)
        }
        Err(error) => vec![format!("the answer broke off: {error}")],
    };
    Outcome {
        interface: interface.label(),
        name: test.name.clone(),
        duration: started.elapsed(),
        differences,
    }
}

fn differences(expect: &Expect, status: u16, envelope: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, wanted: Option<Value>, got: Value| {
        if let Some(wanted) = wanted.filter(|wanted| !same(wanted, &got)) {
            found.push(format!("{what}: expected {wanted}, got {got}"));
        }
    };
    compare("status", expect.status.map(Value::from), status.into());
    compare("code", expect.code.clone().map(Value::from), envelope["code"].clone());
    let rows = envelope["data"].as_array().map(|rows| Value::from(rows.len()));
    compare("rows", expect.rows.map(Value::from), rows.unwrap_or(Value::Null));
    compare("data", expect.data.clone(), envelope["data"].clone());
    for (path, wanted) in &expect.json_path {
        compare(
            path,
            Some(wanted.clone()),
            at_path(envelope, path).cloned().unwrap_or(Value::Null),
        );
    }
    if !found.is_empty() && envelope["success"] == json!(false) {
        found.push(format!("the answer: {} {}", envelope["message"], envelope["details"]));
    }
    found
}

/// Equality in which numbers count by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The value at `$.data[0].name`.
fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for step in path
        .trim_start_matches('$')
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|s| !s.is_empty())
    {
        at = match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            other => other.get(step.trim_matches(['"', '\'']))?,
        };
    }
    Some(at)
}

fn print(outcomes: &[Outcome], format: Format) {
    let failed = outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
    match format {
        Format::Text => {
            for Outcome { interface, name, duration, differences } in outcomes {
                let word = if differences.is_empty() { "ok    " } else { "FAILED" };
                println!("{word} {interface}: {name} ({} ms)", duration.as_millis());
                differences.iter().for_each(|difference| println!("         {difference}"));
            }
            println!("{} passed, {failed} failed", outcomes.len() - failed);
        }
        Format::Json => {
            let results: Vec<Value> = outcomes.iter().map(|o| json!({
                "interface": o.interface, "name": o.name, "passed": o.differences.is_empty(),
                "duration_ms": u64::try_from(o.duration.as_millis()).unwrap_or(u64::MAX), "differences": o.differences,
            })).collect();
            println!(
                "{:#}",
                json!({ "passed": outcomes.len() - failed, "failed": failed, "tests": results })
            );
        }
        Format::Junit => print_junit(outcomes, failed),
    }
}

fn print_junit(outcomes: &[Outcome], failed: usize) {
    let escape = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    println!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    println!("<testsuite name=\"tidegate\" tests=\"{}\" failures=\"{failed}\">", outcomes.len());
    for Outcome { interface, name, duration, differences } in outcomes {
        let (class, name, time) = (escape(interface), escape(name), duration.as_secs_f64());
        if differences.is_empty() {
            println!("  <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\"/>");
        } else {
            let text = escape(&differences.join("\n"));
            println!("  <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\">");
            println!("    <failure>{text}</failure>\n  </testcase>");
        }
    }
    println!("</testsuite>");
}
