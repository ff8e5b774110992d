//! The bounded queue between the cores and the writer, and the count of what was lost on the way.
//!
//! Recording never waits. A part of the queue is in reserve for records that name a key.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptSink;
use tokio::sync::mpsc;

use super::may_use_reserve;

/// The most records that wait to be written: some 30 MB.
pub(crate) const QUEUED_MAX: usize = 65_536;
/// So much of it only records that name a key may use. Cores that record at the same moment may take one place of it each.
pub(crate) const QUEUE_RESERVE: usize = QUEUED_MAX / 4;

/// Takes records from all cores.
pub(crate) struct InterceptQueue {
    sender: mpsc::Sender<Intercept>,
    lost: [AtomicU64; RefusalReason::ALL.len()],
    lost_ever: AtomicU64,
}

impl InterceptQueue {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Intercept>) {
        let (sender, receiver) = mpsc::channel(QUEUED_MAX);
        let queue = Self {
            sender,
            lost: Default::default(),
            lost_ever: AtomicU64::new(0),
        };
        (queue, receiver)
    }

    /// How many refused or observed requests went unrecorded since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_ever.load(Ordering::Relaxed)
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        QUEUED_MAX - self.sender.capacity()
    }

    /// Counts all requests that the record stands for as lost.
    pub(super) fn count_lost(&self, intercept: &Intercept) {
        let count = u64::from(intercept.count);
        self.lost[intercept.reason as usize].fetch_add(count, Ordering::Relaxed);
        self.lost_ever.fetch_add(count, Ordering::Relaxed);
    }

    /// What was lost since the last call, in words; none when nothing was.
    pub(super) fn take_lost(&self) -> Option<String> {
        let mut words = String::new();
        for (reason, lost) in RefusalReason::ALL.iter().zip(&self.lost) {
            let count = lost.swap(0, Ordering::Relaxed);
            if count > 0 {
                let separator = if words.is_empty() { "" } else { ", " };
                let _ = write!(words, "{separator}{} {count}", reason.code());
            }
        }
        (!words.is_empty()).then_some(words)
    }
}

impl InterceptSink for InterceptQueue {
    fn record(&self, intercept: Intercept) {
        if !may_use_reserve(intercept.reason) && self.sender.capacity() <= QUEUE_RESERVE {
            self.count_lost(&intercept);
        } else if let Err(error) = self.sender.try_send(intercept) {
            self.count_lost(&error.into_inner());
        }
    }
}
