//! When API keys were last used.

use jiff::Timestamp;

use super::{Store, StoreError};

/// Uses of one transaction: audit records wait while one is under way.
const BATCH_USES: usize = 500;

/// The last use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub consumer: String,
    pub key_id: String,
    /// To the second.
    pub at: Timestamp,
}

impl Store {
    /// Keeps uses. One that is older than what is there changes nothing.
    pub async fn keep_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        for batch in uses.chunks(BATCH_USES) {
            self.keep_batch(batch).await?;
        }
        Ok(())
    }

    async fn keep_batch(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        for KeyUse { consumer, key_id, at } in uses {
            sqlx::query(
                "INSERT INTO key_use (consumer, key_id, at) VALUES (?, ?, ?) \
                 ON CONFLICT (consumer, key_id) DO UPDATE SET at = excluded.at WHERE excluded.at > key_use.at",
            )
            .bind(consumer)
            .bind(key_id)
            .bind(at.as_second())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// All uses that were kept.
    pub async fn key_uses(&self) -> Result<Vec<KeyUse>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT consumer, key_id, at FROM key_use")
                .fetch_all(&self.read)
                .await?;
        let of = |(consumer, key_id, second)| {
            Some(KeyUse { consumer, key_id, at: Timestamp::from_second(second).ok()? })
        };
        Ok(rows.into_iter().filter_map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_use_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let key_use = |key_id: &str, second| KeyUse {
            consumer: "shop".into(),
            key_id: key_id.into(),
            at: Timestamp::from_second(second).unwrap(),
        };
        let store = Store::open(path.to_str().unwrap()).await.unwrap();
        assert_eq!(store.key_uses().await.unwrap(), []);
        store.keep_key_uses(&[key_use("a", 100), key_use("b", 100)]).await.unwrap();
        store.keep_key_uses(&[key_use("a", 90), key_use("b", 110)]).await.unwrap();
        let many: Vec<KeyUse> = (0..1_200).map(|i| key_use(&format!("key {i}"), 1)).collect();
        store.keep_key_uses(&many).await.unwrap();
        store.close().await;
        let store = Store::open(path.to_str().unwrap()).await.unwrap();
        let kept = store.key_uses().await.unwrap();
        assert_eq!(kept.len(), 1_202);
        assert!(kept.contains(&key_use("a", 100)) && kept.contains(&key_use("b", 110)));
    }
}
