//! From the outbox to the receivers: one courier per channel takes what is due, sends it, and says how it ended.
//!
//! At least once: a delivery that was sent but not marked before the process died is sent again, under the same name
//! ([`sentinel_core::alert::Alert::notice_id`]). A sick channel delays no other one. Nothing is dropped: what cannot be delivered stands
//! among the dead.

mod backoff;
mod breaker;
mod courier;

use std::sync::Arc;

use sentinel_core::alert::ports::AlertStore;
use sentinel_core::time::Clock;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::channel::Channel;
use courier::Courier;

pub use backoff::{ATTEMPTS_MAX, BACKOFF_FIRST, BACKOFF_MAX, Backoff, DELIVERY_AGE_MAX, Jitter};
pub use breaker::{Breaker, FAILURES_MAX, OPEN_FIRST, OPEN_MAX, Pass};
pub use courier::{ATTEMPT_TIMEOUT, CONCURRENT_MAX, LEASE, MARK_ATTEMPTS_MAX, POLL};

/// The most channels that alerts may go to.
pub const CHANNELS_MAX: usize = 32;

/// What couriers work with.
#[derive(Clone)]
pub struct CourierParts {
    /// The outboxes that they empty: the store's, and the one in memory for when the store is away.
    pub outboxes: Vec<Arc<dyn AlertStore>>,
    /// When it is.
    pub clock: Arc<dyn Clock>,
    /// Spreads attempts over time.
    pub jitter: Jitter,
    /// Rung when something was put into an outbox here.
    pub bell: Arc<Notify>,
}

/// The running couriers.
pub struct Couriers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// More than [`CHANNELS_MAX`] channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more than {CHANNELS_MAX} channels")]
pub struct TooManyChannels;

impl Couriers {
    /// Starts one courier per channel and outbox on the current runtime.
    pub fn start(channels: Vec<Arc<dyn Channel>>, parts: &CourierParts) -> Result<Self, TooManyChannels> {
        if channels.len() > CHANNELS_MAX {
            return Err(TooManyChannels);
        }
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for channel in channels {
            for outbox in &parts.outboxes {
                let courier = Courier::new(Arc::clone(&channel), Arc::clone(outbox), parts.clone());
                tasks.spawn(courier.run(stopping.clone()));
            }
        }
        Ok(Self { stop, tasks })
    }

    /// Returns when a courier ended by itself, which none does before [`Couriers::stop`].
    pub async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "a courier of alerts panicked"),
            None => std::future::pending().await,
        }
    }

    /// Begins no more attempts, and waits for those under way: at most [`ATTEMPT_TIMEOUT`], and what marking takes.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests;
