//! All routes of the admin address on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post, put};

use super::api::{
    accounts, config, consumers, datasources, envelope, interfaces, keys, logs, metrics, monitor,
    openapi, probes, publish, query, query_log, reload, session, setup, sheet, status, tokens,
    transfer,
};
use super::auth::{gate, journal};
use super::person::require;
use super::{Admin, page};
use crate::observe::code::Code;
use crate::store::Role;

/// Bytes of a request: a file of definitions, or many of them at once.
const MAX_BODY_BYTES: usize = 8 << 20;

/// The admin address.
pub fn router(admin: Arc<Admin>) -> Router {
    let least = |role: Role| from_fn_with_state(role, require);
    let viewers = Router::new()
        .route("/api/session", get(session::show).delete(session::close))
        .route("/api/session/password", put(session::set_password))
        .route("/api/tokens", get(tokens::list).post(tokens::create))
        .route("/api/tokens/{id}", delete(tokens::remove))
        .route("/api/openapi.json", get(openapi::show))
        .route("/api/status", get(status::show))
        .route("/api/logs/calls", get(logs::calls))
        .route("/api/config", get(config::show))
        .route("/api/config/log", get(config::log))
        .route("/api/config/reloads", get(config::reloads))
        .route("/api/logs/queries", get(query_log::list))
        .route("/api/monitor/server", get(monitor::server))
        .route("/api/monitor/interfaces", get(monitor::interfaces))
        .route("/api/monitor/traffic", get(monitor::traffic))
        .route("/api/config/commit", get(config::commit))
        .route("/api/datasources", get(datasources::list))
        .route("/api/datasources/{id}/databases", get(datasources::databases))
        .route("/api/datasources/{id}/tables", get(datasources::tables))
        .route("/api/datasources/{id}/tables/{name}", get(datasources::columns))
        .route("/api/dataservice/export", get(transfer::export))
        .route("/api/dataservice/interfaces/{code}/sheet", get(sheet::show))
        .route("/api/dataservice/interfaces/{code}/versions", get(interfaces::versions))
        .route("/api/dataservice/interfaces/{code}/callers", get(interfaces::callers))
        .route("/api/dataservice/interfaces/{code}/diff", get(interfaces::differences))
        .route("/api/dataservice/interfaces/{code}/changes", get(interfaces::changes));
    // A resource whose reading and changing take different roles has its routes in both groups.
    let files = get(config::file).merge(put(config::write).route_layer(least(Role::Developer)));
    let one = get(interfaces::show).merge(
        put(publish::replace_one).delete(publish::remove_one).route_layer(least(Role::Developer)),
    );
    let consumers = get(consumers::list).merge(post(keys::add).route_layer(least(Role::Admin)));
    let all =
        get(interfaces::list).merge(post(publish::create).route_layer(least(Role::Developer)));
    let queries = post(query::run).merge(get(query::running).route_layer(least(Role::Operator)));
    let developers = Router::new()
        .route("/api/dataservice/query", queries)
        .route("/api/dataservice/interfaces/{code}/status", post(publish::set_status))
        .route("/api/dataservice/interfaces/{code}/default", post(publish::set_default))
        .route("/api/dataservice/interfaces/{code}/copy", post(publish::copy))
        .route("/api/dataservice/interfaces/{code}/tests", post(publish::add_test))
        .route("/api/dataservice/interfaces/{code}/tests/run", post(interfaces::run_tests))
        .route("/api/datasources/{id}/completion", get(datasources::completion))
        .route("/api/dataservice/query/{id}", delete(query::cancel))
        .route("/api/dataservice/query/explain", post(query::explain))
        .route("/api/dataservice/query/export", post(query::export))
        .route("/api/dataservice/query/draft", post(query::draft))
        .route("/api/config/check", post(config::check))
        .route("/api/dataservice/import", post(transfer::import))
        .route("/api/dataservice/interfaces/{code}/test", post(interfaces::test))
        .route("/api/dataservice/interfaces/{code}/explain", post(interfaces::explain))
        .route_layer(least(Role::Developer));
    let operators = Router::new()
        .route("/api/reload", post(reload::run))
        .route("/api/datasources/{id}/test", post(datasources::test))
        .route("/api/logs/operations", get(logs::operations))
        .route("/api/logs/logins", get(logs::logins))
        .route("/api/sessions", get(tokens::sessions))
        .route("/api/sessions/{id}", delete(tokens::end_session))
        .route_layer(least(Role::Operator));
    let admins = Router::new()
        .route("/api/accounts", get(accounts::list).post(accounts::create))
        .route("/api/consumers/{name}/keys", post(keys::add_key))
        .route("/api/consumers/{name}/keys/{id}", delete(keys::remove_key))
        .route("/api/accounts/{username}", patch(accounts::change).delete(accounts::remove))
        .route_layer(least(Role::Admin));
    let api = viewers
        .merge(developers)
        .merge(operators)
        .merge(admins)
        .route("/api/config/file", files)
        .route("/api/consumers", consumers)
        .route("/api/dataservice/interfaces", all)
        .route("/api/dataservice/interfaces/{code}", one)
        .route_layer(from_fn_with_state(admin.clone(), journal::keep))
        .route_layer(from_fn_with_state(admin.clone(), gate::enter));
    let open = Router::new()
        .route("/api/session", post(session::open))
        .route("/api/setup", get(setup::show).post(setup::run));
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(metrics::render))
        .merge(api)
        .merge(open)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .fallback(page::show)
        .method_not_allowed_fallback(|| async {
            envelope::with_status(
                405,
                envelope::failure(Code::NotFound, "The address does not answer this method."),
            )
        })
        .with_state(admin)
}
