//! Lets the alerts see every record on its way to the audit log. It runs on the cores, for refused requests alone: one copy, and no wait.

use std::sync::Arc;

use sentinel_alerts::watch::{Signal, SignalQueue};
use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptSink;

/// Takes records for two.
pub(super) struct WatchedSink {
    inner: Arc<dyn InterceptSink>,
    signals: Arc<SignalQueue>,
}

impl WatchedSink {
    pub(super) fn new(inner: Arc<dyn InterceptSink>, signals: Arc<SignalQueue>) -> Self {
        Self { inner, signals }
    }
}

impl InterceptSink for WatchedSink {
    fn record(&self, intercept: Intercept) {
        self.signals.put(Signal::Seen(Box::new(intercept.clone())));
        self.inner.record(intercept);
    }
}
