//! The metrics of keys that come by URL.

use prometheus::proto::MetricFamily;

use super::exposition::Family;

/// The state of the keys of an issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySetGauges {
    /// Name of the `jwt_issuer`.
    pub issuer: String,
    /// Keys that verify now.
    pub keys: u64,
    /// Fetches since the start, those that went well and those that did not.
    pub fetched: u64,
    pub failed: u64,
    /// The last good fetch, in Unix time.
    pub fetched_at_seconds: Option<f64>,
}

/// The families of these sets.
pub(super) fn families(sets: &[KeySetGauges]) -> Vec<MetricFamily> {
    let mut keys = Family::gauge("tidegate_jwks_keys", "Keys of an issuer that verify now.");
    let mut fetches =
        Family::counter("tidegate_jwks_fetches_total", "Fetches of an issuer's keys, by result.");
    let mut last = Family::gauge(
        "tidegate_jwks_last_success_timestamp_seconds",
        "When an issuer's keys were last fetched, in Unix time.",
    );
    for set in sets {
        let issuer = ("issuer", set.issuer.as_str());
        keys.sample(&[issuer], set.keys as f64);
        fetches.sample(&[issuer, ("result", "failed")], set.failed as f64);
        fetches.sample(&[issuer, ("result", "ok")], set.fetched as f64);
        if let Some(at) = set.fetched_at_seconds {
            last.sample(&[issuer], at);
        }
    }
    [keys, fetches, last].into_iter().filter_map(Family::finish).collect()
}
