//! `tidegate key new`: a fresh API key, and the YAML line that lets it in.

use std::process::ExitCode;

use clap::Subcommand;

use super::cannot_run;
use crate::admin::auth::secret;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key. It is shown once; the definitions hold only its hash.
    New {
        /// Name of the key within its consumer; default: the month.
        #[arg(long)]
        id: Option<String>,
    },
}

/// Makes a key.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Action::New { id } = &arguments.action;
    let key = match secret::fresh() {
        Ok(secret) => format!("{}{secret}", secret::KEY_PREFIX),
        Err(error) => return cannot_run(format!("the system gives no random bytes: {error}")),
    };
    let month = || jiff::Zoned::now().strftime("%Y-%m").to_string();
    let id = id.clone().unwrap_or_else(month);
    say!("key (give it to the caller, it is not kept anywhere):");
    say!("  {key}");
    say!("line for `api_keys` of the consumer:");
    say!("  - {{id: {id:?}, sha256: \"{}\"}}", secret::hash(&key));
    ExitCode::SUCCESS
}
