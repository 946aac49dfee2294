//! `tidegate test`: runs the tests of the interfaces through the real request path, without a socket.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use globset::Glob;
use serde_json::{Value, json};

use super::{Bench, Root, cannot_run};
use crate::access::attempts::Attempts;
use crate::gateway::leave::Leave;
use crate::gateway::misses::Misses;
use crate::gateway::refusals::Refusals;
use crate::gateway::testing::{Outcome, try_case};
use crate::gateway::{Gateway, GatewaySettings};
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
        misses: Misses::default(),
        refusals: Refusals::default(),
        settings: GatewaySettings::default(),
    });
    let generation = live.current();
    let mut outcomes = Vec::new();
    for interface in generation.snapshot.interfaces.iter().filter(|i| filter.is_match(&i.code)) {
        for test in &interface.tests {
            outcomes.push(runtime.block_on(try_case(&gateway, &generation, interface, test)));
        }
    }
    print(&outcomes, arguments.format);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let passed = outcomes.iter().all(|outcome| outcome.differences.is_empty());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(outcomes: &[Outcome], format: Format) {
    let failed = outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
    match format {
        Format::Text => {
            for Outcome { interface, name, duration, differences } in outcomes {
                let word = if differences.is_empty() { "ok    " } else { "FAILED" };
                say!("{word} {interface}: {name} ({} ms)", duration.as_millis());
                differences.iter().for_each(|difference| say!("         {difference}"));
            }
            say!("{} passed, {failed} failed", outcomes.len() - failed);
        }
        Format::Json => {
            let results: Vec<Value> = outcomes.iter().map(|o| json!({
                "interface": o.interface, "name": o.name, "passed": o.differences.is_empty(),
                "duration_ms": u64::try_from(o.duration.as_millis()).unwrap_or(u64::MAX), "differences": o.differences,
            })).collect();
            say!(
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
    say!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    say!("<testsuite name=\"tidegate\" tests=\"{}\" failures=\"{failed}\">", outcomes.len());
    for Outcome { interface, name, duration, differences } in outcomes {
        let (class, name, time) = (escape(interface), escape(name), duration.as_secs_f64());
        if differences.is_empty() {
            say!("  <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\"/>");
        } else {
            let text = escape(&differences.join("\n"));
            say!("  <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\">");
            say!("    <failure>{text}</failure>\n  </testcase>");
        }
    }
    say!("</testsuite>");
}
