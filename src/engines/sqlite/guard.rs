//! What a connection refuses while a statement is prepared, whoever wrote it. That the file cannot be written is not its
//! matter: read-only connections open it that way.

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Pragmas whose argument is what they tell about.
const TELLING: [&str; 9] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_xinfo",
];
/// Functions that bring foreign code into the process.
const REFUSED_FUNCTIONS: [&str; 2] = ["fts3_tokenizer", "load_extension"];

/// Makes `connection` refuse other files and foreign code; where it is read-only also what would change the session for
/// those that come after: settings and temporary tables.
///
/// # Errors
/// None that is known of: SQLite takes the hook of an open connection.
pub fn watch(connection: &Connection, read_only: bool) -> rusqlite::Result<()> {
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if is_refused(&context.action, read_only) {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    }))
}

fn is_refused(action: &AuthAction<'_>, read_only: bool) -> bool {
    match action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => true,
        AuthAction::Function { function_name } => {
            REFUSED_FUNCTIONS.iter().any(|refused| function_name.eq_ignore_ascii_case(refused))
        }
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) } => {
            read_only && !TELLING.iter().any(|telling| pragma_name.eq_ignore_ascii_case(telling))
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => read_only,
        _ => false,
    }
}
