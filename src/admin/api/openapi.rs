//! `/api/openapi.json`: the admin API described in `OpenAPI` 3.1, from one table of its routes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::store::Role;

/// A route: method, path, the least role (`None`: nobody need be logged in), what it does, members of its body (`?`: may be left
/// out), query parameters.
type Route = (
    &'static str,
    &'static str,
    Option<Role>,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const V: Option<Role> = Some(Role::Viewer);
const D: Option<Role> = Some(Role::Developer);
const O: Option<Role> = Some(Role::Operator);
const A: Option<Role> = Some(Role::Admin);
const PAGES: &[&str] = &["page", "pageSize", "q", "sort"];
const TIMES: &[&str] = &["from", "to", "q", "page", "pageSize", "format"];
const QUERY: &[&str] = &["datasource_id", "sql", "params?"];
const NOTE: &[&str] = &["version", "message", "branch"];
const NONE: &[&str] = &[];

/// Every route below `/api/`.
pub const ROUTES: &[Route] = &[
    ("get", "/api/setup", None, "Whether there is an account yet.", NONE, NONE),
    (
        "post",
        "/api/setup",
        None,
        "Makes the first account, with the one-time token.",
        &["token", "username", "password"],
        NONE,
    ),
    ("post", "/api/session", None, "Logs in.", &["username", "password"], NONE),
    ("get", "/api/session", V, "The own session.", NONE, NONE),
    ("delete", "/api/session", V, "Logs out.", NONE, NONE),
    (
        "put",
        "/api/session/password",
        V,
        "Changes the own password.",
        &["old_password", "new_password"],
        NONE,
    ),
    ("get", "/api/tokens", V, "The own API tokens.", NONE, NONE),
    (
        "post",
        "/api/tokens",
        V,
        "Makes an API token, shown this once.",
        &["name", "role?", "expires_in_days?"],
        NONE,
    ),
    ("delete", "/api/tokens/{id}", V, "Removes an API token.", NONE, NONE),
    ("get", "/api/accounts", A, "The accounts.", NONE, NONE),
    ("post", "/api/accounts", A, "Makes an account.", &["username", "password", "role"], NONE),
    (
        "patch",
        "/api/accounts/{username}",
        A,
        "Changes an account; its sessions end.",
        &["role?", "disabled?", "password?"],
        NONE,
    ),
    ("delete", "/api/accounts/{username}", A, "Removes an account.", NONE, NONE),
    ("get", "/api/sessions", O, "Who is online.", NONE, NONE),
    ("delete", "/api/sessions/{id}", O, "Ends a session.", NONE, NONE),
    ("get", "/api/status", V, "What serves, and the last reload.", NONE, NONE),
    ("post", "/api/reload", O, "Loads the definitions now.", NONE, NONE),
    ("get", "/api/consumers", V, "Consumers and their keys.", NONE, PAGES),
    ("get", "/api/config", V, "The files of the definitions.", NONE, NONE),
    ("get", "/api/config/file", V, "A file.", NONE, &["path"]),
    (
        "put",
        "/api/config/file",
        D,
        "Replaces or makes a file. `If-Match`.",
        &["text", "message?", "branch?"],
        &["path"],
    ),
    (
        "post",
        "/api/config/check",
        D,
        "The problems that a file would make, and its text with a definition put into it.",
        &["text", "index", "definition"],
        &["path"],
    ),
    ("post", "/api/consumers", A, "Makes a consumer.", &["name", "description?", "roles?"], NONE),
    (
        "post",
        "/api/consumers/{name}/keys",
        A,
        "Makes a key, shown this once.",
        &["id", "expires_at?"],
        NONE,
    ),
    ("delete", "/api/consumers/{name}/keys/{id}", A, "Revokes a key.", NONE, NONE),
    (
        "post",
        "/api/dataservice/interfaces/{code}/tests/run",
        D,
        "Runs the tests of a definition.",
        NONE,
        &["version"],
    ),
    (
        "get",
        "/api/dataservice/interfaces/{code}/callers",
        V,
        "Who may call an interface.",
        NONE,
        &["version"],
    ),
    ("get", "/api/config/commit", V, "What a commit changed.", NONE, &["id"]),
    ("get", "/api/config/log", V, "Commits of a file, or of all.", NONE, &["path"]),
    ("get", "/api/config/reloads", V, "The last reloads.", NONE, NONE),
    (
        "get",
        "/api/dataservice/interfaces",
        V,
        "The interfaces.",
        NONE,
        &["status", "datasource_id", "tag", "page", "pageSize", "q", "sort"],
    ),
    (
        "post",
        "/api/dataservice/interfaces",
        D,
        "Makes an interface; the body is its definition.",
        &["code", "datasource_id", "query_template?"],
        NOTE,
    ),
    (
        "get",
        "/api/dataservice/interfaces/{code}",
        V,
        "A definition, with its ETag.",
        NONE,
        &["version"],
    ),
    (
        "put",
        "/api/dataservice/interfaces/{code}",
        D,
        "Replaces a definition. `If-Match`.",
        &["code", "datasource_id", "query_template?"],
        NOTE,
    ),
    (
        "delete",
        "/api/dataservice/interfaces/{code}",
        D,
        "Removes a definition. `If-Match`.",
        NONE,
        NOTE,
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/status",
        D,
        "Changes the status.",
        &["status"],
        NOTE,
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/default",
        D,
        "Makes a version the default.",
        &["version"],
        NOTE,
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/copy",
        D,
        "Copies a definition as a draft.",
        &["code", "version?", "name?"],
        NOTE,
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/tests",
        D,
        "Adds a test.",
        &["name", "parameters?", "as?", "expect"],
        NOTE,
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/test",
        D,
        "Runs it with given parameters.",
        &["parameters?", "as?", "claims?"],
        &["version", "detail"],
    ),
    (
        "post",
        "/api/dataservice/interfaces/{code}/explain",
        D,
        "What a caller would get, and why.",
        &["parameters?", "as?", "claims?"],
        &["version"],
    ),
    ("get", "/api/dataservice/interfaces/{code}/versions", V, "Its versions.", NONE, NONE),
    (
        "get",
        "/api/dataservice/interfaces/{code}/diff",
        V,
        "What is different between two versions.",
        NONE,
        &["from", "to"],
    ),
    (
        "get",
        "/api/dataservice/interfaces/{code}/changes",
        V,
        "Commits of its file.",
        NONE,
        &["version"],
    ),
    (
        "get",
        "/api/dataservice/interfaces/{code}/sheet",
        V,
        "A sheet of it, for Excel.",
        NONE,
        &["version"],
    ),
    ("get", "/api/dataservice/export", V, "Definitions as a file.", NONE, &["format", "code"]),
    (
        "post",
        "/api/dataservice/import",
        D,
        "Makes or replaces definitions, JSON or YAML, all or none.",
        NONE,
        &["branch"],
    ),
    ("get", "/api/datasources", V, "Datasources and their health.", NONE, PAGES),
    ("post", "/api/datasources/{id}/test", O, "Tests the connection, step by step.", NONE, NONE),
    ("get", "/api/datasources/{id}/databases", V, "Databases.", NONE, NONE),
    (
        "get",
        "/api/datasources/{id}/tables",
        V,
        "Tables.",
        NONE,
        &["database", "page", "pageSize", "q", "sort"],
    ),
    ("get", "/api/datasources/{id}/tables/{name}", V, "Columns of a table.", NONE, &["schema"]),
    ("get", "/api/datasources/{id}/completion", D, "Names for an editor.", NONE, NONE),
    (
        "post",
        "/api/dataservice/query",
        D,
        "Runs a query by hand.",
        &["datasource_id", "sql", "params?", "page?", "offset?", "pageSize?", "id?"],
        NONE,
    ),
    ("get", "/api/dataservice/query", O, "The queries that run.", NONE, NONE),
    ("delete", "/api/dataservice/query/{id}", D, "Cancels a query.", NONE, NONE),
    (
        "post",
        "/api/dataservice/query/explain",
        D,
        "How the database would run a query.",
        QUERY,
        NONE,
    ),
    ("post", "/api/dataservice/query/export", D, "The first 10 000 rows as CSV.", QUERY, NONE),
    (
        "post",
        "/api/dataservice/query/draft",
        D,
        "A draft of an interface from a query.",
        &["datasource_id", "sql", "params?", "code", "name?"],
        NONE,
    ),
    (
        "get",
        "/api/logs/calls",
        V,
        "Calls of interfaces.",
        NONE,
        &["code", "principal", "state", "from", "to", "q", "page", "pageSize", "format"],
    ),
    (
        "get",
        "/api/logs/queries",
        V,
        "Queries by hand.",
        NONE,
        &["username", "datasource_id", "state", "from", "to", "q", "page", "pageSize", "format"],
    ),
    ("get", "/api/logs/operations", O, "Requests that changed something.", NONE, TIMES),
    ("get", "/api/logs/logins", O, "Attempts to log in.", NONE, TIMES),
    ("get", "/api/monitor/server", V, "The machine and the process.", NONE, NONE),
    (
        "get",
        "/api/monitor/interfaces",
        V,
        "Figures of each interface over the last hour, or less of it.",
        NONE,
        &["minutes"],
    ),
    ("get", "/api/monitor/traffic", V, "The last hour in steps.", NONE, &["code"]),
];

/// Gives the description.
pub async fn show() -> Response {
    Json(document()).into_response()
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.1).or_insert_with(|| json!({}));
        path[route.0] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Tidegate: admin API", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "tidegate_session", "description": "With the header `X-CSRF-Token` for all but GET." },
                "token": { "type": "http", "scheme": "bearer" },
            },
            "schemas": {
                "Success": {
                    "type": "object",
                    "required": ["code", "message", "success", "data", "meta"],
                    "properties": { "code": { "const": "OK" }, "message": { "type": "string" }, "success": { "const": true }, "data": {}, "meta": { "type": "object" } },
                },
                "Failure": {
                    "type": "object",
                    "required": ["code", "message", "success", "details"],
                    "properties": { "code": { "type": "string" }, "message": { "type": "string" }, "success": { "const": false }, "details": { "type": "array" } },
                },
            },
        },
    })
}

fn operation(&(method, path, role, summary, body, query): &Route) -> Value {
    let parameter = |place: &str, name: &str| json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": "string" } });
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path.map(|name| parameter("path", name)).collect();
    parameters.extend(query.iter().map(|name| parameter("query", name)));
    if summary.contains("If-Match") {
        parameters.push(json!({ "name": "If-Match", "in": "header", "required": true, "schema": { "type": "string" } }));
    }
    let answer = |name: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({ "description": name, "content": { "application/json": { "schema": schema } } })
    };
    let id = format!("{method}{}", path.replace(['/', '{', '}'], "_"));
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": { "2XX": answer("Success"), "4XX": answer("Failure"), "5XX": answer("Failure") },
        "security": [],
    });
    if let Some(role) = role {
        operation["security"] = json!([{ "session": [] }, { "token": [] }]);
        operation["description"] = format!("Needs the role `{}`.", role.as_str()).into();
    }
    if !body.is_empty() {
        let required: Vec<&str> =
            body.iter().filter(|name| !name.ends_with('?')).copied().collect();
        let members: Map<String, Value> =
            body.iter().map(|name| (name.trim_end_matches('?').to_owned(), json!({}))).collect();
        let schema = json!({ "type": "object", "required": required, "properties": members });
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}
