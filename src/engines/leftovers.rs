//! What a statement could leave behind in its session, so that the next one must not find it there.

/// First words of statements that leave nothing behind.
const HARMLESS: [&str; 9] =
    ["select", "insert", "update", "delete", "merge", "replace", "with", "values", "call"];

/// What within such statements changes settings, variables or locks of the session.
const STICKY: [&str; 6] =
    ["set_config", "setseed", "advisory_lock", "get_lock", "last_insert_id", ":="];

/// Whether a statement could leave something behind in its session (`SET`, `BEGIN`, `CREATE TEMP TABLE`, …).
pub fn may_leave_some(sql: &str) -> bool {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    let sql = sql.to_ascii_lowercase();
    !HARMLESS.iter().any(|harmless| word.eq_ignore_ascii_case(harmless))
        || STICKY.iter().any(|sticky| sql.contains(sticky))
}
