//! Finds the interface that an address and a version name.

use std::sync::Arc;

use super::error::ApiError;
use super::messages::Message;
use crate::definitions::fault::Fault;
use crate::definitions::snapshot::{Interface, Snapshot};
use crate::definitions::spec::interface::{Method, Status};
use crate::query::params::{Pairs, decode};

/// An interface and the values of its path segments.
#[derive(Debug)]
pub struct Matched<'a> {
    pub interface: &'a Arc<Interface>,
    pub segments: Pairs<'a>,
}

/// Finds the interface for a path and the version that the query names.
///
/// # Errors
/// Where there is none, or the path is not decodable.
pub fn find<'a>(
    snapshot: &'a Snapshot,
    path: &'a str,
    query: &Pairs<'_>,
) -> Result<Matched<'a>, ApiError> {
    let nowhere = || ApiError::not_found(Message::NoInterface);
    let found = snapshot.routes.paths.at(path).map_err(|_| nowhere())?;
    let route = &snapshot.routes.entries[*found.value];
    let mut versions = query.iter().filter(|(name, _)| name == "version").map(|(_, value)| value);
    let index = match versions.next() {
        None => route.default.ok_or_else(nowhere)?,
        Some(_) if versions.next().is_some() => {
            return Err(ApiError::parameter("version", Fault::Repeated));
        }
        Some(version) => {
            let wanted = semver::Version::parse(version).ok();
            let found = route
                .versions
                .iter()
                .copied()
                .find(|i| Some(&snapshot.interfaces[*i].version) == wanted.as_ref());
            let shown: String = version.chars().take(64).collect();
            found.ok_or_else(|| ApiError::not_found(Message::NoVersion(shown)))?
        }
    };
    let mut segments = Vec::new();
    for (name, text) in found.params.iter() {
        segments.push((name.into(), decode(text, false)?));
    }
    Ok(Matched { interface: &snapshot.interfaces[index], segments })
}

/// The code that an address belongs to, where it does, and why nothing answers there: for the record of a miss.
pub fn whose(snapshot: &Snapshot, path: &str, query: &Pairs<'_>) -> (String, &'static str) {
    let Ok(found) = snapshot.routes.paths.at(path) else {
        return (String::new(), "no interface has this address");
    };
    let route = &snapshot.routes.entries[*found.value];
    let mut own = snapshot.interfaces.iter().filter(|interface| interface.path == route.path);
    let code = own.clone().next().map(|interface| interface.code.clone()).unwrap_or_default();
    let asked = query.iter().find(|(name, _)| name == "version").map(|(_, text)| text.parse().ok());
    let meant = own.find(|interface| match &asked {
        Some(version) => version.as_ref() == Some(&interface.version),
        None => true,
    });
    let reason = match meant.map(|interface| interface.status) {
        None => "the interface has no such version",
        Some(Status::Draft) if asked.is_some() => "the version is a draft",
        Some(Status::Draft) => "the interface is a draft",
        Some(_) if asked.is_some() => "the version is disabled",
        Some(_) => "the interface is disabled",
    };
    (code, reason)
}

/// Whether the interface answers this method; HEAD goes where GET goes.
///
/// # Errors
/// 405 with the methods that it answers.
pub fn method(interface: &Interface, method: &http::Method) -> Result<(), ApiError> {
    let is_answered = match interface.method {
        Method::Get => matches!(*method, http::Method::GET | http::Method::HEAD),
        Method::Post => *method == http::Method::POST,
    };
    if is_answered {
        return Ok(());
    }
    let mut error = ApiError::not_found(Message::MethodNotAllowed(match interface.method {
        Method::Get => "GET",
        Method::Post => "POST",
    }));
    error.allow = Some(allowed(interface.method));
    Err(error.with_status(405))
}

/// `Allow` of an interface.
pub fn allowed(method: Method) -> &'static str {
    match method {
        Method::Get => "GET, HEAD, OPTIONS",
        Method::Post => "POST, OPTIONS",
    }
}
