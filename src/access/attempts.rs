//! Failed attempts to say who calls, limited by address.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::limit::{Limiter, network};
use super::principal::Principal;
use crate::definitions::snapshot::RateLimit;
use crate::definitions::spec::interface::LimitBy;

/// Addresses that are made to wait at a time; of more, some are let off.
const MAX_WAITING: u64 = 100_000;
/// The longest that one waits: with one attempt a minute, a minute.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Counts failed attempts. Over the limit, an address waits before a signature of its is looked at again.
#[derive(Debug)]
pub struct Attempts {
    /// `None`: nothing is counted.
    limit: Option<(Limiter, Principal)>,
    /// Addresses to the moment they may try again.
    waiting: Cache<IpAddr, Instant>,
}

impl Attempts {
    /// Allows so many failures a minute from one address; 0: any number.
    pub fn new(max_failures_per_minute: u32) -> Self {
        let rule = RateLimit {
            rps: f64::from(max_failures_per_minute) / 60.0,
            burst: max_failures_per_minute,
            by: LimitBy::Ip,
        };
        let limit =
            (max_failures_per_minute > 0).then(|| (Limiter::new(rule), Principal::anonymous()));
        let waiting = Cache::builder().max_capacity(MAX_WAITING).time_to_live(MAX_WAIT).build();
        Self { limit, waiting }
    }

    /// How long the address has to wait; `None`: it may try.
    pub fn wait(&self, ip: IpAddr, now: Instant) -> Option<Duration> {
        self.limit.as_ref()?;
        let until = self.waiting.get(&network(ip))?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure.
    pub fn failed(&self, ip: IpAddr, now: Instant) {
        let Some((limiter, nobody)) = &self.limit else { return };
        let wait = match limiter.check(nobody, ip) {
            // The last one: the next comes back after its share of a minute.
            Ok(left) if left.remaining == 0 => Duration::from_secs_f64(1.0 / limiter.rule().rps),
            Ok(_) => return,
            Err(none) => none.reset,
        };
        self.waiting.insert(network(ip), now + wait.min(MAX_WAIT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_waits_after_its_last_attempt() {
        let attempts = Attempts::new(3);
        let now = Instant::now();
        for _ in 0..2 {
            attempts.failed(ip("192.0.2.1"), now);
            assert_eq!(attempts.wait(ip("192.0.2.1"), now), None);
        }
        attempts.failed(ip("192.0.2.1"), now);
        let wait = attempts.wait(ip("192.0.2.1"), now).unwrap();
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(attempts.wait(ip("192.0.2.1"), now + wait), None);
        assert_eq!(attempts.wait(ip("192.0.2.2"), now), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let attempts = Attempts::new(1);
        let now = Instant::now();
        attempts.failed(ip("2001:db8::1"), now);
        assert!(attempts.wait(ip("2001:db8::ffff"), now).is_some());
        assert_eq!(attempts.wait(ip("2001:db8:0:1::1"), now), None);
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let attempts = Attempts::new(0);
        let now = Instant::now();
        (0..1_000).for_each(|_| attempts.failed(ip("192.0.2.1"), now));
        assert_eq!(attempts.wait(ip("192.0.2.1"), now), None);
    }
}
