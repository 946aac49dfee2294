//! Failed logins: after some of one account, or of one address, nobody gets another try for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::access::limit::network;

/// Failures of an account, and of an address, within [`WINDOW`].
const ACCOUNT_FAILURES: u32 = 5;
const ADDRESS_FAILURES: u32 = 20;
/// How long a failure counts, and so how long a lock lasts.
const WINDOW: Duration = Duration::from_mins(15);
/// Accounts and addresses counted apart. Beyond it nobody else fails unpunished: all share one count.
const MAX_KEYS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
    Others,
}

/// Failures of late.
#[derive(Debug, Default)]
pub struct Lockout(Mutex<HashMap<Key, (u32, Instant)>>);

impl Lockout {
    /// How long an account or address has to wait for its next try, where it has to.
    pub fn wait(&self, username: &str, ip: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.0.lock();
        let wait = |key: Key, most: u32| {
            let (count, since) = failures.get(&key)?;
            let left = WINDOW.checked_sub(now.saturating_duration_since(*since))?;
            (*count >= most && !left.is_zero()).then_some(left)
        };
        let account = wait(account(username), ACCOUNT_FAILURES);
        let address = wait(Key::Address(network(ip)), ADDRESS_FAILURES);
        account.max(address).max(wait(Key::Others, ADDRESS_FAILURES))
    }

    /// Counts a failure.
    pub fn failed(&self, username: &str, ip: IpAddr, now: Instant) {
        let mut failures = self.0.lock();
        for key in [account(username), Key::Address(network(ip))] {
            if failures.len() >= MAX_KEYS {
                failures.retain(|_, (_, since)| now.saturating_duration_since(*since) < WINDOW);
            }
            let is_known = failures.contains_key(&key);
            let key = if is_known || failures.len() < MAX_KEYS { key } else { Key::Others };
            let (count, since) = failures.entry(key).or_insert((0, now));
            if now.saturating_duration_since(*since) >= WINDOW {
                (*count, *since) = (0, now);
            }
            *count += 1;
        }
    }

    /// Forgets the failures of an account that has logged in.
    pub fn succeeded(&self, username: &str) {
        self.0.lock().remove(&account(username));
    }
}

fn account(username: &str) -> Key {
    Key::Account(username.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_addresses_are_locked_for_a_while() {
        let (lockout, start) = (Lockout::default(), Instant::now());
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        for n in 0..4 {
            lockout.failed("clerk", ip(n), start);
        }
        assert_eq!(lockout.wait("clerk", ip(9), start), None);
        lockout.failed("Clerk", ip(5), start);
        assert!(lockout.wait("clerk", ip(9), start).is_some(), "the account, from anywhere");
        assert_eq!(lockout.wait("other", ip(9), start), None);
        assert_eq!(lockout.wait("clerk", ip(9), start + WINDOW), None);
        lockout.succeeded("clerk");
        assert_eq!(lockout.wait("clerk", ip(9), start), None);
        for n in 0..20 {
            lockout.failed(&format!("guess {n}"), ip(7), start);
        }
        assert!(lockout.wait("other", ip(7), start).is_some(), "the address, whoever it is");
    }
}
