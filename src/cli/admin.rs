//! `tidegate admin create`: an account for the admin address, made beside it.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Subcommand;
use tokio::runtime::Runtime;

use super::{Root, cannot_run};
use crate::admin::api::accounts::name_flaw;
use crate::admin::auth::password;
use crate::settings::Given;
use crate::store::{Changed, Role, Store};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account; the password is asked for, or read from standard input.
    Create {
        /// Name to log in with
        username: String,
        /// viewer, developer, operator or admin
        #[arg(long, default_value = "admin")]
        role: String,
        #[command(flatten)]
        root: Root,
        #[command(flatten)]
        given: Box<Given>,
    },
}

/// Makes an account.
pub fn run(arguments: Arguments) -> ExitCode {
    let Action::Create { username, role, root, given } = arguments.action;
    match create(&username, &role, &root, *given) {
        Ok(()) => {
            say!("{username} can log in now, with the role {role}.");
            ExitCode::SUCCESS
        }
        Err(reason) => cannot_run(reason),
    }
}

fn create(username: &str, role: &str, root: &Root, given: Given) -> Result<(), String> {
    let role = Role::parse(role).ok_or_else(|| format!("`{role}` is none of the roles"))?;
    let settings = given.decide(&root.root).map_err(|error| error.to_string())?;
    let password = read_password().map_err(|error| error.to_string())?;
    if let Some(flaw) = name_flaw(username).or_else(|| password::flaw(&password, username)) {
        return Err(flaw.to_owned());
    }
    let hash = password::hash(&password)?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let made = runtime.block_on(async {
        let store = Store::open(&settings.store_url).await?;
        let made = store.add_account(username, &hash, role, false).await;
        store.close().await;
        made
    });
    match made {
        Ok(Changed::Done) => Ok(()),
        Ok(_) => Err(format!("there is an account `{username}` already")),
        Err(error) => Err(error.to_string()),
    }
}

fn read_password() -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("Password: ");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
