//! A leaky bucket: what was too much a while ago must not count for ever. On Tokio's clock; it must never need a task or a timer of its own.

use std::cell::Cell;

use tokio::time::Instant;

/// A level that rises by what happens, sinks by what makes up for it, and leaks.
#[derive(Debug)]
pub(super) struct LeakyBucket {
    level: Cell<f64>,
    leaked_at: Cell<Instant>,
    leaks_per_second: f64,
}

impl LeakyBucket {
    pub(super) fn new(leaks_per_second: f64) -> Self {
        Self {
            level: Cell::new(0.0),
            leaked_at: Cell::new(Instant::now()),
            leaks_per_second,
        }
    }

    /// Adds `amount` to what has not leaked since.
    pub(super) fn add(&self, amount: f64) {
        let now = Instant::now();
        let leaked = (now - self.leaked_at.replace(now)).as_secs_f64() * self.leaks_per_second;
        self.level.set((self.level.get() - leaked).max(0.0) + amount);
    }

    /// Takes `amount` out, as far as there is so much.
    pub(super) fn take(&self, amount: f64) {
        self.level.set((self.level.get() - amount).max(0.0));
    }

    /// Whether there was more than `bound` when something was last added.
    pub(super) fn is_above(&self, bound: u32) -> bool {
        self.level.get() > f64::from(bound)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fills_leaks_and_never_saves_up() {
        let bucket = LeakyBucket::new(10.0);
        bucket.add(100.0);
        assert!(!bucket.is_above(100));
        bucket.add(1.0);
        assert!(bucket.is_above(100));
        bucket.take(50.0);
        assert!(bucket.is_above(50) && !bucket.is_above(51));
        tokio::time::sleep(Duration::from_secs(3)).await;
        bucket.add(0.0);
        assert!(bucket.is_above(20) && !bucket.is_above(22));
        tokio::time::sleep(Duration::from_hours(1)).await;
        bucket.take(1000.0);
        bucket.add(5.0);
        assert!(bucket.is_above(4) && !bucket.is_above(5));
    }
}
