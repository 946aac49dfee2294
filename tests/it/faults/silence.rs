//! Databases that hang: nobody waits for them for long, and slow queries are not taken for it.

use std::time::{Duration, Instant};

use super::{Bed, DEADLINE, PATIENCE, SLACK, on_each_server};
use crate::failures::{failed, slow};
use crate::support::databases::{Bench, Kind};
use crate::support::eventually;
use crate::support::fault_proxy::Fault;
use crate::support::raw::Raw;

#[test]
fn one_caller_after_the_other_does_not_lose_its_whole_deadline_each_time() {
    on_each_server(|bed| {
        assert_eq!(bed.call("/data-api/one").status, 200);
        bed.proxy.set(Fault::Hang);
        // The first pays for the discovery; the breaker opens soon after, and then the answer comes at once.
        failed(&bed.call("/data-api/one"), 504, "TIMEOUT");
        eventually("the breaker opens", || bed.breaker("open"));
        let started = Instant::now();
        let mut early = 0;
        while early < 10 {
            let asked = Instant::now();
            let answer = bed.call("/data-api/one");
            Bed::is_failed(&answer);
            early += usize::from(answer.status == 503 && asked.elapsed() < DEADLINE / 2);
            assert!(started.elapsed() < PATIENCE, "only {early} were refused early");
        }
        bed.proxy.set(Fault::None);
        bed.recovers();
    });
}

#[test]
fn callers_that_give_up_tell_of_it_too() {
    on_each_server(|bed| {
        bed.bench.interface("code: patient\ntimeout_ms: 600000\nquery_template: SELECT 2 AS two\n");
        bed.gateway.reload();
        assert_eq!(bed.call("/data-api/patient").status, 200);
        bed.proxy.set(Fault::Hang);
        let mut waiting = Raw::connect(&bed.gateway);
        waiting.request("GET /data-api/patient", "");
        eventually("it waits", || bed.gauge("in_flight") == 1.0);
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(2_500) {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(waiting);
        eventually("the breaker opens", || bed.breaker("open"));
        bed.proxy.set(Fault::None);
        bed.recovers();
    });
}

#[test]
fn a_crowd_before_a_database_that_hangs_is_sent_away_soon() {
    on_each_server(|bed| {
        bed.bench.interface("code: patient\ntimeout_ms: 600000\nquery_template: SELECT 2 AS two\n");
        bed.gateway.reload();
        assert_eq!(bed.call("/data-api/patient").status, 200);
        bed.proxy.set(Fault::Hang);
        let mut crowd: Vec<_> = (0..100)
            .map(|_| {
                let mut raw = Raw::connect(&bed.gateway);
                raw.request("GET /data-api/patient", "");
                raw
            })
            .collect();
        // Whoever comes once there has been silence for a while has it looked into.
        eventually("the breaker opens", || {
            let mut raw = Raw::connect(&bed.gateway);
            raw.request("GET /data-api/patient", "");
            crowd.push(raw);
            bed.breaker("open")
        });
        eventually("nobody is left in the queue", || bed.gauge("queue") == 0.0);
        let started = Instant::now();
        let refused = bed.call("/data-api/patient");
        assert!(started.elapsed() < DEADLINE + SLACK);
        Bed::is_failed(&refused);
        drop(crowd);
        bed.proxy.set(Fault::None);
        bed.recovers();
    });
}

#[test]
fn slow_queries_on_a_healthy_database_are_no_illness() {
    on_each_server(|bed| {
        let bench: &Bench = &bed.bench;
        let query = slow(bench, "it_slow_but_well");
        bench.interface(&format!(
            "code: slow\nsafe_mode: false\ntimeout_ms: 400\nquery_template: \"{query}\"\n"
        ));
        bed.gateway.reload();
        // More in a row than open the breaker, alone and all at once.
        for _ in 0..7 {
            failed(&bed.call("/data-api/slow"), 504, "TIMEOUT");
        }
        let crowd: Vec<_> = (0..12)
            .map(|_| {
                let mut raw = Raw::connect(&bed.gateway);
                raw.request("GET /data-api/slow", "");
                raw
            })
            .collect();
        for mut raw in crowd {
            let answer = raw.answer().unwrap();
            Bed::is_failed(&answer);
            assert!(bed.breaker("closed"));
        }
        assert_eq!(bed.gauge("up"), 1.0);
        assert!(!bed.gateway.log().contains("breaker"));
        eventually("nothing is left", || bench.running("it_slow_but_well") == 0);
        bed.recovers();
    });
}

#[test]
fn old_answers_are_given_at_once_and_seldom_asked_for_anew() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let bed = Bed::new(Bench::new(kind), |_| {});
        assert_eq!(bed.call("/data-api/kept").status, 200);
        bed.proxy.set(Fault::Reset);
        eventually("the answer is old", || {
            bed.call("/data-api/kept").header("x-cache") == Some("STALE")
        });
        let asked = || -> f64 {
            ["ok", "error", "timeout", "refused", "cancelled"]
                .iter()
                .filter_map(|outcome| {
                    bed.gateway.metric(&format!(
                        "tidegate_datasource_queries_total{{datasource=\"db\",outcome=\"{outcome}\"}}"
                    ))
                })
                .sum()
        };
        eventually("a refresh has failed", || {
            bed.call("/data-api/kept");
            asked() >= 2.0
        });
        let (before, started) = (asked(), Instant::now());
        for _ in 0..100 {
            let answer = bed.call("/data-api/kept");
            assert_eq!((answer.status, answer.header("x-cache")), (200, Some("STALE")));
        }
        // At most one at a time, with a second between two.
        let most = 2.0 + started.elapsed().as_secs_f64();
        assert!(asked() - before <= most, "{} refreshes", asked() - before);
        bed.proxy.set(Fault::None);
        eventually("a fresh one", || bed.call("/data-api/kept").header("x-cache") == Some("HIT"));
    }
}
