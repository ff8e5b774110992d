//! Going over from one HMAC secret to another: which one is the current one, and what lies under others.
//!
//! The store's word comes first, the data folder's after it. No server starts that could not see a binding, unless it is told that those count no
//! more: their keys would be free for whoever comes first, and bans would be lifted.

use sentinel_core::binding::BindingCounts;
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::{FingerprintHasher, SecretCheck, SecretMark};
use sentinel_core::ports::{
    HMAC_CHECK_SETTING, HMAC_UNMARKED_SETTING, SettingStore, SettingsChanged, StoreError, StoredSettings,
};
use sentinel_core::time::Timestamp;
use serde_json::Value;

use super::files::SecretsFolder;
use super::shared::{ATTEMPTS_MAX, SharingError, check_in};
use super::{HMAC_CHECK_FILE, SecretsError, check_value, hasher_if_any, hasher_under};
use crate::config::{Config, Secret};
use crate::stores::Authority;

/// What became of the current secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// It is the one that it was, or the first one.
    AsBefore,
    /// It was another one until now.
    Changed,
}

/// The hasher under this secret and, where one is configured, the one before.
pub(super) fn both(
    folder: &SecretsFolder,
    config: &Config,
    secret: &Secret,
) -> Result<FingerprintHasher, SecretsError> {
    let hasher = hasher_under(folder, secret)?;
    let previous = config.hmac_secret_previous.as_ref();
    let Some(previous) = previous.map(|secret| hasher_under(folder, secret)).transpose()? else {
        return Ok(hasher);
    };
    // The same one twice is one.
    if previous.check() == hasher.check() {
        return Ok(hasher);
    }
    Ok(hasher.with_previous(&previous))
}

/// Whether the value is that of one of the hasher's secrets.
pub(super) fn is_known(hasher: &FingerprintHasher, check: &Secret) -> bool {
    let check = SecretCheck::from_text(check.expose());
    check.is_some() && (check == Some(hasher.check()) || check == hasher.previous_check())
}

/// Agrees with the store, and with the data folder where that says so, on the current secret, and tells the store what is hashed under here.
/// Refuses where there are bindings that could not be seen.
pub(crate) async fn agree_on(
    hasher: &FingerprintHasher,
    config: &Config,
    authority: &Authority,
    now: Timestamp,
) -> Result<Agreed, SharingError> {
    let folder_check = if authority.is_shared {
        None
    } else {
        SecretsFolder::look(&config.store.data_dir).read(HMAC_CHECK_FILE)?
    };
    refuse_unknown(hasher, config, authority, folder_check.as_ref()).await?;
    let agreement = Agreement {
        hasher,
        folder_check: folder_check.as_ref(),
        is_shared: authority.is_shared,
    };
    let agreed = agreement.agree(&*authority.settings, now).await?;
    authority.secrets.hash_under(hasher.check());
    let check = check_value(hasher);
    if !authority.is_shared && folder_check.as_ref() != Some(&check) {
        SecretsFolder::open(&config.store.data_dir)?.replace(HMAC_CHECK_FILE, &check)?;
    }
    Ok(agreed)
}

/// How many bindings lie under secrets other than the current one.
pub(crate) async fn under_others(
    hasher: &FingerprintHasher,
    authority: &Authority,
) -> Result<BindingCounts, StoreError> {
    let mut counts = BindingCounts::default();
    for (mark, found) in by_mark(hasher, authority, None).await? {
        if mark != hasher.check().mark() {
            counts.active += found.active;
            counts.banned += found.banned;
        }
    }
    Ok(counts)
}

/// The same for whoever only looks; none while there is no secret.
pub(crate) async fn left_behind(
    config: &Config,
    authority: &Authority,
) -> Result<BindingCounts, SharingError> {
    match hasher_if_any(config, &authority.checked_by().await?)? {
        Some((hasher, _)) => Ok(under_others(&hasher, authority).await?),
        None => Ok(BindingCounts::default()),
    }
}

/// The bindings by their secret; those without a mark lie under the secret that was the first one.
async fn by_mark(
    hasher: &FingerprintHasher,
    authority: &Authority,
    folder_check: Option<&Secret>,
) -> Result<Vec<(SecretMark, BindingCounts)>, StoreError> {
    let stored = authority.settings.settings().await?;
    let unmarked = unmarked(&stored, folder_check).unwrap_or_else(|| hasher.check());
    let found = authority.secrets.bindings_by_secret().await?;
    let marked = found
        .into_iter()
        .map(|under| (under.secret.unwrap_or_else(|| unmarked.mark()), under.counts));
    Ok(marked.collect())
}

/// Under which secret rows without a mark lie: the one before the first change, which is the current one as long as there was none.
fn unmarked(stored: &StoredSettings, folder_check: Option<&Secret>) -> Option<SecretCheck> {
    let written = stored.values.get(HMAC_UNMARKED_SETTING);
    let written = written.and_then(|json| serde_json::from_str::<String>(json).ok());
    let current = || check_in(stored).or_else(|| folder_check.cloned());
    match written {
        Some(text) => SecretCheck::from_text(&text),
        None => SecretCheck::from_text(current()?.expose()),
    }
}

/// What rows without a mark would carry, once the secret was ever changed.
pub(crate) fn unmarked_mark(stored: &StoredSettings) -> Option<SecretMark> {
    stored.values.get(HMAC_UNMARKED_SETTING)?;
    unmarked(stored, None).map(|check| check.mark())
}

async fn refuse_unknown(
    hasher: &FingerprintHasher,
    config: &Config,
    authority: &Authority,
    folder_check: Option<&Secret>,
) -> Result<(), SharingError> {
    let known = [
        Some(hasher.check().mark()),
        hasher.previous_check().map(|check| check.mark()),
    ];
    for (mark, BindingCounts { active, banned }) in by_mark(hasher, authority, folder_check).await? {
        if known.contains(&Some(mark)) || active + banned == 0 {
            continue;
        }
        let mark_text = mark.text();
        if config.hmac_secret_given_up == Some(mark) {
            tracing::warn!(active, banned, mark = %mark_text, "bindings lie under a secret that was given up: they count no more");
            continue;
        }
        return Err(SecretsError::UnknownBindings {
            mark: mark_text,
            active,
            banned,
        }
        .into());
    }
    Ok(())
}

/// Who agrees.
pub(super) struct Agreement<'a> {
    pub(super) hasher: &'a FingerprintHasher,
    /// What the data folder says, where there is only one server.
    pub(super) folder_check: Option<&'a Secret>,
    pub(super) is_shared: bool,
}

impl Agreement<'_> {
    /// Writes down which secret is the current one: this one, if there is none, or if the current one is the one before it. Where only one
    /// server is, the data folder says it, until the first change.
    pub(super) async fn agree(
        &self,
        settings: &dyn SettingStore,
        now: Timestamp,
    ) -> Result<Agreed, SharingError> {
        for _ in 0..ATTEMPTS_MAX {
            let stored = settings.settings().await?;
            let written = check_in(&stored);
            let before = written.as_ref().or(self.folder_check);
            let before = before.map(|check| SecretCheck::from_text(check.expose()));
            let agreed = match before {
                Some(Some(check)) if check == self.hasher.check() => return Ok(Agreed::AsBefore),
                Some(Some(check)) if Some(check) == self.hasher.previous_check() => Agreed::Changed,
                // The folder's word was judged before; where there are no bindings it says nothing.
                Some(_) if written.is_none() => return Ok(Agreed::AsBefore),
                Some(_) => return Err(SecretsError::OtherSharedSecret.into()),
                None if !self.is_shared => return Ok(Agreed::AsBefore),
                None => Agreed::AsBefore,
            };
            let text = |check: SecretCheck| Some(Value::from(check.text()).to_string());
            let mut changes = vec![(HMAC_CHECK_SETTING.to_owned(), text(self.hasher.check()))];
            if let Some(Some(before)) = before
                && !stored.values.contains_key(HMAC_UNMARKED_SETTING)
            {
                changes.push((HMAC_UNMARKED_SETTING.to_owned(), text(before)));
            }
            let actor = Actor {
                name: "system".to_owned(),
                client_ip: None,
                at: now,
            };
            let changes = changes.into_iter().collect();
            if let SettingsChanged::Done(_) = settings.change_settings(stored.version, changes, actor).await?
            {
                return Ok(agreed);
            }
        }
        Err(StoreError::Busy.into())
    }
}
