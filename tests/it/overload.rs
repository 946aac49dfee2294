//! More calls than can be answered: what is let in stays fast, the rest is refused early and told when to return.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::failures::failed;
use crate::support::databases::{Bench, Kind};
use crate::support::raw::Raw;
use crate::support::{Answer, KEY, Tidegate, Tree, eventually};

/// How long each load lasts.
const LOAD: Duration = Duration::from_secs(4);
/// What one query of these tests takes, at least.
const QUERY: Duration = Duration::from_millis(50);
/// What may come on top on a machine that has much else to do.
const SLACK: Duration = Duration::from_millis(150);

/// An answer and how long it took.
type Timed = (Answer, Duration);

/// Offers `calls` at even distances over [`LOAD`], whatever becomes of the earlier ones, from so many callers.
fn offer(gateway: &Tidegate, path: &str, callers: usize, calls: usize) -> Vec<Timed> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        let call = || {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= calls {
                    return answers;
                }
                let at = started + LOAD.mul_f64(number as f64 / calls as f64);
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                let asked = Instant::now();
                let answer = gateway.get_with(path, &[("x-api-key", KEY)]);
                answers.push((answer, asked.elapsed()));
            }
        };
        let all: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        all.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

/// Calls one after the other from so many callers, for as long as [`LOAD`].
fn saturate(gateway: &Tidegate, path: &str, callers: usize) -> Vec<Timed> {
    let until = Instant::now() + LOAD;
    std::thread::scope(|scope| {
        let call = || {
            let mut answers = Vec::new();
            while Instant::now() < until {
                let asked = Instant::now();
                let answer = gateway.get_with(path, &[("x-api-key", KEY)]);
                answers.push((answer, asked.elapsed()));
            }
            answers
        };
        let all: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        all.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn times(answers: &[Timed], status: u16) -> Vec<Duration> {
    answers.iter().filter(|(answer, _)| answer.status == status).map(|(_, took)| *took).collect()
}

#[test]
fn at_twice_capacity_what_is_let_in_stays_fast() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let bench = Bench::new(kind);
        let query = bench.pick("", "SELECT 1 AS n FROM pg_sleep(0.05)", "SELECT SLEEP(0.05) AS n");
        bench.datasource("pool: {max_connections: 6}\nlimits: {max_in_flight: 32, max_queue: 64}");
        bench.interface(&format!("code: n\nsafe_mode: false\nquery_template: {query}\n"));
        let gateway = bench.serve();
        // As many callers as can be served at once; what is slow is learnt first.
        saturate(&gateway, "/data-api/n", 6);
        let peak = saturate(&gateway, "/data-api/n", 6);
        let (peak_count, peak_times) = (times(&peak, 200).len(), times(&peak, 200));
        let peak_p99 = percentile(peak_times, 99);
        assert!(peak_p99 >= QUERY);

        let gauge = |name: &str| {
            gateway.metric(&format!("tidegate_datasource_{name}{{datasource=\"db\"}}")).unwrap()
        };
        let is_over = AtomicUsize::new(0);
        let (answers, most) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut most = (0.0_f64, 0.0_f64);
                while is_over.load(Relaxed) == 0 {
                    most = (most.0.max(gauge("in_flight")), most.1.max(gauge("queue")));
                    std::thread::sleep(Duration::from_millis(20));
                }
                most
            });
            let answers = offer(&gateway, "/data-api/n", 40, peak_count * 2);
            is_over.store(1, Relaxed);
            (answers, watch.join().unwrap())
        });
        let (admitted, refused) = (times(&answers, 200), times(&answers, 503));
        println!(
            "{kind:?}: peak {peak_count} p99 {peak_p99:?}; at twice that {} of {} admitted, p50 {:?} p99 {:?}; {} refused, \
             p50 {:?}; at most {} in flight and {} queued",
            admitted.len(),
            answers.len(),
            percentile(admitted.clone(), 50),
            percentile(admitted.clone(), 99),
            refused.len(),
            percentile(refused.clone(), 50),
            most.0,
            most.1,
        );
        assert_eq!(admitted.len() + refused.len(), answers.len(), "well or refused, nothing else");
        assert!(admitted.len() * 10 >= peak_count * 7, "{} of {peak_count}", admitted.len());
        assert!(percentile(admitted, 99) < peak_p99 * 3 + SLACK);
        assert!(!refused.is_empty());
        assert!(percentile(refused, 50) < peak_p99 + SLACK, "refused early");
        for (answer, _) in answers.iter().filter(|(answer, _)| answer.status == 503) {
            failed(answer, 503, "DATASOURCE_ERROR");
            let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=30).contains(&after));
        }
        assert!(most.0 <= 6.0 && most.1 <= 64.0, "{most:?}");
        eventually("all is quiet", || gauge("in_flight") == 0.0 && gauge("queue") == 0.0);
    }
}

#[test]
fn slow_queries_leave_room_for_fast_ones() {
    let bench = Bench::new(Kind::Postgres);
    bench.datasource("pool: {max_connections: 4}\nlimits: {max_in_flight: 8, max_queue: 100}");
    bench.interface(
        "code: slow\nsafe_mode: false\nquery_template: SELECT 1 AS n FROM pg_sleep(0.3)\n",
    );
    bench.interface("code: fast\nquery_template: SELECT 1 AS n\n");
    let gateway = bench.serve();
    // It is known to be slow after a few times.
    for _ in 0..4 {
        assert_eq!(gateway.get("/data-api/slow").status, 200);
    }
    let is_over = AtomicUsize::new(0);
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let busy = || {
            while is_over.load(Relaxed) == 0 {
                gateway.get_with("/data-api/slow", &[("x-api-key", KEY)]);
            }
        };
        (0..16).for_each(|_| drop(scope.spawn(busy)));
        let gauge = "tidegate_datasource_queue{datasource=\"db\"}";
        eventually("the slow ones queue", || gateway.metric(gauge) > Some(0.0));
        let times = (0..40).map(|_| {
            let asked = Instant::now();
            let answer = gateway.get("/data-api/fast");
            assert_eq!(answer.status, 200, "{}", answer.text());
            asked.elapsed()
        });
        let times = times.collect();
        is_over.store(1, Relaxed);
        times
    });
    let usual = percentile(times, 50);
    println!("fast ones take {usual:?}");
    assert!(usual < Duration::from_millis(300), "{usual:?}");
}

#[test]
fn the_process_refuses_more_calls_than_it_may_work_on() {
    let tree = Tree::new();
    tree.postgres();
    tree.sqlite("SELECT 1");
    tree.interface("code: quick\ndatasource_id: lite\nauth_required: false\nvisibility: public\nquery_template: SELECT 1 AS n\n");
    tree.interface(
        "code: slow\ndatasource_id: pg\nsafe_mode: false\nquery_template: SELECT 1 AS n FROM pg_sleep(600)\n",
    );
    tree.interface(
        "code: endless\ndatasource_id: pg\nsafe_mode: false\nquery_template: SELECT generate_series(1, 100000000000) AS n\n",
    );
    let gateway = tree.serve_with(&["--max-in-flight", "3"]);
    let mut held: Vec<_> = ["slow", "slow", "endless"]
        .iter()
        .map(|code| {
            let mut raw = Raw::connect(&gateway);
            raw.request(&format!("GET /data-api/{code}"), "");
            raw
        })
        .collect();
    // An answer that is still leaving counts until its end.
    assert_eq!(held[2].head().unwrap().status, 200);
    let in_flight = || gateway.metric("tidegate_requests_in_flight");
    eventually("all are at work", || in_flight() == Some(3.0));
    let refused = gateway.get("/data-api/quick");
    assert_eq!((refused.status, refused.code().as_str()), (503, "OVERLOADED"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.header("x-request-id").is_some());
    let chinese = gateway.get_with("/data-api/slow", &[("accept-language", "zh")]);
    assert_eq!(
        (chinese.status, chinese.code().as_str()),
        (503, "OVERLOADED"),
        "before who calls is asked"
    );
    assert!(chinese.json()["message"].as_str().unwrap().contains("请求过多"));
    assert_eq!(gateway.admin_get("/readyz").status, 200, "probes go on");
    let counted = "tidegate_requests_total{code=\"OVERLOADED\",interface=\"-\",version=\"-\"}";
    assert_eq!(gateway.metric(counted), Some(2.0));
    drop(held.pop());
    eventually("there is room", || gateway.get("/data-api/quick").status == 200);
    for _ in 0..10 {
        assert_eq!(gateway.get("/data-api/quick").status, 200, "nothing leaks");
    }
    drop(held);
    eventually("all is quiet", || in_flight() == Some(0.0));
}

/// Refusals that leave at once, and in each second after that; see `gateway/refusals.rs`.
const BURST: usize = 500;
const REFUSALS_PER_SECOND: usize = 5_000;

#[test]
fn refusals_of_callers_who_come_back_at_once_have_a_rate() {
    const CALLERS: usize = 40;
    let tree = Tree::new();
    tree.sqlite("CREATE TABLE t (id INTEGER);");
    let limit = "rate_limit: {rps: 0.001, burst: 1}";
    tree.interface(&format!(
        "code: n\ndatasource_id: lite\n{limit}\nquery_template: SELECT 1 AS n\n"
    ));
    for (path, status) in [("/data-api/n", 429), ("/data-api/nothing", 404)] {
        let gateway = tree.serve();
        assert_eq!(gateway.get("/data-api/n").status, 200);
        let refused = |calls: usize| {
            let mut raw = Raw::connect(&gateway);
            for _ in 0..calls {
                raw.request(&format!("GET {path}"), "");
                let answer = raw.answer().unwrap();
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("retry-after").is_some(), status == 429);
            }
        };
        let (all, started) = (8 * BURST, Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| refused(all / CALLERS));
            }
        });
        let held = (all - BURST - 1) as f64;
        let least = Duration::from_secs_f64(held / REFUSALS_PER_SECOND as f64);
        assert!(started.elapsed() >= least, "{path}: {:?}", started.elapsed());
    }
}
