//! How much went through, who was refused most, and which processes serve: the port on the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::event::Intercept;
use sentinel_core::ports::{
    REPLICAS_MAX, Replica, STRETCHES_MAX, StoreError, TOP_SUBJECTS_CUT_MAX, TOP_SUBJECTS_MAX, TopAddress,
    TopKey, TopRefused, TrafficCounts, TrafficKept, TrafficMeasure, TrafficReport, TrafficSpan, TrafficStore,
    TrafficStretch,
};
use sentinel_core::time::Timestamp;

use super::MemoryStore;
use crate::bounds::page_rows;
use crate::top::{self, Added, OTHERS, TopKind, TopList};
use crate::traffic;

#[derive(Debug, Default)]
pub(super) struct TrafficState {
    stretches: BTreeMap<(TrafficSpan, Timestamp), TrafficCounts>,
    lists: BTreeMap<TopList, List>,
    replicas: BTreeMap<String, (u64, Replica)>,
}

#[derive(Debug, Default)]
struct List {
    /// What is known of each subject, and what it may have lost before.
    subjects: BTreeMap<String, (Added, u64)>,
    others: u64,
    missed_max: u64,
}

impl List {
    fn add(&mut self, subject: String, added: Added) {
        if subject == OTHERS {
            self.others += added.count;
            return;
        }
        let missed_max = self.missed_max;
        self.subjects
            .entry(subject)
            .and_modify(|(known, _)| known.count += added.count)
            .or_insert((added, missed_max));
    }

    fn cut(&mut self) {
        if self.subjects.len() <= TOP_SUBJECTS_CUT_MAX as usize {
            return;
        }
        let mut subjects: Vec<_> = std::mem::take(&mut self.subjects).into_iter().collect();
        subjects.sort_by_key(|(_, (added, missed))| std::cmp::Reverse(added.count + missed));
        for (_, (added, missed)) in subjects.drain(TOP_SUBJECTS_MAX as usize..) {
            self.others += added.count;
            self.missed_max = self.missed_max.max(added.count + missed);
        }
        self.subjects = subjects.into_iter().collect();
    }

    fn first(&self, limit: u32) -> Vec<(&String, &Added)> {
        let mut subjects: Vec<_> = self
            .subjects
            .iter()
            .map(|(subject, (added, _))| (subject, added))
            .collect();
        subjects.sort_by_key(|(_, added)| std::cmp::Reverse(added.count));
        subjects.truncate(page_rows(limit) as usize);
        subjects
    }
}

impl TrafficState {
    /// One row of the audit log.
    pub(super) fn count(&mut self, intercept: &Intercept) {
        for ((list, subject), added) in top::additions([intercept]) {
            let list = self.lists.entry(list).or_default();
            list.add(subject, added);
            list.cut();
        }
    }

    fn report(&mut self, report: &TrafficReport) -> bool {
        let replica = &report.replica;
        let last = self.replicas.get(&replica.run).map(|(number, _)| *number);
        if last.is_some_and(|last| last >= report.number) {
            return false;
        }
        self.replicas
            .insert(replica.run.clone(), (report.number, replica.clone()));
        for ((span, from, code), count) in traffic::sums(report) {
            let stretch = self.stretches.entry((span, from)).or_default();
            if let Some(measure) = TrafficMeasure::from_code(code) {
                // As much as a column of the other stores holds.
                let room = i64::MAX.unsigned_abs() - stretch.of(measure);
                stretch.add(measure, count.cast_unsigned().min(room));
            }
        }
        true
    }

    fn top(&self, span: TrafficSpan, from: Timestamp, limit: u32) -> TopRefused {
        let empty = List::default();
        let list = |kind| self.lists.get(&TopList { span, from, kind }).unwrap_or(&empty);
        let (keys, addresses) = (list(TopKind::Key), list(TopKind::Address));
        TopRefused {
            keys: keys
                .first(limit)
                .into_iter()
                .map(|(_, added)| TopKey {
                    binding: added.binding,
                    hint: added.hint.clone(),
                    count: added.count,
                })
                .collect(),
            addresses: addresses
                .first(limit)
                .into_iter()
                .filter_map(|(subject, added)| {
                    Some(TopAddress {
                        client_ip: sentinel_core::network::ClientIp::new(subject.parse().ok()?),
                        count: added.count,
                    })
                })
                .collect(),
            other_keys: keys.others,
            other_addresses: addresses.others,
        }
    }

    fn forget(&mut self, kept: &TrafficKept) -> u64 {
        let before = self.stretches.len() + self.lists.len() + self.replicas.len();
        self.stretches.retain(|(span, from), _| match span {
            TrafficSpan::Minute => *from >= kept.minutes_from,
            TrafficSpan::Hour => *from >= kept.hours_from,
            TrafficSpan::Day => *from >= kept.days_from,
        });
        self.lists.retain(|list, _| match list.span {
            TrafficSpan::Day => list.from >= kept.top_days_from,
            TrafficSpan::Minute | TrafficSpan::Hour => list.from >= kept.top_hours_from,
        });
        self.replicas
            .retain(|_, (_, replica)| replica.seen_at >= kept.replicas_from);
        (before - self.stretches.len() - self.lists.len() - self.replicas.len()) as u64
    }
}

#[async_trait]
impl TrafficStore for MemoryStore {
    async fn report(&self, report: TrafficReport) -> Result<bool, StoreError> {
        Ok(self.state().traffic.report(&report))
    }

    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError> {
        let state = self.state();
        let stretches = state.traffic.stretches.range((span, since)..);
        let stretches: Vec<TrafficStretch> = stretches
            .take_while(|((of, _), _)| *of == span)
            .map(|((_, from), counts)| TrafficStretch {
                from: *from,
                counts: *counts,
            })
            .collect();
        let left_out = stretches.len().saturating_sub(STRETCHES_MAX as usize);
        Ok(stretches[left_out..].to_vec())
    }

    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError> {
        Ok(self.state().traffic.top(span, from, limit))
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        let state = self.state();
        let replicas = state.traffic.replicas.values().map(|(_, replica)| replica);
        let mut replicas: Vec<Replica> = replicas
            .filter(|replica| replica.seen_at >= since)
            .cloned()
            .collect();
        replicas.sort_by_key(|replica| std::cmp::Reverse(replica.seen_at));
        replicas.truncate(REPLICAS_MAX as usize);
        Ok(replicas)
    }

    async fn forget(&self, kept: TrafficKept) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.state().traffic.forget(&kept)))
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::ports::InterceptStore;

    use super::*;
    use crate::conformance::at;
    use crate::conformance::traffic::{many, minute, report, report_of};

    #[tokio::test]
    async fn as_many_stretches_as_the_bound_are_all_given() {
        let store = MemoryStore::new();
        for number in 1..=u64::from(STRETCHES_MAX) {
            let minute = minute(i64::try_from(number).unwrap(), TrafficMeasure::Allowed, 1);
            store.report(report(number, vec![minute])).await.unwrap();
        }
        let stretches = store.traffic(TrafficSpan::Minute, at(0)).await.unwrap();
        assert_eq!(stretches.len(), STRETCHES_MAX as usize);
        assert_eq!(stretches[0].from, at(60_000));
    }

    #[tokio::test]
    async fn as_many_replicas_as_the_bound_are_all_given() {
        let store = MemoryStore::new();
        for number in 1..=REPLICAS_MAX {
            let report = report_of(&number.to_string(), u64::from(number), Vec::new());
            store.report(report).await.unwrap();
        }
        assert_eq!(store.replicas(at(0)).await.unwrap().len(), REPLICAS_MAX as usize);
    }

    #[tokio::test]
    async fn a_list_is_cut_only_past_its_bound_and_then_to_its_maximum() {
        let store = MemoryStore::new();
        let list = async || {
            let top = store.top_refused(TrafficSpan::Hour, at(0), u32::MAX).await;
            top.unwrap()
        };
        InterceptStore::append(&store, many(1, TOP_SUBJECTS_CUT_MAX))
            .await
            .unwrap();
        assert_eq!(list().await.other_addresses, 0);
        InterceptStore::append(&store, many(TOP_SUBJECTS_CUT_MAX + 1, 1))
            .await
            .unwrap();
        let cut = u64::from(TOP_SUBJECTS_CUT_MAX + 1 - TOP_SUBJECTS_MAX);
        assert_eq!(list().await.other_addresses, cut);
    }
}
