//! What all stores of first answers count by.

use std::time::Duration;

use sentinel_core::ports::{ANSWER_KEPT, UNDER_WAY_MAX};
use sentinel_core::time::Timestamp;

/// The most rows that go each time that one comes.
pub(crate) const ANSWERS_REMOVED_MAX: u32 = 100;

/// What began at or before this moment is forgotten.
pub(crate) fn kept_since(now: Timestamp) -> Timestamp {
    before(now, ANSWER_KEPT)
}

/// What began at or before this moment and has no answer never gets one.
pub(crate) fn under_way_since(now: Timestamp) -> Timestamp {
    before(now, UNDER_WAY_MAX)
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(by))
}
