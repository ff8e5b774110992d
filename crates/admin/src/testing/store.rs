//! The stores in memory, all in one, with samples of what they hold.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingCounts, BindingId, BindingRecord, BindingStatus, Version};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Actor, AdminEvent, Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{
    AdminEventStore, BindingAdmin, BindingFilter, InterceptBucket, InterceptFilter, InterceptStore, Replica,
    StoreError, StoredIntercept, TopRefused, TrafficKept, TrafficReport, TrafficSpan, TrafficStore,
    TrafficStretch,
};
use sentinel_core::time::Timestamp;

use super::START;

/// The fingerprint of every binding and intercept in tests; no answer may show it.
const FINGERPRINT: KeyFingerprint = KeyFingerprint::from_bytes([0xab; 32]);

pub(crate) fn ip(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

/// An active binding to 192.0.2.0/24.
pub(crate) fn binding(id: i64) -> BindingRecord {
    BindingRecord {
        binding: Binding {
            id: BindingId(id),
            fingerprint: FINGERPRINT,
            status: BindingStatus::Active,
            networks: "192.0.2.0/24".parse::<Network>().expect("a network").into(),
            policy: OwnPolicy::default(),
            version: Version(id + 100),
            bound_at: START,
        },
        hint: KeyHint::from_stored("sk-ab…wxyz".to_owned()),
        updated_at: START,
        last_used_at: None,
        use_count: 3,
        ban_reason: String::new(),
    }
}

/// A refused request from 198.51.100.7.
pub(crate) fn intercept(id: i64) -> StoredIntercept {
    StoredIntercept {
        id,
        intercept: Intercept {
            reference: Reference::from_stored(format!("sr_{id:016}")),
            at: START,
            last_at: START.plus(std::time::Duration::from_secs(1)),
            reason: RefusalReason::KeyIpMismatch,
            outcome: InterceptOutcome::Refused,
            binding: Some(BindingId(1)),
            networks: ["192.0.2.0/24".parse().expect("a network")].into_iter().collect(),
            fingerprint: Some(FINGERPRINT),
            hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
            client_ip: ip("198.51.100.7"),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            user_agent: "curl/8".to_owned(),
            count: 1,
            profile: "new-api".into(),
            replica: "sentinel-0".into(),
        },
    }
}

/// What the fakes hold, and whether they fail.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) bindings: Vec<BindingRecord>,
    pub(crate) intercepts: Vec<StoredIntercept>,
    pub(crate) hours: Vec<TrafficStretch>,
    pub(crate) days: Vec<TrafficStretch>,
    pub(crate) traffic_asked: Vec<(TrafficSpan, Timestamp)>,
    pub(crate) top: TopRefused,
    pub(crate) top_asked: Option<(TrafficSpan, Timestamp, u32)>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) events: Vec<AdminEvent>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) binding_filters: Vec<BindingFilter>,
    pub(crate) intercept_filters: Vec<InterceptFilter>,
    pub(crate) failure: Option<StoreError>,
}

/// All stores in one.
#[derive(Default)]
pub(crate) struct FakeStore(Mutex<Stored>);

impl FakeStore {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().expect("not poisoned")
    }

    fn working(&self) -> Result<MutexGuard<'_, Stored>, StoreError> {
        let stored = self.lock();
        match &stored.failure {
            Some(error) => Err(error.clone()),
            None => Ok(stored),
        }
    }

    fn change(
        &self,
        id: BindingId,
        actor: Actor,
        change: impl FnOnce(&mut BindingRecord),
    ) -> Result<Option<BindingRecord>, StoreError> {
        let mut stored = self.working()?;
        stored.actors.push(actor);
        Ok(stored
            .bindings
            .iter_mut()
            .find(|record| record.binding.id == id)
            .map(|record| {
                change(record);
                record.clone()
            }))
    }
}

#[async_trait]
impl BindingAdmin for FakeStore {
    async fn list(&self, filter: BindingFilter) -> Result<Vec<BindingRecord>, StoreError> {
        let mut stored = self.working()?;
        let limit = usize::try_from(filter.limit).expect("small");
        let rows = stored
            .bindings
            .iter()
            .rev()
            .filter(|record| filter.before.is_none_or(|before| record.binding.id < before))
            .take(limit)
            .cloned()
            .collect();
        stored.binding_filters.push(filter);
        Ok(rows)
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        Ok(self
            .working()?
            .bindings
            .iter()
            .find(|record| record.binding.id == id)
            .cloned())
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        self.working().map(|_| BindingCounts { active: 7, banned: 2 })
    }

    async fn unbind(&self, id: BindingId, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        let record = self.change(id, actor, |_| ())?;
        self.lock().bindings.retain(|record| record.binding.id != id);
        Ok(record)
    }

    async fn ban(
        &self,
        id: BindingId,
        reason: String,
        actor: Actor,
    ) -> Result<Option<BindingRecord>, StoreError> {
        self.change(id, actor, |record| {
            record.binding.status = BindingStatus::Banned;
            record.ban_reason = reason;
        })
    }

    async fn unban(&self, id: BindingId, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        self.change(id, actor, |record| record.binding.status = BindingStatus::Active)
    }

    async fn set_networks(
        &self,
        id: BindingId,
        networks: Vec<Network>,
        actor: Actor,
    ) -> Result<Option<BindingRecord>, StoreError> {
        self.change(id, actor, |record| record.binding.networks = networks.into())
    }
}

#[async_trait]
impl InterceptStore for FakeStore {
    async fn append(&self, _batch: Vec<Intercept>) -> Result<(), StoreError> {
        unreachable!("the admin listener writes no intercepts")
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        let mut stored = self.working()?;
        let limit = usize::try_from(filter.limit).expect("small");
        let rows = stored
            .intercepts
            .iter()
            .rev()
            .filter(|row| filter.before.is_none_or(|before| row.id < before))
            .take(limit)
            .cloned()
            .collect();
        stored.intercept_filters.push(filter);
        Ok(rows)
    }

    async fn buckets(&self, _since: Timestamp, _bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        unreachable!("the admin listener counts no intercepts")
    }
}

#[async_trait]
impl TrafficStore for FakeStore {
    async fn report(&self, _report: TrafficReport) -> Result<bool, StoreError> {
        unreachable!("the admin listener reports no traffic")
    }

    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError> {
        let mut stored = self.working()?;
        stored.traffic_asked.push((span, since));
        Ok(match span {
            TrafficSpan::Day => stored.days.clone(),
            TrafficSpan::Hour | TrafficSpan::Minute => stored.hours.clone(),
        })
    }

    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError> {
        let mut stored = self.working()?;
        stored.top_asked = Some((span, from, limit));
        Ok(stored.top.clone())
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        let stored = self.working()?;
        let seen = stored.replicas.iter().filter(|replica| replica.seen_at >= since);
        Ok(seen.cloned().collect())
    }

    async fn forget(&self, _kept: TrafficKept) -> Result<Option<u64>, StoreError> {
        unreachable!("the admin listener forgets nothing")
    }
}

#[async_trait]
impl AdminEventStore for FakeStore {
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.working()?.events.push(event);
        Ok(())
    }

    async fn newest(&self, _limit: u32) -> Result<Vec<AdminEvent>, StoreError> {
        unreachable!("nothing shows the events yet")
    }
}
