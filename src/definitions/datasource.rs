//! Compiles datasources and checks where secrets come from.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::document::Document;
use super::problem::{Problem, ProblemCode};
use super::snapshot::{Datasource, Snapshot};
use super::sources::{Source, Sources};
use super::spec::Secret;
use super::spec::datasource::EngineKind;
use crate::sql::dialect::Dialect;

/// Compiles the datasources of a tree; those that are as they were `before` are taken over.
pub fn compile(
    sources: &Sources,
    before: Option<&Snapshot>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Arc<Datasource>> {
    let mut found = BTreeMap::new();
    for Source { spec, document } in &sources.datasources {
        let conflict = |key: &str, message: String, hint: &str| {
            Problem::error(document.place(&format!("/{key}")), ProblemCode::Conflict, message, hint)
        };
        let dialect = match spec.engine {
            EngineKind::Sqlite => Dialect::Sqlite,
            EngineKind::Postgres => Dialect::Postgres,
            EngineKind::Mysql => Dialect::MySql,
            other => {
                problems.push(Problem::error(
                    document.place("/type"),
                    ProblemCode::Unsupported,
                    format!(
                        "Datasources of type `{}` are not supported by this version.",
                        format!("{other:?}").to_lowercase()
                    ),
                    "Use sqlite, postgres or mysql.",
                ));
                continue;
            }
        };
        let missing = |key: &str| {
            let message = format!("A datasource of this type needs `{key}`.");
            Problem::error(
                document.place(""),
                ProblemCode::MissingKey,
                message,
                format!("Add `{key}:`."),
            )
        };
        if dialect == Dialect::Sqlite {
            if spec.path.is_none() {
                problems.push(missing("path"));
            }
            let server = [
                ("host", spec.host.is_some()),
                ("port", spec.port.is_some()),
                ("database", spec.database.is_some()),
                ("username", spec.username.is_some()),
                ("password", spec.password.is_some()),
                ("tls", spec.tls.is_some()),
            ];
            for (key, _) in server.iter().filter(|(_, given)| *given) {
                problems.push(conflict(
                    key,
                    format!("SQLite has no `{key}`."),
                    "Remove it; SQLite has only `path` and `init`.",
                ));
            }
        } else {
            if spec.host.is_none() {
                problems.push(missing("host"));
            }
            for (key, _) in [("path", spec.path.is_some()), ("init", spec.init.is_some())]
                .iter()
                .filter(|(_, given)| *given)
            {
                problems.push(conflict(
                    key,
                    format!("Only SQLite has `{key}`."),
                    "Remove it; name the server with `host` and `port`.",
                ));
            }
        }
        if let Some(secret) = &spec.password {
            check_secret(secret, document, "/password", problems);
        }
        let mut hasher = DefaultHasher::new();
        document.root.to_json().to_string().hash(&mut hasher);
        let datasource = Datasource {
            spec: spec.clone(),
            dialect,
            fingerprint: hasher.finish(),
            place: document.place(""),
        };
        let same = before
            .and_then(|before| before.datasources.get(&spec.id))
            .filter(|same| ***same == datasource);
        found.insert(spec.id.clone(), same.cloned().unwrap_or_else(|| Arc::new(datasource)));
    }
    found
}

/// A secret names exactly one place.
pub fn check_secret(
    secret: &Secret,
    document: &Document,
    pointer: &str,
    problems: &mut Vec<Problem>,
) {
    if secret.env.is_some() == secret.file.is_some() {
        problems.push(Problem::error(
            document.place(pointer),
            ProblemCode::Conflict,
            "A secret comes from exactly one place.",
            "Give either `env: NAME` or `file: PATH`.",
        ));
    }
}
