//! Diagnostics that find always the same, and can be made to hang.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingId, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::ports::{BindingStore, Claim, Found, StoreError};
use sentinel_core::time::Timestamp;
use tokio::sync::Notify;

use super::FakeStore;
use crate::diagnostics::{Diagnostics, Finding, TriedAddress};

#[derive(Default)]
pub(crate) struct FakeDiagnostics {
    hangs: AtomicBool,
    asked: Notify,
}

impl FakeDiagnostics {
    /// Never answers from here on.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// Returns once somebody waits for an answer that does not come.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}

#[async_trait]
impl Diagnostics for FakeDiagnostics {
    async fn upstream(&self) -> Vec<TriedAddress> {
        vec![TriedAddress {
            address: "10.0.0.7:3000".to_owned(),
            ok: true,
            latency_ms: 3,
            error: None,
        }]
    }

    async fn checks(&self) -> Vec<Finding> {
        if self.hangs.load(Ordering::SeqCst) {
            self.asked.notify_one();
            std::future::pending::<()>().await;
        }
        vec![
            Finding::warning("clock", "It jumped.", "Run NTP."),
            Finding::problem("secrets", "One is 'secret'.", "Change it.").for_owners(),
        ]
    }
}

#[async_trait]
impl BindingStore for FakeStore {
    async fn find(&self, fingerprint: &KeyFingerprint) -> Result<Option<Found>, StoreError> {
        let stored = self.lock();
        if let Some(error) = &stored.failure {
            return Err(error.clone());
        }
        let mut records = stored.bindings.iter();
        let record = records.find(|record| record.binding.fingerprint == *fingerprint);
        Ok(record.map(|record| record.binding.clone().into()))
    }

    async fn claim(&self, _new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        unreachable!("nothing is claimed from the admin listener")
    }

    async fn release(&self, _id: BindingId, _claimed: Version) -> Result<bool, StoreError> {
        unreachable!("nothing is released from the admin listener")
    }

    async fn learn(
        &self,
        _id: BindingId,
        _network: Network,
        _networks_max: u16,
        _now: Timestamp,
    ) -> Result<Option<Binding>, StoreError> {
        unreachable!("nothing is learned from the admin listener")
    }
}
