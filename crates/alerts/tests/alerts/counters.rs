//! Counts that replicas in one process share. They never move out of their window: the tests are shorter than any.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_alerts::watch::MakeCounters;
use sentinel_core::counting::{Count, WindowCounters};
use sentinel_core::ports::StoreError;

#[derive(Default)]
pub(crate) struct SharedCounters(Mutex<HashMap<(Duration, String), u64>>);

impl SharedCounters {
    pub(crate) fn maker(self: &Arc<Self>) -> MakeCounters {
        let shared = Arc::clone(self);
        Arc::new(move || Ok(Arc::new(OneWindow(Arc::clone(&shared)))))
    }
}

struct OneWindow(Arc<SharedCounters>);

#[async_trait]
impl WindowCounters for OneWindow {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        let mut counted = self.0.0.lock().expect("not poisoned");
        let answers = batch.into_iter().map(|Count { name, times }| {
            let count = counted.entry((window, name)).or_default();
            *count += times;
            *count
        });
        Ok(answers.collect())
    }
}
