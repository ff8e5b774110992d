//! The oldest version of a key's binding that this replica still believes, for keys whose change it made or heard of.
//!
//! When the shared cache could not be told of a change it may go on holding what was before. Who knows of the change must not be
//! given that: neither as a fresh answer, nor while the authority is away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::binding::Version;
use sentinel_core::fingerprint::KeyFingerprint;
use tokio::time::Instant;

use super::TOMBSTONE_LIFE;

/// So many keys are remembered; beyond, no entry is believed that is older than the moment when one more had no room.
pub(super) const FLOORS_MAX: usize = 65_536;

/// So long after a look for floors that can be forgotten there is no other one.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Noted {
    floors: HashMap<KeyFingerprint, (Version, Instant)>,
    swept_at: Option<Instant>,
    overflowed_at: Option<Instant>,
}

impl Noted {
    /// Forgets what is old. Not again at once: a flood of keys would pay for a look at all floors each time.
    fn sweep(&mut self, now: Instant) {
        if self
            .swept_at
            .is_none_or(|at| now.duration_since(at) >= SWEEP_PAUSE)
        {
            self.swept_at = Some(now);
            self.floors
                .retain(|_, (_, at)| now.duration_since(*at) < TOMBSTONE_LIFE);
        }
    }
}

/// The floors of all keys.
#[derive(Default)]
pub(super) struct Floors(Mutex<Noted>);

impl Floors {
    /// From now on only this version, or a later one, is believed. Forgotten after [`TOMBSTONE_LIFE`].
    pub(super) fn note(&self, fingerprint: &KeyFingerprint, version: Version) {
        let now = Instant::now();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.floors.len() >= FLOORS_MAX && !noted.floors.contains_key(fingerprint) {
            noted.sweep(now);
            if noted.floors.len() >= FLOORS_MAX {
                noted.overflowed_at = Some(now);
                return;
            }
        }
        let floor = noted.floors.entry(*fingerprint).or_insert((version, now));
        *floor = (floor.0.max(version), now);
    }

    /// Whether a cached answer may be believed: a binding of this version, or an absence (no version), that is so old.
    pub(super) fn allow(
        &self,
        fingerprint: &KeyFingerprint,
        version: Option<Version>,
        age: Duration,
    ) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_below = noted
            .floors
            .get(fingerprint)
            .is_some_and(|(floor, at)| version < Some(*floor) && at.elapsed() < TOMBSTONE_LIFE);
        let is_before = noted.overflowed_at.is_some_and(|at| age >= at.elapsed());
        !is_below && !is_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fingerprint;

    #[tokio::test(start_paused = true)]
    async fn what_is_below_its_floor_is_not_believed_until_the_floor_is_forgotten() {
        let floors = Floors::default();
        floors.note(&fingerprint(1), Version(5));
        floors.note(&fingerprint(1), Version(4));
        let allow =
            |version: Option<i64>| floors.allow(&fingerprint(1), version.map(Version), Duration::ZERO);
        assert_eq!([None, Some(4), Some(5)].map(allow), [false, false, true]);
        assert!(floors.allow(&fingerprint(2), Some(Version(1)), Duration::ZERO));
        tokio::time::advance(TOMBSTONE_LIFE).await;
        assert!(allow(None));
    }

    #[tokio::test(start_paused = true)]
    async fn when_there_is_no_room_nothing_older_is_believed() {
        let floors = Floors::default();
        for number in 0..u32::try_from(FLOORS_MAX).expect("small") {
            floors.note(&fingerprint(number), Version(1));
        }
        let one_more = fingerprint(u32::MAX);
        assert!(floors.allow(&one_more, Some(Version(1)), Duration::from_secs(9)));
        floors.note(&one_more, Version(2));
        tokio::time::advance(Duration::from_secs(3)).await;
        let allow = |age| floors.allow(&one_more, Some(Version(1)), Duration::from_secs(age));
        assert_eq!([2, 3, 9].map(allow), [true, false, false]);
        tokio::time::advance(TOMBSTONE_LIFE).await;
        floors.note(&one_more, Version(2));
        assert!(
            floors.0.lock().expect("not poisoned").floors.len() == 1,
            "room again"
        );
    }
}
