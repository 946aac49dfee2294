//! Rows by tokio-postgres: statements prepared once, pipelined over a few connections.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio_postgres::{Client, NoTls, Statement};

use crate::web::{Item, Source};

/// More connections are no faster.
const CONNECTIONS: usize = 2;

pub struct Items {
    url: String,
    clients: Vec<(Client, Statement)>,
    next: AtomicUsize,
}

impl Items {
    pub fn open(url: &str) -> Self {
        Self { url: url.to_owned(), clients: Vec::new(), next: AtomicUsize::new(0) }
    }
}

impl Source for Items {
    async fn start(&mut self) {
        for _ in 0..CONNECTIONS {
            let (client, connection) =
                tokio_postgres::connect(&self.url, NoTls).await.expect("PostgreSQL answers");
            tokio::spawn(connection);
            let sql = "SELECT id, name, email, city, score, balance FROM item WHERE id = $1";
            let statement = client.prepare(sql).await.expect("the table is there");
            self.clients.push((client, statement));
        }
    }

    async fn find(&self, id: i32) -> Option<Item> {
        let (client, statement) = &self.clients[self.next.fetch_add(1, Relaxed) % CONNECTIONS];
        let row = client.query_opt(statement, &[&id]).await.ok()??;
        Some(Item {
            id: row.get(0),
            name: row.get(1),
            email: row.get(2),
            city: row.get(3),
            score: row.get(4),
            balance: row.get(5),
        })
    }
}
