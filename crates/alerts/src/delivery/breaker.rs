//! A channel's circuit breaker: a receiver that fails again and again is left alone for a while, then asked once. What waits meanwhile
//! loses no attempt. Must never be shared between channels.

use std::time::Duration;

use sentinel_core::time::Timestamp;

/// So many failures in a row open a channel's circuit breaker.
pub const FAILURES_MAX: u32 = 5;
/// How long it stays open at first; each further time doubles it.
pub const OPEN_FIRST: Duration = Duration::from_secs(30);
/// The longest that a channel's circuit breaker stays open.
pub const OPEN_MAX: Duration = Duration::from_mins(10);

/// How many attempts may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As many as there is room for.
    All,
    /// One, to see whether the receiver is back.
    Probe,
    /// None.
    Nothing,
}

/// Counts a channel's failures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    failures: u32,
    openings: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    /// What may be begun now, while so many attempts are under way.
    pub fn pass(&self, now: Timestamp, under_way: usize) -> Pass {
        match self.open_until {
            None => Pass::All,
            Some(until) if now < until || under_way > 0 => Pass::Nothing,
            Some(_) => Pass::Probe,
        }
    }

    /// The receiver works.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The receiver does not work.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let probed = self.open_until.is_some_and(|until| now >= until);
        let is_opening = self.open_until.is_none() && self.failures >= FAILURES_MAX;
        if probed || is_opening {
            let open = OPEN_FIRST.saturating_mul(1_u32 << self.openings.min(16));
            self.open_until = Some(now.plus(open.min(OPEN_MAX)));
            self.openings = self.openings.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_probes_and_closes() {
        let mut now = Timestamp::from_unix_ms(0);
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            breaker.failed(now);
        }
        breaker.succeeded();
        for _ in 1..FAILURES_MAX {
            breaker.failed(now);
            assert_eq!(breaker.pass(now, 0), Pass::All);
        }
        breaker.failed(now);
        assert_eq!(breaker.pass(now, 0), Pass::Nothing);
        // One that was begun before changes nothing.
        breaker.failed(now);
        let mut open = OPEN_FIRST;
        for _ in 0..8 {
            let until = now.plus(open);
            assert_eq!(
                breaker.pass(Timestamp::from_unix_ms(until.unix_ms() - 1), 0),
                Pass::Nothing
            );
            now = until;
            assert_eq!(breaker.pass(now, 0), Pass::Probe);
            assert_eq!(breaker.pass(now, 1), Pass::Nothing, "one probe at a time");
            breaker.failed(now);
            open = (open * 2).min(OPEN_MAX);
        }
        assert_eq!(open, OPEN_MAX);
        breaker.succeeded();
        assert_eq!(breaker.pass(now, 3), Pass::All);
    }
}
