//! Database servers that crash and start again, with the calls going on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bed, callers};
use crate::support::{KEY, Server, Tree, eventually};

/// Servers of this test's own.
struct Servers(PathBuf);

impl Servers {
    fn start(dir: &Path) -> Self {
        let servers = Self(dir.join("servers"));
        servers.script("start");
        servers
    }

    fn script(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
        assert!(Command::new(script).arg(what).arg(&self.0).status().unwrap().success(), "{what}");
    }

    fn server(&self, variable: &str) -> Server {
        let env = std::fs::read_to_string(self.0.join("env")).unwrap();
        let url =
            env.lines().find_map(|line| line.strip_prefix(&format!("export {variable}="))).unwrap();
        Server::parse(url)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.script("stop");
    }
}

#[test]
fn servers_that_restart_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    // The servers run as users of their own.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let servers = Servers::start(dir.path());
    let tree = Tree::new();
    tree.server("pg", "postgres", &servers.server("TIDEGATE_TEST_POSTGRES_URL"));
    tree.server("my", "mysql", &servers.server("TIDEGATE_TEST_MYSQL_URL"));
    for id in ["pg", "my"] {
        tree.interface(&format!(
            "code: {id}\ndatasource_id: {id}\ntimeout_ms: 5000\nquery_template: SELECT 1 AS one\n"
        ));
    }
    let gateway = tree.serve();
    let call = |id: &str| gateway.get_with(&format!("/data-api/{id}"), &[("x-api-key", KEY)]);
    for round in 0..2 {
        println!("round {round}");
        assert_eq!((call("pg").status, call("my").status), (200, 200));
        let mut mine = Vec::new();
        let others = callers(&gateway, "/data-api/pg", 2, || {
            mine = callers(&gateway, "/data-api/my", 2, || servers.script("restart"));
        });
        for answers in [&mine, &others] {
            assert!(!answers.is_empty());
            answers.iter().filter(|answer| answer.status != 200).for_each(Bed::is_failed);
        }
        for id in ["pg", "my"] {
            eventually("it is found again", || call(id).status == 200);
            let series = format!("tidegate_datasource_in_flight{{datasource=\"{id}\"}}");
            eventually("all is quiet", || gateway.metric(&series) == Some(0.0));
        }
    }
}
