//! The process: how it starts, hands over to its successor, stops, and what it tells the service manager.

mod load;
mod log;
mod notify;
mod start;
mod stop;
mod unit;
mod upgrade;

use crate::support::{Tidegate, Tree};

/// A tree with an interface `strict` whose calls are all on record.
fn audited() -> Tree {
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2), (3);");
    tree.interface(
        "code: strict\ndatasource_id: lite\naudit: true\nquery_template: SELECT n FROM t WHERE n <= 2\n",
    );
    tree
}

/// A tree with an interface `slow` that takes so long.
fn slow(seconds: f64) -> Tree {
    let tree = Tree::new();
    tree.postgres();
    tree.interface(&format!(
        "code: slow\ndatasource_id: pg\nsafe_mode: false\ntimeout_ms: 60000\n\
         query_template: \"SELECT 1 AS n FROM pg_sleep({seconds})\"\n"
    ));
    tree
}

fn runs_a_query(gateway: &Tidegate) -> bool {
    gateway.metric("tidegate_datasource_in_flight{datasource=\"pg\"}") == Some(1.0)
}
