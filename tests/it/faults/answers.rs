//! Large answers that are interrupted: half of one is never taken for a whole one.

use super::{Bed, on_each_server};
use crate::support::databases::{Bench, Kind};
use crate::support::eventually;
use crate::support::fault_proxy::Fault;
use crate::support::raw::Raw;

/// Reads an answer whose connection must break off before its end.
fn breaks_off(raw: &mut Raw) {
    loop {
        match raw.chunk() {
            Some(Some(_)) => {}
            Some(None) => panic!("the answer seems whole"),
            None => return,
        }
    }
}

fn endless(bench: &Bench) {
    let rows = bench.pick(
        "",
        "SELECT generate_series(1, 100000000000) AS n, 'it_endless' AS mark",
        "SELECT a.seq AS n, 'it_endless' AS mark FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
    );
    let query = format!("safe_mode: false\nquery_template: \"{rows}\"\n");
    bench.interface(&format!("code: endless\n{query}"));
    bench.interface(&format!("code: ending\ntimeout_ms: 1500\n{query}"));
}

#[test]
fn an_answer_that_breaks_off_in_the_database_breaks_off_here() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let mut bed = Bed::new(Bench::new(kind), endless);
        for fault in [Fault::ResetAfter(1_000_000), Fault::Reset] {
            println!("{kind:?} {fault:?}");
            let mut raw = Raw::connect(&bed.gateway);
            raw.request("GET /data-api/endless", "");
            assert_eq!(raw.head().unwrap().status, 200);
            assert!(raw.chunk().unwrap().is_some());
            bed.proxy.set(fault);
            breaks_off(&mut raw);
            bed.proxy.set(Fault::None);
            bed.recovers();
            eventually("nothing runs on", || bed.bench.running("it_endless") == 0);
        }
        bed.proxy.close();
        bed.proxy.open();
        bed.recovers();
        eventually("the log says what happened", || bed.gateway.log().contains("DATASOURCE_ERROR"));
    }
}

#[test]
fn an_answer_that_stops_coming_ends_at_its_deadline() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        println!("{kind:?}");
        let bed = Bed::new(Bench::new(kind), endless);
        bed.proxy.set(Fault::HangAfter(3_000_000));
        let mut raw = Raw::connect(&bed.gateway);
        raw.request("GET /data-api/ending", "");
        assert_eq!(raw.head().unwrap().status, 200);
        breaks_off(&mut raw);
        bed.proxy.set(Fault::None);
        bed.recovers();
        eventually("nothing runs on", || bed.bench.running("it_endless") == 0);
    }
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_behind() {
    on_each_server(|bed| {
        endless(&bed.bench);
        bed.gateway.reload();
        for _ in 0..6 {
            let mut raw = Raw::connect(&bed.gateway);
            raw.request("GET /data-api/endless", "");
            assert_eq!(raw.head().unwrap().status, 200);
        }
        eventually("nothing runs on", || bed.bench.running("it_endless") == 0);
        bed.recovers();
    });
}
