//! Advice on policies: what compiles, and is probably not what its author meant.

use std::collections::HashSet;
use std::sync::Arc;

use super::grant::Grant;
use super::problem::{Place, Problem, ProblemCode};
use super::snapshot::{Entry, Interface, KnownReads, Policies, Role};
use super::sources::Sources;
use crate::pace::paced;
use crate::sql::relation::Relation;
use crate::sql::statement::Ungoverned;
use crate::sql::template::Template;

/// Warns of roles and grants that have no effect, of tables that nobody may see, and of conditions on masked columns.
pub fn give(
    sources: &Sources,
    interfaces: &[Arc<Interface>],
    policies: &Policies,
    problems: &mut Vec<Problem>,
) {
    let advice = Advice { sources, interfaces, policies };
    let mut found = advice.roles();
    found.extend(advice.ungoverned());
    found.extend(paced(interfaces).flat_map(|interface| advice.unseen(interface)));
    problems.extend(found.into_iter().map(Problem::as_warning));
}

struct Advice<'a> {
    sources: &'a Sources,
    interfaces: &'a [Arc<Interface>],
    policies: &'a Policies,
}

impl Advice<'_> {
    /// What has no effect of the roles.
    fn roles(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let held: HashSet<usize> =
            self.policies.consumers.iter().flat_map(|consumer| consumer.roles.clone()).collect();
        // Tokens bring roles that nothing here knows of.
        let may_be_held = |index: usize| held.contains(&index) || !self.policies.issuers.is_empty();
        for (index, role) in self.policies.roles.iter().enumerate() {
            if !may_be_held(index) {
                found.push(unused(
                    role.place.clone(),
                    format!("No consumer has the role `{}`.", role.name),
                    "Give it to a consumer, or remove it.",
                ));
            }
            found.extend(self.entries(role));
            found.extend(role.all_data().filter_map(|(id, grant)| self.grant(id, grant)));
        }
        found
    }

    fn entries(&self, role: &Role) -> Vec<Problem> {
        let matches = |entry: &Entry| paced(self.interfaces).any(|i| entry.grants(i));
        let is_all =
            |entry: &Entry| matches!(entry, Entry::Codes(glob) if glob.glob().glob() == "*");
        let unmatched =
            role.entries().iter().filter(|(entry, _)| !is_all(entry) && !matches(entry));
        if self.interfaces.is_empty() {
            return Vec::new();
        }
        unmatched
            .map(|(entry, place)| {
                unused(
                    place.clone(),
                    format!("No interface matches `{entry}`."),
                    "Name interfaces by code, by a pattern such as `sales_*`, or by a tag they have.",
                )
            })
            .collect()
    }

    /// A grant of tables that no interface reads.
    fn grant(&self, datasource: &str, grant: &Grant) -> Option<Problem> {
        let tables = grant.tables.as_ref()?;
        let mut reads = self.reads(datasource);
        let is_known = reads.all(|(_, reads)| reads.is_complete);
        let is_read =
            self.reads(datasource).any(|(_, r)| r.tables.iter().any(|t| tables.may_cover(t)));
        if is_read || !is_known || tables.text.starts_with('*') {
            return None;
        }
        Some(unused(
            grant.place.clone(),
            format!("No interface reads a table of `{datasource}` that `{}` matches.", tables.text),
            "Check the name; with its schema where the query has it, such as `public.fact_*`.",
        ))
    }

    fn reads<'b>(
        &'b self,
        datasource: &'b str,
    ) -> impl Iterator<Item = (&'b Arc<Interface>, &'b KnownReads)> {
        let own = paced(self.interfaces).filter(move |i| i.datasource.spec.id == datasource);
        own.filter_map(|interface| Some((interface, interface.query.reads.as_ref()?)))
    }

    /// Grants that hold for no datasource, since none that they name is governed.
    fn ungoverned(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for source in &self.sources.roles {
            for (i, grant) in source.spec.data.iter().enumerate() {
                let Ok(glob) = globset::Glob::new(&grant.datasource) else { continue };
                let glob = glob.compile_matcher();
                let named: Vec<bool> = self
                    .sources
                    .datasources
                    .iter()
                    .filter(|source| glob.is_match(&source.spec.id))
                    .map(|source| source.spec.governed)
                    .collect();
                if !named.is_empty() && !named.contains(&true) {
                    found.push(unused(
                        source.document.place(&format!("/data/{i}/datasource")),
                        format!("`{}` is not governed, so that this grant has no effect.", grant.datasource),
                        "Set `governed: true` on the datasource; it is then closed to whatever no role grants.",
                    ));
                }
            }
        }
        found
    }

    /// What of an interface nobody sees, and conditions on what some see masked.
    fn unseen(&self, interface: &Interface) -> Vec<Problem> {
        let Some(reads) = &interface.query.reads else { return Vec::new() };
        let id = &interface.datasource.spec.id;
        let all = || self.policies.roles.iter().flat_map(move |role| role.data(id));
        let mut found = Vec::new();
        for table in &reads.tables {
            if !all().any(|grant| covers(grant, table)) {
                found.push(Problem::error(
                    interface.place.clone(),
                    ProblemCode::PolicyDoubtful,
                    format!(
                        "`{}` reads `{table}`, which no role grants: every call is refused.",
                        interface.label()
                    ),
                    format!("Grant it: `data: [{{datasource: {id}, table: {table}}}]` in a role."),
                ));
            }
        }
        if !interface.auth_required {
            found.push(Problem::error(
                interface.place.clone(),
                ProblemCode::PolicyDoubtful,
                format!("`{}` lets anybody call, and its datasource is governed: who has no role sees nothing.", interface.label()),
                "Leave `auth_required` out, or read a datasource that is not governed.",
            ));
        }
        let granting = self.policies.roles.iter().filter(|role| role.grants(interface.index));
        for grant in granting.flat_map(|role| role.data(id)) {
            found.extend(masked_conditions(interface, grant));
        }
        found
    }
}

/// Conditions of an interface on columns that a grant masks: they compare the masked value.
fn masked_conditions(interface: &Interface, grant: &Grant) -> Vec<Problem> {
    let templates = std::iter::once(&interface.query.template).chain(&interface.query.total);
    let mut found = Vec::new();
    for statement in templates.flat_map(Template::known) {
        let Some(Ungoverned { reads, .. }) = &statement.ungoverned else { continue };
        if !reads.tables.iter().any(|table| covers(grant, table)) {
            continue;
        }
        for (column, _) in &grant.rule.masks {
            if reads.conditions.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                found.push(Problem::error(
                    interface.place.clone(),
                    ProblemCode::PolicyDoubtful,
                    format!(
                        "`{}` has a condition on `{column}`, which the role `{}` sees masked ({}:{}): it compares the masked value.",
                        interface.label(), grant.role, grant.place.file, grant.place.line
                    ),
                    "Filter on another column, or show this one to the role.",
                ));
            }
        }
    }
    found.dedup();
    found
}

fn covers(grant: &Grant, table: &Relation) -> bool {
    grant.tables.as_ref().is_some_and(|tables| tables.may_cover(table))
}

fn unused(place: Place, message: String, hint: &str) -> Problem {
    Problem::error(place, ProblemCode::PolicyUnused, message, hint)
}
