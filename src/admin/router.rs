//! All routes of the admin address on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};

use super::api::{
    consumers, datasources, envelope, interfaces, metrics, monitor, probes, query, query_log,
    reload, status,
};
use super::person::{Person, require};
use super::{Admin, token};
use crate::observe::code::Code;
use crate::store::Role;

/// The name of whoever has the admin token.
const TOKEN_NAME: &str = "admin-token";

/// The admin address.
pub fn router(admin: Arc<Admin>) -> Router {
    let authenticate = middleware::from_fn_with_state(admin.clone(), authenticate);
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(metrics::render))
        .merge(api().route_layer(authenticate))
        .fallback(|| async {
            envelope::failure(Code::NotFound, "There is nothing at this address.")
        })
        .method_not_allowed_fallback(|| async {
            envelope::with_status(
                405,
                envelope::failure(Code::NotFound, "The address does not answer this method."),
            )
        })
        .with_state(admin)
}

/// What is below `/api/`, for a [`Person`] who is known already.
pub fn api() -> Router<Arc<Admin>> {
    let viewers = Router::new()
        .route("/api/status", get(status::show))
        .route("/api/consumers", get(consumers::list))
        .route("/api/dataservice/interfaces", get(interfaces::list))
        .route("/api/dataservice/interfaces/{code}", get(interfaces::show))
        .route("/api/datasources", get(datasources::list))
        .route("/api/datasources/{id}/databases", get(datasources::databases))
        .route("/api/datasources/{id}/tables", get(datasources::tables))
        .route("/api/datasources/{id}/tables/{name}", get(datasources::columns))
        .route("/api/logs/queries", get(query_log::list))
        .route("/api/monitor/server", get(monitor::server))
        .route("/api/monitor/interfaces", get(monitor::interfaces))
        .route("/api/monitor/traffic", get(monitor::traffic));
    let developers = Router::new()
        .route("/api/dataservice/interfaces/{code}/test", post(interfaces::test))
        .route("/api/dataservice/interfaces/{code}/explain", post(interfaces::explain))
        .route("/api/datasources/{id}/completion", get(datasources::completion))
        .route("/api/dataservice/query", post(query::run))
        .route("/api/dataservice/query/{id}", delete(query::cancel))
        .route("/api/dataservice/query/explain", post(query::explain))
        .route("/api/dataservice/query/export", post(query::export))
        .route("/api/dataservice/query/draft", post(query::draft))
        .route_layer(middleware::from_fn_with_state(Role::Developer, require));
    let operators = Router::new()
        .route("/api/reload", post(reload::run))
        .route("/api/datasources/{id}/test", post(datasources::test))
        .route_layer(middleware::from_fn_with_state(Role::Operator, require));
    viewers.merge(developers).merge(operators)
}

/// Lets only the admin token through.
async fn authenticate(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match given {
        Some((_, given)) if token::is_right(&admin.token, given.trim()) => {
            let person = Person { username: TOKEN_NAME.into(), role: Role::Admin };
            request.extensions_mut().insert(person);
            next.run(request).await
        }
        Some(_) => envelope::failure(Code::Unauthorized, "The admin token is not right."),
        None => {
            envelope::failure(Code::Unauthorized, "Send the admin token: Authorization: Bearer.")
        }
    }
}
