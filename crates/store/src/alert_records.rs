//! What both stores of alerts have in common: how an alert is written down, and what a transition makes of it. Must never ask a store.

use sentinel_core::alert::ports::{ALERT_PAGE_MAX, Transition, Transitioned};
use sentinel_core::alert::{Alert, AlertId, AlertState, ChannelId};
use sentinel_core::time::Timestamp;

/// An alert as it is written down.
pub(crate) fn written(alert: &Alert) -> String {
    serde_json::to_string(alert).expect("texts, numbers and lists can be written as JSON")
}

/// What was written down; none when it is no alert.
pub(crate) fn read(record: &str) -> Option<Alert> {
    serde_json::from_str(record).ok()
}

/// How many rows a page with this `limit` holds at most.
pub(crate) fn page_rows(limit: u32) -> u32 {
    limit.min(ALERT_PAGE_MAX)
}

/// Each channel once, in their order.
pub(crate) fn different(channels: &[ChannelId]) -> Vec<&str> {
    let mut different: Vec<&str> = Vec::with_capacity(channels.len());
    for channel in channels {
        if !different.contains(&channel.as_str()) {
            different.push(channel.as_str());
        }
    }
    different
}

/// A wish to advance an alert.
pub(crate) struct Advance {
    pub(crate) id: AlertId,
    sequence: u32,
    to: AlertState,
    at: Timestamp,
    replica: String,
}

/// A wanted transition, sorted by what decides it.
pub(crate) enum Wanted {
    Raise(Box<Alert>),
    Advance(Advance),
}

impl From<Transition> for Wanted {
    fn from(wanted: Transition) -> Self {
        match wanted {
            Transition::Raise(alert) => Self::Raise(alert),
            Transition::Advance {
                id,
                sequence,
                to,
                at,
                replica,
            } => Self::Advance(Advance {
                id,
                sequence,
                to,
                at,
                replica,
            }),
        }
    }
}

impl Advance {
    /// The alert after this transition; or who was first, when that is not what is stored.
    pub(crate) fn of(&self, stored: Option<&Alert>) -> Result<Alert, Transitioned> {
        match stored.filter(|stored| stored.state.is_open()) {
            None => Err(Transitioned::Lost(None)),
            Some(stored) if stored.sequence != self.sequence => {
                Err(Transitioned::Lost(Some(Box::new(stored.clone()))))
            }
            Some(stored) => Ok(stored.advanced(self.to, self.at, &self.replica)),
        }
    }
}
