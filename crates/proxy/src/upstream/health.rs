//! Whether an address is believed to work. One record serves all workers; while the address works they only read one number of it.
//!
//! An address that failed is avoided for a while that grows with each failure, then tried by one request. What a health check found out
//! about its answers stands until a check finds otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two log lines about one address.
const NEWS_INTERVAL: Duration = Duration::from_secs(1);
/// It works.
const UP: u64 = 0;
/// It is avoided until a check says otherwise.
const UNTIL_CHECKED: u64 = u64::MAX;

/// How an address failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It could not be connected to.
    Connect,
    /// It broke a fresh connection off before it answered.
    Exchange,
    /// It answered a health check with something else than success.
    Check,
}

/// How long a failed address is avoided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DownTime {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl DownTime {
    /// After so many failures in a row.
    fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }
}

/// The record.
#[derive(Debug)]
pub(crate) struct Health {
    /// Times are counted from here, in milliseconds and above 0.
    base: Instant,
    /// [`UP`], [`UNTIL_CHECKED`], or when it may be tried again.
    down_until: AtomicU64,
    failed_at: AtomicU64,
    down_time: DownTime,
    detail: Mutex<Detail>,
}

#[derive(Debug, Default)]
struct Detail {
    failures: u32,
    failure: Option<Failure>,
    /// Until then further failures are the same one, seen by other requests.
    counted_until: u64,
    news_at: Option<Instant>,
}

impl Health {
    pub(crate) fn new(down_time: DownTime) -> Self {
        Self {
            base: Instant::now(),
            down_until: AtomicU64::new(UP),
            failed_at: AtomicU64::new(0),
            down_time,
            detail: Mutex::default(),
        }
    }

    /// Whether nothing speaks against it.
    pub(crate) fn is_up(&self) -> bool {
        self.down_until.load(Ordering::Relaxed) == UP
    }

    /// When it last failed, for comparing with others.
    pub(crate) fn failed_at(&self) -> u64 {
        self.failed_at.load(Ordering::Relaxed)
    }

    /// Takes the one trial that there is when the time of being avoided is over; it ends after `hold`, should nothing become of it.
    pub(crate) fn take_trial(&self, hold: Duration) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        if until == UP || until == UNTIL_CHECKED {
            return false;
        }
        let now = self.now();
        until <= now
            && self
                .down_until
                .compare_exchange(
                    until,
                    now + milliseconds(hold),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// It failed. Whether that is worth a log line.
    pub(crate) fn failed(&self, failure: Failure) -> bool {
        let mut detail = self.detail();
        let now = self.now();
        self.failed_at.store(now, Ordering::Relaxed);
        let was_up = detail.failures == 0;
        if was_up || now >= detail.counted_until {
            detail.failures = detail.failures.saturating_add(1);
            detail.counted_until = now + milliseconds(self.down_time.after(detail.failures));
        }
        // What a check found out is not forgotten over a failure of another kind.
        if detail.failure != Some(Failure::Check) {
            detail.failure = Some(failure);
        }
        let until = match detail.failure {
            Some(Failure::Check) => UNTIL_CHECKED,
            _ => detail.counted_until,
        };
        self.down_until.store(until, Ordering::Relaxed);
        was_up && is_news(&mut detail)
    }

    /// It answered a request. Whether it was down and that is worth a log line.
    pub(crate) fn answered(&self) -> bool {
        !self.is_up() && self.recover(|failure| failure != Failure::Check)
    }

    /// A check went well; `asked`: it got an answer, and did not only connect.
    pub(crate) fn checked(&self, asked: bool) -> bool {
        !self.is_up() && self.recover(|failure| asked || failure == Failure::Connect)
    }

    fn recover(&self, from: impl Fn(Failure) -> bool) -> bool {
        let mut detail = self.detail();
        if !detail.failure.is_some_and(from) {
            return false;
        }
        detail.failures = 0;
        detail.failure = None;
        self.down_until.store(UP, Ordering::Relaxed);
        is_news(&mut detail)
    }

    fn now(&self) -> u64 {
        milliseconds(self.base.elapsed()) + 1
    }

    fn detail(&self) -> MutexGuard<'_, Detail> {
        self.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_news(detail: &mut Detail) -> bool {
    let now = Instant::now();
    let is_news = detail
        .news_at
        .is_none_or(|last| now.duration_since(last) >= NEWS_INTERVAL);
    if is_news {
        detail.news_at = Some(now);
    }
    is_news
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DOWN_TIME: DownTime = DownTime {
        min: SECOND,
        max: Duration::from_secs(5),
    };

    #[tokio::test(start_paused = true)]
    async fn the_time_of_being_avoided_grows_up_to_its_bound() {
        let health = Health::new(DOWN_TIME);
        assert!(health.is_up() && !health.take_trial(SECOND));
        for seconds in [1, 2, 4, 5, 5] {
            health.failed(Failure::Connect);
            health.failed(Failure::Connect);
            assert!(!health.is_up());
            advance(SECOND * (seconds - 1) + Duration::from_millis(999)).await;
            assert!(!health.take_trial(SECOND), "still within {seconds} s");
            advance(Duration::from_millis(1)).await;
            assert!(health.take_trial(SECOND), "after {seconds} s");
            assert!(!health.take_trial(SECOND), "one trial at a time");
        }
        advance(SECOND).await;
        assert!(health.take_trial(SECOND), "the last one came to nothing");
        assert!(health.answered() && health.is_up());
        health.failed(Failure::Connect);
        advance(SECOND).await;
        assert!(health.take_trial(SECOND), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_that_it_works_again() {
        for (failure, answered, connected, asked) in [
            (Failure::Connect, true, true, true),
            (Failure::Exchange, true, false, true),
            (Failure::Check, false, false, true),
        ] {
            let failed = || {
                let health = Health::new(DOWN_TIME);
                health.failed(failure);
                health
            };
            let by_answer = failed();
            by_answer.answered();
            let by_connect = failed();
            by_connect.checked(false);
            let by_check = failed();
            by_check.checked(true);
            assert_eq!(
                [by_answer.is_up(), by_connect.is_up(), by_check.is_up()],
                [answered, connected, asked],
                "{failure:?}"
            );
        }
        let health = Health::new(DOWN_TIME);
        health.failed(Failure::Check);
        health.failed(Failure::Connect);
        advance(SECOND * 60).await;
        assert!(!health.take_trial(SECOND), "only a check can say so");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_comes_and_goes_does_not_fill_the_log() {
        let health = Health::new(DOWN_TIME);
        assert!(health.failed(Failure::Connect));
        assert!(!health.failed(Failure::Connect) && !health.answered() && !health.failed(Failure::Connect));
        advance(NEWS_INTERVAL).await;
        assert!(health.answered());
    }
}
