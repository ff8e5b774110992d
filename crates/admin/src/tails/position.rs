//! How far the audit log was followed. Ids come from one sequence, but replicas commit when they are ready: a row may appear after one with
//! a greater id. So every id that was passed and not seen is remembered, and asked for again until it is there or was asked for long enough.
//!
//! Must never pass an id by because a greater one was seen.

use std::ops::RangeInclusive;

/// So often a missing id is asked for before it is taken for one that was never used, as those of a batch that was taken back are.
/// With the pause between two looks it is longer than any store lets a batch take.
pub(super) const LOOKS_MAX: u32 = 120;
/// The most runs of missing ids that are remembered: as many as two replicas that take their ids in turns leave in several of their batches.
/// Beyond, the lowest are given up, and whoever follows is told.
pub(crate) const MISSING_RUNS_MAX: usize = 4_096;

/// Ids that follow each other.
pub(crate) type Run = RangeInclusive<i64>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Missing {
    first: i64,
    last: i64,
    looks: u32,
}

impl Missing {
    fn length(&self) -> u64 {
        self.last.abs_diff(self.first) + 1
    }
}

/// A place in the log, and what is missing before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    newest: i64,
    /// In order, none next to another.
    missing: Vec<Missing>,
}

impl Position {
    /// Behind this row, with nothing missing before it.
    pub(crate) fn behind(id: i64) -> Self {
        Self {
            newest: id,
            missing: Vec::new(),
        }
    }

    /// At the end of the log, told from its last rows, the smallest id first. What is missing between them may be on its way.
    pub(super) fn at_end_of(ids: &[i64]) -> Self {
        let mut position = Self::behind(ids.first().map_or(0, |first| first - 1));
        position.take(ids, false);
        position
    }

    /// The greatest id that was seen.
    #[cfg(test)]
    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    /// Nothing up to this id is missing any more.
    pub(crate) fn complete_to(&self) -> i64 {
        self.missing
            .first()
            .map_or(self.newest, |missing| missing.first - 1)
    }

    /// What to ask for next.
    pub(crate) fn wanted(&self) -> Vec<Run> {
        let missing = self.missing.iter().map(|missing| missing.first..=missing.last);
        missing
            .chain([self.newest.saturating_add(1)..=i64::MAX])
            .collect()
    }

    /// Takes in what there was of that, the smallest id first. With `has_more` the answer was cut behind its last row. Gives how many ids are
    /// given up though they may yet appear.
    pub(super) fn take(&mut self, ids: &[i64], has_more: bool) -> u64 {
        let horizon = match ids.last() {
            Some(last) if has_more => *last,
            Some(last) => self.newest.max(*last),
            None => self.newest,
        };
        let looked = u32::from(!has_more);
        let mut left = Vec::with_capacity(self.missing.len());
        for missing in &self.missing {
            let looks = missing.looks + looked;
            if looks < LOOKS_MAX {
                let behind = &ids[ids.partition_point(|id| *id < missing.first)..];
                let found = behind.iter().take_while(|id| **id <= missing.last);
                gaps(missing.first, missing.last, found, looks, &mut left);
            }
        }
        if horizon > self.newest {
            let found = ids.iter().filter(|id| **id > self.newest);
            gaps(self.newest + 1, horizon, found, 0, &mut left);
            self.newest = horizon;
        }
        let runs_given_up = left.len().saturating_sub(MISSING_RUNS_MAX);
        let ids_given_up = left.drain(..runs_given_up).map(|missing| missing.length()).sum();
        self.missing = left;
        ids_given_up
    }

    /// What a follower here has to read to be where `ahead` is; what is missing there is left out, since it is shown when it comes.
    /// At most `ids_max` ids, the last ones; the second number says how many more there are.
    pub(crate) fn way_to(&self, ahead: &Self, ids_max: u64) -> (Vec<Run>, u64) {
        let mut way = Vec::new();
        for wanted in self.wanted() {
            let (mut first, last) = (*wanted.start(), (*wanted.end()).min(ahead.newest));
            let near = ahead.missing.partition_point(|missing| missing.last < first);
            let near = ahead.missing[near..].iter();
            for missing in near.take_while(|missing| missing.first <= last) {
                if first < missing.first {
                    way.push(first..=missing.first - 1);
                }
                first = missing.last + 1;
            }
            if first <= last {
                way.push(first..=last);
            }
        }
        keep_last(way, ids_max)
    }
}

/// What lies between the ids that were found, all of them from `first` to `last`.
fn gaps<'f>(
    first: i64,
    last: i64,
    found: impl Iterator<Item = &'f i64>,
    looks: u32,
    into: &mut Vec<Missing>,
) {
    let mut next = first;
    for id in found {
        if next < *id {
            into.push(Missing {
                first: next,
                last: id - 1,
                looks,
            });
        }
        next = id + 1;
    }
    if next <= last {
        into.push(Missing {
            first: next,
            last,
            looks,
        });
    }
}

fn keep_last(runs: Vec<Run>, ids_max: u64) -> (Vec<Run>, u64) {
    let (mut room, mut left_out) = (ids_max, 0);
    let mut kept = Vec::with_capacity(runs.len());
    for run in runs.into_iter().rev() {
        let length = run.end().abs_diff(*run.start()) + 1;
        let taken = length.min(room);
        room -= taken;
        left_out += length - taken;
        if taken > 0 {
            let first = run.end() - i64::try_from(taken - 1).unwrap_or(i64::MAX);
            kept.push(first..=*run.end());
        }
    }
    kept.reverse();
    (kept, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store with these ids answers, at most two rows at a time.
    fn answer(there: &[i64], runs: &[Run]) -> (Vec<i64>, bool) {
        let mut ids: Vec<i64> = there.to_vec();
        ids.sort_unstable();
        ids.retain(|id| runs.iter().any(|run| run.contains(id)));
        let has_more = ids.len() > 2;
        ids.truncate(2);
        (ids, has_more)
    }

    #[test]
    fn whatever_the_order_of_commits_each_row_is_seen_once() {
        // Every order in which six rows can appear, one at each look.
        let mut orders = vec![Vec::new()];
        for _ in 0..6 {
            let longer = orders.iter().flat_map(|order: &Vec<i64>| {
                let rest = (1..=6).filter(|id| !order.contains(id));
                rest.map(|id| [order.as_slice(), &[id]].concat())
                    .collect::<Vec<_>>()
            });
            orders = longer.collect();
        }
        assert_eq!(orders.len(), 720);
        for order in orders {
            let mut position = Position::at_end_of(&[]);
            let mut seen = Vec::new();
            for there in (1..=6).map(|count| &order[..count]) {
                let (ids, has_more) = answer(there, &position.wanted());
                position.take(&ids, has_more);
                seen.extend(ids);
            }
            for _ in 0..3 {
                let (ids, has_more) = answer(&order, &position.wanted());
                position.take(&ids, has_more);
                seen.extend(ids);
            }
            seen.sort_unstable();
            assert_eq!(seen, [1, 2, 3, 4, 5, 6], "{order:?}");
            assert_eq!((position.newest(), position.complete_to()), (6, 6), "{order:?}");
        }
    }

    #[test]
    fn an_answer_that_was_cut_says_nothing_about_what_follows() {
        let mut position = Position::behind(10);
        position.take(&[11, 13], true);
        assert_eq!(position.wanted(), [12..=12, 14..=i64::MAX]);
        position.take(&[12, 20], false);
        assert_eq!(position.wanted(), [14..=19, 21..=i64::MAX]);
        assert_eq!((position.newest(), position.complete_to()), (20, 13));
        position.take(&[16], true);
        assert_eq!(position.wanted(), [14..=15, 17..=19, 21..=i64::MAX]);
    }

    #[test]
    fn a_missing_id_is_asked_for_looks_max_times() {
        let mut position = Position::behind(0);
        position.take(&[2], false);
        for _ in 1..LOOKS_MAX {
            position.take(&[], false);
            assert_eq!(position.complete_to(), 0);
        }
        position.take(&[], false);
        assert_eq!(position, Position::behind(2));
    }

    #[test]
    fn missing_runs_max_runs_are_remembered() {
        let mut position = Position::behind(0);
        let runs = i64::try_from(MISSING_RUNS_MAX).expect("few");
        let even: Vec<i64> = (1..=runs).map(|number| number * 2).collect();
        assert_eq!(position.take(&even, false), 0);
        assert_eq!(position.wanted().len(), MISSING_RUNS_MAX + 1);
        // Three more ids are missing in two more runs; the two lowest of all go, and what they were is said.
        let given_up = position.take(&[2 * runs + 2, 2 * runs + 5], false);
        assert_eq!(given_up, 2);
        assert_eq!(position.wanted().len(), MISSING_RUNS_MAX + 1);
        assert_eq!(position.wanted()[0], 5..=5);
    }

    #[test]
    fn at_its_end_the_log_may_have_rows_on_their_way() {
        assert_eq!(Position::at_end_of(&[]), Position::behind(0));
        let position = Position::at_end_of(&[7, 9]);
        assert_eq!(position.wanted(), [8..=8, 10..=i64::MAX]);
    }

    #[test]
    fn the_way_to_another_place_leaves_out_what_is_missing_there() {
        let mut ahead = Position::behind(0);
        ahead.take(&[1, 2, 5, 6, 9], false);
        for (from, way) in [
            (Position::behind(9), vec![]),
            (Position::behind(5), vec![6..=6, 9..=9]),
            (Position::behind(3), vec![5..=6, 9..=9]),
            (Position::behind(0), vec![1..=2, 5..=6, 9..=9]),
            (Position::behind(100), vec![]),
        ] {
            assert_eq!(from.way_to(&ahead, 100), (way, 0), "{from:?}");
        }
        let mut behind = Position::behind(0);
        behind.take(&[1, 5], false);
        assert_eq!(behind.way_to(&ahead, 100), (vec![2..=2, 6..=6, 9..=9], 0));
        assert_eq!(Position::behind(0).way_to(&ahead, 2), (vec![6..=6, 9..=9], 3));
        assert_eq!(Position::behind(0).way_to(&ahead, 0), (vec![], 5));
    }
}
