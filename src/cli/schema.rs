//! `tidegate schema KIND`: the JSON Schema of a kind.

use std::process::ExitCode;

use super::cannot_run;
use crate::definitions::schema::Kind;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// datasource, interface, consumer, role or `jwt_issuer`
    kind: String,
}

/// Prints the schema.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(kind) = Kind::parse(&arguments.kind) else {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        return cannot_run(format!(
            "there is no kind `{}`; the kinds are {}",
            arguments.kind,
            known.join(", ")
        ));
    };
    say!("{:#}", kind.schema());
    ExitCode::SUCCESS
}
