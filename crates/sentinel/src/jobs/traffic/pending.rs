//! What was counted and not reported yet, by minute. Bounded: when there are too many minutes, the two oldest become one.

use std::collections::BTreeMap;

use sentinel_core::ports::{REPORT_MINUTES_MAX, TrafficCounts, TrafficMeasure, TrafficStretch};
use sentinel_core::time::Timestamp;

/// The most minutes that wait: a day.
pub(crate) const PENDING_MINUTES_MAX: usize = 1_440;

/// What waits, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<Timestamp, TrafficCounts>,
    /// A report that was begun, and may have been added: it is sent as it was until that is known.
    under_way: Option<Vec<TrafficStretch>>,
    /// Of the last report that was begun.
    number: u64,
}

impl Pending {
    /// Adds to a minute; says whether two minutes had to become one for it.
    pub(super) fn add(&mut self, minute: Timestamp, counts: &TrafficCounts) -> bool {
        if counts.is_empty() {
            return false;
        }
        self.waiting.entry(minute).or_default().merge(counts);
        if self.waiting.len() <= PENDING_MINUTES_MAX {
            return false;
        }
        if let Some((_, oldest)) = self.waiting.pop_first()
            && let Some(mut next) = self.waiting.first_entry()
        {
            next.get_mut().merge(&oldest);
        }
        true
    }

    /// The report to send now, with its number: the one under way, or else the oldest minutes.
    pub(super) fn next(&mut self) -> (u64, &[TrafficStretch]) {
        if self.under_way.is_none() {
            self.number += 1;
        }
        let waiting = &mut self.waiting;
        let minutes = self.under_way.get_or_insert_with(|| {
            let oldest = std::iter::from_fn(|| waiting.pop_first());
            let oldest = oldest.take(REPORT_MINUTES_MAX);
            oldest
                .map(|(from, counts)| TrafficStretch { from, counts })
                .collect()
        });
        (self.number, minutes)
    }

    /// The report under way was added.
    pub(super) fn settled(&mut self) {
        self.under_way = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }

    /// How many minutes wait or are under way.
    pub(super) fn minutes(&self) -> usize {
        self.waiting.len() + self.under_way.as_ref().map_or(0, Vec::len)
    }

    /// How many requests are in all of it.
    pub(super) fn requests(&self) -> u64 {
        let under_way = self.under_way.iter().flatten().map(|stretch| &stretch.counts);
        let mut sum = TrafficCounts::default();
        for counts in self.waiting.values().chain(under_way) {
            sum.merge(counts);
        }
        let is_request = |measure| !matches!(measure, TrafficMeasure::Bound | TrafficMeasure::Released);
        sum.nonzero()
            .filter(|(measure, _)| is_request(*measure))
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: usize) -> Timestamp {
        Timestamp::from_unix_ms(i64::try_from(minute).expect("small") * 60_000)
    }

    fn allowed(count: u64) -> TrafficCounts {
        TrafficCounts::default().with(TrafficMeasure::Allowed, count)
    }

    #[test]
    fn no_more_minutes_wait_than_the_maximum_and_nothing_is_lost() {
        let mut pending = Pending::default();
        for minute in 0..PENDING_MINUTES_MAX {
            assert!(!pending.add(at(minute), &allowed(1)));
        }
        for minute in 0..3 {
            assert!(pending.add(at(PENDING_MINUTES_MAX + minute), &allowed(1)));
        }
        assert_eq!(pending.minutes(), PENDING_MINUTES_MAX);
        assert_eq!(pending.requests(), PENDING_MINUTES_MAX as u64 + 3);
        let (_, minutes) = pending.next();
        assert_eq!(minutes.len(), REPORT_MINUTES_MAX);
        assert_eq!((minutes[0].from, minutes[0].counts), (at(3), allowed(4)));
    }

    #[test]
    fn a_report_under_way_stays_as_it_is_under_its_number() {
        let mut pending = Pending::default();
        assert!(pending.is_empty());
        pending.add(at(1), &allowed(1));
        let (number, minutes) = pending.next();
        let sent = (number, minutes.to_vec());
        pending.add(at(1), &allowed(2));
        pending.add(at(1), &TrafficCounts::default());
        let (number, minutes) = pending.next();
        assert_eq!((number, minutes.to_vec()), sent);
        pending.settled();
        let (number, minutes) = pending.next();
        assert_eq!(number, sent.0 + 1);
        assert_eq!(minutes[0].counts, allowed(2));
        pending.settled();
        assert!(pending.is_empty());
        // A sign of life.
        assert_eq!(pending.next(), (sent.0 + 2, &[][..]));
    }
}
