//! Compiles one interface by itself: what comes out depends on its document, the file of its query and its datasource, on
//! nothing else of the tree (see `kept.rs`).

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Date;
use regex::Regex;
use serde_json::{Map, Value};

use super::document::Document;
use super::load::Tree;
use super::mention::Outline;
use super::problem::{Problem, ProblemCode, dangling};
use super::schema::Kind;
use super::snapshot::{CachePolicy, Caps, Cors, Datasource, Definition, Deprecation, RateLimit};
use super::sources::{Source, Sources};
use super::spec::interface::{self as spec, Location, Status, Visibility};
use super::{parameter, query, response};

/// What an interface is compiled against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub tree: &'a Tree,
    pub sources: &'a Sources,
    pub datasources: &'a BTreeMap<String, Arc<Datasource>>,
}

/// Collects the problems of one document.
#[derive(Debug)]
pub struct Reporter<'a> {
    pub document: &'a Document,
    pub problems: &'a mut Vec<Problem>,
}

impl Reporter<'_> {
    /// Reports an error at a JSON pointer.
    pub fn error(
        &mut self,
        pointer: &str,
        code: ProblemCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.problems.push(Problem::error(self.document.place(pointer), code, message, hint));
    }
}

/// Compiles an interface; `None` where its problems leave nothing to run.
pub fn compile(
    source: &Source<spec::Interface>,
    outline: &Outline,
    context: &Context<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Definition> {
    let Source { spec, document } = source;
    let before = problems.len();
    let report = &mut Reporter { document, problems };
    let version = semver::Version::parse(&spec.version).map_err(|error| {
        let message = format!("`{}` is no semantic version: {error}.", spec.version);
        report.error("/version", ProblemCode::BadValue, message, "Write three numbers: `1.0.0`.");
    });
    let datasource = context.datasources.get(&spec.datasource_id);
    if datasource.is_none() && !context.sources.may_exist(Kind::Datasource, &spec.datasource_id) {
        let known = context.datasources.keys().map(String::as_str);
        let place = document.place("/datasource_id");
        report.problems.push(dangling(place, "datasource", &spec.datasource_id, known));
    }
    let path = path(spec, report);
    access(spec, report);
    let parameters = parameter::compile(spec, &path, report);
    let networks = networks(spec, report);
    let cors = cors(spec, report);
    let response = response::compile(spec, report);
    let deprecation = deprecation(spec, report);
    tests(spec, report);
    let datasource = datasource?.clone();
    let query = query::compile(spec, &datasource, parameters, context.tree, report);
    let (version, (query, parameters)) = (version.ok()?, query?);
    if report.problems[before..].iter().any(Problem::is_error) {
        return None;
    }
    let limits = &datasource.spec.limits;
    let json = document.root.to_json();
    let mut hasher = DefaultHasher::new();
    (json.to_string(), datasource.fingerprint).hash(&mut hasher);
    query.hash_source(spec, context.tree, document, &mut hasher);
    let metrics = spec.metrics.as_ref();
    Some(Definition {
        code: spec.code.clone(),
        version,
        name: spec.name.clone(),
        description: spec.description.clone(),
        status: spec.status,
        is_default: spec.default,
        deprecation,
        tags: spec.tags.clone(),
        owner: spec.owner.clone(),
        visibility: spec.visibility,
        auth_required: spec.auth_required,
        path,
        method: spec.method,
        networks,
        cors,
        rate_limit: spec.rate_limit.as_ref().map(rate_limit),
        parameters,
        allow_unknown: spec.allow_unknown,
        timeout: Duration::from_millis(spec.timeout_ms.unwrap_or(u64::MAX).min(limits.timeout_ms)),
        caps: spec
            .safe_mode
            .then_some(Caps { max_rows: limits.max_rows, max_bytes: limits.max_result_bytes }),
        datasource,
        query,
        response,
        cache: spec.cache.as_ref().filter(|cache| cache.enabled).map(|cache| CachePolicy {
            ttl: Duration::from_secs(cache.ttl_seconds),
            stale: Duration::from_secs(cache.stale_seconds),
        }),
        audit: spec.audit,
        measures_latency: metrics.is_none_or(|switch| switch.latency),
        measures_codes: metrics.is_none_or(|switch| switch.error_rate),
        tests: spec.tests.clone(),
        fingerprint: hasher.finish(),
        place: document.place("/code"),
        outline: outline.clone(),
        source: json,
    })
}

/// Segments of a path: `{name}` or plain.
static SEGMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(\{[A-Za-z_][A-Za-z0-9_-]*\}|[A-Za-z0-9][A-Za-z0-9._~-]*)$")
        .expect("a constant pattern that compiles")
});

fn path(spec: &spec::Interface, report: &mut Reporter<'_>) -> String {
    let Some(path) = &spec.path else { return format!("/data-api/{}", spec.code) };
    let segments = path.strip_prefix("/data-api/").map(|rest| rest.split('/').collect::<Vec<_>>());
    if !segments.is_some_and(|segments| segments.iter().all(|segment| SEGMENT.is_match(segment))) {
        report.error(
            "/path",
            ProblemCode::BadValue,
            format!("`{path}` is no path below `/data-api/`."),
            "Write `/data-api/…` with letters, digits, `.`, `_`, `-` and `{name}` segments.",
        );
    }
    let names = path_names(path);
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        report.error(
            "/path",
            ProblemCode::BadValue,
            format!("The path has the segment `{{{}}}` twice.", twice.1),
            "Give each segment a name of its own.",
        );
    }
    path.clone()
}

/// The `{name}` segments of a path.
pub fn path_names(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn access(spec: &spec::Interface, report: &mut Reporter<'_>) {
    if !spec.auth_required && spec.visibility != Visibility::Public {
        report.error(
            "/auth_required",
            ProblemCode::Conflict,
            "Only a public interface can go without authentication.",
            "Set `visibility: public`, or leave `auth_required` out.",
        );
    }
}

fn rate_limit(limit: &spec::RateLimit) -> RateLimit {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema bounds rps to 1 000 000"
    )]
    let default_burst = limit.rps.ceil().max(1.0) as u32;
    RateLimit { rps: limit.rps, burst: limit.burst.unwrap_or(default_burst), by: limit.by }
}

/// Networks, or single addresses as networks of one.
fn networks(spec: &spec::Interface, report: &mut Reporter<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (i, text) in spec.ip_whitelist.iter().enumerate() {
        match parse_network(text) {
            Some(network) => networks.push(network),
            None => report.error(
                &format!("/ip_whitelist/{i}"),
                ProblemCode::BadValue,
                format!("`{text}` is no address and no network."),
                "Write `10.1.2.3`, `10.0.0.0/8` or `2001:db8::/32`.",
            ),
        }
    }
    networks
}

/// `10.0.0.0/8`, or a single address as a network of one.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let single = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(single)
}

fn cors(spec: &spec::Interface, report: &mut Reporter<'_>) -> Option<Cors> {
    let cors = spec.cors.as_ref()?;
    let mut origins = HashSet::new();
    let mut any_origin = false;
    for (i, origin) in cors.allowed_origins.iter().enumerate() {
        if origin == "*" {
            any_origin = true;
            continue;
        }
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#'])) {
            origins.insert(origin.to_ascii_lowercase());
        } else {
            report.error(
                &format!("/cors/allowed_origins/{i}"),
                ProblemCode::BadValue,
                format!("`{origin}` is no origin."),
                "Write scheme, host and port without a path: `https://app.example.com`.",
            );
        }
    }
    if any_origin && cors.allow_credentials {
        report.error(
            "/cors/allow_credentials",
            ProblemCode::Conflict,
            "Credentials cannot go to any origin.",
            "List the origins, or leave `allow_credentials` out.",
        );
    }
    let mut headers =
        vec!["Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "If-None-Match"];
    headers.extend(cors.allowed_headers.iter().map(String::as_str));
    let of_parameters = spec.parameters.iter().filter(|p| p.location == Some(Location::Header));
    headers.extend(of_parameters.map(|parameter| parameter.name.as_str()));
    Some(Cors {
        any_origin,
        origins,
        allow_headers: headers.join(", "),
        allow_credentials: cors.allow_credentials,
        max_age_seconds: cors.max_age_seconds.unwrap_or(600),
    })
}

fn deprecation(spec: &spec::Interface, report: &mut Reporter<'_>) -> Option<Deprecation> {
    let mut day = |key: &str, text: Option<&String>| {
        let text = text?;
        let date =
            text.parse::<Date>().ok().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        if date.is_none() {
            report.error(
                &format!("/{key}"),
                ProblemCode::BadValue,
                format!("`{text}` is no date."),
                "Write `2026-12-31`.",
            );
        }
        date
    };
    let since = day("deprecated_at", spec.deprecated_at.as_ref());
    let sunset = day("sunset_at", spec.sunset_at.as_ref());
    if spec.status != Status::Deprecated {
        return None;
    }
    Some(Deprecation {
        since: format!("@{}", since.map_or(0, |at| at.timestamp().as_second())),
        sunset: sunset.map(|at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
    })
}

fn tests(spec: &spec::Interface, report: &mut Reporter<'_>) {
    for (i, test) in spec.tests.iter().enumerate() {
        if let Some(status) = test.expect.status.filter(|status| !(100..600).contains(status)) {
            report.error(
                &format!("/tests/{i}/expect/status"),
                ProblemCode::BadValue,
                format!("{status} is no HTTP status."),
                "Use 200, 400, 403 and the like.",
            );
        }
    }
}

/// The definition without what the schema adds, as the admin API shows it.
pub fn without_kind(source: &Value) -> Map<String, Value> {
    let mut map = source.as_object().cloned().unwrap_or_default();
    map.shift_remove("kind");
    map
}
