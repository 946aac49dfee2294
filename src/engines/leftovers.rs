//! What a statement could leave behind in its session, so that the next one must not find it there.

/// First words of statements that leave nothing behind.
const HARMLESS: [&str; 9] =
    ["select", "insert", "update", "delete", "merge", "replace", "with", "values", "call"];

/// What within such statements changes settings, variables or locks of the session.
const STICKY: [&str; 6] =
    ["set_config", "setseed", "advisory_lock", "get_lock", "last_insert_id", ":="];

/// Whether a statement could leave something behind in its session (`SET`, `BEGIN`, `CREATE TEMP TABLE`, …).
pub fn may_leave_some(sql: &str) -> bool {
    if !begins_harmless(sql) {
        return true;
    }
    let lower = sql.to_ascii_lowercase();
    STICKY.iter().any(|sticky| lower.contains(sticky))
}

/// Whether a statement could be PostgreSQL's `DO`, whose block may make its session writable, commit, and write.
pub fn may_be_block(sql: &str) -> bool {
    let mut words = sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    !begins_harmless(sql) && words.any(|word| word.eq_ignore_ascii_case("do"))
}

/// A comment at the beginning is no word, and not harmless.
fn begins_harmless(sql: &str) -> bool {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    HARMLESS.iter().any(|harmless| word.eq_ignore_ascii_case(harmless))
}
