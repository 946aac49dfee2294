//! Properties that hold for any input: values never become text, parsers never panic, an echo is exact, nothing that is not
//! granted is shown. `tests/fuzz` runs them for long.

mod coercion;
mod documents;
mod echo;
mod governed;
mod parsers;
mod plain;
mod reloads;
mod requests;
mod safe;
mod statements;
mod tokens;
mod trees;

use proptest::test_runner::Config;

/// Random cases of one property, few enough for seconds; `TIDEGATE_TEST_EFFORT` multiplies them. The seed is random, or
/// `PROPTEST_RNG_SEED`.
fn cases(cases: u32) -> Config {
    let effort = std::env::var("TIDEGATE_TEST_EFFORT").map_or(1, |effort| effort.parse().unwrap());
    Config { cases: cases * effort, failure_persistence: None, ..Config::default() }
}
