//! Advice on policies: what compiles, and is probably not what its author meant.

use std::sync::Arc;

use super::compile::Sources;
use super::problem::{Problem, ProblemCode};
use super::snapshot::{Interface, Policies};

/// Adds warnings to `problems`.
pub fn give(
    _sources: &Sources,
    _interfaces: &[Arc<Interface>],
    _policies: &Policies,
    _problems: &mut Vec<Problem>,
) {
    let _ = ProblemCode::PolicyUnused;
}
