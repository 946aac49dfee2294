//! The command line: one file a command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    }
}

/// Says why a command cannot run.
fn cannot_run(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("tidegate: {reason}");
    ExitCode::from(CANNOT_RUN)
}
