//! Which versions there are of a code, and which interface answers at an address.

use std::collections::HashMap;
use std::sync::Arc;

use super::problem::{Problem, ProblemCode};
use super::snapshot::{Interface, Route, Routes};
use super::spec::interface::Status;
use crate::pace::paced;

/// At most one default of a code; successors of what is deprecated. `interfaces` are sorted by code and version.
pub fn versions(interfaces: &mut [Interface], problems: &mut Vec<Problem>) {
    for same in paced(interfaces.chunk_by_mut(|a, b| a.code == b.code)) {
        let mut defaults = same.iter().filter(|interface| interface.is_default);
        if let Some(first) = defaults.next() {
            problems.extend(defaults.map(|other| {
                Problem::error(
                    other.outline.default.within(&other.place.file),
                    ProblemCode::Conflict,
                    format!(
                        "Version {} of `{}` is marked `default` already.",
                        first.version, first.code
                    ),
                    "Keep `default: true` in one version only.",
                )
            }));
        }
        // The highest active version succeeds all that are lower.
        let active = same.iter().rfind(|other| other.status == Status::Active);
        let Some(next) = active.map(|next| (next.path.clone(), next.version.clone())) else {
            continue;
        };
        let (path, version) = next;
        for interface in same.iter_mut().filter(|interface| interface.version < version) {
            if interface.deprecation.is_some() {
                interface.successor = Some((path.clone(), version.to_string()));
            }
        }
    }
}

/// The addresses of all interfaces.
pub fn routes(interfaces: &[Arc<Interface>], problems: &mut Vec<Problem>) -> Routes {
    let mut routes = Routes::default();
    let mut by_path: HashMap<String, usize> = HashMap::new();
    for interface in paced(interfaces) {
        let owner = by_path.get(&interface.path).copied();
        if let Some(at) = owner {
            let first = routes.entries[at].versions.first().map(|first| &interfaces[*first]);
            if let Some(first) = first.filter(|first| first.code != interface.code) {
                problems.push(path_conflict(interface, &format!("`{}`", first.label())));
                continue;
            }
            routes.entries[at].versions.push(interface.index);
            continue;
        }
        let at = routes.entries.len();
        if let Err(error) = routes.paths.insert(interface.path.clone(), at) {
            let other = match &error {
                matchit::InsertError::Conflict { with } => format!("`{with}`"),
                other => other.to_string(),
            };
            problems.push(path_conflict(interface, &other));
            continue;
        }
        by_path.insert(interface.path.clone(), at);
        let path = interface.path.clone();
        routes.entries.push(Route { path, versions: vec![interface.index], default: None });
    }
    for route in paced(&mut routes.entries) {
        route.versions.retain(|index| interfaces[*index].is_callable());
        let marked = route.versions.iter().copied().find(|index| interfaces[*index].is_default);
        let active = route
            .versions
            .iter()
            .copied()
            .rfind(|index| interfaces[*index].status == Status::Active);
        route.default = marked.or(active).or(route.versions.last().copied());
    }
    routes
}

fn path_conflict(interface: &Interface, other: &str) -> Problem {
    Problem::error(
        interface.outline.path.within(&interface.place.file),
        ProblemCode::PathConflict,
        format!("The path `{}` clashes with that of {other}.", interface.path),
        "Give one of them another `path`.",
    )
}
