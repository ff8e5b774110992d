//! One address of the upstream, as all workers share it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::health::{DownTime, Failure, Health};
use crate::config::UpstreamOrigin;

/// An address, and whose it is.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The origin that was written down.
    pub(crate) origin: Arc<UpstreamOrigin>,
    /// One of the addresses of its name.
    pub(crate) address: SocketAddr,
    health: Health,
}

impl Endpoint {
    pub(crate) fn new(origin: Arc<UpstreamOrigin>, address: SocketAddr, down_time: DownTime) -> Self {
        Self {
            origin,
            address,
            health: Health::new(down_time),
        }
    }

    /// Whether nothing speaks against it.
    pub(crate) fn is_up(&self) -> bool {
        self.health.is_up()
    }

    /// When it last failed, for comparing with others.
    pub(crate) fn failed_at(&self) -> u64 {
        self.health.failed_at()
    }

    /// Takes the one trial of an address that was down for its time.
    pub(crate) fn take_trial(&self, hold: Duration) -> bool {
        self.health.take_trial(hold)
    }

    /// It failed.
    pub(crate) fn failed(&self, failure: Failure, error: &dyn std::fmt::Display) {
        if self.health.failed(failure) {
            tracing::warn!(address = %self.address, origin = %self.origin, %error, "an upstream address is down");
        }
    }

    /// It answered a request.
    pub(crate) fn answered(&self) {
        if self.health.answered() {
            self.log_up();
        }
    }

    /// A check went well; `asked`: it got an answer, and did not only connect.
    pub(crate) fn checked(&self, asked: bool) {
        if self.health.checked(asked) {
            self.log_up();
        }
    }

    fn log_up(&self) {
        tracing::info!(address = %self.address, origin = %self.origin, "an upstream address is back");
    }
}
