//! Links of alerts that were used. The row is the use: whoever inserts it is the first.

use async_trait::async_trait;
use rusqlite::params;
use sentinel_core::alert::ports::UsedLinks;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::super::SqliteStore;

#[async_trait]
impl UsedLinks for SqliteStore {
    async fn use_once(&self, nonce: &str, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let nonce = nonce.to_owned();
        self.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM used_links WHERE expires_at <= ?")?
                .execute([now.unix_ms()])?;
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO used_links (nonce, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![nonce, expires_at.unix_ms()])?;
            Ok(inserted == 1)
        })
        .await
    }
}
