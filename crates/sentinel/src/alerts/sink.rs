//! Lets the alerts see every record as it is kept. It runs on the spool's thread, for which refused clients wait: it adds up, and asks nobody.

use std::sync::{Arc, Mutex, PoisonError};

use sentinel_alerts::watch::Tally;
use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptWatch;
use tokio::sync::mpsc;

use super::silence::{Asked, Candidate};

/// Sees records for two.
pub(super) struct AlertsWatch {
    tally: Arc<Tally>,
    /// Which keys were looked into lately.
    asked: Mutex<Asked>,
    candidates: mpsc::Sender<Candidate>,
}

impl AlertsWatch {
    pub(super) fn new(tally: Arc<Tally>, candidates: mpsc::Sender<Candidate>) -> Self {
        Self {
            tally,
            asked: Mutex::default(),
            candidates,
        }
    }
}

impl InterceptWatch for AlertsWatch {
    fn saw(&self, intercepts: &[Intercept]) {
        self.tally.saw(intercepts);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for candidate in intercepts.iter().filter_map(Candidate::of) {
            // When there is no room, the key's next refusal brings it again.
            if asked.may_ask(candidate)
                && let Err(error) = self.candidates.try_send(candidate)
            {
                asked.forget(error.into_inner());
            }
        }
    }
}
