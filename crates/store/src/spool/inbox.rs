//! The bounded queue between the cores and the spool's thread, and the way back: up to which record everything is settled.
//!
//! Recording never waits. What does not fit is counted, and its count is settled like a record. A part of the queue is in reserve for
//! records of keys that somebody holds, so that a flood that anybody can bring about does not crowd them out.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use sentinel_core::event::Intercept;
use sentinel_core::ports::{InterceptSink, RecordTicket};

use super::is_of_known_key;
use super::overflow::Overflow;

/// The most records that wait for the spool's thread: some 30 MB.
pub const QUEUED_MAX: usize = 65_536;
/// So much of it only records of known keys may use.
pub const QUEUE_RESERVE: usize = QUEUED_MAX / 4;
/// A buffer that has grown beyond this is given back after the burst.
const BUFFER_RECORDS_KEPT: usize = 4_096;

/// What waits, and what was taken at once.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) records: Vec<Intercept>,
    pub(super) overflow: Overflow,
    /// The last ticket.
    pub(super) ticket: u64,
    /// Nothing comes any more.
    pub(super) is_closed: bool,
}

#[derive(Default)]
struct Waiting {
    taken: Taken,
    /// The thread sleeps and has to be woken.
    is_idle: bool,
}

/// Takes records from all cores.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    settled: AtomicU64,
    overflowed: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl Inbox {
    /// How many records wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().taken.records.len()
    }

    /// How many requests had no room in it since the start.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Takes all that waits in exchange for an empty buffer; waits so long for the first.
    pub(super) fn take(&self, buffer: Vec<Intercept>, wait: Duration) -> Taken {
        let mut waiting = self.lock();
        let is_empty = |waiting: &Waiting| {
            waiting.taken.records.is_empty() && waiting.taken.overflow.is_empty() && !waiting.taken.is_closed
        };
        if is_empty(&waiting) {
            waiting.is_idle = true;
            let slept = self
                .arrived
                .wait_timeout_while(waiting, wait, |waiting| is_empty(waiting));
            waiting = slept.unwrap_or_else(PoisonError::into_inner).0;
            waiting.is_idle = false;
        }
        let next = Taken {
            records: buffer,
            overflow: Overflow::default(),
            ticket: waiting.taken.ticket,
            is_closed: waiting.taken.is_closed,
        };
        mem::replace(&mut waiting.taken, next)
    }

    /// Waits so long, or until it is closed: what comes meanwhile wakes nobody, and is taken together.
    pub(super) fn gather(&self, wait: Duration) {
        let waiting = self.lock();
        // Whatever this gives, the time is over.
        let _ = self
            .arrived
            .wait_timeout_while(waiting, wait, |waiting| !waiting.taken.is_closed);
    }

    /// Settles everything up to this ticket.
    pub(super) fn settle(&self, ticket: u64) {
        self.settled.store(ticket, Ordering::Release);
        let wakers = mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Nothing is recorded any more when this is called.
    pub(super) fn close(&self) {
        self.lock().taken.is_closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty buffer for the next ones, without the room that a burst needed.
pub(super) fn emptied(mut buffer: Vec<Intercept>) -> Vec<Intercept> {
    buffer.clear();
    buffer.shrink_to(BUFFER_RECORDS_KEPT);
    buffer
}

impl InterceptSink for Inbox {
    fn record(&self, intercept: Intercept) -> RecordTicket {
        let records_max = if is_of_known_key(intercept.reason) {
            QUEUED_MAX
        } else {
            QUEUED_MAX - QUEUE_RESERVE
        };
        let mut waiting = self.lock();
        let taken = &mut waiting.taken;
        taken.ticket += 1;
        let ticket = RecordTicket(taken.ticket);
        if taken.records.len() < records_max {
            taken.records.push(intercept);
        } else {
            let count = u64::from(intercept.count);
            taken
                .overflow
                .add(intercept.reason, intercept.outcome, count, intercept.at);
            self.overflowed.fetch_add(count, Ordering::Relaxed);
        }
        let is_idle = mem::take(&mut waiting.is_idle);
        drop(waiting);
        if is_idle {
            self.arrived.notify_one();
        }
        ticket
    }

    fn settled(&self) -> RecordTicket {
        RecordTicket(self.settled.load(Ordering::Acquire))
    }

    fn wake_beyond(&self, seen: RecordTicket, waker: &Waker) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever settles takes this lock afterwards: it sees the waker, or it is seen here.
        if self.settled() > seen {
            waker.wake_by_ref();
        } else if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests;
