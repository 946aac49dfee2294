//! Rows by rusqlite: a connection a thread, a thread a processor.

use std::sync::{Arc, Mutex, mpsc};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::sync::oneshot;

use crate::web::{Item, Source};

type Order = (i32, oneshot::Sender<Option<Item>>);

pub struct Items {
    orders: mpsc::Sender<Order>,
}

impl Items {
    pub fn open(file: &str) -> Self {
        let (orders, queue) = mpsc::channel::<Order>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..super::threads() {
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .expect("the file is a database");
            let queue = queue.clone();
            std::thread::spawn(move || work(&connection, &queue));
        }
        Self { orders }
    }
}

fn work(connection: &Connection, queue: &Mutex<mpsc::Receiver<Order>>) {
    let sql = "SELECT id, name, email, city, score, balance FROM item WHERE id = ?1";
    let mut statement = connection.prepare(sql).expect("the table is there");
    loop {
        let order = queue.lock().expect("no worker panics").recv();
        let Ok((id, reply)) = order else { return };
        let item = statement.query_row([id], |row| {
            Ok(Item {
                id: row.get(0)?,
                name: row.get(1)?,
                email: row.get(2)?,
                city: row.get(3)?,
                score: row.get(4)?,
                balance: row.get(5)?,
            })
        });
        let _ = reply.send(item.optional().ok().flatten());
    }
}

impl Source for Items {
    async fn start(&mut self) {}

    async fn find(&self, id: i32) -> Option<Item> {
        let (reply, item) = oneshot::channel();
        self.orders.send((id, reply)).ok()?;
        item.await.ok()?
    }
}
