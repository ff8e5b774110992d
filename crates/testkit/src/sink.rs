//! A sink that keeps every intercept in memory, and settles it at once or when the test says so.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use sentinel_core::event::Intercept;
use sentinel_core::ports::{InterceptSink, RecordTicket};
use tokio::sync::watch;

use crate::wait::bounded;

/// Keeps what is recorded, in order. Share it as `Arc<MemorySink>`.
#[derive(Debug, Default)]
pub struct MemorySink {
    intercepts: watch::Sender<Vec<Intercept>>,
    /// Settled by hand, and up to where; by itself when none.
    settling: Option<Mutex<Settling>>,
}

#[derive(Debug, Default)]
struct Settling {
    settled: u64,
    /// All that was recorded is settled as soon as somebody waits for it.
    by_waiting: bool,
    wakers: Vec<Waker>,
}

impl MemorySink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty sink in which nothing is settled before [`MemorySink::settle`].
    pub fn unsettled() -> Self {
        Self {
            settling: Some(Mutex::default()),
            ..Self::default()
        }
    }

    /// An empty sink in which everything is settled when somebody waits for it, and not before.
    pub fn settled_by_waiting() -> Self {
        let settling = Settling {
            by_waiting: true,
            ..Settling::default()
        };
        Self {
            settling: Some(Mutex::new(settling)),
            ..Self::default()
        }
    }

    /// Settles the first `count` records.
    pub fn settle(&self, count: u64) {
        let settling = self.settling.as_ref().expect("this sink settles by itself");
        let mut settling = settling.lock().unwrap_or_else(PoisonError::into_inner);
        settling.settled = count;
        settling.wakers.drain(..).for_each(Waker::wake);
    }

    /// What was recorded so far.
    pub fn intercepts(&self) -> Vec<Intercept> {
        self.intercepts.borrow().clone()
    }

    /// Waits until at least `count` were recorded and gives all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Intercept> {
        let mut changes = self.intercepts.subscribe();
        let what = format!("{count} intercepts");
        bounded(&what, changes.wait_for(|intercepts| intercepts.len() >= count))
            .await
            .expect("the sink holds the sender")
            .clone()
    }
}

impl InterceptSink for MemorySink {
    fn record(&self, intercept: Intercept) -> RecordTicket {
        let mut ticket = 0;
        self.intercepts.send_modify(|intercepts| {
            intercepts.push(intercept);
            ticket = intercepts.len() as u64;
        });
        RecordTicket(ticket)
    }

    fn settled(&self) -> RecordTicket {
        RecordTicket(match &self.settling {
            Some(settling) => settling.lock().unwrap_or_else(PoisonError::into_inner).settled,
            None => u64::MAX,
        })
    }

    fn wake_beyond(&self, seen: RecordTicket, waker: &Waker) {
        let Some(settling) = &self.settling else {
            return;
        };
        let mut settling = settling.lock().unwrap_or_else(PoisonError::into_inner);
        if settling.by_waiting {
            settling.settled = self.intercepts.borrow().len() as u64;
        }
        if settling.settled > seen.0 {
            waker.wake_by_ref();
        } else {
            settling.wakers.push(waker.clone());
        }
    }
}
