//! One test on all three engines: each time a database of its own, and the database's own client to ask it directly.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Server, Tidegate, Tree, server_url};

/// A database kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

pub const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::Postgres, Kind::MariaDb];

/// A database that only this test knows, with the datasource `db` on it in a tree of its own. Dropped at the end.
pub struct Bench {
    pub kind: Kind,
    pub tree: Tree,
    server: Option<Server>,
}

/// Runs a test on each engine.
pub fn on_each(mut test: impl FnMut(&Bench)) {
    for kind in KINDS {
        // Shown where the test fails.
        println!("on {kind:?}");
        test(&Bench::new(kind));
    }
}

impl Bench {
    pub fn new(kind: Kind) -> Self {
        let tree = Tree::new();
        let server = match kind {
            Kind::Sqlite => {
                std::fs::create_dir_all(tree.root().join("data")).unwrap();
                tree.write(
                    "datasources/db.yaml",
                    "kind: datasource\nid: db\ntype: sqlite\npath: data/db.db\n",
                );
                None
            }
            Kind::Postgres => Some(server_url("TIDEGATE_TEST_POSTGRES_URL")),
            Kind::MariaDb => Some(server_url("TIDEGATE_TEST_MYSQL_URL")),
        };
        let own = server.map(|server| {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let database = format!("it_{}_{number}", std::process::id());
            client(kind, &server, &format!("CREATE DATABASE {database}"));
            let own = Server { database, ..server };
            tree.server("db", if kind == Kind::Postgres { "postgres" } else { "mysql" }, &own);
            own
        });
        let bench = Self { kind, tree, server: own };
        // Makes the file of SQLite, and shows that the client works.
        bench.sql("CREATE TABLE untouched (id INTEGER);");
        bench
    }

    /// Adds keys to the datasource, such as `limits: {max_rows: 5}`.
    pub fn datasource(&self, keys: &str) -> &Self {
        let path = self.tree.root().join("datasources/db.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        self.tree.write("datasources/db.yaml", &format!("{text}{keys}\n"));
        self
    }

    /// Runs SQL with the database's own client; what it prints: rows in lines, columns with tabs between.
    pub fn sql(&self, sql: &str) -> String {
        if let Some(server) = &self.server {
            return client(self.kind, server, sql);
        }
        let file = self.tree.root().join("data/db.db");
        run(Command::new("sqlite3").args(["-batch", "-bail", "-tabs"]).arg(file), sql)
    }

    /// The URL of its database; PostgreSQL and MariaDB.
    pub fn url(&self) -> String {
        let Server { host, port, user, password, database } = self.server.as_ref().unwrap();
        let scheme = self.pick("", "postgres", "mysql");
        format!("{scheme}://{user}:{password}@{host}:{port}/{database}")
    }

    /// The text for this engine.
    pub fn pick<'a>(&self, sqlite: &'a str, postgres: &'a str, mariadb: &'a str) -> &'a str {
        match self.kind {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
            Kind::MariaDb => mariadb,
        }
    }

    /// An interface on `db`; see [`Tree::interface`].
    pub fn interface(&self, yaml: &str) -> &Self {
        self.tree.interface(&format!("datasource_id: db\n{yaml}"));
        self
    }

    pub fn serve(&self) -> Tidegate {
        self.tree.serve()
    }

    /// Queries with this mark in their text that the server is running now in this bench's database, whatever other tests run
    /// beside it; PostgreSQL and MariaDB.
    pub fn running(&self, mark: &str) -> usize {
        let sql = self.pick(
            "",
            "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()",
            "SELECT info FROM information_schema.processlist WHERE command <> 'Sleep' AND id <> connection_id() AND db = database()",
        );
        self.sql(sql).lines().filter(|line| line.contains(mark)).count()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(Server { database, .. }) = &self.server {
            let force = if self.kind == Kind::Postgres { " WITH (FORCE)" } else { "" };
            // A gateway that still runs holds connections; one that does not come down is none of this test's business.
            let variable = match self.kind {
                Kind::Postgres => "TIDEGATE_TEST_POSTGRES_URL",
                _ => "TIDEGATE_TEST_MYSQL_URL",
            };
            client(self.kind, &server_url(variable), &format!("DROP DATABASE {database}{force}"));
        }
    }
}

fn client(kind: Kind, server: &Server, sql: &str) -> String {
    let Server { host, port, user, password, database } = server;
    let port = port.to_string();
    if kind == Kind::Postgres {
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .args(["-h", host, "-p", &port, "-U", user, "-d", database])
            .env("PGPASSWORD", password)
            .env("PGCLIENTENCODING", "UTF8");
        return run(&mut psql, sql);
    }
    let mut mariadb = Command::new("mariadb");
    mariadb.args(["--no-defaults", "-N", "-B", "--default-character-set=utf8mb4"]).args([
        "-h",
        host,
        "-P",
        &port,
        "-u",
        user,
        &format!("-p{password}"),
        database,
    ]);
    run(&mut mariadb, sql)
}

fn run(command: &mut Command, input: &str) -> String {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client of the database is installed");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A client that refuses the first line reads no further.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
