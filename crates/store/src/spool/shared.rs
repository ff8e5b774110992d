//! What the spool's threads and its reader have in common: how far the log goes, how long it is, what has yet to reach the disk, and the
//! ledger.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::folder::{Folder, Medium};
use super::ledger::Ledger;
use super::{Position, SpoolFigures};

pub(super) struct Shared {
    /// The end of what is written.
    tail: Mutex<Position>,
    bytes: AtomicU64,
    /// Written since they were last on the disk.
    unsynced: Mutex<Unsynced>,
    ledger: Mutex<Ledger>,
    /// For the reader: there is more.
    pub(super) more: Notify,
    /// The spool's thread has ended.
    pub(super) is_over: AtomicBool,
    pub(super) figures: Counts,
}

/// Counted since the start.
#[derive(Default)]
pub(super) struct Counts {
    /// Requests that have no record because the log had no room, or could not be written.
    pub(super) overflowed: AtomicU64,
    /// Bytes of the log that cannot be read.
    pub(super) damaged_bytes: AtomicU64,
    /// Writes of the log that failed.
    pub(super) failures: AtomicU64,
}

#[derive(Default)]
struct Unsynced {
    media: Vec<Arc<dyn Medium>>,
    current: Option<Arc<dyn Medium>>,
    is_current_dirty: bool,
    has_new: bool,
}

impl Shared {
    pub(super) fn new(ledger: Ledger, tail: Position, bytes: u64) -> Self {
        Self {
            tail: Mutex::new(tail),
            bytes: AtomicU64::new(bytes),
            unsynced: Mutex::default(),
            ledger: Mutex::new(ledger),
            more: Notify::new(),
            is_over: AtomicBool::new(false),
            figures: Counts::default(),
        }
    }

    pub(super) fn tail(&self) -> Position {
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long all segments are together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment was begun; it has so many bytes already.
    pub(super) fn begun(&self, medium: Arc<dyn Medium>, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut unsynced = self.lock_unsynced();
        unsynced.current = Some(medium);
        unsynced.is_current_dirty = true;
        unsynced.has_new = true;
    }

    /// So many bytes were written up to there.
    pub(super) fn appended(&self, tail: Position, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.lock_unsynced().is_current_dirty = true;
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail;
    }

    /// So many bytes are in a segment that belong to nothing.
    pub(super) fn left_behind(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Nothing more comes before this place. The segment's file is let go once it is on the disk: until then its room is not given back.
    pub(super) fn sealed(&self, tail: Position) {
        {
            let mut unsynced = self.lock_unsynced();
            let current = unsynced.current.take();
            if std::mem::take(&mut unsynced.is_current_dirty) {
                unsynced.media.extend(current);
            }
        }
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail;
    }

    /// A segment of so many bytes is gone.
    pub(super) fn removed(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Brings to the disk what is not there yet.
    pub(super) fn sync(&self, folder: &Folder) -> io::Result<()> {
        let (mut media, has_new) = {
            let mut unsynced = self.lock_unsynced();
            let mut media = std::mem::take(&mut unsynced.media);
            if std::mem::take(&mut unsynced.is_current_dirty) {
                media.extend(unsynced.current.clone());
            }
            (media, std::mem::take(&mut unsynced.has_new))
        };
        let mut outcome = Ok(());
        for medium in media.drain(..) {
            outcome = outcome.and(medium.sync());
        }
        if has_new {
            outcome = outcome.and(folder.sync());
        }
        // Not under the lock: whoever needs the ledger must not wait for the disk.
        let ledger = self.ledger().unsynced();
        outcome.and(ledger.and_then(|file| file.map_or(Ok(()), |file| file.sync_data())))
    }

    pub(super) fn figures(&self, waiting: usize, without_room: u64) -> SpoolFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SpoolFigures {
            waiting: waiting as u64,
            bytes: self.bytes(),
            overflowed: read(&self.figures.overflowed) + without_room,
            damaged_bytes: read(&self.figures.damaged_bytes),
            failures: read(&self.figures.failures),
        }
    }

    fn lock_unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
