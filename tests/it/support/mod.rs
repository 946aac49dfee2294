//! Builders for tests: a definitions tree in a folder, a gateway process that serves it, a client that calls it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod answer;
pub mod databases;
pub mod fault_proxy;
pub mod raw;
pub mod tables;

pub use answer::Answer;

/// Key of the consumer `tester`, whose role grants everything.
pub const KEY: &str = "test-key";
/// Longest wait for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Lower-case SHA-256 of a key, as definitions hold it.
pub fn sha256(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// URL of a test server from the environment, as `scheme://user:password@host:port/database`.
pub fn server_url(variable: &str) -> Server {
    let url = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests with `make test`, or name a server")
    });
    Server::parse(&url)
}

/// A database server to test against.
#[derive(Clone, Debug)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
}

impl Server {
    /// From `scheme://user:password@host:port/database`.
    pub fn parse(url: &str) -> Self {
        let rest = url.split_once("://").unwrap().1;
        let (login, place) = rest.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = place.split_once('/').unwrap();
        let (host, port) = address.split_once(':').unwrap();
        let own = |text: &str| text.to_owned();
        Self {
            host: own(host),
            port: port.parse().unwrap(),
            user: own(user),
            password: own(password),
            database: own(database),
        }
    }
}

/// A definitions tree in a temporary folder. Starts with a role `all`, and a consumer `tester` with [`KEY`].
pub struct Tree {
    pub dir: TempDir,
}

impl Tree {
    pub fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        let policies = format!(
            "kind: role\nname: all\ninterfaces: [\"*\"]\n---\nkind: consumer\nname: tester\nroles: [all]\n\
             claims: {{region: east}}\napi_keys: [{{id: a, sha256: \"{}\"}}]\n",
            sha256(KEY)
        );
        tree.write("policies/base.yaml", &policies);
        tree
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, replacing it as an editor would: in one step.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("tmp~");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
        self
    }

    /// A SQLite datasource `lite` that is made by `sql`.
    pub fn sqlite(&self, sql: &str) -> &Self {
        self.write("datasources/lite.sql", sql);
        self.write(
            "datasources/lite.yaml",
            "kind: datasource\nid: lite\ntype: sqlite\npath: data/lite.db\ninit: datasources/lite.sql\n",
        )
    }

    /// A datasource `pg` on the PostgreSQL test server.
    pub fn postgres(&self) -> &Self {
        self.server("pg", "postgres", &server_url("TIDEGATE_TEST_POSTGRES_URL"))
    }

    /// A datasource `my` on the MariaDB test server.
    pub fn mysql(&self) -> &Self {
        self.server("my", "mysql", &server_url("TIDEGATE_TEST_MYSQL_URL"))
    }

    /// A datasource on a server.
    pub fn server(&self, id: &str, kind: &str, server: &Server) -> &Self {
        let Server { host, port, user, password, database } = server;
        self.write(&format!("secrets/{id}"), password);
        self.write(
            &format!("datasources/{id}.yaml"),
            &format!(
                "kind: datasource\nid: {id}\ntype: {kind}\nhost: {host}\nport: {port}\ndatabase: {database}\n\
                 username: {user}\npassword: {{file: secrets/{id}}}\n"
            ),
        )
    }

    /// An interface from its YAML without `kind`; the file is named after `code`.
    pub fn interface(&self, yaml: &str) -> &Self {
        let code = yaml
            .lines()
            .find_map(|line| line.strip_prefix("code: "))
            .expect("an interface has a code");
        let version =
            yaml.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or("1.0.0");
        self.write(
            &format!("definitions/{code}-{version}.yaml"),
            &format!("kind: interface\n{yaml}"),
        )
    }

    /// Makes a certificate that signs itself; the paths of its two files, as `--tls-cert` and `--tls-key` take them.
    pub fn certificate(&self) -> (String, String) {
        let path = |name: &str| self.root().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-keyout", &key, "-out", &cert])
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        (cert, key)
    }

    /// Serves the tree.
    pub fn serve(&self) -> Tidegate {
        self.serve_with(&[])
    }

    /// Serves the tree with more flags.
    pub fn serve_with(&self, flags: &[&str]) -> Tidegate {
        Tidegate::start(self.root(), flags)
    }
}

/// The binary under test.
pub fn tidegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    // Settings come from the test alone.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("TIDEGATE_") && !name.starts_with("TIDEGATE_TEST_"))
    {
        command.env_remove(name);
    }
    command
}

/// Runs a command of the binary to its end: exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let output = tidegate().args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A free port of the loopback address; another process could take it before it is used, which is why starts are tried again.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A free port of those that the system gives to nobody, so that it stays free until the test takes it.
pub fn quiet_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 4_000).unwrap();
    let mut ports =
        std::iter::repeat_with(|| 12_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 4_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Whether somebody reads what is sent to a port. A listener that is only there for a moment, to see whether the port is
/// free, resets the connection instead. What is sent is no request, so that nothing is counted.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"?\r\n\r\n").is_ok() && stream.read(&mut [0]).is_ok()
}

/// A gateway process. Killed when dropped.
pub struct Tidegate {
    pub child: Child,
    pub data_port: u16,
    pub admin_port: u16,
    pub token: String,
    log: Arc<Mutex<String>>,
    agent: ureq::Agent,
}

impl Tidegate {
    /// Serves a root with more flags.
    pub fn start(root: &Path, flags: &[&str]) -> Self {
        Self::start_in(root, flags, &[])
    }

    /// Serves a root with more flags and variables.
    pub fn start_in(root: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_by(root, flags, || {
            let mut command = tidegate();
            command.envs(variables.iter().copied());
            command
        })
    }

    /// Serves a root with more flags from a line of the shell, in which `SERVE` starts the process.
    pub fn start_in_shell(root: &Path, flags: &[&str], line: &str) -> Self {
        let line = line.replace("SERVE", "exec \"$0\" \"$@\"");
        Self::start_by(root, flags, || {
            let mut command = Command::new("sh");
            command.args(["-c", &line, env!("CARGO_BIN_EXE_tidegate")]);
            command
        })
    }

    fn start_by(root: &Path, flags: &[&str], command: impl Fn() -> Command) -> Self {
        for _ in 0..5 {
            let mut started = Self::spawn(command(), root, (free_port(), free_port()), flags);
            if started.is_up() {
                let token = fs::read_to_string(root.join("data/admin-token")).unwrap();
                token.trim().clone_into(&mut started.token);
                return started;
            }
            let log = started.log();
            assert!(log.contains("cannot listen"), "the gateway does not start:\n{log}");
        }
        panic!("no free port");
    }

    /// Starts a process that is to take over from this one, and does not wait for it.
    pub fn successor(&self, root: &Path, flags: &[&str]) -> Self {
        let flags = [&["--upgrade"], flags].concat();
        let ports = (self.data_port, self.admin_port);
        let mut successor = Self::spawn(tidegate(), root, ports, &flags);
        successor.token.clone_from(&self.token);
        successor
    }

    fn spawn(
        mut command: Command,
        root: &Path,
        (data_port, admin_port): (u16, u16),
        flags: &[&str],
    ) -> Self {
        let mut child = command
            .args(["serve", "--root"])
            .arg(root)
            .args(["--listen", &format!("127.0.0.1:{data_port}")])
            .args(["--admin-listen", &format!("127.0.0.1:{admin_port}")])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, into) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                into.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        Self { child, data_port, admin_port, token: String::new(), log, agent: config.into() }
    }

    fn is_up(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                std::thread::sleep(Duration::from_millis(50));
                return false;
            }
            if answers(self.admin_port) && answers(self.data_port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the gateway does not come up:\n{}", self.log());
    }

    /// What the process has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn data_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.data_port)
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin_port)
    }

    /// A GET with the test key.
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("x-api-key", KEY)])
    }

    /// A GET with these headers and no others of ours.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers
            .iter()
            .fold(self.agent.get(self.data_url(path)), |r, (name, value)| r.header(*name, *value));
        Answer::of(request.call())
    }

    /// A POST of JSON text with the test key.
    pub fn post(&self, path: &str, json: &str) -> Answer {
        self.post_with(path, json, &[("x-api-key", KEY), ("content-type", "application/json")])
    }

    /// A POST with these headers.
    pub fn post_with(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers
            .iter()
            .fold(self.agent.post(self.data_url(path)), |r, (name, value)| r.header(*name, *value));
        Answer::of(request.send(body))
    }

    /// A call of the admin API with its token.
    pub fn admin_get(&self, path: &str) -> Answer {
        let token = format!("Bearer {}", self.token);
        Answer::of(self.agent.get(self.admin_url(path)).header("authorization", &token).call())
    }

    /// A request of the admin address with these headers and no others of ours.
    pub fn admin_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let request = ureq::http::Request::builder().method(method).uri(self.admin_url(path));
        let request = headers.iter().fold(request, |r, (name, value)| r.header(*name, *value));
        Answer::of(self.agent.run(request.body(body.to_owned()).unwrap()))
    }

    /// A POST to the admin API with its token.
    pub fn admin_post(&self, path: &str, body: &str) -> Answer {
        let token = format!("Bearer {}", self.token);
        Answer::of(self.agent.post(self.admin_url(path)).header("authorization", &token).send(body))
    }

    /// The value of a metric, by its name with labels as it is printed.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.admin_get("/metrics").text();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// A GET of the admin address without its token.
    pub fn admin_get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers
            .iter()
            .fold(self.agent.get(self.admin_url(path)), |r, (name, value)| r.header(*name, *value));
        Answer::of(request.call())
    }

    /// `data` of `/api/status`.
    pub fn status(&self) -> serde_json::Value {
        self.admin_get("/api/status").data()
    }

    /// Has the definitions looked at now; they must be good.
    pub fn reload(&self) {
        let answer = self.admin_post("/api/reload", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Asks the process to stop, and does not wait.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks the process to stop, and waits for it.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of the process by its name in `/proc`: `VmRSS` now, `VmHWM` at most so far.
pub fn memory_kb(gateway: &Tidegate, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
