//! A database whose connections are all taken by others.

use std::process::{Child, Command, Stdio};

use super::{Bed, POOL};
use crate::support::databases::{Bench, Kind};
use crate::support::{Server, eventually, server_url};

/// Connections that the role of this test may have: fewer than the pool.
const ALLOWED: usize = 2;

/// A client that holds one connection until it is dropped.
struct Holder(Child);

impl Holder {
    fn new(kind: Kind, server: &Server) -> Self {
        let Server { host, port, user, password, database } = server;
        let port = port.to_string();
        let mut command = if kind == Kind::Postgres {
            let mut psql = Command::new("psql");
            psql.args(["-Xq", "-h", host, "-p", &port, "-U", user, "-d", database])
                .env("PGPASSWORD", password);
            psql
        } else {
            let mut mariadb = Command::new("mariadb");
            let password = format!("-p{password}");
            mariadb.args([
                "--no-defaults",
                "-h",
                host,
                "-P",
                &port,
                "-u",
                user,
                &password,
                database,
            ]);
            mariadb
        };
        // Waits for its input, connected.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the client of the database is installed"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An account that may have few connections, and a bench whose datasource uses it. `gone` takes it away again.
struct Few {
    server: Server,
    count: String,
}

impl Few {
    fn new(bench: &Bench, name: &str) -> Self {
        let user = format!("it_{name}_{}", std::process::id());
        let postgres =
            format!("CREATE ROLE {user} LOGIN PASSWORD 'few' CONNECTION LIMIT {ALLOWED}");
        let mariadb = format!(
            "CREATE USER {user} IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS {ALLOWED}; GRANT SELECT ON *.* TO {user}"
        );
        bench.sql(bench.pick("", &postgres, &mariadb));
        let database = bench.url().rsplit_once('/').unwrap().1.to_owned();
        let of =
            server_url(bench.pick("", "TIDEGATE_TEST_POSTGRES_URL", "TIDEGATE_TEST_MYSQL_URL"));
        let server = Server { user, password: "few".to_owned(), database, ..of };
        bench.tree.server("db", bench.pick("", "postgres", "mysql"), &server);
        let count = bench.pick(
            "",
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'USER'",
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'USER'",
        );
        let count = count.replace("USER", &server.user);
        Self { server, count }
    }

    /// Connections that the account has.
    fn taken(&self, bench: &Bench) -> usize {
        bench.sql(&self.count).trim().parse().unwrap()
    }

    fn gone(self, bed: Bed) {
        let Bed { gateway, proxy, bench } = bed;
        drop((gateway, proxy));
        eventually("the account is not in use", || self.taken(&bench) == 0);
        let user = &self.server.user;
        let (postgres, mariadb) = (format!("DROP ROLE {user}"), format!("DROP USER {user}"));
        bench.sql(bench.pick("", &postgres, &mariadb));
    }
}

#[test]
fn a_database_without_a_connection_to_spare_is_asked_again_later() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        println!("on {kind:?}");
        let bench = Bench::new(kind);
        let few = Few::new(&bench, "taken");
        let bed = Bed::new(bench, |_| {});
        let holders: Vec<_> = (0..ALLOWED).map(|_| Holder::new(kind, &few.server)).collect();
        eventually("others have all of them", || few.taken(&bed.bench) == ALLOWED);
        eventually("the breaker opens", || {
            let answer = bed.call("/data-api/one");
            Bed::is_failed(&answer);
            assert_eq!(bed.call("/data-api/well").status, 200);
            answer.status == 503
        });
        assert_eq!(few.taken(&bed.bench), ALLOWED);
        drop(holders);
        eventually("the datasource is back", || bed.call("/data-api/one").status == 200);
        for _ in 0..10 {
            assert_eq!(bed.call("/data-api/one").status, 200);
        }
        few.gone(bed);
    }
}

#[test]
fn a_pool_makes_do_with_the_connections_that_the_database_gives() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        println!("on {kind:?}");
        let bench = Bench::new(kind);
        let few = Few::new(&bench, "small");
        let bed = Bed::new(bench, |bench| {
            // Slow enough that the callers stand beside each other.
            let slow = bench.pick("", "pg_sleep(0.05)", "SLEEP(0.05)");
            bench.interface(&format!(
                "code: slow\nsafe_mode: false\npagination: {{enabled: false}}\nquery_template: SELECT 1 AS one FROM (SELECT {slow} AS s) t WHERE s IS NOT NULL\n"
            ));
        });
        const { assert!(POOL > ALLOWED) };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..POOL)
                .map(|_| {
                    scope.spawn(|| (0..10).map(|_| bed.call("/data-api/slow")).collect::<Vec<_>>())
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        // An attempt that is being refused is seen for a moment as well.
        eventually("what it holds is what it may have", || {
            (1..=ALLOWED).contains(&few.taken(&bed.bench))
        });
        few.gone(bed);
    }
}
