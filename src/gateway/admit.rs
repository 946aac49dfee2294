//! Who may knock at all: the caller's address, and the origin of a page that calls.

use std::net::IpAddr;

use http::header::{EXPECT, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, Method, Version};
use ipnet::IpNet;

use super::GatewaySettings;
use super::error::ApiError;
use super::headers::Headers;
use super::messages::Message;
use crate::definitions::snapshot::Interface;
use crate::definitions::spec::interface::Visibility;
use crate::observe::code::Code;
use crate::observe::event::Denial;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 32;

/// The caller's address: the peer, or what trusted proxies say of it.
pub fn address(peer: IpAddr, headers: Headers<'_>, settings: &GatewaySettings) -> IpAddr {
    let peer = peer.to_canonical();
    let trusted = |ip: &IpAddr| contains(&settings.trusted_proxies, *ip);
    if settings.trusted_proxies.is_empty() || !trusted(&peer) {
        return peer;
    }
    let hops = headers.get_all(&X_FORWARDED_FOR).rev().filter_map(|value| value.to_str().ok());
    let hops = hops.flat_map(|value| value.rsplit(',')).take(MAX_HOPS);
    let mut nearest = peer;
    for hop in hops {
        // What a proxy cannot have written ends the chain of trust.
        let Some(ip) = parse_hop(hop.trim()) else { break };
        nearest = ip;
        if !trusted(&ip) {
            break;
        }
    }
    nearest
}

/// An address, perhaps with a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let plain = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|at| at.ip());
    plain.or_else(with_port).map(|ip| ip.to_canonical())
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// Whether a request is addressed in one way only, so that no proxy before us can have read another one in it. Where it ends
/// was decided before, see `framing.rs`.
///
/// # Errors
/// Without exactly one sane `Host` where HTTP/1.1 wants it, with a target of another host, or with an expectation that
/// nobody here meets.
pub fn check_framing(parts: &Parts, headers: Headers<'_>) -> Result<(), ApiError> {
    let malformed = || ApiError::new(Code::InvalidParam, Message::MalformedRequest);
    if parts.method == Method::CONNECT {
        return Err(malformed().with_status(405));
    }
    if !is_addressed_once(parts) {
        return Err(malformed());
    }
    match headers.get(&EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(malformed().with_status(417))
        }
        _ => Ok(()),
    }
}

fn is_addressed_once(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, is_only) = (hosts.next(), hosts.next().is_none());
    let Some(host) = host else { return parts.version != Version::HTTP_11 };
    let host = host.to_str().unwrap_or("?");
    let is_sane = is_simple(host) || host.parse().is_ok_and(|host| is_plain(&host));
    let target = parts.uri.authority().map(Authority::as_str);
    is_only && is_sane && target.is_none_or(|target| target.eq_ignore_ascii_case(host))
}

/// What most hosts look like, and nothing that could be read in two ways: a name or an address, perhaps with a port.
fn is_simple(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let is_port = port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit());
    is_port && name.bytes().all(is_name)
}

/// A host without a user, and with a port that is one.
fn is_plain(authority: &Authority) -> bool {
    let port = authority.as_str().strip_prefix(authority.host());
    port.is_some_and(|port| port.is_empty() || port == ":" || authority.port_u16().is_some())
}

/// Whether the address may call the interface.
///
/// # Errors
/// Where it may not.
pub fn check_address(
    interface: &Interface,
    ip: IpAddr,
    settings: &GatewaySettings,
) -> Result<(), Denial> {
    let listed = interface.networks.is_empty() || contains(&interface.networks, ip);
    let inside = interface.visibility != Visibility::Internal
        || settings.trusted_networks.is_empty()
        || contains(&settings.trusted_networks, ip);
    if listed && inside { Ok(()) } else { Err(Denial::AddressNotAllowed) }
}

/// The origin to allow in the answer, where a page of another origin calls an interface with a cross-origin policy.
///
/// # Errors
/// Where that origin is not on the list.
pub fn check_origin(interface: &Interface, headers: Headers<'_>) -> Result<Option<String>, Denial> {
    let (Some(cors), Some(origin)) = (&interface.cors, headers.get(&ORIGIN)) else {
        return Ok(None);
    };
    let origin = origin.to_str().map_err(|_| Denial::OriginNotAllowed)?;
    if cors.any_origin {
        return Ok(Some("*".to_owned()));
    }
    if cors.origins.contains(&origin.to_ascii_lowercase()) {
        return Ok(Some(origin.to_owned()));
    }
    let host = origin.split_once("://").map(|(_, host)| host);
    let own = headers.get(&HOST).and_then(|host| host.to_str().ok());
    if host.is_some() && host == own {
        return Ok(None);
    }
    Err(Denial::OriginNotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let settings = GatewaySettings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..GatewaySettings::default()
        };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let from = |peer: &str, chain: &str| {
            let headers = http::HeaderMap::from_iter([(
                "x-forwarded-for".parse().unwrap(),
                chain.parse().unwrap(),
            )]);
            address(ip(peer), Headers::of(&headers), &settings)
        };
        assert_eq!(from("10.0.0.1", "1.1.1.1, 2.2.2.2, 10.0.0.9"), ip("2.2.2.2"));
        assert_eq!(from("3.3.3.3", "1.1.1.1"), ip("3.3.3.3"));
        assert_eq!(from("10.0.0.1", "nonsense"), ip("10.0.0.1"));
        assert_eq!(from("::ffff:10.0.0.1", "1.1.1.1:443"), ip("1.1.1.1"));
    }
}
