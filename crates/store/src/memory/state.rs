//! What the store in memory holds, and each change of it, as plain as possible.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, Binding, BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus,
    Edited, NewBinding, Remarks, Version,
};
use sentinel_core::event::{Actor, AdminEvent, Intercept, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, SecretMark};
use sentinel_core::network::Network;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{
    ArchivedBinding, BindingCursor, BindingFilter, BindingOrder, BindingPage, Claim, InterceptBucket,
    InterceptFilter, SettingChange, StoreError, StoredIntercept, StoredSettings,
};
use sentinel_core::time::Timestamp;
use sentinel_core::usage::Uses;

use super::answers::Remembered;
use super::traffic::TrafficState;
use crate::bounds::{BUCKETS_MAX, page_rows};
use crate::change;
use crate::secret::OwnSecret;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) bindings: BTreeMap<BindingId, BindingRecord>,
    /// Under which secret a binding's key was hashed.
    pub(super) secrets: BTreeMap<BindingId, SecretMark>,
    pub(super) events: Vec<AdminEvent>,
    pub(super) archived: Vec<ArchivedBinding>,
    pub(super) settings: StoredSettings,
    /// By the version that each change made; with the settings afterwards.
    pub(super) setting_changes: BTreeMap<i64, (SettingChange, BTreeMap<String, String>)>,
    /// When the archive found a binding unused.
    pub(super) marks: BTreeMap<BindingId, Timestamp>,
    pub(super) intercepts: Vec<StoredIntercept>,
    /// By which an intercept is known to be here already.
    pub(super) written: HashSet<(Reference, Timestamp)>,
    pub(super) last_id: i64,
    pub(super) traffic: TrafficState,
    pub(super) answers: Vec<Remembered>,
    last_version: i64,
}

impl State {
    pub(super) fn find(&self, fingerprint: &KeyFingerprint) -> Option<Binding> {
        self.bindings
            .values()
            .find(|record| record.binding.fingerprint == *fingerprint)
            .map(|record| record.binding.clone())
    }

    pub(super) fn claim(&mut self, own: &OwnSecret, new: NewBinding) -> Result<Claim<Binding>, StoreError> {
        self.assert_current(own)?;
        let previous = new.previous.unwrap_or(new.fingerprint);
        if let Some(stored) = self.either(&new.fingerprint, &previous) {
            return Ok(Claim::Lost(stored));
        }
        self.move_archived(&new.fingerprint, &previous);
        self.last_id += 1;
        let binding = Binding {
            id: BindingId(self.last_id),
            fingerprint: new.fingerprint,
            status: BindingStatus::Active,
            networks: new.network.into(),
            policy: OwnPolicy::default(),
            version: self.next_version(),
            bound_at: new.bound_at,
        };
        let record = BindingRecord {
            binding: binding.clone(),
            hint: new.hint,
            updated_at: new.bound_at,
            last_used_at: None,
            use_count: 0,
            ban_reason: String::new(),
            ban_expires_at: None,
            remarks: Remarks::default(),
            profile: new.profile.to_string(),
        };
        self.bindings.insert(binding.id, record);
        self.mark(&binding, own.mark());
        Ok(Claim::Won(binding))
    }

    pub(super) fn release(&mut self, id: BindingId, claimed: Version) -> bool {
        let unchanged = self
            .bindings
            .get(&id)
            .is_some_and(|record| record.binding.version == claimed);
        unchanged && self.bindings.remove(&id).is_some()
    }

    pub(super) fn learn(
        &mut self,
        id: BindingId,
        network: Network,
        networks_max: u16,
        now: Timestamp,
    ) -> Option<Binding> {
        let binding = self.bindings.get(&id)?.binding.clone();
        let room = binding.networks.len() < usize::from(networks_max).min(BINDING_NETWORKS_MAX);
        let active = binding.status == BindingStatus::Active;
        if room && active && !binding.networks.contains(&network) {
            let version = self.next_version();
            let record = self.bindings.get_mut(&id)?;
            record.binding.version = version;
            record.binding.networks = binding.networks.iter().copied().chain([network]).collect();
            record.updated_at = now;
            self.marks.remove(&id);
        }
        Some(self.bindings.get(&id)?.binding.clone())
    }

    pub(super) fn list(&self, filter: &BindingFilter, page: BindingPage) -> Vec<BindingRecord> {
        let place = |record: &BindingRecord| {
            let BindingCursor { value, id } = page.order.place(record);
            match page.order {
                BindingOrder::Oldest => (-value, -id.0),
                _ => (value, id.0),
            }
        };
        let after = page.after.map(|BindingCursor { value, id }| match page.order {
            BindingOrder::Oldest => (-value, -id.0),
            _ => (value, id.0),
        });
        let mut records: Vec<&BindingRecord> = self
            .bindings
            .values()
            .filter(|record| lets_through(filter, record))
            .filter(|record| filter.before.is_none_or(|before| record.binding.id < before))
            .filter(|record| after.is_none_or(|after| place(record) < after))
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(place(record)));
        records.truncate(page_rows(filter.limit) as usize);
        records.into_iter().cloned().collect()
    }

    pub(super) fn counts(&self, filter: &BindingFilter) -> BindingCounts {
        let mut counts = BindingCounts::default();
        for record in self
            .bindings
            .values()
            .filter(|record| lets_through(filter, record))
        {
            match record.binding.status {
                BindingStatus::Active => counts.active += 1,
                BindingStatus::Banned => counts.banned += 1,
            }
        }
        counts
    }

    pub(super) fn edit(
        &mut self,
        id: BindingId,
        edit: &BindingEdit,
        known: Option<Version>,
        actor: &Actor,
    ) -> Edited {
        let Some(before) = self.bindings.get(&id).cloned() else {
            return Edited::Missing;
        };
        if known.is_some_and(|known| known != before.binding.version) {
            return Edited::Outdated(Box::new(before));
        }
        if *edit == BindingEdit::Unbind {
            self.put_away(id, change::action(edit), actor.at);
            self.events.push(change::event(edit, actor, &before, None));
            return Edited::Done(Box::new(before));
        }
        let mut after = change::applied(edit, &before, actor.at);
        after.binding.version = self.next_version();
        self.bindings.insert(id, after.clone());
        self.marks.remove(&id);
        self.events
            .push(change::event(edit, actor, &before, Some(&after)));
        Edited::Done(Box::new(after))
    }

    /// Moves the binding into the archive.
    pub(super) fn put_away(&mut self, id: BindingId, reason: &str, at: Timestamp) -> Option<BindingRecord> {
        let record = self.bindings.remove(&id)?;
        self.marks.remove(&id);
        self.archived.push(ArchivedBinding {
            fingerprint: record.binding.fingerprint,
            record: change::archived(&record).to_string(),
            reason: reason.to_owned(),
            archived_at: at,
        });
        Some(record)
    }

    pub(super) fn add_uses(&mut self, batch: &[Uses]) {
        for uses in batch {
            let Some(record) = self.bindings.get_mut(&uses.binding) else {
                continue;
            };
            record.use_count = record
                .use_count
                .saturating_add(uses.count)
                .min(i64::MAX.unsigned_abs());
            record.last_used_at = record.last_used_at.max(Some(uses.last_used_at));
            self.marks.remove(&uses.binding);
        }
    }

    pub(super) fn append_intercepts(&mut self, batch: Vec<Intercept>) {
        for intercept in batch {
            if !self.written.insert((intercept.reference.clone(), intercept.at)) {
                continue;
            }
            self.traffic.count(&intercept);
            let id = self.intercepts.last().map_or(0, |last| last.id) + 1;
            self.intercepts.push(StoredIntercept { id, intercept });
        }
    }

    pub(super) fn list_intercepts(&self, filter: &InterceptFilter) -> Vec<StoredIntercept> {
        self.intercepts
            .iter()
            .rev()
            .filter(|stored| filter.lets_through(stored))
            .filter(|stored| filter.before.is_none_or(|before| stored.id < before))
            .take(page_rows(filter.limit) as usize)
            .cloned()
            .collect()
    }

    pub(super) fn intercepts_by_ids(&self, runs: &[RangeInclusive<i64>], limit: u32) -> Vec<StoredIntercept> {
        self.intercepts
            .iter()
            .filter(|stored| runs.iter().any(|run| run.contains(&stored.id)))
            .take(page_rows(limit) as usize)
            .cloned()
            .collect()
    }

    pub(super) fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Vec<InterceptBucket> {
        let bucket_ms = bucket_ms.max(1);
        let mut counts = BTreeMap::<i64, (u64, u64)>::new();
        for StoredIntercept { intercept, .. } in &self.intercepts {
            if intercept.at < since {
                continue;
            }
            let number = (intercept.at.unix_ms() - since.unix_ms()) / bucket_ms;
            let (refused, observed) = counts.entry(number).or_default();
            match intercept.outcome {
                sentinel_core::event::InterceptOutcome::Refused => *refused += u64::from(intercept.count),
                sentinel_core::event::InterceptOutcome::Observed => *observed += u64::from(intercept.count),
            }
        }
        let left_out = counts.len().saturating_sub(BUCKETS_MAX as usize);
        counts
            .into_iter()
            .skip(left_out)
            .map(|(number, (refused, observed))| InterceptBucket {
                from: Timestamp::from_unix_ms(since.unix_ms() + number * bucket_ms),
                refused,
                observed,
            })
            .collect()
    }

    pub(super) fn next_version(&mut self) -> Version {
        self.last_version += 1;
        Version(self.last_version)
    }
}

/// All that the filter says, its place and its limit aside.
fn lets_through(filter: &BindingFilter, record: &BindingRecord) -> bool {
    let some_network = |wanted: Option<Network>, fits: fn(&Network, &Network) -> bool| {
        wanted.is_none_or(|wanted| {
            record
                .binding
                .networks
                .iter()
                .any(|network| fits(network, &wanted))
        })
    };
    filter.status.is_none_or(|status| record.binding.status == status)
        && contains(record.hint.as_str(), filter.hint.as_deref())
        && contains(&record.remarks.note, filter.note.as_deref())
        && filter
            .address
            .is_none_or(|address| record.binding.covers(address))
        && some_network(filter.network, Network::overlaps)
        && some_network(filter.within, Network::is_within)
        && filter
            .ids
            .as_ref()
            .is_none_or(|ids| ids.contains(&record.binding.id))
        && filter
            .profile
            .as_ref()
            .is_none_or(|profile| record.profile == *profile)
        && filter
            .label
            .as_ref()
            .is_none_or(|label| record.remarks.labels.contains(label))
        && filter
            .used_after
            .is_none_or(|after| record.last_used_at.is_some_and(|at| at >= after))
        && filter
            .used_before
            .is_none_or(|before| record.last_used_at.is_some_and(|at| at < before))
        && filter
            .ban_expires_until
            .is_none_or(|until| record.ban_expires_at.is_some_and(|at| at <= until))
}

fn contains(text: &str, part: Option<&str>) -> bool {
    part.is_none_or(|part| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
}
