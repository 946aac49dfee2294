//! Rate limits of one interface, by caller, address or as a whole.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ahash::RandomState;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::principal::Principal;
use crate::definitions::snapshot::RateLimit;
use crate::definitions::spec::interface::LimitBy;

/// Callers counted apart, give or take those that come between two sweeps; further ones share one count.
const MAX_KEYS: usize = 100_000;
/// Checks between two looks at callers that have not called for a while.
const SWEEP_EVERY: u64 = 4_096;
/// The count shared by callers beyond the limit, and by all where the interface is limited as a whole.
const SHARED: u64 = 0;

/// One for all limiters: to make one asks the processor what it can do, which on virtual machines takes longer than to compile
/// an interface.
static CLOCK: LazyLock<DefaultClock> = LazyLock::new(DefaultClock::default);

type Keyed = RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>;

/// The limiter of an interface. Lives as long as its rule is the same, also across reloads.
pub struct Limiter {
    rule: RateLimit,
    /// In which one call is won back.
    period: Duration,
    inner: Keyed,
    hasher: RandomState,
    checks: AtomicU64,
    /// As the last sweep found it: counting the keys takes the lock of each of their shards.
    is_full: AtomicBool,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// What a check found, for the `RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
    /// Until the whole burst is there again; when refused, until the next call passes.
    pub reset: Duration,
}

impl Limiter {
    /// A limiter for a rule.
    pub fn new(rule: RateLimit) -> Self {
        let period = Duration::from_secs_f64((1.0 / rule.rps).clamp(1e-6, 1e6));
        let burst = NonZeroU32::new(rule.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            rule,
            period: Duration::from_secs_f64(1.0 / rule.rps),
            inner: RateLimiter::dashmap_with_clock(quota, CLOCK.clone()).with_middleware(),
            hasher: RandomState::new(),
            checks: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    /// The rule it was made for.
    pub fn rule(&self) -> RateLimit {
        self.rule
    }

    /// Counts one call.
    ///
    /// # Errors
    /// The allowance of a caller that has none left.
    pub fn check(&self, principal: &Principal, ip: IpAddr) -> Result<Allowance, Allowance> {
        match self.inner.check_key(&self.key(principal, ip)) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.rule.burst.saturating_sub(remaining);
                Ok(Allowance { limit: self.rule.burst, remaining, reset: self.period * used })
            }
            Err(until) => {
                let reset = until.wait_time_from(CLOCK.now());
                Err(Allowance { limit: self.rule.burst, remaining: 0, reset })
            }
        }
    }

    fn key(&self, principal: &Principal, ip: IpAddr) -> u64 {
        if self.checks.fetch_add(1, Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.inner.retain_recent();
            self.inner.shrink_to_fit();
            self.is_full.store(self.inner.len() >= MAX_KEYS, Relaxed);
        }
        let key = match self.rule.by {
            LimitBy::Interface => return SHARED,
            LimitBy::Caller if !principal.is_anonymous() => {
                self.hasher.hash_one((principal.kind.as_str(), &principal.name, &principal.issuer))
            }
            LimitBy::Caller | LimitBy::Ip => self.hasher.hash_one(network(ip)),
        };
        if self.is_full.load(Relaxed) { SHARED } else { key }
    }
}

/// An IPv6 caller owns a /64, so that is what counts as its address.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let kept = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(kept.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(by: LimitBy) -> Limiter {
        Limiter::new(RateLimit { rps: 0.001, burst: 2, by })
    }

    #[test]
    fn a_burst_passes_and_then_none() {
        let limiter = limiter(LimitBy::Ip);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let nobody = Principal::anonymous();
        assert_eq!(limiter.check(&nobody, one).map(|a| a.remaining), Ok(1));
        assert_eq!(limiter.check(&nobody, one).map(|a| a.remaining), Ok(0));
        let refused = limiter.check(&nobody, one).unwrap_err();
        assert!(refused.reset > Duration::from_mins(15), "{refused:?}");
        assert!(limiter.check(&nobody, other).is_ok());
    }

    #[test]
    fn the_interface_counts_as_a_whole() {
        let limiter = limiter(LimitBy::Interface);
        let nobody = Principal::anonymous();
        for ip in ["10.0.0.1", "10.0.0.2"] {
            assert!(limiter.check(&nobody, ip.parse().unwrap()).is_ok());
        }
        assert!(limiter.check(&nobody, "10.0.0.3".parse().unwrap()).is_err());
    }
}
