//! Properties that hold for any input: values never become text, parsers never panic, an echo is exact.

mod echo;
mod parsers;
mod statements;
mod trees;

use proptest::test_runner::Config;

/// Random cases of one property, few enough for seconds.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
