//! What is known of functions by name: those that safe mode refuses, and those that fold rows.

use super::dialect::Dialect;

/// A function that safe mode refuses, and why.
struct Refused {
    /// Lower case; a `*` at the end stands for any rest.
    name: &'static str,
    dialects: &'static [Dialect],
    reason: &'static str,
}

const POSTGRES: &[Dialect] = &[Dialect::Postgres];
const MYSQL: &[Dialect] = &[Dialect::MySql];
const SQLITE: &[Dialect] = &[Dialect::Sqlite];

const FILES: &str = "it reads or writes files of the server";
const NETWORK: &str = "it opens connections from the server";
const WAITS: &str = "it holds a connection without doing work";
const STATE: &str = "it changes the state of the server or the session";
const RUNS: &str = "it runs other statements, which cannot be checked";

/// Functions refused by name. The database account stays the second wall.
const REFUSED: &[Refused] = &[
    Refused { name: "pg_read_*", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_ls_*", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_stat_file", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_file_*", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_current_logfile", dialects: POSTGRES, reason: FILES },
    Refused { name: "lo_*", dialects: POSTGRES, reason: FILES },
    Refused { name: "lowrite", dialects: POSTGRES, reason: FILES },
    Refused { name: "loread", dialects: POSTGRES, reason: FILES },
    Refused { name: "dblink*", dialects: POSTGRES, reason: NETWORK },
    Refused { name: "pg_sleep*", dialects: POSTGRES, reason: WAITS },
    Refused { name: "pg_advisory_*", dialects: POSTGRES, reason: WAITS },
    Refused { name: "pg_try_advisory_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_terminate_backend", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_cancel_backend", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_reload_conf", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_rotate_logfile", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_switch_wal", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_create_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_drop_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_logical_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_replication_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_notify", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_promote", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_backup_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "set_config", dialects: POSTGRES, reason: STATE },
    Refused { name: "setval", dialects: POSTGRES, reason: STATE },
    Refused { name: "nextval", dialects: POSTGRES, reason: STATE },
    Refused { name: "query_to_xml*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "cursor_to_xml*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "table_to_xml*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "schema_to_xml*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "database_to_xml*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "ts_stat", dialects: POSTGRES, reason: RUNS },
    Refused { name: "ts_rewrite", dialects: POSTGRES, reason: RUNS },
    Refused { name: "connectby", dialects: POSTGRES, reason: RUNS },
    Refused { name: "crosstab*", dialects: POSTGRES, reason: RUNS },
    Refused { name: "pg_stat_reset*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_stat_statements_reset*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_stat_clear*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_clear_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_restore_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_export_snapshot", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_wal_replay_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_start_backup", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_stop_backup", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_import_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_log_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_copy_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_sync_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_prewarm", dialects: POSTGRES, reason: STATE },
    Refused { name: "brin_summarize_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "brin_desummarize_*", dialects: POSTGRES, reason: STATE },
    Refused { name: "gin_clean_pending_list", dialects: POSTGRES, reason: STATE },
    Refused { name: "pg_hba_file_rules", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_ident_file_mappings", dialects: POSTGRES, reason: FILES },
    Refused { name: "pg_show_all_file_settings", dialects: POSTGRES, reason: FILES },
    Refused { name: "load_file", dialects: MYSQL, reason: FILES },
    Refused { name: "sys_exec", dialects: MYSQL, reason: RUNS },
    Refused { name: "sys_eval", dialects: MYSQL, reason: RUNS },
    Refused { name: "sleep", dialects: MYSQL, reason: WAITS },
    Refused { name: "benchmark", dialects: MYSQL, reason: WAITS },
    Refused { name: "get_lock", dialects: MYSQL, reason: WAITS },
    Refused { name: "release_lock", dialects: MYSQL, reason: STATE },
    Refused { name: "release_all_locks", dialects: MYSQL, reason: STATE },
    Refused { name: "master_pos_wait", dialects: MYSQL, reason: WAITS },
    Refused { name: "source_pos_wait", dialects: MYSQL, reason: WAITS },
    Refused { name: "master_gtid_wait", dialects: MYSQL, reason: WAITS },
    Refused { name: "wait_for_executed_gtid_set", dialects: MYSQL, reason: WAITS },
    Refused { name: "last_insert_id", dialects: MYSQL, reason: STATE },
    Refused { name: "nextval", dialects: MYSQL, reason: STATE },
    Refused { name: "setval", dialects: MYSQL, reason: STATE },
    Refused { name: "load_extension", dialects: SQLITE, reason: FILES },
    Refused { name: "readfile", dialects: SQLITE, reason: FILES },
    Refused { name: "writefile", dialects: SQLITE, reason: FILES },
    Refused { name: "edit", dialects: SQLITE, reason: FILES },
    Refused { name: "fts3_tokenizer", dialects: SQLITE, reason: STATE },
];

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

/// Why safe mode refuses a function, by its name in lower case; `None`: it does not.
pub fn refusal(called: &str, dialect: Dialect) -> Option<&'static str> {
    let refused = REFUSED.iter().find(|refused| {
        refused.dialects.contains(&dialect)
            && match refused.name.strip_suffix('*') {
                Some(start) => called.starts_with(start),
                None => called == refused.name,
            }
    });
    refused.map(|refused| refused.reason)
}

/// Whether a function folds many rows into one.
pub fn is_aggregate(called: &str) -> bool {
    AGGREGATES.iter().any(|known| called.eq_ignore_ascii_case(known))
}
