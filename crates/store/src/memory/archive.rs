//! The archive on the store in memory: marks beside the bindings.

use async_trait::async_trait;
use sentinel_core::binding::{BindingId, BindingRecord, BindingStatus};
use sentinel_core::ports::{ArchiveRun, ArchiveStore, Archived, StoreError};
use sentinel_core::time::Timestamp;

use super::MemoryStore;
use super::state::State;
use crate::bounds::page_rows;
use crate::change;

#[async_trait]
impl ArchiveStore for MemoryStore {
    async fn archive_unused(&self, run: ArchiveRun) -> Result<Archived, StoreError> {
        Ok(self.state().archive_unused(run))
    }
}

impl State {
    fn archive_unused(&mut self, run: ArchiveRun) -> Archived {
        let unused = self.unused(run.unused_since);
        self.marks.retain(|id, _| unused.contains(id));
        let batch = page_rows(run.batch_max) as usize;
        let is_due = |id: &&BindingId| self.marks.get(id).is_some_and(|at| *at <= run.marked_until);
        let due: Vec<BindingId> = unused.iter().filter(is_due).take(batch).copied().collect();
        let mut moved = Vec::new();
        for id in due {
            if let Some(record) = self.put_away(id, change::UNUSED, run.now) {
                moved.push((record.binding.fingerprint, record.binding.version.of_absence()));
            }
        }
        if !moved.is_empty() {
            self.events.push(change::archive_event(run, moved.len()));
        }
        let is_new = |id: &&BindingId| self.bindings.contains_key(id) && !self.marks.contains_key(id);
        let new: Vec<BindingId> = unused.iter().filter(is_new).take(batch).copied().collect();
        self.marks.extend(new.iter().map(|id| (*id, run.now)));
        let marked = u32::try_from(new.len()).unwrap_or(u32::MAX);
        Archived::Here { moved, marked }
    }

    fn unused(&self, since: Timestamp) -> Vec<BindingId> {
        let is_unused = |record: &&BindingRecord| {
            let bound_at = record.binding.bound_at;
            let last_sign = bound_at
                .max(record.updated_at)
                .max(record.last_used_at.unwrap_or(bound_at));
            record.binding.status == BindingStatus::Active && last_sign < since
        };
        let unused = self.bindings.values().filter(is_unused);
        unused.map(|record| record.binding.id).collect()
    }
}
