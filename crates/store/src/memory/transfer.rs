//! Moving content out of and into the store in memory.

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingId, BindingRecord};
use sentinel_core::event::Actor;
use sentinel_core::ports::{
    ArchivedBinding, Existing, MovedBinding, StoreError, StoredIntercept, Taken, TakenIn, TransferItem,
    TransferKind, TransferStore,
};

use super::MemoryStore;
use super::state::State;
use crate::bounds::page_rows;
use crate::change;
use crate::secret::OwnSecret;

#[async_trait]
impl TransferStore for MemoryStore {
    async fn page(
        &self,
        kind: TransferKind,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, TransferItem)>, StoreError> {
        let items = self.state().items(kind).into_iter();
        Ok(items
            .filter(|(place, _)| *place > after)
            .take(page_rows(limit) as usize)
            .collect())
    }

    async fn take_in(
        &self,
        items: Vec<TransferItem>,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<TakenIn, StoreError> {
        let mut state = self.state();
        let mut taken_in = TakenIn::default();
        for item in items {
            taken_in.count(state.take_in(&self.own, item, existing, is_rehearsal)?);
        }
        Ok(taken_in)
    }
}

/// Each with its place, from 1, where it has no id.
fn placed<T>(items: &[T], item: impl Fn(&T) -> TransferItem) -> Vec<(i64, TransferItem)> {
    (1..).zip(items.iter().map(item)).collect()
}

impl State {
    fn items(&self, kind: TransferKind) -> Vec<(i64, TransferItem)> {
        match kind {
            TransferKind::Bindings => self
                .bindings
                .iter()
                .map(|(id, record)| {
                    let secret = self.secrets.get(id).copied();
                    let moved = MovedBinding {
                        secret,
                        ..record.clone().into()
                    };
                    (id.0, TransferItem::Binding(moved))
                })
                .collect(),
            TransferKind::Archived => placed(&self.archived, |item| TransferItem::Archived(item.clone())),
            TransferKind::Intercepts => self
                .intercepts
                .iter()
                .map(|stored| (stored.id, TransferItem::Intercept(stored.intercept.clone())))
                .collect(),
            TransferKind::Events => placed(&self.events, |item| TransferItem::Event(item.clone())),
        }
    }

    fn take_in(
        &mut self,
        own: &OwnSecret,
        item: TransferItem,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<Taken, StoreError> {
        Ok(match item {
            TransferItem::Binding(moved) => self.take_binding(own, moved, existing, is_rehearsal)?,
            TransferItem::Archived(archived) => {
                let identity =
                    |item: &ArchivedBinding| (item.fingerprint, item.archived_at, item.reason.clone());
                let is_here = self
                    .archived
                    .iter()
                    .any(|item| identity(item) == identity(&archived));
                take(&mut self.archived, archived, is_here, is_rehearsal)
            }
            TransferItem::Intercept(mut intercept) => {
                let name = (intercept.reference.clone(), intercept.at);
                let is_here = self.written.contains(&name);
                if !is_rehearsal {
                    self.written.insert(name);
                }
                let binding = intercept
                    .fingerprint
                    .and_then(|fingerprint| self.find(&fingerprint));
                intercept.binding = binding.map(|binding| binding.id);
                let id = self.intercepts.last().map_or(0, |last| last.id) + 1;
                let stored = StoredIntercept { id, intercept };
                take(&mut self.intercepts, stored, is_here, is_rehearsal)
            }
            TransferItem::Event(event) => {
                let is_here = self.events.contains(&event);
                take(&mut self.events, event, is_here, is_rehearsal)
            }
        })
    }

    /// A key that has a binding keeps it.
    pub(super) fn create(
        &mut self,
        own: &OwnSecret,
        new: MovedBinding,
        actor: &Actor,
    ) -> Result<Option<BindingRecord>, StoreError> {
        let fingerprint = new.fingerprint;
        if self.take_binding(own, new, Existing::Keep, false)? != Taken::Added {
            return Ok(None);
        }
        let made = self.find(&fingerprint);
        let record = made.and_then(|binding| self.bindings.get(&binding.id).cloned());
        if let Some(record) = &record {
            self.events.push(change::created_event(actor, record));
        }
        Ok(record)
    }

    fn take_binding(
        &mut self,
        own: &OwnSecret,
        moved: MovedBinding,
        existing: Existing,
        is_rehearsal: bool,
    ) -> Result<Taken, StoreError> {
        self.assert_current(own)?;
        let previous = moved.previous.unwrap_or(moved.fingerprint);
        let stored = if is_rehearsal {
            self.either(&moved.fingerprint, &previous)
        } else {
            self.adopt(own, &moved.fingerprint, &previous)?
        };
        let stored = stored.map(|binding| binding.id);
        let record = stored.and_then(|id| self.bindings.get(&id)).cloned();
        let taken = existing.judge(record.map(MovedBinding::from).as_ref(), &moved);
        if is_rehearsal || !matches!(taken, Taken::Added | Taken::Replaced) {
            return Ok(taken);
        }
        let id = stored.unwrap_or_else(|| {
            self.last_id += 1;
            BindingId(self.last_id)
        });
        let record = BindingRecord {
            binding: Binding {
                id,
                fingerprint: moved.fingerprint,
                status: moved.status,
                networks: moved.networks.into_iter().collect(),
                policy: moved.policy.into(),
                version: self.next_version(),
                bound_at: moved.bound_at,
            },
            hint: moved.hint,
            updated_at: moved.updated_at,
            last_used_at: moved.last_used_at,
            use_count: moved.use_count,
            ban_reason: moved.ban_reason,
            ban_expires_at: moved.ban_expires_at,
            remarks: moved.remarks,
            profile: moved.profile,
        };
        self.mark(&record.binding, moved.secret.or(own.mark()));
        self.bindings.insert(id, record);
        self.marks.remove(&id);
        Ok(taken)
    }
}

fn take<T>(items: &mut Vec<T>, item: T, is_here: bool, is_rehearsal: bool) -> Taken {
    if is_here {
        return Taken::Unchanged;
    }
    if !is_rehearsal {
        items.push(item);
    }
    Taken::Added
}
