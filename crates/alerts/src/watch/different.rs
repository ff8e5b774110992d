//! How many different things there were lately, counted with counters that only add up, so that all replicas can share it.
//!
//! Time is cut into slots, [`SLOTS`] to a window. A thing that is seen for the first time in a slot counts in that slot, and no longer in the
//! earlier slot that it was last seen in. So each counts once, for the window that follows its last sight and up to a slot longer: a
//! thing may count a little too long, never too short.

use std::time::Duration;

use sentinel_core::counting::Count;
use sentinel_core::time::Timestamp;

/// Into so many slots a window is cut.
pub const SLOTS: u32 = 4;

/// The slots of one rule's window at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    length: Duration,
    current: i64,
}

impl Slots {
    pub(super) fn new(window: Duration, now: Timestamp) -> Self {
        let length = window / SLOTS;
        let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
        Self {
            length,
            current: now.unix_ms().div_euclid(length_ms),
        }
    }

    /// The current one.
    pub(super) fn slot(self) -> (Duration, i64) {
        (self.length, self.current)
    }

    /// How far back the counters have to reach: over all slots that are asked for, and one for the steps in which counters move.
    pub(super) fn counter_window(self) -> Duration {
        self.length * (SLOTS + 2)
    }

    /// The slots that count, the current one first.
    fn all(self) -> impl Iterator<Item = i64> {
        (0..=i64::from(SLOTS)).map(move |back| self.current - back)
    }

    /// The first question: was this thing seen in this slot, or in an earlier one? It is, now.
    pub(super) fn sighting(self, name: &str, member: u64) -> impl Iterator<Item = Count> {
        self.all().map(move |slot| Count {
            name: format!("{name}|{slot}|{member:016x}"),
            times: u64::from(slot == self.current),
        })
    }

    /// The second question: how many are there, once those that were seen anew have moved?
    pub(super) fn totals(self, name: &str, moves: &Moves) -> impl Iterator<Item = Count> {
        self.all().zip(0..).flat_map(move |(slot, back)| {
            let came = if back == 0 { moves.came } else { 0 };
            let left = moves.left[back];
            [
                Count {
                    name: format!("{name}|{slot}|in"),
                    times: came,
                },
                Count {
                    name: format!("{name}|{slot}|out"),
                    times: left,
                },
            ]
        })
    }
}

/// How many things were seen anew in the current slot, and which slots they left.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    came: u64,
    left: [u64; SLOTS_ASKED],
}

/// The current slot, and the [`SLOTS`] before it.
const SLOTS_ASKED: usize = SLOTS as usize + 1;

/// How many answers each question has.
pub(super) const SIGHTING_COUNTS: usize = SLOTS_ASKED;
pub(super) const TOTAL_COUNTS: usize = 2 * SLOTS_ASKED;

impl Moves {
    /// Takes the answer to one sighting.
    pub(super) fn note(&mut self, sighting: &[u64]) {
        if sighting.first().copied() != Some(1) {
            return;
        }
        self.came += 1;
        if let Some(back) = (1..SLOTS_ASKED).find(|back| sighting.get(*back).is_some_and(|count| *count > 0))
        {
            self.left[back] += 1;
        }
    }
}

/// How many different things there are, by the answer to the second question.
pub(super) fn total(totals: &[u64]) -> u64 {
    totals
        .chunks(2)
        .map(|slot| match slot {
            [came, left] => came.saturating_sub(*left),
            _ => 0,
        })
        .sum()
}
