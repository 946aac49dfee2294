//! What runs: everything the definitions say, with names resolved, templates parsed and schemas compiled. Immutable.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jsonschema::Validator;
use minijinja::Expression;
use serde_json::Value;

use super::coerce::Parameter;
use super::load::Files;
use super::mention::Outline;
use super::problem::{Place, Problem};
use super::spec;
use super::spec::interface::{
    Aggregate, Audit, Field, LimitBy, Method, QueryType, Status, ValidateResponse, Visibility,
};
use crate::sql::dialect::Dialect;
use crate::sql::relation::Relation;
use crate::sql::template::Template;

mod policies;

pub use policies::{ApiKey, Consumer, Entry, Issuer, IssuerKeys, JwksUrl, Policies, Role};

/// All definitions of one tree.
#[derive(Debug)]
pub struct Snapshot {
    pub revision: String,
    pub hash: String,
    /// Sorted by code and version; an interface's `index` is its place here.
    pub interfaces: Vec<Arc<Interface>>,
    pub routes: Routes,
    pub datasources: BTreeMap<String, Arc<Datasource>>,
    pub policies: Policies,
    /// Problems that do not keep the tree from being served.
    pub warnings: Vec<Problem>,
    /// The texts that all this was compiled from.
    pub files: Arc<Files>,
}

impl Snapshot {
    /// The versions of a code, lowest first.
    pub fn versions<'a>(&'a self, code: &'a str) -> impl Iterator<Item = &'a Arc<Interface>> {
        let first = self.interfaces.partition_point(|interface| interface.code.as_str() < code);
        self.interfaces[first..].iter().take_while(move |interface| interface.code == code)
    }

    /// The version of a code that `version` names, or the one that a call without version would get; drafts where there is nothing
    /// else.
    pub fn find(&self, code: &str, version: Option<&str>) -> Option<&Arc<Interface>> {
        let versions: Vec<&Arc<Interface>> = self
            .interfaces
            .iter()
            .skip(self.interfaces.partition_point(|interface| interface.code.as_str() < code))
            .take_while(|interface| interface.code == code)
            .collect();
        if let Some(version) = version {
            return versions.into_iter().find(|interface| interface.version.to_string() == version);
        }
        let marked = versions.iter().find(|interface| interface.is_default);
        let callable = || versions.iter().rfind(|interface| interface.is_callable());
        marked.or_else(callable).or(versions.last()).copied()
    }
}

/// Which interfaces answer at which address.
#[derive(Default)]
pub struct Routes {
    /// Path pattern to index into `entries`.
    pub paths: matchit::Router<usize>,
    pub entries: Vec<Route>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

/// The interfaces behind one path: versions of one code.
#[derive(Clone, Debug)]
pub struct Route {
    pub path: String,
    /// Indexes of interfaces that can be called (active or deprecated), lowest version first.
    pub versions: Vec<usize>,
    /// The one that answers a call without a version.
    pub default: Option<usize>,
}

/// A datasource, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Datasource {
    pub spec: spec::datasource::Datasource,
    pub dialect: Dialect,
    /// Equal while nothing about it has changed.
    pub fingerprint: u64,
    pub place: Place,
}

/// An interface among all others of its tree.
#[derive(Debug)]
pub struct Interface {
    pub index: usize,
    /// Path pattern and version of what succeeds a deprecated one, for `Link`.
    pub successor: Option<(String, String)>,
    /// Shared with the snapshots before and after that have it unchanged.
    pub definition: Arc<Definition>,
}

impl Deref for Interface {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.definition
    }
}

/// An interface compiled by itself. What depends on others is in [`Interface`].
#[derive(Debug)]
pub struct Definition {
    pub code: String,
    pub version: semver::Version,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Status,
    pub is_default: bool,
    pub deprecation: Option<Deprecation>,
    pub tags: Vec<String>,
    pub owner: Option<String>,
    pub visibility: Visibility,
    pub auth_required: bool,
    pub path: String,
    pub method: Method,
    /// Empty: any address.
    pub networks: Vec<IpNet>,
    pub cors: Option<Cors>,
    pub rate_limit: Option<RateLimit>,
    pub parameters: Vec<Parameter>,
    pub allow_unknown: bool,
    pub datasource: Arc<Datasource>,
    pub query: QueryPlan,
    pub timeout: Duration,
    /// `None` without safe mode.
    pub caps: Option<Caps>,
    pub response: Response,
    pub cache: Option<CachePolicy>,
    pub audit: Audit,
    pub measures_latency: bool,
    pub measures_codes: bool,
    pub tests: Vec<spec::interface::TestCase>,
    /// Equal while neither the interface nor its datasource has changed; part of cache keys.
    pub fingerprint: u64,
    pub place: Place,
    pub outline: Outline,
    /// The definition as written, for people.
    pub source: Value,
}

impl Definition {
    /// `code@version`, for logs.
    pub fn label(&self) -> String {
        format!("{}@{}", self.code, self.version)
    }

    /// Whether callers reach it.
    pub fn is_callable(&self) -> bool {
        matches!(self.status, Status::Active | Status::Deprecated)
    }
}

/// What a deprecated interface says of itself, ready as header values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// `Deprecation`: `@` and the second it began.
    pub since: String,
    /// `Sunset`: an HTTP date.
    pub sunset: Option<String>,
}

/// Cross-origin policy.
#[derive(Clone, Debug)]
pub struct Cors {
    pub any_origin: bool,
    pub origins: HashSet<String>,
    /// `Access-Control-Allow-Headers`.
    pub allow_headers: String,
    pub allow_credentials: bool,
    pub max_age_seconds: u32,
}

/// Requests per second and burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    pub rps: f64,
    pub burst: u32,
    pub by: LimitBy,
}

/// The most that one answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub max_rows: u64,
    pub max_bytes: u64,
}

/// The query of an interface.
#[derive(Debug)]
pub struct QueryPlan {
    pub kind: QueryType,
    pub template: Template,
    pub total: Option<Template>,
    /// Where the value of each of the templates' names comes from, in their order.
    pub bindings: Vec<Binding>,
    pub page: Option<Page>,
    /// On a governed datasource: what the query and its totals read.
    pub reads: Option<KnownReads>,
}

/// What an interface reads, so far as it is known at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownReads {
    pub tables: Vec<Relation>,
    /// Functions that are not known to compute only.
    pub functions: Vec<String>,
    /// No call reads anything else: the templates have no branches.
    pub is_complete: bool,
}

/// Where a name's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The parameter with this index.
    Parameter(usize),
    PrincipalName,
    /// A claim of the caller, by path. A caller without it is refused.
    Claim(Vec<String>),
    RequestIp,
    Now,
}

/// How answers come in pages. `page` and `size` are indexes of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub page: usize,
    pub size: usize,
    /// All rows are counted; else one row more is asked for.
    pub count: bool,
}

/// What happens between the query's rows and the answer.
#[derive(Debug, Default)]
pub struct Response {
    pub rename: HashMap<String, String>,
    pub omit: HashSet<String>,
    /// Column to code to label, the label as JSON text.
    pub value_map: HashMap<String, HashMap<String, String>>,
    pub computed: Vec<(String, RowExpression)>,
    pub summary: Vec<(String, Aggregate)>,
    pub fields: Vec<Field>,
    pub schema: Option<ResponseSchema>,
    pub validate: ValidateResponse,
    pub example: Option<Value>,
}

impl Response {
    /// Whether rows go out as the query gives them.
    pub fn is_plain(&self) -> bool {
        self.computed.is_empty() && self.summary.is_empty()
    }
}

/// A compiled JSON Schema of the answer.
pub struct ResponseSchema {
    pub validator: Validator,
    pub source: Value,
}

impl fmt::Debug for ResponseSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// An expression over a row.
pub struct RowExpression(pub Expression<'static, 'static>);

impl fmt::Debug for RowExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowExpression")
    }
}

/// How long answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    pub ttl: Duration,
    pub stale: Duration,
}
