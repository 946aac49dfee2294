//! Rows by `mysql_async`: its pool, statements prepared once a connection.

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};

use crate::web::{Item, Source};

/// As many as Tidegate's default.
const CONNECTIONS: usize = 8;

pub struct Items {
    options: Opts,
    pool: Option<Pool>,
}

impl Items {
    pub fn open(url: &str) -> Self {
        Self { options: Opts::from_url(url).expect("a URL of MySQL"), pool: None }
    }
}

impl Source for Items {
    async fn start(&mut self) {
        let constraints = PoolConstraints::new(CONNECTIONS, CONNECTIONS).expect("some connections");
        // Without a reset between two uses, which would cost a round trip.
        let pool = PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
        self.pool = Some(Pool::new(OptsBuilder::from_opts(self.options.clone()).pool_opts(pool)));
    }

    async fn find(&self, id: i32) -> Option<Item> {
        let mut connection = self.pool.as_ref()?.get_conn().await.ok()?;
        let sql = "SELECT id, name, email, city, score, balance FROM item WHERE id = ?";
        let (id, name, email, city, score, balance) =
            connection.exec_first(sql, (id,)).await.ok()??;
        Some(Item { id, name, email, city, score, balance })
    }
}
