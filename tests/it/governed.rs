//! Governed datasources: what a caller sees of tables, columns and rows, however the query asks for it.

mod advice;
pub mod attacks;
mod cache;
mod explained;
mod masks;
mod paths;
mod roles;

use crate::support::databases::{Bench, Kind};
use crate::support::{Answer, KEY, Tidegate, sha256};

/// A policy that gives a consumer with the test key these roles' data; see [`Policy::write`].
pub struct Policy<'a> {
    pub claims: &'a str,
    /// A role for each: the items of its `data`, in YAML flow.
    pub roles: &'a [&'a str],
}

impl Policy<'_> {
    /// Replaces the base policies of the tree: the consumer `tester` has every role, and the first grants all interfaces.
    pub fn write(&self, bench: &Bench) {
        self.write_for(bench, "tester", KEY);
    }

    /// The same for another consumer, with roles of its own, beside what is there.
    pub fn write_for(&self, bench: &Bench, consumer: &str, key: &str) {
        let mut text = String::new();
        let mut names = Vec::new();
        for (i, data) in self.roles.iter().enumerate() {
            let name = format!("{consumer}_{i}");
            let interfaces = if i == 0 { "[\"*\"]" } else { "[]" };
            text += &format!("kind: role\nname: {name}\ninterfaces: {interfaces}\n");
            text += if data.trim().is_empty() { "" } else { "data:\n" };
            for grant in data.lines().map(str::trim).filter(|grant| !grant.is_empty()) {
                text += &format!("  - {{datasource: db, {grant}}}\n");
            }
            text += "---\n";
            names.push(name);
        }
        text += &format!(
            "kind: consumer\nname: {consumer}\nroles: [{}]\nclaims: {{{}}}\napi_keys: [{{id: a, sha256: \"{}\"}}]\n",
            names.join(", "),
            self.claims,
            sha256(key)
        );
        let file = if consumer == "tester" { "base" } else { consumer };
        bench.tree.write(&format!("policies/{file}.yaml"), &text);
    }
}

/// A governed database of its own.
pub fn governed(kind: Kind, sql: &str) -> Bench {
    let bench = Bench::new(kind);
    bench.sql(sql);
    bench.datasource("governed: true");
    bench
}

/// An answer to a call of `code` with another key than the usual one.
pub fn get_as(gateway: &Tidegate, key: &str, code: &str) -> Answer {
    gateway.get_with(&format!("/data-api/{code}"), &[("x-api-key", key)])
}
