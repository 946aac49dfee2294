//! What is done now and then for the generation that serves: keys are fetched again, the use of keys is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::reload::Live;
use crate::store::{Store, StoreError};

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the use of keys is stored.
const STORE_EVERY: Duration = Duration::from_secs(30);

/// Takes over what was stored of the use of keys.
///
/// # Errors
/// Where the store cannot be read.
pub async fn restore(live: &Live, store: &Store) -> Result<(), StoreError> {
    live.current().authenticator.usage.restore(store.key_uses().await?);
    Ok(())
}

/// Does what is due. Never ends.
pub async fn run(live: Arc<Live>, store: Store) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut stored_at, mut is_failing) = (Instant::now(), false);
    loop {
        looks.tick().await;
        let now = Instant::now();
        for (_, keys) in live.current().authenticator.tokens.remotes() {
            keys.refresh_if_due(now);
        }
        if now.duration_since(stored_at) < STORE_EVERY {
            continue;
        }
        stored_at = now;
        match store_uses(&live, &store).await {
            Ok(()) => is_failing = false,
            // Said once for a failure, however long it lasts.
            Err(error) if !std::mem::replace(&mut is_failing, true) => {
                tracing::warn!(%error, "the use of keys cannot be stored; trying again");
            }
            Err(_) => {}
        }
    }
}

/// Stores the uses of keys that are not stored yet.
///
/// # Errors
/// Where the store refuses; they are then tried again the next time.
pub async fn store_uses(live: &Live, store: &Store) -> Result<(), StoreError> {
    let generation = live.current();
    let usage = &generation.authenticator.usage;
    let uses = usage.unstored();
    if !uses.is_empty() {
        store.keep_key_uses(&uses).await?;
        usage.stored(&uses);
    }
    Ok(())
}
