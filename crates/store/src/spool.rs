//! The record spool: what the data plane records is kept here, on this machine's disk, before a refused client has its answer, and goes on
//! to the store from here.
//!
//! ```text
//! workers → bounded queue → one thread: fold, one write(2) → segments → reader → store
//!              ↑ settled ──────────────┘        ↑                └ mark ┐
//!              └ no room: counted ──────────→ ledger ←─────────────────┘
//! ```
//!
//! What is settled has been handed to the kernel, so it survives `kill -9`; it is on the disk within [`SYNC_INTERVAL`], so a loss of power
//! takes at most that much. Nothing is ever left out silently: what has no room, because the store was away for so long or the disk is full,
//! is counted in the ledger, which needs no further room, and becomes rows when there is room again. What is there already stays.

mod entry;
mod fold;
mod folder;
mod frame;
mod inbox;
mod ledger;
mod log;
mod overflow;
mod reader;
mod shared;
mod writer;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::ports::{InterceptSink, InterceptWatch, RecordTicket};
use sentinel_core::time::Clock;

use entry::Entry;
use folder::{Folder, read_at};
use frame::{HEAD_BYTES, Look};
use inbox::Inbox;
use ledger::Ledger;
use log::Log;
use shared::Shared;
use writer::Writer;

pub use fold::{
    ADDRESS_GROUPS_MAX, BINDING_GROUPS_MAX, CHEAP_GROUPS_MAX, FOLD_WHOLE_MAX, GROUPS_MAX, SECOND_WHOLE_MAX,
};
pub use frame::PAYLOAD_BYTES_MAX;
pub use inbox::{QUEUE_RESERVE, QUEUED_MAX};
pub use reader::{SpoolBatch, SpoolReader};
pub use writer::ROUND;

/// How often what was written is brought to the disk.
pub const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// The longest that a segment becomes before another one is begun, the last batch aside; of a small spool a sixteenth.
pub const SEGMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The smallest spool.
pub const SPOOL_BYTES_MIN: u64 = 1024 * 1024;
/// So much longer it may become in order to end rows that are open.
const BYTES_RESERVE: u64 = 64 * 1024;
const SEGMENTS_MIN: u64 = 16;

/// Whether records of this reason may use what is held in reserve: they name a key that somebody holds, and nobody without such a key can
/// make them.
const fn is_of_known_key(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::KeyIpMismatch | RefusalReason::KeyBanned)
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    segment: u64,
    offset: u64,
}

/// How a spool is opened.
#[derive(Clone)]
pub struct SpoolOptions {
    /// How many bytes it may have.
    pub bytes_max: u64,
    /// The profile by which requests are read.
    pub profile: String,
    /// The name of this replica.
    pub replica: String,
    /// Says when a second is over.
    pub clock: Arc<dyn Clock>,
    /// Sees every record, if there is one.
    pub watch: Option<Arc<dyn InterceptWatch>>,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or written.
    #[error("{path}: records of refused requests cannot be kept there: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{path}: another process keeps its records there; each replica needs a data folder of its own")]
    InUse {
        /// Which one.
        path: PathBuf,
    },
}

/// What a spool counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolFigures {
    /// Records that wait to be kept.
    pub waiting: u64,
    /// How long the log is.
    pub bytes: u64,
    /// Requests that were only counted since the start.
    pub overflowed: u64,
    /// Bytes of the log that could not be read.
    pub damaged_bytes: u64,
    /// Writes that failed.
    pub failures: u64,
}

/// A spool that takes records.
pub struct Spool {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: File,
}

#[derive(Default)]
struct Stop {
    is_said: Mutex<bool>,
    said: Condvar,
}

impl Spool {
    /// Opens the spool in this folder, makes it where there is none, and looks after what an earlier process left there. Blocks.
    pub fn open(path: &Path, options: SpoolOptions) -> Result<(Self, SpoolReader), SpoolError> {
        Self::open_in(Folder::new(path), options)
    }

    fn open_in(folder: Folder, options: SpoolOptions) -> Result<(Self, SpoolReader), SpoolError> {
        let path = folder.path().to_owned();
        let wrong = |source| SpoolError::Folder {
            path: path.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(wrong)?;
        let lock = lock(&path)?;
        let Prepared {
            inbox,
            shared,
            writer,
        } = prepare(&folder, options).map_err(wrong)?;
        let stop = Arc::<Stop>::default();
        let (syncing, stopping) = ((folder.clone(), Arc::clone(&shared)), Arc::clone(&stop));
        let threads = vec![
            spawn("record-spool", move || writer.run()).map_err(wrong)?,
            spawn("record-sync", move || {
                keep_synced(&syncing.0, &syncing.1, &stopping);
            })
            .map_err(wrong)?,
        ];
        let reader = SpoolReader::new(folder, Arc::clone(&shared));
        let spool = Self {
            inbox,
            shared,
            stop,
            threads: Mutex::new(threads),
            _lock: lock,
        };
        Ok((spool, reader))
    }

    /// What it counts.
    pub fn figures(&self) -> SpoolFigures {
        self.shared.figures(self.inbox.waiting(), self.inbox.overflowed())
    }

    /// Keeps all that was recorded, brings it to the disk and ends. Nothing may be recorded any more when this is called. Blocks; a second
    /// call does nothing.
    pub fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.inbox.close();
        for (index, thread) in threads.drain(..).enumerate() {
            if index > 0 {
                *self.stop.is_said.lock().unwrap_or_else(PoisonError::into_inner) = true;
                self.stop.said.notify_all();
            }
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl InterceptSink for Spool {
    fn record(&self, intercept: Intercept) -> RecordTicket {
        self.inbox.record(intercept)
    }

    fn settled(&self) -> RecordTicket {
        self.inbox.settled()
    }

    fn wake_beyond(&self, seen: RecordTicket, waker: &std::task::Waker) {
        self.inbox.wake_beyond(seen, waker);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.close();
    }
}

/// A spool without its threads.
struct Prepared {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    writer: Writer,
}

fn prepare(folder: &Folder, options: SpoolOptions) -> io::Result<Prepared> {
    let (ledger, is_damaged) = Ledger::open(&folder.path().join("ledger"))?;
    if is_damaged {
        tracing::error!(
            "the record spool's ledger cannot be read: records are written again, which changes nothing, but how many were only counted is not known"
        );
    }
    let found = recover(folder, ledger.content().mark)?;
    // What is found is over: this process begins a segment of its own.
    let next = Position {
        segment: found.tail.segment + 1,
        offset: 0,
    };
    let shared = Arc::new(Shared::new(ledger, next, found.bytes));
    let inbox = Arc::<Inbox>::default();
    let session = Entry::Session {
        profile: options.profile,
        replica: options.replica,
    };
    let bytes_max = options.bytes_max.max(SPOOL_BYTES_MIN);
    let log = Log::new(
        folder.clone(),
        Arc::clone(&shared),
        session,
        next.segment,
        bytes_max,
        (bytes_max / SEGMENTS_MIN).min(SEGMENT_BYTES_MAX),
    );
    let watched = (options.clock, options.watch);
    let writer = Writer::new(Arc::clone(&inbox), Arc::clone(&shared), watched, log);
    Ok(Prepared {
        inbox,
        shared,
        writer,
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Locked as long as this process lives, however it ends.
fn lock(path: &Path) -> Result<File, SpoolError> {
    let wrong = |source| SpoolError::Folder {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join("lock"))
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SpoolError::InUse {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

/// What an earlier process left.
struct Found {
    tail: Position,
    bytes: u64,
}

/// Removes the segments that the store has, and cuts what was begun at the end of the last one and not completed: nobody was told that it
/// is kept.
fn recover(folder: &Folder, mark: Position) -> io::Result<Found> {
    let mut found = Found { tail: mark, bytes: 0 };
    let segments = folder.segments()?;
    let last = segments.last().copied();
    for number in segments {
        let length = folder.length(number)?;
        let end = Position {
            segment: number,
            offset: length,
        };
        if end <= mark {
            folder.remove(number)?;
            continue;
        }
        found.tail = found.tail.max(end);
        found.bytes += length;
        if Some(number) == last {
            let whole = whole_bytes(folder, number)?;
            if whole < length {
                tracing::warn!(
                    bytes = length - whole,
                    "the record spool ends with a record that was not completed"
                );
                folder.cut(number, whole)?;
                found.tail.offset = whole;
                found.bytes -= length - whole;
            }
        }
    }
    Ok(found)
}

/// Where the last whole entry of a segment ends. Something damaged in between stays: the reader passes over it, and says so.
fn whole_bytes(folder: &Folder, number: u64) -> io::Result<u64> {
    let bytes = read_at(
        &folder.open(number)?,
        0,
        usize::try_from(folder.length(number)?).unwrap_or(usize::MAX),
    )?;
    let mut at = if bytes.starts_with(&folder::MAGIC) {
        folder::MAGIC.len()
    } else {
        0
    };
    let mut end = at;
    while at < bytes.len() {
        if let Look::Whole(payload) = frame::look(&bytes[at..]) {
            at += HEAD_BYTES + payload.len();
            end = at;
        } else if let Some(next) = frame::next_whole(&bytes[at + 1..]) {
            at += 1 + next;
        } else {
            break;
        }
    }
    Ok(end as u64)
}

/// Brings what was written to the disk, again and again until the end, and once more then.
fn keep_synced(folder: &Folder, shared: &Shared, stop: &Stop) {
    loop {
        let is_said = stop.is_said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = stop
            .said
            .wait_timeout_while(is_said, SYNC_INTERVAL, |is_said| !*is_said);
        let is_said = *waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Err(error) = shared.sync(folder) {
            tracing::error!(%error, "the record spool could not be brought to the disk");
        }
        if is_said {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
