//! Explains what a caller would get of an interface, and why: the decision, the grants it comes from, and the SQL that would run.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::messages::Language;
use crate::access::authorize::{authorize, grants};
use crate::access::principal::Principal;
use crate::access::rights::{Granted, grants_of};
use crate::definitions::grant::Grant;
use crate::definitions::problem::Place;
use crate::definitions::snapshot::{Binding, Interface, Policies};
use crate::definitions::spec::interface::{Caller, Location};
use crate::engines::catalog;
use crate::live::generation::Generation;
use crate::query::encode::Format;
use crate::query::execute::Call;
use crate::query::params::{self, Input};
use crate::query::plan::{self, Plan};
use crate::query::prepare::{Prepared, prepare};
use crate::query::scope;
use crate::sql::grammar;
use crate::sql::template::Template;
use crate::store::audit::PrincipalKind;

/// What a caller would get, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// `code@version`.
    pub interface: String,
    pub caller: String,
    /// Names of the caller's roles.
    pub roles: Vec<String>,
    pub allowed: bool,
    /// Code of the answer: `OK`, `UNAUTHORIZED`, `FORBIDDEN`, …
    pub code: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// What lets the caller call the interface.
    pub interface_grants: Vec<Because>,
    /// What of each table it sees; empty where the datasource is not governed.
    pub tables: Vec<Table>,
    /// The statement that would run, its places numbered as the database has them.
    pub sql: Option<String>,
    /// The statement that would count its rows.
    pub count_sql: Option<String>,
    /// Why there is none, or what the database has against it, although the call is allowed.
    pub sql_missing: Option<String>,
}

/// A grant and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Because {
    pub role: String,
    #[serde(flatten)]
    pub place: Place,
    /// What it says.
    pub grant: Value,
}

/// A table and the grants that cover it for the caller.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub table: String,
    pub grants: Vec<Because>,
}

/// The caller that a test or a question names, with more claims; nobody where it names none. `None`: there is no such consumer or
/// role.
pub fn caller(
    generation: &Generation,
    caller: Option<&Caller>,
    claims: &Map<String, Value>,
) -> Option<Arc<Principal>> {
    let policies = &generation.snapshot.policies;
    let role = |name: &String| policies.role_ids.get(name).copied();
    let mut principal = match caller {
        None if claims.is_empty() => return Some(Arc::new(Principal::anonymous())),
        None => Principal { kind: PrincipalKind::Token, ..Principal::anonymous() },
        Some(Caller::Name(name)) => {
            let index = policies.consumer_ids.get(name);
            match index.and_then(|index| generation.authenticator.consumer(*index)) {
                Some(consumer) => Principal::clone(consumer),
                None => Principal {
                    kind: PrincipalKind::Consumer,
                    name: name.as_str().into(),
                    roles: vec![role(name)?],
                    ..Principal::anonymous()
                },
            }
        }
        Some(Caller::Token(token)) => Principal {
            kind: PrincipalKind::Token,
            name: token.name.as_deref().unwrap_or_default().into(),
            roles: token.roles.iter().map(role).collect::<Option<_>>()?,
            claims: token.claims.clone(),
            ..Principal::anonymous()
        },
    };
    principal.claims.extend(claims.clone());
    Some(Arc::new(principal))
}

/// Explains a call of `interface` by `principal` with these parameters; required ones that are missing get a usual value.
pub async fn explain(
    generation: &Generation,
    interface: &Arc<Interface>,
    principal: &Arc<Principal>,
    parameters: &Map<String, Value>,
) -> Explanation {
    let policies = &generation.snapshot.policies;
    let roles = principal.roles.iter().filter_map(|role| policies.roles.get(*role));
    let mut explanation = Explanation {
        interface: interface.label(),
        caller: match principal.kind {
            PrincipalKind::Anonymous => "anonymous".to_owned(),
            kind => format!("{} {}", kind.as_str(), principal.name).trim_end().to_owned(),
        },
        roles: roles.map(|role| role.name.clone()).collect(),
        allowed: false,
        code: "OK",
        reason: String::new(),
        interface_grants: grants(principal, interface, policies)
            .map(|(role, place, grant)| Because {
                role: role.to_owned(),
                place: place.clone(),
                grant: grant.into(),
            })
            .collect(),
        tables: Vec::new(),
        sql: None,
        count_sql: None,
        sql_missing: None,
    };
    if let Err(denial) = authorize(principal, interface, policies) {
        return explanation.refused(&denial.into());
    }
    let granted = match generation.rights.of(principal, interface, policies) {
        Ok(granted) => granted,
        Err(refusal) => {
            explanation.tables = granted_tables(interface, principal, policies);
            return explanation.refused(&refusal.into());
        }
    };
    let call = match call(generation, interface, principal, granted, parameters) {
        Ok(call) => call,
        Err(error) => return explanation.refused(&error),
    };
    explanation.tables = tables(&call).await;
    let templates = std::iter::once(&interface.query.template).chain(&interface.query.total);
    for template in templates {
        match prepared(&call, template).await {
            Ok(prepared) if explanation.sql.is_none() => {
                let pretty = |sql: &str| grammar::pretty(sql, interface.datasource.dialect);
                explanation.sql = Some(pretty(&prepared.query.sql));
                explanation.count_sql = prepared.count.as_ref().map(|count| pretty(&count.sql));
            }
            Ok(_) => {}
            Err(error) if error.denial.is_some() => return explanation.refused(&error),
            Err(error) => {
                explanation.sql_missing =
                    Some(error.internal.unwrap_or_else(|| error.message.text(Language::En)));
                break;
            }
        }
    }
    explanation.allowed = true;
    explanation.reason = explanation.why(interface);
    explanation
}

/// The statement that a call would make, and how the database would run it. `None` where the parameters do not fit, or it is not
/// granted.
pub async fn plan(
    generation: &Generation,
    interface: &Arc<Interface>,
    principal: &Arc<Principal>,
    parameters: &Map<String, Value>,
) -> Option<Plan> {
    let granted = generation.rights.of(principal, interface, &generation.snapshot.policies).ok()?;
    let call = call(generation, interface, principal, granted, parameters).ok()?;
    plan::plan(&call).await.ok()
}

impl Explanation {
    fn refused(mut self, error: &ApiError) -> Self {
        self.code = error.code.as_str();
        let message = match error.faults.as_slice() {
            [] => error.message.text(Language::En),
            _ => error.to_json(Language::En)["message"].as_str().unwrap_or_default().to_owned(),
        };
        self.reason = match &error.internal {
            Some(cause) => format!("{message} ({cause})"),
            None => message,
        };
        self
    }

    fn why(&self, interface: &Interface) -> String {
        let call = match self.interface_grants.first() {
            _ if !interface.auth_required => "Anybody may call it.".to_owned(),
            Some(because) => format!("The role `{}` grants the interface.", because.role),
            None => "Every caller that says who it is may call it.".to_owned(),
        };
        let data = if interface.datasource.spec.governed {
            "Its datasource is governed: the caller sees what the grants of each table let through."
        } else {
            "Its datasource is not governed: the caller sees all that the query gives."
        };
        format!("{call} {data}")
    }
}

/// A template's statement, which the database takes as well: only it knows what is not there for the caller.
async fn prepared(call: &Call, template: &Template) -> Result<Prepared, ApiError> {
    let prepared = prepare(call, template).await?;
    match call.source.describe(&prepared.query.sql, call.deadline).await {
        Ok(_) => Ok(prepared),
        Err(error) => Err(prepared.blame.blame(error, call).into()),
    }
}

/// The tables that an interface is known to read, with what the caller's roles grant of them, whatever claims it has.
fn granted_tables(interface: &Interface, principal: &Principal, policies: &Policies) -> Vec<Table> {
    let grants = grants_of(principal, &interface.datasource.spec.id, policies);
    let tables = interface.query.reads.iter().flat_map(|reads| &reads.tables);
    tables
        .map(|table| {
            let covers = |grant: &&&Arc<Grant>| {
                grant.tables.as_ref().is_some_and(|tables| tables.may_cover(table))
            };
            let grants = grants.iter().filter(covers).map(|grant| Because::of(grant));
            Table { table: table.to_string(), grants: grants.collect() }
        })
        .collect()
}

impl Because {
    fn of(grant: &Grant) -> Self {
        Self {
            role: grant.role.clone(),
            place: grant.place.clone(),
            grant: serde_json::from_str(&grant.content).unwrap_or(Value::Null),
        }
    }
}

fn call(
    generation: &Generation,
    interface: &Arc<Interface>,
    principal: &Principal,
    granted: Option<Granted>,
    parameters: &Map<String, Value>,
) -> Result<Call, ApiError> {
    let params = params::take(interface, &input(interface, parameters))?;
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let scope = scope::bind(interface, &params, principal, ip, Timestamp::now())?;
    let runtime = generation.runtime(interface);
    let source = runtime.source.clone().ok_or_else(|| {
        ApiError::new(crate::observe::code::Code::InternalError, super::messages::Message::Internal)
    })?;
    let deadline = Instant::now() + interface.timeout;
    let (interface, layouts) = (interface.clone(), runtime.layouts.clone());
    let (format, message) = (Format::Json, "OK");
    Ok(Call { interface, source, layouts, scope, granted, format, message, deadline })
}

/// The parameters where their definitions want them.
fn input(interface: &Interface, parameters: &Map<String, Value>) -> Input<'static> {
    let mut input = Input::default();
    let usual = interface.query.template.usual_values();
    let mut all = parameters.clone();
    for (i, parameter) in interface.parameters.iter().enumerate() {
        let binding = interface.query.bindings.iter().position(|b| *b == Binding::Parameter(i));
        if parameter.required
            && !all.contains_key(&parameter.name)
            && let Some(value) = binding.and_then(|at| usual.get(at))
        {
            let json = serde_json::from_str(&value.to_json()).unwrap_or(Value::Null);
            all.insert(parameter.name.clone(), json);
        }
    }
    for (name, value) in all {
        let declared = interface.parameters.iter().find(|parameter| parameter.name == name);
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match declared.map_or(Location::Query, |parameter| parameter.location) {
            Location::Path => input.path.push((name.into(), text.into())),
            Location::Header => input.headers.push((name.into(), text.into())),
            Location::Body => input
                .body
                .extend(RawValue::from_string(value.to_string()).ok().map(|raw| (name, raw))),
            Location::Query => match value {
                Value::Array(items) => input.query.extend(items.into_iter().map(|item| {
                    let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                    (name.clone().into(), text.into())
                })),
                _ => input.query.push((name.into(), text.into())),
            },
        }
    }
    input
}

/// The tables that the statement reads, with the grants that cover them: as the database knows them, where it answers.
async fn tables(call: &Call) -> Vec<Table> {
    let Some(granted) = &call.granted else { return Vec::new() };
    let Ok(rendered) = call.interface.query.template.render(&call.scope.values) else {
        return Vec::new();
    };
    let Some(ungoverned) = &rendered.statement.ungoverned else { return Vec::new() };
    let mut tables = Vec::new();
    for table in &ungoverned.reads.tables {
        let shape = catalog::shape(&call.source, table, call.deadline).await.ok().flatten();
        let covers = |grant: &&Arc<Grant>| {
            let pattern = grant.tables.as_ref();
            shape.as_ref().is_none_or(|shape| pattern.is_some_and(|p| p.covers(shape)))
        };
        let grants = granted.rights.covering(table).filter(covers).map(|g| Because::of(g));
        let name = shape.as_ref().map_or_else(|| table.to_string(), ToString::to_string);
        tables.push(Table { table: name, grants: grants.collect() });
    }
    tables
}
