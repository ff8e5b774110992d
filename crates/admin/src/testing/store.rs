//! The stores in memory, all in one, with samples of what they hold.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use sentinel_core::audit::{ChainHash, ChainHead, ChainedEvent};
use sentinel_core::binding::{
    Binding, BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Remarks, Version,
};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Actor, AdminEvent, Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{
    AdminEventStore, ArchivedBinding, AuditStore, BindingAdmin, BindingFilter, BindingOrder, BindingPage,
    CountedBindings, EventFilter, FirstAnswer, InterceptBucket, InterceptFilter, InterceptStore,
    MovedBinding, RepeatableRequest, Replica, StoreError, StoredEvent, StoredIntercept, TopRefused,
    TrafficKept, TrafficReport, TrafficSpan, TrafficStore, TrafficStretch,
};
use sentinel_core::time::Timestamp;

use super::START;

/// The fingerprint of every binding and intercept in tests; no answer may show it.
pub(crate) const FINGERPRINT: KeyFingerprint = KeyFingerprint::from_bytes([0xab; 32]);

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
        ban_expires_at: None,
        remarks: Remarks::default(),
        profile: String::new(),
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
    pub(crate) edits: Vec<BindingEdit>,
    pub(crate) created: Vec<MovedBinding>,
    pub(crate) archived: Vec<ArchivedBinding>,
    pub(crate) event_filters: Vec<EventFilter>,
    /// The place of an event that somebody touched, from 1.
    pub(crate) broken_event: Option<i64>,
    pub(crate) binding_filters: Vec<BindingFilter>,
    pub(crate) intercept_filters: Vec<InterceptFilter>,
    pub(crate) failure: Option<StoreError>,
    /// How long a count of all bindings takes, and how often it was made.
    pub(crate) count_takes: std::time::Duration,
    pub(crate) counts_asked: u32,
    /// Why a change of a binding fails.
    pub(crate) edit_failure: Option<StoreError>,
    pub(crate) answers: Vec<(RepeatableRequest, Option<FirstAnswer>)>,
    /// Whether every repeatable request is under way elsewhere.
    pub(crate) is_under_way: bool,
}

/// All stores in one.
#[derive(Default)]
pub(crate) struct FakeStore(Mutex<Stored>);

impl FakeStore {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().expect("not poisoned")
    }

    pub(super) fn working(&self) -> Result<MutexGuard<'_, Stored>, StoreError> {
        let stored = self.lock();
        match &stored.failure {
            Some(error) => Err(error.clone()),
            None => Ok(stored),
        }
    }
}

#[async_trait]
impl BindingAdmin for FakeStore {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        let mut stored = self.working()?;
        let limit = usize::try_from(filter.limit).expect("small");
        let mut rows: Vec<BindingRecord> = stored
            .bindings
            .iter()
            .rev()
            .filter(|record| filter.before.is_none_or(|before| record.binding.id < before))
            .filter(|record| {
                filter
                    .ids
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&record.binding.id))
            })
            .cloned()
            .collect();
        if page.order == BindingOrder::Oldest {
            rows.reverse();
        }
        if let Some(after) = page.after {
            let seen = rows.iter().position(|record| record.binding.id == after.id);
            rows.drain(..=seen.expect("a cursor that was given"));
        }
        rows.truncate(limit);
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
        let takes = {
            let mut stored = self.lock();
            stored.counts_asked += 1;
            stored.count_takes
        };
        tokio::time::sleep(takes).await;
        self.working().map(|_| BindingCounts { active: 7, banned: 2 })
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        self.working()?.binding_filters.push(filter);
        Ok(CountedBindings {
            counts: BindingCounts { active: 7, banned: 2 },
            is_exact: false,
        })
    }

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        let mut stored = self.working()?;
        stored.actors.push(actor);
        if stored
            .bindings
            .iter()
            .any(|record| record.binding.fingerprint == new.fingerprint)
        {
            return Ok(None);
        }
        let mut made = binding(77);
        made.hint = new.hint.clone();
        made.binding.networks = new.networks.clone().into();
        made.remarks = new.remarks.clone();
        made.profile.clone_from(&new.profile);
        stored.created.push(new);
        stored.bindings.push(made.clone());
        Ok(Some(made))
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        let earlier = self.working()?.archived.clone().into_iter();
        Ok(earlier
            .filter(|archived| archived.fingerprint == fingerprint)
            .take(limit as usize)
            .collect())
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        let mut stored = self.working()?;
        if let Some(error) = &stored.edit_failure {
            return Err(error.clone());
        }
        stored.actors.push(actor.clone());
        stored.edits.push(edit.clone());
        let Some(place) = stored.bindings.iter().position(|record| record.binding.id == id) else {
            return Ok(Edited::Missing);
        };
        let record = &mut stored.bindings[place];
        if known.is_some_and(|known| known != record.binding.version) {
            return Ok(Edited::Outdated(Box::new(record.clone())));
        }
        match edit {
            BindingEdit::Unbind => return Ok(Edited::Done(Box::new(stored.bindings.remove(place)))),
            BindingEdit::Ban { reason, expires_at } => {
                record.binding.status = BindingStatus::Banned;
                (record.ban_reason, record.ban_expires_at) = (reason, expires_at);
            }
            BindingEdit::Unban => record.binding.status = BindingStatus::Active,
            BindingEdit::Networks(networks) => record.binding.networks = networks.into(),
            BindingEdit::Remarks { note, labels } => {
                record.remarks.note = note.unwrap_or_default();
                record.remarks.labels = labels.unwrap_or_default();
            }
            BindingEdit::AddLabel(label) => record.remarks.labels.push(label),
            BindingEdit::RemoveLabel(_) => record.remarks.labels.clear(),
        }
        Ok(Edited::Done(Box::new(record.clone())))
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

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        let stored = self.working()?;
        let mut rows: Vec<StoredIntercept> = stored.intercepts.clone();
        rows.sort_by_key(|row| row.id);
        rows.retain(|row| runs.iter().any(|run| run.contains(&row.id)));
        rows.truncate(usize::try_from(limit).expect("small"));
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

#[async_trait]
impl AuditStore for FakeStore {
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let mut stored = self.working()?;
        let places = (1..).zip(&stored.events);
        let mut events: Vec<StoredEvent> = places
            .map(|(id, event)| StoredEvent {
                id,
                event: event.clone(),
            })
            .collect();
        events.reverse();
        stored.event_filters.push(filter);
        Ok(events)
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        let last = self.chained(0, u32::MAX).await?.pop();
        Ok(ChainHead {
            began_after: 0,
            length: last.as_ref().map_or(0, |last| last.id.unsigned_abs()),
            last_id: last.as_ref().map_or(0, |last| last.id),
            hash: last
                .and_then(|last| last.hashes)
                .map_or(ChainHash::BEGINNING, |(_, hash)| hash),
        })
    }

    async fn chained(&self, after: i64, _limit: u32) -> Result<Vec<ChainedEvent>, StoreError> {
        let stored = self.working()?;
        let mut hash = ChainHash::BEGINNING;
        let chained = (1..).zip(&stored.events).map(|(id, event)| {
            let before = hash;
            hash = before.followed_by(event);
            let mut event = event.clone();
            if stored.broken_event == Some(id) {
                event.actor.push('x');
            }
            ChainedEvent {
                id,
                event,
                hashes: Some((before, hash)),
            }
        });
        Ok(chained.filter(|chained| chained.id > after).collect())
    }
}
