//! Tells the service manager (systemd, by sd_notify) when the server serves, that it lives, and that it stops. Without one it does nothing.
//!
//! It must never keep the server from serving: what cannot be told is logged.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// So many signs of life are given within the time after which the service manager takes the process for hung.
const SIGNS_PER_TIMEOUT: u32 = 3;
/// The shortest pause between two signs of life.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Signs of life from the runtime beside the cores. They end with this value.
pub(crate) struct Watchdog(JoinHandle<()>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Both listeners are there. Gives signs of life from now on, if the service manager wants any.
pub(crate) fn serving() -> Option<Watchdog> {
    tell(NotifyState::Ready);
    let timeout = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero())?;
    let mut pauses = tokio::time::interval((timeout / SIGNS_PER_TIMEOUT).max(PAUSE_MIN));
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(Watchdog(tokio::spawn(async move {
        loop {
            pauses.tick().await;
            tell(NotifyState::Watchdog);
        }
    })))
}

/// Requests under way may finish, and then the process ends.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager cannot be told how the server is: {error}");
    }
}
