//! Databases and networks that fail: each fault harms its own datasource only, is answered in time, and passes by itself.

mod answers;
mod exhausted;
mod restart;
mod silence;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::failures::failed;
use crate::support::databases::{Bench, Kind};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::{Answer, KEY, PATIENCE, Tidegate, eventually, server_url};

/// Connections that the datasource under test may have.
const POOL: usize = 4;
/// Deadline of its interface `one`.
const DEADLINE: Duration = Duration::from_secs(4);
/// How much later than its deadline an answer may come on a machine that has much to do.
const SLACK: Duration = Duration::from_secs(6);

/// A gateway with the datasource `db` behind a proxy, and `lite` beside it.
struct Bed {
    gateway: Tidegate,
    proxy: FaultProxy,
    bench: Bench,
}

/// Runs a test on each engine that has a server.
fn on_each_server(mut test: impl FnMut(&mut Bed)) {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        // Shown where the test fails.
        println!("on {kind:?}");
        test(&mut Bed::new(Bench::new(kind), |_| {}));
    }
}

impl Bed {
    fn new(bench: Bench, more: impl FnOnce(&Bench)) -> Self {
        let server =
            server_url(bench.pick("", "TIDEGATE_TEST_POSTGRES_URL", "TIDEGATE_TEST_MYSQL_URL"));
        let proxy = FaultProxy::start(&server.host, server.port);
        let path = bench.tree.root().join("datasources/db.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let own = format!("port: {}", server.port);
        assert!(text.contains(&own));
        let text = text.replace(&own, &format!("port: {}", proxy.port));
        bench.tree.write("datasources/db.yaml", &text);
        bench.datasource(&format!(
            "pool: {{max_connections: {POOL}, connect_timeout_ms: 1000}}\nlimits: {{timeout_ms: 600000}}"
        ));
        bench.tree.sqlite("SELECT 1");
        bench.tree.interface("code: well\ndatasource_id: lite\nquery_template: SELECT 1 AS one\n");
        bench.interface(&format!(
            "code: one\ntimeout_ms: {}\nquery_template: SELECT 1 AS one\n",
            DEADLINE.as_millis()
        ));
        bench.interface(
            "code: kept\ncache: {ttl_seconds: 1, stale_seconds: 600}\nquery_template: SELECT 1 AS one\n",
        );
        more(&bench);
        let gateway = bench.serve();
        Self { gateway, proxy, bench }
    }

    /// A call that must end in time.
    fn call(&self, path: &str) -> Answer {
        let started = Instant::now();
        let answer = self.gateway.get(path);
        let took = started.elapsed();
        assert!(took < DEADLINE + SLACK, "{path} took {took:?}: {}", answer.text());
        answer
    }

    fn gauge(&self, name: &str) -> f64 {
        self.gateway.metric(&format!("tidegate_datasource_{name}{{datasource=\"db\"}}")).unwrap()
    }

    fn breaker(&self, state: &str) -> bool {
        let series = format!("tidegate_datasource_breaker{{datasource=\"db\",state=\"{state}\"}}");
        self.gateway.metric(&series) == Some(1.0)
    }

    /// Connections of the gateway that the database knows of.
    fn connections(&self) -> usize {
        let sql = self.bench.pick(
            "",
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidegate'",
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> connection_id()",
        );
        self.bench.sql(sql).trim().parse().unwrap()
    }

    /// What must not notice: another datasource, and an old answer that may be given.
    fn the_others_are_well(&self) {
        let well = self.call("/data-api/well");
        assert_eq!(well.status, 200, "{}", well.text());
        let kept = self.call("/data-api/kept");
        assert_eq!(kept.status, 200, "{}", kept.text());
        assert!(matches!(kept.header("x-cache"), Some("STALE" | "HIT")));
    }

    /// An answer of a datasource that fails: 502, 503 with a time to come back, or 504.
    fn is_failed(answer: &Answer) {
        match answer.status {
            503 => {
                failed(answer, 503, "DATASOURCE_ERROR");
                let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=30).contains(&after), "{after}");
            }
            504 => failed(answer, 504, "TIMEOUT"),
            _ => failed(answer, 502, "DATASOURCE_ERROR"),
        }
    }

    /// Without a restart or a reload, and with nothing left behind.
    fn recovers(&self) {
        eventually("the datasource is back", || {
            let answer = self.call("/data-api/one");
            if answer.status != 200 {
                Self::is_failed(&answer);
            }
            answer.status == 200
        });
        assert!(self.breaker("closed"));
        assert_eq!(self.gauge("up"), 1.0);
        eventually("nobody is left in flight", || {
            self.gauge("in_flight") == 0.0 && self.gauge("queue") == 0.0
        });
        eventually("no connection is left over", || self.connections() <= POOL);
        for _ in 0..2 * POOL {
            assert_eq!(self.call("/data-api/one").status, 200);
        }
    }
}

/// Many callers at once, for as long as `during` takes; their answers.
fn callers(gateway: &Tidegate, path: &str, count: usize, during: impl FnOnce()) -> Vec<Answer> {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let call = || {
            let mut answers = Vec::new();
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                answers.push(gateway.get_with(path, &[("x-api-key", KEY)]));
                std::thread::sleep(Duration::from_millis(10));
            }
            answers
        };
        let all: Vec<_> = (0..count).map(|_| scope.spawn(call)).collect();
        during();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        all.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

/// Faults of the connection, each while calls come in: how it begins, and how it ends.
type Case = (&'static str, fn(&mut FaultProxy), fn(&mut FaultProxy));

const CASES: [Case; 6] = [
    ("refuses", FaultProxy::close, FaultProxy::open),
    ("takes connections and hangs", |p| p.set(Fault::Hang), |p| p.set(Fault::None)),
    ("hangs in its first answers", |p| p.set(Fault::HangAfter(20)), |p| p.set(Fault::None)),
    ("resets", |p| p.set(Fault::Reset), |p| p.set(Fault::None)),
    ("resets in its first answers", |p| p.set(Fault::ResetAfter(20)), |p| p.set(Fault::None)),
    (
        "vanishes without a word",
        |p| {
            p.cut();
            p.set(Fault::Hang);
        },
        |p| {
            p.cut();
            p.set(Fault::None);
        },
    ),
];

#[test]
fn a_datasource_that_fails_harms_only_itself_and_comes_back() {
    on_each_server(|bed| {
        for (name, begin, end) in CASES {
            println!("it {name}");
            eventually("an answer is kept", || bed.call("/data-api/kept").status == 200);
            assert_eq!(bed.call("/data-api/one").status, 200);
            begin(&mut bed.proxy);
            let answers = callers(&bed.gateway, "/data-api/one", 3, || {
                eventually("the breaker opens", || {
                    bed.the_others_are_well();
                    bed.breaker("open")
                });
                assert_eq!(bed.gauge("up"), 0.0);
                bed.the_others_are_well();
            });
            // Those that were sent before it began may have been well.
            let ill: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
            assert!(!ill.is_empty());
            ill.iter().for_each(|answer| Bed::is_failed(answer));
            end(&mut bed.proxy);
            bed.recovers();
        }
        eventually("operators can read why", || bed.gateway.log().contains("breaker"));
    });
}

#[test]
fn operators_see_why_and_a_good_test_of_the_connection_opens_the_way() {
    on_each_server(|bed| {
        let row = || {
            let rows = bed.gateway.admin_get("/api/datasources?q=db").data();
            rows.as_array().unwrap().iter().find(|row| row["id"] == "db").unwrap().clone()
        };
        assert_eq!((&row()["error"], &row()["retry_at"]), (&Value::Null, &Value::Null));
        let well_since = row()["since"].clone();
        bed.proxy.close();
        eventually("the breaker opens", || {
            bed.call("/data-api/one");
            bed.breaker("open")
        });
        // Each failed probe makes the pause longer.
        eventually("it stays open for some seconds", || {
            bed.call("/data-api/one");
            bed.gateway.status()["datasources"].as_array().unwrap().iter().any(|row| {
                let at = row["retry_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
                at.is_some_and(|at| at.duration_since(Timestamp::now()).as_secs() >= 3)
            })
        });
        let ill = row();
        assert!(ill["error"].as_str().unwrap().contains("efused"), "{ill}");
        assert_ne!(ill["since"], well_since);
        bed.call("/data-api/one");
        let refused = || {
            let log = bed.gateway.admin_get("/api/logs/calls?code=one&q=breaker").json();
            log["data"][0]["error"].as_str().unwrap_or_default().to_owned()
        };
        eventually("the log says why", || {
            refused().starts_with("the breaker is open") && refused().contains("efused")
        });
        bed.proxy.open();
        let tested = bed.gateway.admin_post("/api/datasources/db/test", "").data();
        assert_eq!(tested["ok"], true, "{tested}");
        assert_eq!(bed.call("/data-api/one").status, 200);
        assert_eq!((&row()["up"], &row()["error"]), (&Value::Bool(true), &Value::Null));
    });
}

#[test]
fn connections_that_are_cut_are_replaced() {
    on_each_server(|bed| {
        let answers = callers(&bed.gateway, "/data-api/one", 4, || {
            for _ in 0..10 {
                bed.proxy.cut();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let well = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(well > 0);
        answers.iter().filter(|answer| answer.status != 200).for_each(Bed::is_failed);
        bed.recovers();
    });
}

#[test]
fn a_slow_line_is_slow_and_nothing_else() {
    on_each_server(|bed| {
        bed.proxy.set(Fault::Drip(16, Duration::from_millis(3)));
        for _ in 0..5 {
            assert_eq!(bed.call("/data-api/one").status, 200);
        }
        assert!(bed.breaker("closed"));
        bed.proxy.set(Fault::None);
        bed.recovers();
    });
}

#[test]
fn a_datasource_that_is_down_at_the_start_is_found_later() {
    on_each_server(|bed| {
        bed.proxy.close();
        eventually("the breaker opens", || {
            let answer = bed.call("/data-api/one");
            Bed::is_failed(&answer);
            answer.status == 503
        });
        assert_eq!(bed.call("/data-api/well").status, 200);
        bed.proxy.open();
        bed.recovers();
    });
}
