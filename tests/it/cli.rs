//! The command line: what it prints, and how it exits.

mod live;
mod others;
mod test;
mod validate;

use crate::support::{Tree, run};

/// Runs a command on a tree.
fn on(tree: &Tree, args: &[&str]) -> (i32, String, String) {
    let (command, rest) = args.split_first().unwrap();
    let mut all = vec![*command, "--root", tree.root().to_str().unwrap()];
    all.extend(rest);
    run(&all)
}
