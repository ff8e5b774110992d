//! The spool's one thread: takes all that waits, folds it, writes it with one write, and settles all of it.
//!
//! It never waits for a store, and never for the disk. What cannot be written is counted in the ledger before it is settled; when there is
//! room again, the count becomes rows.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptWatch;
use sentinel_core::time::Clock;

use super::entry::Entry;
use super::fold::{Fold, Kept};
use super::inbox::{Inbox, Taken, emptied};
use super::log::Log;
use super::overflow::Overflow;
use super::shared::Shared;

/// How often seconds that are over are ended, and what was only counted is looked after.
pub const ROUND: Duration = Duration::from_secs(1);
/// The shortest time from one write to the next: what comes in between is written together. A refused client waits for it.
const GATHER: Duration = Duration::from_millis(1);

/// What became of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing was there.
    Quiet,
    /// Records were settled.
    Busy,
    /// All is settled, and nothing comes any more.
    Last,
}

pub(super) struct Writer {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    watch: Option<Arc<dyn InterceptWatch>>,
    log: Log,
    fold: Fold,
    /// Room for the next records.
    buffer: Vec<Intercept>,
    last_round: Instant,
    /// The last write failed.
    has_failed: bool,
    /// What was only counted, and why, since it was last said.
    unsaid: Overflow,
    last_error: Option<std::io::Error>,
}

impl Writer {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        shared: Arc<Shared>,
        (clock, watch): (Arc<dyn Clock>, Option<Arc<dyn InterceptWatch>>),
        log: Log,
    ) -> Self {
        Self {
            inbox,
            shared,
            clock,
            watch,
            log,
            fold: Fold::default(),
            buffer: Vec::new(),
            last_round: Instant::now(),
            has_failed: false,
            unsaid: Overflow::default(),
            last_error: None,
        }
    }

    /// Runs until the inbox is closed and all of it is settled.
    pub(super) fn run(mut self) {
        let _over = Over {
            inbox: Arc::clone(&self.inbox),
            shared: Arc::clone(&self.shared),
        };
        loop {
            match self.turn(ROUND) {
                Turn::Quiet => {}
                Turn::Busy => self.inbox.gather(GATHER),
                Turn::Last => return,
            }
        }
    }

    /// Waits so long for records, and settles those that are there.
    pub(super) fn turn(&mut self, wait: Duration) -> Turn {
        let Taken {
            mut records,
            overflow,
            ticket,
            is_closed,
        } = self.inbox.take(mem::take(&mut self.buffer), wait);
        let has_records = !records.is_empty();
        let is_round = self.last_round.elapsed() >= ROUND || is_closed;
        if self.has_failed {
            // What was only counted goes first as soon as there is room, or new records would fill it up again and again.
            let reported = self.report_overflow();
            self.note(reported);
        }
        if self.log.is_long() {
            self.log.seal();
            self.fold.close_rows();
            self.shared.more.notify_one();
        }
        if let Some(watch) = &self.watch {
            watch.saw(&records);
        }
        let mut entries = Vec::new();
        self.fold.begin_batch();
        for record in records.drain(..) {
            self.fold.take(record, &mut entries);
        }
        if is_closed {
            self.fold.end(&mut entries);
        } else if is_round {
            self.fold.pass_to(self.clock.now(), &mut entries);
        }
        self.keep(&entries, overflow);
        self.inbox.settle(ticket);
        self.buffer = emptied(records);
        if is_round {
            self.last_round = Instant::now();
            self.round();
        }
        match (is_closed, has_records) {
            (true, _) => Turn::Last,
            (false, true) => Turn::Busy,
            (false, false) => Turn::Quiet,
        }
    }

    /// Writes the entries; counts what could not be written, and what had no room in the inbox.
    fn keep(&mut self, entries: &[Kept], mut overflow: Overflow) {
        let appended = self.log.append(entries);
        if appended.error.is_some() || appended.left_out.len() < entries.len() {
            self.shared.more.notify_one();
        }
        let mut without_room = 0;
        for index in appended.left_out {
            let left_out = &entries[index];
            if let Entry::Opens(slot, _) = left_out.entry {
                self.fold.forget(slot);
            }
            if left_out.count > 0 {
                without_room += left_out.count;
                overflow.add(left_out.reason, left_out.outcome, left_out.count, left_out.at);
            }
        }
        self.shared
            .figures
            .overflowed
            .fetch_add(without_room, Ordering::Relaxed);
        if !entries.is_empty() {
            self.has_failed = appended.error.is_some();
        }
        if let Some(error) = appended.error {
            self.fold.close_rows();
            self.note(Err(error));
        }
        if !overflow.is_empty() {
            self.unsaid.merge(&overflow);
            let counted = self
                .shared
                .ledger()
                .change(|content| content.overflow.merge(&overflow));
            self.note(counted);
        }
    }

    /// Says what was only counted, and makes rows of it if there is room again.
    pub(super) fn round(&mut self) {
        let error = self.last_error.take();
        if !self.unsaid.is_empty() || error.is_some() {
            let error = error.map(|error| error.to_string());
            tracing::error!(
                counted = %self.unsaid.words(),
                error,
                "audit records have no room in the spool: they are counted until there is room again"
            );
            self.unsaid = Overflow::default();
        }
        let reported = self.report_overflow();
        self.note(reported);
    }

    /// Their number is fixed under references of its own first, so that they are the same rows however often they are written.
    fn report_overflow(&mut self) -> std::io::Result<()> {
        let rows = {
            let mut ledger = self.shared.ledger();
            ledger.write_again()?;
            if !self.log.has_room() {
                return Ok(());
            }
            if ledger.content().reporting.is_none() && !ledger.content().overflow.is_empty() {
                let mut id = [0; 16];
                getrandom::fill(&mut id)?;
                ledger.change(|content| {
                    content.reporting = Some((mem::take(&mut content.overflow), id));
                })?;
            }
            match &ledger.content().reporting {
                Some((overflow, id)) => overflow.rows(*id),
                None => return Ok(()),
            }
        };
        let entries: Vec<Kept> = rows.into_iter().map(|row| Kept::of(row, Entry::Whole)).collect();
        let appended = self.log.append(&entries);
        if let Some(error) = appended.error {
            self.fold.close_rows();
            return Err(error);
        }
        if appended.left_out.is_empty() {
            self.shared.ledger().change(|content| content.reporting = None)?;
            self.shared.more.notify_one();
        }
        Ok(())
    }

    fn note(&mut self, outcome: std::io::Result<()>) {
        if let Err(error) = outcome {
            self.shared.figures.failures.fetch_add(1, Ordering::Relaxed);
            self.last_error = Some(error);
        }
    }
}

/// Says that the thread has ended, however it ended.
struct Over {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.more.notify_one();
        // Nobody is to wait for what will never be.
        self.inbox.settle(u64::MAX);
    }
}
