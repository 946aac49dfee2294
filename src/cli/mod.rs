//! The command line: one file a command.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::access::mask_key::MaskKey;
use crate::live::reload::Live;
use crate::observe::Observer;
use crate::observe::metrics::Metrics;

/// A line on standard output, for as long as somebody takes it: `println!` would panic then.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

mod admin;
mod explain;
mod key;
mod schema;
mod serve;
mod test;
mod validate;

/// Exit code where a command could not run at all.
const CANNOT_RUN: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about = "A data-API gateway with config-as-code.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the appliance.
    Serve(Box<serve::Arguments>),
    /// Compile everything and print every problem.
    Validate(validate::Arguments),
    /// Run the tests of the interfaces.
    Test(test::Arguments),
    /// Explain what a caller would get of an interface, and why.
    Explain(explain::Arguments),
    /// Print the JSON Schema of a kind, for editors.
    Schema(schema::Arguments),
    /// Make API keys.
    Key(key::Arguments),
    /// Make accounts of the admin address.
    Admin(admin::Arguments),
}

/// Where the definitions are.
#[derive(Clone, Debug, clap::Args)]
struct Root {
    /// Directory with `datasources/`, `definitions/` and `policies/`.
    #[arg(long, env = "TIDEGATE_ROOT", default_value = ".")]
    root: PathBuf,
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(*arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Admin(arguments) => admin::run(arguments),
    }
}

/// Definitions at work without an address, for commands that call interfaces.
struct Bench {
    runtime: Runtime,
    observer: Observer,
    live: Live,
}

impl Bench {
    /// Loads the definitions. Hashes of masks are made with a key that is gone with the process.
    fn open(root: &Root) -> Result<Self, ExitCode> {
        let runtime = Runtime::new().map_err(cannot_run)?;
        let observer = Observer::new(Metrics::new().into());
        let (handle, key) = (Some(runtime.handle().clone()), MaskKey::ephemeral().into());
        match Live::start(&root.root, handle, observer.clone(), key) {
            Ok(live) => Ok(Self { runtime, observer, live }),
            Err(problems) => {
                problems.iter().for_each(complain);
                Err(cannot_run("the definitions have problems"))
            }
        }
    }
}

/// Says why a command cannot run.
fn cannot_run(reason: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("tidegate: {reason}"));
    ExitCode::from(CANNOT_RUN)
}

/// A line on standard error, for as long as somebody takes it.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
