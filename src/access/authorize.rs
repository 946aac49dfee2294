//! Decides whether a caller may call an interface.

use super::principal::Principal;
use crate::definitions::problem::Place;
use crate::definitions::snapshot::{Interface, Policies};
use crate::definitions::spec::interface::Visibility;
use crate::observe::event::Denial;
use crate::store::audit::PrincipalKind;

/// Whether `principal` may call `interface`.
///
/// # Errors
/// `MissingCredentials` where it must first say who it is, `NotGranted` where none of its roles grants the interface.
pub fn authorize(
    principal: &Principal,
    interface: &Interface,
    policies: &Policies,
) -> Result<(), Denial> {
    if !interface.auth_required || principal.kind == PrincipalKind::Admin {
        return Ok(());
    }
    if principal.is_anonymous() {
        return Err(Denial::MissingCredentials);
    }
    if interface.visibility == Visibility::Public
        || granting(principal, interface, policies).next().is_some()
    {
        return Ok(());
    }
    Err(Denial::NotGranted)
}

/// The names of the caller's roles that grant the interface.
pub fn granting<'a>(
    principal: &'a Principal,
    interface: &'a Interface,
    policies: &'a Policies,
) -> impl Iterator<Item = &'a str> {
    principal
        .roles
        .iter()
        .filter_map(|role| policies.roles.get(*role))
        .filter(|role| role.grants(interface.index))
        .map(|role| role.name.as_str())
}

/// What of the caller's roles grants the interface: the role, where it stands, and what it says.
pub fn grants<'a>(
    principal: &'a Principal,
    interface: &'a Interface,
    policies: &'a Policies,
) -> impl Iterator<Item = (&'a str, &'a Place, String)> {
    let roles = principal.roles.iter().filter_map(|role| policies.roles.get(*role));
    roles.flat_map(move |role| {
        let granting = role.entries().iter().filter(|(entry, _)| entry.grants(interface));
        granting.map(|(entry, place)| (role.name.as_str(), place, entry.to_string()))
    })
}
