//! Under which secret keys are hashed, on the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingCounts, BindingStatus};
use sentinel_core::fingerprint::{KeyFingerprint, SecretCheck, SecretMark};
use sentinel_core::ports::{BindingsUnder, HMAC_CHECK_SETTING, SecretStore, StoreError};

use super::MemoryStore;
use super::state::State;
use crate::secret::OwnSecret;

#[async_trait]
impl SecretStore for MemoryStore {
    fn hash_under(&self, check: SecretCheck) {
        self.own.say(check);
    }

    async fn bindings_by_secret(&self) -> Result<Vec<BindingsUnder>, StoreError> {
        let state = self.state();
        let mut counts = BTreeMap::<Option<SecretMark>, BindingCounts>::new();
        for (id, record) in &state.bindings {
            let counts = counts.entry(state.secrets.get(id).copied()).or_default();
            match record.binding.status {
                BindingStatus::Active => counts.active += 1,
                BindingStatus::Banned => counts.banned += 1,
            }
        }
        let under = |(secret, counts)| BindingsUnder { secret, counts };
        Ok(counts.into_iter().map(under).collect())
    }
}

impl State {
    /// An error unless the caller's secret is the current one.
    pub(super) fn assert_current(&self, own: &OwnSecret) -> Result<(), StoreError> {
        own.assert_current(self.settings.values.get(HMAC_CHECK_SETTING).map(String::as_str))
    }

    pub(super) fn either(&self, fingerprint: &KeyFingerprint, previous: &KeyFingerprint) -> Option<Binding> {
        self.find(fingerprint).or_else(|| self.find(previous))
    }

    pub(super) fn adopt(
        &mut self,
        own: &OwnSecret,
        fingerprint: &KeyFingerprint,
        previous: &KeyFingerprint,
    ) -> Result<Option<Binding>, StoreError> {
        let is_current = self.assert_current(own);
        let binding = match self.either(fingerprint, previous) {
            None => return is_current.map(|()| None),
            Some(found) if found.fingerprint == *fingerprint || is_current.is_err() => {
                return Ok(Some(found));
            }
            Some(found) => found,
        };
        let version = self.next_version();
        let Some(record) = self.bindings.get_mut(&binding.id) else {
            return Ok(None);
        };
        record.binding.fingerprint = *fingerprint;
        record.binding.version = version;
        let binding = record.binding.clone();
        self.mark(&binding, own.mark());
        self.move_archived(fingerprint, previous);
        Ok(Some(binding))
    }

    /// What was put away of a key goes where its binding lies.
    pub(super) fn move_archived(&mut self, fingerprint: &KeyFingerprint, previous: &KeyFingerprint) {
        for archived in &mut self.archived {
            if archived.fingerprint == *previous {
                archived.fingerprint = *fingerprint;
            }
        }
    }

    pub(super) fn mark(&mut self, binding: &Binding, secret: Option<SecretMark>) {
        match secret {
            Some(secret) => self.secrets.insert(binding.id, secret),
            None => self.secrets.remove(&binding.id),
        };
    }
}
