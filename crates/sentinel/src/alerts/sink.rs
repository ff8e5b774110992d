//! Lets the alerts see every record on its way to the audit log. It runs on the cores, for refused requests alone: one copy, and no wait.

use std::sync::Arc;
use std::task::Waker;

use sentinel_alerts::watch::{Signal, SignalQueue};
use sentinel_core::event::Intercept;
use sentinel_core::ports::{InterceptSink, RecordTicket};
use tokio::sync::mpsc;

use super::silence::Candidate;

/// Takes records for two.
pub(super) struct WatchedSink {
    inner: Arc<dyn InterceptSink>,
    signals: Arc<SignalQueue>,
    candidates: mpsc::Sender<Candidate>,
}

impl WatchedSink {
    pub(super) fn new(
        inner: Arc<dyn InterceptSink>,
        signals: Arc<SignalQueue>,
        candidates: mpsc::Sender<Candidate>,
    ) -> Self {
        Self {
            inner,
            signals,
            candidates,
        }
    }
}

impl InterceptSink for WatchedSink {
    fn record(&self, intercept: Intercept) -> RecordTicket {
        if let Some(candidate) = Candidate::of(&intercept) {
            // When there is no room, the key's next refusal is one, too.
            let _ = self.candidates.try_send(candidate);
        }
        self.signals.put(Signal::Seen(Box::new(intercept.clone())));
        self.inner.record(intercept)
    }

    fn settled(&self) -> RecordTicket {
        self.inner.settled()
    }

    fn wake_beyond(&self, seen: RecordTicket, waker: &Waker) {
        self.inner.wake_beyond(seen, waker);
    }
}
