//! A sink that keeps every intercept in memory.

use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptSink;
use tokio::sync::watch;

use crate::wait::bounded;

/// Keeps what is recorded, in order. Share it as `Arc<MemorySink>`.
#[derive(Debug, Default)]
pub struct MemorySink(watch::Sender<Vec<Intercept>>);

impl MemorySink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was recorded so far.
    pub fn intercepts(&self) -> Vec<Intercept> {
        self.0.borrow().clone()
    }

    /// Waits until at least `count` were recorded and gives all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Intercept> {
        let mut changes = self.0.subscribe();
        let what = format!("{count} intercepts");
        bounded(&what, changes.wait_for(|intercepts| intercepts.len() >= count))
            .await
            .expect("the sink holds the sender")
            .clone()
    }
}

impl InterceptSink for MemorySink {
    fn record(&self, intercept: Intercept) {
        self.0.send_modify(|intercepts| intercepts.push(intercept));
    }
}
