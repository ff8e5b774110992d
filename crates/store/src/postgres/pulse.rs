//! Whether PostgreSQL answers at all: once it has fallen silent, work fails at once instead of waiting its turn in vain, until it is heard
//! from again.
//!
//! Must never take a server that is busy for one that is away: as long as any session gets any answer, it is there, and before it counts
//! as away it is asked once more, on a connection of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// How long work of a request waits while no session hears anything; then the server counts as away.
pub(super) const SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// How long it has to answer when it is in doubt: so short that whoever waits for a session in vain still hears of it in time.
pub(super) const PROOF_WAIT_MAX: Duration = Duration::from_millis(500);
/// Between the first two attempts to hear from a server that is away; the pause doubles with every failed one.
pub(super) const PROOF_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to hear from a server that is away.
pub(super) const PROOF_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What all sessions of one store know together.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    state: Mutex<State>,
    /// Held by the one who asks when the server is in doubt.
    pub(super) asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    heard_at: Option<Instant>,
    /// Why it counts as away.
    away: Option<String>,
}

impl Pulse {
    /// The server answered, whatever it said.
    pub(super) fn heard(&self) {
        let mut state = self.state();
        state.heard_at = Some(Instant::now());
        state.away = None;
    }

    /// Whether nothing was heard from then on.
    pub(super) fn is_silent_since(&self, then: Instant) -> bool {
        self.state().heard_at.is_none_or(|heard_at| heard_at < then)
    }

    /// The server counts as away from here on; true when it did not before.
    pub(super) fn lost(&self, cause: String) -> bool {
        self.state().away.replace(cause).is_none()
    }

    /// Another word of why, unless it was heard from meanwhile.
    pub(super) fn still_lost(&self, cause: String) {
        if let Some(said) = &mut self.state().away {
            *said = cause;
        }
    }

    /// Whether the server counts as away.
    pub(super) fn is_lost(&self) -> bool {
        self.state().away.is_some()
    }

    /// Fails while the server counts as away.
    pub(super) fn present(&self) -> Result<(), Failure> {
        match &self.state().away {
            Some(cause) => Err(Failure::unavailable(cause.clone())),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_is_away_until_it_is_heard_from() {
        let pulse = Pulse::default();
        let begun = Instant::now();
        assert!(pulse.is_silent_since(begun) && pulse.present().is_ok());
        tokio::time::advance(SILENCE_MAX).await;
        pulse.heard();
        assert!(!pulse.is_silent_since(begun));
        assert!(pulse.lost("silent".to_owned()), "it is news");
        assert!(!pulse.lost("still silent".to_owned()), "it is none any more");
        assert!(pulse.is_lost() && pulse.present().is_err());
        pulse.heard();
        pulse.still_lost("too late".to_owned());
        assert!(!pulse.is_lost() && pulse.present().is_ok());
    }

    #[test]
    fn doubt_is_settled_before_callers_give_up() {
        assert!(super::super::POOL_WAIT_MAX + PROOF_WAIT_MAX <= SILENCE_MAX);
        assert!(PROOF_PAUSE_MIN < PROOF_PAUSE_MAX);
    }
}
