//! What replicas of one installation must have in common: the HMAC secret, which each holds for itself. The store that they share keeps a value
//! that tells it from any other without telling it; the first replica writes it, and no replica starts under another secret.

use sentinel_core::ports::{HMAC_CHECK_SETTING, StoreError, StoredSettings};
use serde_json::Value;

use super::SecretsError;
use crate::config::Secret;

/// How often it is tried while others change settings at the same moment.
pub(crate) const ATTEMPTS_MAX: u32 = 10;

/// Why the replicas do not agree on the secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharingError {
    /// They have different ones.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// The store does not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the store says of the secret; none before any replica wrote it.
pub(crate) fn check_in(stored: &StoredSettings) -> Option<Secret> {
    let json = stored.values.get(HMAC_CHECK_SETTING)?;
    // Whatever cannot be read is no secret's value: then none of them fits, which is said.
    let text = match serde_json::from_str(json) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    };
    Some(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use sentinel_core::event::Actor;
    use sentinel_core::ports::{HMAC_UNMARKED_SETTING, SettingChange, SettingStore, SettingsChanged};
    use sentinel_core::time::Timestamp;
    use sentinel_store::MemoryStore;
    use tempfile::TempDir;

    use super::super::rotation::{Agreed, Agreement};
    use super::super::{CheckedBy, Secrets, prepare, verify};
    use super::*;
    use crate::config::{self, Config};

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$bGRzc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Q";
    const NOW: Timestamp = Timestamp::from_unix_ms(1);

    fn replica(folder: &TempDir, secret: &str) -> Config {
        let folder = folder.path().to_str().expect("UTF-8");
        config::of_variables(&[
            ("SENTINEL_DATA_DIR", folder),
            ("ADMIN_PASSWORD", HASH),
            ("SENTINEL_HMAC_SECRET", secret),
        ])
    }

    async fn agree(secrets: &Secrets, store: &dyn SettingStore) -> Result<Agreed, SharingError> {
        let agreement = Agreement {
            hasher: &secrets.hasher,
            folder_check: None,
            is_shared: true,
        };
        agreement.agree(store, NOW).await
    }

    async fn start(config: &Config, store: &MemoryStore) -> Result<Secrets, SharingError> {
        let stored = store.settings().await?;
        let secrets = prepare(config, &CheckedBy::Shared(check_in(&stored)))?;
        agree(&secrets, store).await?;
        Ok(secrets)
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[tokio::test]
    async fn replicas_with_one_secret_agree_and_sign_in_alike() {
        let store = MemoryStore::new();
        let (one, other) = (folder(), folder());
        let secret = "0123456789abcdef0123456789abcdef";
        let first = start(&replica(&one, secret), &store).await.expect("the first");
        let second = start(&replica(&other, secret), &store).await.expect("the same");
        assert_eq!(first.hasher.check(), second.hasher.check());
        assert_eq!(store.settings().await.expect("memory works").version, 1);
        // What signs sessions follows from it, and is neither the secret nor what is written down.
        let jwt = std::fs::read_dir(one.path().join("secrets")).expect("a folder");
        let names: Vec<_> = jwt.map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(
            !names.iter().any(|name| name == "jwt" || name == "hmac"),
            "{names:?}"
        );
    }

    #[test]
    fn where_everything_is_configured_no_folder_is_needed() {
        let folder = folder();
        let data = folder.path().join("data");
        let variables = [
            ("SENTINEL_DATA_DIR", data.to_str().expect("UTF-8")),
            ("PG_DSN", "postgresql://sentinel:x@db/sentinel"),
            ("ADMIN_PASSWORD", HASH),
            ("SENTINEL_HMAC_SECRET", "0123456789abcdef"),
        ];
        let config = config::of_variables(&variables);
        prepare(&config, &CheckedBy::Shared(None)).expect("nothing is made");
        assert!(!data.exists());
        let config = config::of_variables(&variables[..3]);
        prepare(&config, &CheckedBy::Shared(None)).expect("a secret is made");
        assert!(data.join("secrets/hmac").exists());
    }

    #[tokio::test]
    async fn a_replica_with_another_secret_does_not_start() {
        let store = MemoryStore::new();
        start(&replica(&folder(), "0123456789abcdef"), &store)
            .await
            .expect("the first");
        let error = start(&replica(&folder(), "fedcba9876543210"), &store)
            .await
            .expect_err("another one");
        let text = error.to_string();
        assert!(text.contains("SENTINEL_HMAC_SECRET"), "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }

    #[tokio::test]
    async fn a_replica_that_knows_the_secret_before_changes_it_once() {
        let (a, b) = ("0123456789abcdef", "fedcba9876543210");
        let store = MemoryStore::new();
        start(&replica(&folder(), a), &store).await.expect("the first");
        let with = |secret, previous| {
            let folder = folder();
            let variables = [
                ("SENTINEL_DATA_DIR", folder.path().to_str().expect("UTF-8")),
                ("ADMIN_PASSWORD", HASH),
                ("SENTINEL_HMAC_SECRET", secret),
                ("SENTINEL_HMAC_SECRET_PREVIOUS", previous),
            ];
            (config::of_variables(&variables), folder)
        };
        let check = async || check_in(&store.settings().await.expect("memory works"));
        let first = check().await;
        let (changing, _folder) = with(b, a);
        for _ in 0..2 {
            start(&changing, &store).await.expect("it knows the one before");
        }
        assert_ne!(check().await, first);
        let stored = store.settings().await.expect("memory works");
        assert_eq!(stored.version, 2, "changed once");
        let first = Value::from(first.expect("it was written down").expose()).to_string();
        assert_eq!(stored.values.get(HMAC_UNMARKED_SETTING), Some(&first));
        start(&replica(&folder(), b), &store)
            .await
            .expect("the current one");
        start(&replica(&folder(), a), &store)
            .await
            .expect_err("the one before");
        let (other, _folder) = with("another-secret-of-nobody", "0123456789abcdeX");
        start(&other, &store).await.expect_err("neither of them");
    }

    #[tokio::test]
    async fn a_replica_without_a_secret_makes_none_when_there_is_one_already() {
        let store = MemoryStore::new();
        let first = folder();
        start(&replica(&first, ""), &store)
            .await
            .expect("the first makes one");
        assert!(first.path().join("secrets/hmac").exists());
        start(&replica(&first, ""), &store)
            .await
            .expect("and keeps it at its next start");
        let second = folder();
        let error = start(&replica(&second, ""), &store).await.expect_err("none");
        assert!(error.to_string().contains("set SENTINEL_HMAC_SECRET"), "{error}");
        assert!(!second.path().join("secrets/hmac").exists());
        let stored = store.settings().await.expect("memory works");
        let checked_by = CheckedBy::Shared(check_in(&stored));
        assert!(verify(&replica(&second, ""), &checked_by).is_err());
        assert!(verify(&replica(&first, ""), &checked_by).is_ok());
    }

    /// Changes between every look and every change.
    #[derive(Default)]
    struct Restless(AtomicU32);

    #[async_trait]
    impl SettingStore for Restless {
        async fn settings(&self) -> Result<StoredSettings, StoreError> {
            Ok(StoredSettings::default())
        }

        async fn change_settings(
            &self,
            _version: i64,
            _changes: BTreeMap<String, Option<String>>,
            _actor: Actor,
        ) -> Result<SettingsChanged, StoreError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(SettingsChanged::Outdated(StoredSettings::default()))
        }

        async fn setting_changes(
            &self,
            _before: Option<i64>,
            _limit: u32,
        ) -> Result<Vec<SettingChange>, StoreError> {
            Err(StoreError::Busy)
        }

        async fn settings_at(&self, _version: i64) -> Result<Option<StoredSettings>, StoreError> {
            Err(StoreError::Busy)
        }
    }

    #[tokio::test]
    async fn writing_it_down_is_given_up_after_some_attempts() {
        let config = replica(&folder(), "0123456789abcdef");
        let secrets = prepare(&config, &CheckedBy::Shared(None)).expect("a fresh folder");
        let restless = Restless::default();
        assert!(agree(&secrets, &restless).await.is_err());
        assert_eq!(restless.0.load(Ordering::SeqCst), ATTEMPTS_MAX);
    }
}
