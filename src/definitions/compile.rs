//! Compiles a tree: documents to specs, specs to a snapshot, and every problem on the way.

use std::sync::Arc;

use super::kept::Kept;
use super::load::Tree;
use super::problem::Problem;
use super::schema::Kind;
use super::snapshot::{Interface, Snapshot};
use super::sources::{Given, Sources};
use super::{advice, datasource, interface, mention, parallel, policy, route};
use crate::pace::{self, paced};

/// Compiles `tree`.
///
/// # Errors
/// All problems, sorted by place, where at least one is an error.
pub fn compile(tree: &Tree) -> Result<Snapshot, Vec<Problem>> {
    parallel::with_room(|| compile_here(tree, None))
}

/// The same beside calls that are being answered by `before`, from which what did not change is taken over. What comes out is
/// what [`compile`] makes of the tree, whatever `before` is.
///
/// # Errors
/// As [`compile`].
pub fn compile_beside(tree: &Tree, before: &Snapshot) -> Result<Snapshot, Vec<Problem>> {
    pace::beside_calls(|| parallel::with_room(|| compile_here(tree, Some(before))))
}

fn compile_here(tree: &Tree, before: Option<&Snapshot>) -> Result<Snapshot, Vec<Problem>> {
    let mut problems = tree.problems.clone();
    let mut sources = Sources::new(tree);
    // Datasources first: which interfaces have to be read depends on them.
    let is_first = |folder: &str| folder == Kind::Datasource.folder();
    sources.read(tree, is_first, &Kept::nothing(), &mut problems);
    let datasources = datasource::compile(&sources, before, &mut problems);
    let kept = before.map(|before| Kept::new(before, &tree.files, &datasources));
    let kept = kept.unwrap_or_default();
    sources.read(tree, |folder| !is_first(folder), &kept, &mut problems);
    sources.sort_interfaces();
    let context = interface::Context { tree, sources: &sources, datasources: &datasources };
    let mut interfaces = interfaces(&context, &mut problems);
    // What is kept would not be warned of again: warnings come from looks at the whole tree, from here on.
    debug_assert!(problems.iter().all(Problem::is_error), "{problems:?}");
    route::versions(&mut interfaces, &mut problems);
    let interfaces: Vec<Arc<Interface>> = paced(interfaces).map(Arc::new).collect();
    let routes = route::routes(&interfaces, &mut problems);
    let policies = policy::compile(&sources, tree, &datasources, &interfaces, &mut problems);
    if !problems.iter().any(Problem::is_error) {
        advice::give(&sources, &interfaces, &policies, &mut problems);
    }
    mention::check(&sources, &mut problems);
    problems.sort();
    problems.dedup();
    sources.free();
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok(Snapshot {
        revision: tree.revision.clone(),
        hash: tree.hash.clone(),
        interfaces,
        routes,
        datasources,
        policies,
        warnings: problems,
        files: tree.files.clone(),
    })
}

/// The interfaces that compile, in their places among all.
fn interfaces(context: &interface::Context<'_>, problems: &mut Vec<Problem>) -> Vec<Interface> {
    let compiled = parallel::map(&context.sources.interfaces, |given| {
        let mut problems = Vec::new();
        let definition = match given {
            Given::Kept(definition) => Some(definition.clone()),
            Given::Written(source, outline) => {
                interface::compile(source, outline, context, &mut problems).map(Arc::new)
            }
        };
        (definition, problems)
    });
    let mut interfaces = Vec::with_capacity(compiled.len());
    for (definition, found) in paced(compiled) {
        problems.extend(found);
        if let Some(definition) = definition {
            interfaces.push(Interface { index: interfaces.len(), successor: None, definition });
        }
    }
    interfaces
}
