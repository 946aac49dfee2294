//! When each API key was last used: counted without a lock, kept in the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::store::KeyUse;

/// Keys whose use is remembered; of more, those that are no longer defined are forgotten.
const MAX_KEYS: usize = 100_000;

/// The use of one key, as seconds since 1970; 0: never.
#[derive(Debug, Default)]
pub struct LastUse {
    at: AtomicI64,
    stored: AtomicI64,
}

impl LastUse {
    /// The key is used. Most calls only read: the same second is written once.
    pub fn touch(&self, now: Timestamp) {
        let second = now.as_second();
        if self.at.load(Relaxed) < second {
            self.at.fetch_max(second, Relaxed);
        }
    }

    /// When the key was last used, to the second.
    pub fn at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.at.load(Relaxed)).ok().filter(|at| at.as_second() > 0)
    }
}

/// The uses of all keys, by consumer and id. Lives across reloads.
#[derive(Debug, Default)]
pub struct Usage(Mutex<BTreeMap<(String, String), Arc<LastUse>>>);

impl Usage {
    /// The handle of a key; the same one across reloads.
    pub fn of(&self, consumer: &str, key_id: &str) -> Arc<LastUse> {
        let mut all = self.0.lock();
        if all.len() >= MAX_KEYS {
            all.retain(|_, used| Arc::strong_count(used) > 1);
        }
        all.entry((consumer.to_owned(), key_id.to_owned())).or_default().clone()
    }

    /// Takes over what was stored.
    pub fn restore(&self, uses: Vec<KeyUse>) {
        for KeyUse { consumer, key_id, at } in uses {
            let used = self.of(&consumer, &key_id);
            used.at.fetch_max(at.as_second(), Relaxed);
            used.stored.fetch_max(at.as_second(), Relaxed);
        }
    }

    /// What has not been stored yet.
    pub fn unstored(&self) -> Vec<KeyUse> {
        let all = self.0.lock();
        let changed =
            all.iter().filter(|(_, used)| used.stored.load(Relaxed) < used.at.load(Relaxed));
        changed
            .filter_map(|((consumer, key_id), used)| {
                let at = used.at()?;
                Some(KeyUse { consumer: consumer.clone(), key_id: key_id.clone(), at })
            })
            .collect()
    }

    /// These are stored now.
    pub fn stored(&self, uses: &[KeyUse]) {
        for KeyUse { consumer, key_id, at } in uses {
            self.of(consumer, key_id).stored.fetch_max(at.as_second(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_stored() {
        let usage = Usage::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let row = |second| KeyUse { consumer: "shop".into(), key_id: "a".into(), at: at(second) };
        let used = usage.of("shop", "a");
        assert_eq!((used.at(), usage.unstored()), (None, vec![]));
        usage.restore(vec![row(100)]);
        assert_eq!((used.at(), usage.unstored()), (Some(at(100)), vec![]));
        used.touch(at(90));
        assert_eq!(used.at(), Some(at(100)), "an older call ends later");
        used.touch(at(200));
        assert_eq!(usage.unstored(), [row(200)]);
        used.touch(at(201));
        usage.stored(&[row(200)]);
        assert_eq!(usage.unstored(), [row(201)], "used while the store was written");
        assert!(Arc::ptr_eq(&used, &usage.of("shop", "a")));
    }
}
