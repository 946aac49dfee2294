//! A database whose connections are all taken by others.

use std::process::{Child, Command, Stdio};

use super::Bed;
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

#[test]
fn a_database_without_a_connection_to_spare_is_asked_again_later() {
    for (kind, variable) in
        [(Kind::Postgres, "TIDEGATE_TEST_POSTGRES_URL"), (Kind::MariaDb, "TIDEGATE_TEST_MYSQL_URL")]
    {
        println!("on {kind:?}");
        let bench = Bench::new(kind);
        let user = format!("it_few_{}", std::process::id());
        let create = format!("CREATE ROLE {user} LOGIN PASSWORD 'few' CONNECTION LIMIT {ALLOWED}");
        let create_mariadb = format!(
            "CREATE USER {user} IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS {ALLOWED}; GRANT SELECT ON *.* TO {user}"
        );
        bench.sql(bench.pick("", &create, &create_mariadb));
        let database = bench.url().rsplit_once('/').unwrap().1.to_owned();
        let of = server_url(variable);
        let few = Server { user: user.clone(), password: "few".to_owned(), database, ..of };
        bench.tree.server("db", bench.pick("", "postgres", "mysql"), &few);
        let count = bench
            .pick(
                "",
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'USER'",
                "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'USER'",
            )
            .replace("USER", &user);
        let taken = |bench: &Bench| bench.sql(&count).trim().parse::<usize>().unwrap();
        let bed = Bed::new(bench, |_| {});
        let holders: Vec<_> = (0..ALLOWED).map(|_| Holder::new(kind, &few)).collect();
        eventually("others have all of them", || taken(&bed.bench) == ALLOWED);
        eventually("the breaker opens", || {
            let answer = bed.call("/data-api/one");
            Bed::is_failed(&answer);
            assert_eq!(bed.call("/data-api/well").status, 200);
            answer.status == 503
        });
        assert_eq!(taken(&bed.bench), ALLOWED);
        drop(holders);
        eventually("the datasource is back", || bed.call("/data-api/one").status == 200);
        for _ in 0..10 {
            assert_eq!(bed.call("/data-api/one").status, 200);
        }
        let Bed { gateway, proxy, bench } = bed;
        drop((gateway, proxy));
        eventually("the role is not in use", || taken(&bench) == 0);
        let drop_user = format!("DROP ROLE {user}");
        let drop_mariadb = format!("DROP USER {user}");
        bench.sql(bench.pick("", &drop_user, &drop_mariadb));
    }
}
