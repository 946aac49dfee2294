//! API keys: found by the beginning of their hash, compared whole in constant time.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::usage::{LastUse, Usage};
use crate::definitions::snapshot::Policies;

/// A key, with its use.
#[derive(Debug)]
pub struct KnownKey {
    digest: [u8; 32],
    /// Index of the consumer.
    pub consumer: usize,
    pub id: String,
    pub expires_at: Option<Timestamp>,
    pub used: Arc<LastUse>,
}

impl KnownKey {
    /// Whether it no longer works.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// The keys of one generation.
#[derive(Debug)]
pub struct ApiKeys(HashMap<u64, Vec<KnownKey>, RandomState>);

impl ApiKeys {
    /// The keys of all consumers.
    pub fn prepare(policies: &Policies, usage: &Usage) -> Self {
        let mut buckets: HashMap<u64, Vec<KnownKey>, RandomState> = HashMap::default();
        for (digest, key) in &policies.keys {
            let consumer = policies.consumers.get(key.consumer).map_or("", |known| &known.name);
            buckets.entry(bucket(digest)).or_default().push(KnownKey {
                digest: *digest,
                consumer: key.consumer,
                id: key.id.clone(),
                expires_at: key.expires_at,
                used: usage.of(consumer, &key.id),
            });
        }
        Self(buckets)
    }

    /// The key with this text. What a look-up of the hash's beginning tells by its time is of no use: nobody can choose
    /// the hash of a key.
    pub fn find(&self, text: &str) -> Option<&KnownKey> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let bucket = self.0.get(&bucket(&digest))?;
        bucket.iter().fold(None, |found, key| {
            if bool::from(key.digest.ct_eq(&digest)) { Some(key) } else { found }
        })
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &KnownKey> {
        self.0.values().flatten()
    }
}

fn bucket(digest: &[u8; 32]) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}
