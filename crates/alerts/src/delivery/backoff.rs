//! When a failed delivery is tried again, and when it is given up. Must never wait itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::alert::ports::Delivery;
use sentinel_core::time::Timestamp;

use crate::channel::{Again, Failure};

/// The pause after the first failed attempt; each further one doubles it.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// The longest pause between two attempts of one delivery.
pub const BACKOFF_MAX: Duration = Duration::from_mins(30);
/// The most attempts before a delivery is given up: with these pauses, some twelve hours.
pub const ATTEMPTS_MAX: u32 = 40;
/// The age at which a failed delivery is given up, however few attempts it had.
pub const DELIVERY_AGE_MAX: Duration = Duration::from_hours(24);

/// Gives numbers that spread attempts: any from 0 to 1,000.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> u32 + Send + Sync>);

impl Jitter {
    /// From the system's randomness. Without it, attempts are not spread.
    pub fn random() -> Self {
        Self(Arc::new(|| {
            getrandom::u32().map_or(1_000, |number| number % 1_001)
        }))
    }

    /// Always this number, at most 1,000.
    pub fn fixed(per_mille: u32) -> Self {
        Self(Arc::new(move || per_mille.min(1_000)))
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Jitter")
    }
}

/// What becomes of a failed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// It is tried again then.
    At(Timestamp),
    /// It is given up.
    GiveUp,
}

impl Backoff {
    /// Decides. Half of each pause is fixed, the other half is spread; a pause that the receiver asked for is kept at least.
    pub fn after(delivery: &Delivery, failure: &Failure, now: Timestamp, jitter: &Jitter) -> Self {
        let Again::Later(asked) = failure.again else {
            return Self::GiveUp;
        };
        if delivery.attempts >= ATTEMPTS_MAX || now.since(delivery.since) >= DELIVERY_AGE_MAX {
            return Self::GiveUp;
        }
        let doublings = delivery.attempts.saturating_sub(1).min(31);
        let pause = BACKOFF_FIRST.saturating_mul(1_u32 << doublings).min(BACKOFF_MAX);
        let spread = (pause / 2) * (jitter.0)() / 1_000;
        let pause = (pause / 2 + spread).max(asked.unwrap_or_default());
        Self::At(now.plus(pause))
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::alert::ChannelId;
    use sentinel_core::alert::conformance::draft;
    use sentinel_core::alert::ports::{DeliveryId, DeliveryState};

    use super::*;

    fn delivery(attempts: u32) -> Delivery {
        Delivery {
            id: DeliveryId(1),
            alert: draft(1, 0),
            channel: ChannelId::new("ops").expect("a name"),
            state: DeliveryState::Pending,
            attempts,
            since: Timestamp::from_unix_ms(0),
            next_attempt_at: Timestamp::from_unix_ms(0),
            ended_at: None,
            last_error: None,
        }
    }

    fn after(attempts: u32, asked: Option<Duration>, per_mille: u32) -> Backoff {
        let failure = Failure {
            again: Again::Later(asked),
            text: String::new(),
        };
        let now = Timestamp::from_unix_ms(0);
        Backoff::after(&delivery(attempts), &failure, now, &Jitter::fixed(per_mille))
    }

    fn at(duration: Duration) -> Backoff {
        Backoff::At(Timestamp::from_unix_ms(0).plus(duration))
    }

    #[test]
    fn pauses_double_up_to_a_maximum_and_are_spread() {
        assert_eq!(after(1, None, 1_000), at(BACKOFF_FIRST));
        assert_eq!(after(1, None, 0), at(BACKOFF_FIRST / 2));
        assert_eq!(after(2, None, 1_000), at(BACKOFF_FIRST * 2));
        assert_eq!(after(4, None, 500), at(BACKOFF_FIRST * 6));
        assert_eq!(after(ATTEMPTS_MAX - 1, None, 1_000), at(BACKOFF_MAX));
        for _ in 0..100 {
            assert!((Jitter::random().0)() <= 1_000);
        }
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept() {
        let hour = Duration::from_hours(1);
        assert_eq!(after(1, Some(hour), 1_000), at(hour));
        assert_eq!(after(8, Some(Duration::from_secs(1)), 0), at(BACKOFF_FIRST * 64));
    }

    #[test]
    fn it_is_given_up_after_so_many_attempts_or_so_long_or_when_nothing_helps() {
        assert_eq!(after(ATTEMPTS_MAX, None, 0), Backoff::GiveUp);
        let never = Failure {
            again: Again::Never,
            text: String::new(),
        };
        let later = Failure {
            again: Again::Later(None),
            text: String::new(),
        };
        let jitter = Jitter::fixed(0);
        let start = Timestamp::from_unix_ms(0);
        assert_eq!(
            Backoff::after(&delivery(1), &never, start, &jitter),
            Backoff::GiveUp
        );
        let old = start.plus(DELIVERY_AGE_MAX);
        assert_eq!(
            Backoff::after(&delivery(1), &later, old, &jitter),
            Backoff::GiveUp
        );
    }
}
