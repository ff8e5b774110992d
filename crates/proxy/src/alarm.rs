//! A deadline that moves with every byte, on a timer that does not: the timer is set anew only when it rings early.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline.
#[derive(Debug)]
pub(crate) struct Alarm {
    deadline: Instant,
    rings_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Alarm {
    /// A deadline `after` from now.
    pub(crate) fn new(after: Duration) -> Self {
        let deadline = Instant::now() + after;
        Self {
            deadline,
            rings_at: deadline,
            timer: Box::pin(sleep_until(deadline)),
        }
    }

    /// Moves the deadline to `after` from `now`.
    pub(crate) fn set(&mut self, now: Instant, after: Duration) {
        self.deadline = now + after;
        if self.deadline < self.rings_at {
            self.rings_at = self.deadline;
            self.timer.as_mut().reset(self.deadline);
        }
    }

    /// Ready when the deadline has passed.
    pub(crate) fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.rings_at = self.deadline;
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_counts_and_not_the_timer() {
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let mut alarm = Alarm::new(2 * second);
        tokio::time::sleep(second).await;
        alarm.set(Instant::now(), 5 * second);
        poll_fn(|context| alarm.poll_passed(context)).await;
        assert_eq!(began.elapsed(), 6 * second, "it was moved back");
        alarm.set(Instant::now(), 9 * second);
        alarm.set(Instant::now(), second);
        poll_fn(|context| alarm.poll_passed(context)).await;
        assert_eq!(began.elapsed(), 7 * second, "it was moved forward");
    }
}
