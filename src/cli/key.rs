//! `tidegate key new`: a fresh API key, and the YAML line that lets it in.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::cannot_run;
use crate::definitions::load::hex;

/// Random bytes of a key.
const KEY_BYTES: usize = 32;

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
    let mut bytes = [0; KEY_BYTES];
    if let Err(error) = OsRng.try_fill_bytes(&mut bytes) {
        return cannot_run(format!("the system gives no random bytes: {error}"));
    }
    let key = format!("tg_{}", URL_SAFE_NO_PAD.encode(bytes));
    let month = || jiff::Zoned::now().strftime("%Y-%m").to_string();
    let id = id.clone().unwrap_or_else(month);
    println!("key (give it to the caller, it is not kept anywhere):");
    println!("  {key}");
    println!("line for `api_keys` of the consumer:");
    println!("  - {{id: {id:?}, sha256: \"{}\"}}", hex(&Sha256::digest(&key)));
    ExitCode::SUCCESS
}
