//! What is known of functions by name: those that only compute, those that safe mode refuses, and those that fold rows.

pub mod known;
mod list;
pub mod refused;

use sqlparser::ast::{ObjectName, ObjectNamePart};

pub use self::known::is_known;
use super::dialect::Dialect;

/// Functions that fold many rows into one, so that a query of nothing else gives few rows.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "total",
    "group_concat",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "json_group_array",
    "json_group_object",
    "json_arrayagg",
    "json_objectagg",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "percentile_cont",
    "percentile_disc",
    "mode",
    "any_value",
];

/// Whether a call is one of a function that is known to only compute: one of the engine's own, not one that somebody made
/// under the same name in a schema.
pub fn is_known_call(name: &ObjectName, dialect: Dialect) -> bool {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| folded(part, dialect)).collect();
    match parts.as_deref() {
        Some([called]) => is_known(called, dialect),
        Some([schema, called]) => {
            dialect == Dialect::Postgres && schema == "pg_catalog" && is_known(called, dialect)
        }
        _ => false,
    }
}

/// The name as the engine looks it up: PostgreSQL leaves a quoted one as it is.
fn folded(part: &ObjectNamePart, dialect: Dialect) -> Option<String> {
    let name = part.as_ident()?;
    let is_exact = dialect == Dialect::Postgres && name.quote_style.is_some();
    Some(if is_exact { name.value.clone() } else { name.value.to_ascii_lowercase() })
}

/// Why safe mode refuses a function, by its name as called; `None`: it does not. The case of quoted names is ignored, so
/// that nothing slips through.
pub fn refusal(name: &ObjectName, dialect: Dialect) -> Option<&'static str> {
    let lower = |at: usize| {
        let part = name.0.len().checked_sub(at).and_then(|at| name.0.get(at))?;
        Some(part.as_ident()?.value.to_ascii_lowercase())
    };
    refused::refusal(lower(2).as_deref(), &lower(1)?, dialect)
}

/// Whether a function folds many rows into one.
pub fn is_aggregate(called: &str) -> bool {
    AGGREGATES.iter().any(|known| called.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Ident;

    use super::*;

    const LISTS: [(Dialect, &str, &str); 3] = [
        (Dialect::Postgres, known::POSTGRES, refused::POSTGRES),
        (Dialect::MySql, known::MYSQL, refused::MYSQL),
        (Dialect::Sqlite, known::SQLITE, refused::SQLITE),
    ];

    #[test]
    fn the_lists_are_tidy_and_apart() {
        for (dialect, known, refused) in LISTS {
            list::assert_tidy(known);
            list::assert_tidy(refused);
            for name in list::groups(known).flat_map(|(_, names)| names) {
                assert!(is_known(name, dialect), "{name}");
                assert_eq!(refused::refusal(None, name, dialect), None, "{name} is in both lists");
            }
        }
    }

    #[test]
    fn only_the_engines_own_functions_are_known() {
        let name = |parts: &[&str]| {
            ObjectName::from(parts.iter().map(|part| Ident::new(*part)).collect::<Vec<_>>())
        };
        let quoted = ObjectName::from(vec![Ident::with_quote('"', "LOWER")]);
        assert!(is_known_call(&name(&["Lower"]), Dialect::Postgres));
        assert!(is_known_call(&name(&["pg_catalog", "lower"]), Dialect::Postgres));
        assert!(!is_known_call(&name(&["public", "lower"]), Dialect::Postgres));
        assert!(!is_known_call(&quoted, Dialect::Postgres));
        assert!(is_known_call(&quoted, Dialect::Sqlite));
        assert!(!is_known_call(&name(&["shop", "lower"]), Dialect::MySql));
        assert!(!is_known_call(&name(&["currval"]), Dialect::Postgres));
    }

    #[test]
    fn functions_are_refused_by_name_beginning_and_schema() {
        for (schema, called, dialect, is_refused) in [
            (None, "pg_sleep_for", Dialect::Postgres, true),
            (Some("anything"), "pg_sleep", Dialect::Postgres, true),
            (Some("cron"), "schedule", Dialect::Postgres, true),
            (Some("works"), "schedule", Dialect::Postgres, false),
            (None, "schedule", Dialect::Postgres, false),
            (None, "load_file", Dialect::MySql, true),
            (None, "load_file", Dialect::Sqlite, false),
            (None, "lower", Dialect::Sqlite, false),
        ] {
            let found = refused::refusal(schema, called, dialect);
            assert_eq!(found.is_some(), is_refused, "{called}");
        }
    }
}
