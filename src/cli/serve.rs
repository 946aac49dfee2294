//! `tidegate serve`: runs the appliance.

use std::process::ExitCode;

use super::{Root, cannot_run};
use crate::observe::log::Log;
use crate::server::{Start, serve};
use crate::settings::Given;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    given: Given,
    /// Take over from the running process on the same data directory, without a call lost
    #[arg(long)]
    upgrade: bool,
}

/// Serves until told to stop.
pub fn run(arguments: Arguments) -> ExitCode {
    let root = &arguments.root.root;
    if !root.is_dir() {
        return cannot_run(format!("`{}` is no directory", root.display()));
    }
    let settings = match arguments.given.decide(root) {
        Ok(settings) => settings,
        Err(error) => return cannot_run(error),
    };
    let log = match Log::start(settings.log_format, &settings.log_filter) {
        Ok(log) => log,
        Err(error) => return cannot_run(error),
    };
    let start = if arguments.upgrade { Start::Upgrade } else { Start::Alone };
    match serve(&settings, start, log.left_out()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_run(error),
    }
}
