//! The end of the log that is read: entries in order, open rows put together, and the mark of what the store has.
//!
//! The same log gives the same rows, with the same references, wherever reading begins anew: the mark never stands in the middle of an open
//! row, and the store passes over what it has already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sentinel_core::event::Intercept;

use super::Position;
use super::entry::{Added, Entry};
use super::folder::{Folder, MAGIC, read_at};
use super::frame::{self, FRAME_BYTES_MAX, HEAD_BYTES, Look};
use super::shared::Shared;

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * FRAME_BYTES_MAX;

/// Reads the log. There is one reader.
pub struct SpoolReader {
    folder: Folder,
    shared: Arc<Shared>,
    at: Position,
    /// The last place at which no row was open.
    clean: Position,
    segment: Option<Segment>,
    open: BTreeMap<u32, Intercept>,
}

/// The segment that is read.
struct Segment {
    number: u64,
    file: File,
    profile: Arc<str>,
    replica: Arc<str>,
}

/// What was read.
#[derive(Debug)]
pub struct SpoolBatch {
    /// To be written to the store, all of them.
    pub rows: Vec<Intercept>,
    /// To be told to [`SpoolReader::commit`] then.
    pub mark: Position,
    /// So many bytes could not be read.
    pub damaged_bytes: u64,
    /// All that is in the log was read.
    pub is_end: bool,
}

impl SpoolReader {
    pub(super) fn new(folder: Folder, shared: Arc<Shared>) -> Self {
        let at = shared.ledger().content().mark;
        Self {
            folder,
            shared,
            at,
            clean: at,
            segment: None,
            open: BTreeMap::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Returns when there may be more to read, or when the spool has ended.
    pub async fn more(&self) {
        self.shared.more.notified().await;
    }

    /// Whether nothing is written any more.
    pub fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Acquire)
    }

    /// Reads on, until there are so many rows or the log ends; the end of a second may bring more. Blocks for the disk.
    pub fn read(&mut self, rows_max: usize) -> io::Result<SpoolBatch> {
        let mut batch = SpoolBatch {
            rows: Vec::new(),
            mark: self.clean,
            damaged_bytes: 0,
            is_end: false,
        };
        while batch.rows.len() < rows_max {
            if !self.read_chunk(&mut batch, rows_max)? {
                batch.is_end = true;
                break;
            }
        }
        self.shared
            .figures
            .damaged_bytes
            .fetch_add(batch.damaged_bytes, Ordering::Relaxed);
        batch.mark = self.clean;
        Ok(batch)
    }

    /// Notes that the store has all before the mark, and removes the segments that nobody needs any more. Blocks for the disk.
    pub fn commit(&mut self, mark: Position) -> io::Result<()> {
        if self.shared.ledger().content().mark == mark {
            return Ok(());
        }
        let noted = self.shared.ledger().change(|content| content.mark = mark);
        for number in self.folder.segments()? {
            if number >= mark.segment {
                break;
            }
            let length = self.folder.length(number)?;
            self.folder.remove(number)?;
            self.shared.removed(length);
        }
        noted
    }

    /// Reads a piece of the log; false at its end.
    fn read_chunk(&mut self, batch: &mut SpoolBatch, rows_max: usize) -> io::Result<bool> {
        let tail = self.shared.tail();
        if self
            .segment
            .as_ref()
            .is_none_or(|segment| segment.number != self.at.segment)
            && !self.open_segment(tail)?
        {
            return Ok(false);
        }
        let Some(segment) = &self.segment else {
            return Ok(false);
        };
        let end = if segment.number == tail.segment {
            tail.offset
        } else {
            segment.file.metadata()?.len()
        };
        if self.at.offset >= end {
            if segment.number >= tail.segment {
                return Ok(false);
            }
            self.pass_to_next(&mut batch.rows);
            return Ok(true);
        }
        let left = end - self.at.offset;
        let wanted = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let bytes = read_at(&segment.file, self.at.offset, wanted)?;
        // A file that is shorter than it was is taken as if it ended there.
        let is_last = bytes.len() as u64 == left || bytes.len() < wanted;
        self.take(&bytes, is_last, batch, rows_max);
        if bytes.len() < wanted {
            batch.damaged_bytes += (wanted - bytes.len()) as u64;
            self.at.offset = end;
        }
        Ok(true)
    }

    /// Leaves the segment; with it its open rows are complete.
    fn pass_to_next(&mut self, rows: &mut Vec<Intercept>) {
        rows.extend(std::mem::take(&mut self.open).into_values());
        self.segment = None;
        self.at = Position {
            segment: self.at.segment + 1,
            offset: 0,
        };
        self.clean = self.at;
    }

    /// Opens the segment at which reading is, or the next one that is there. False when there is none.
    fn open_segment(&mut self, tail: Position) -> io::Result<bool> {
        let there = self.folder.segments()?;
        let Some(number) = there
            .into_iter()
            .find(|number| *number >= self.at.segment && (*number < tail.segment || tail.offset > 0))
            .filter(|number| *number <= tail.segment)
        else {
            return Ok(false);
        };
        if number != self.at.segment {
            self.at = Position {
                segment: number,
                offset: 0,
            };
        }
        let file = self.folder.open(number)?;
        let head = read_at(&file, 0, MAGIC.len() + FRAME_BYTES_MAX)?;
        let mut segment = Segment {
            number,
            file,
            profile: Arc::default(),
            replica: Arc::default(),
        };
        if let Some(rest) = head.strip_prefix(&MAGIC)
            && let Look::Whole(payload) = frame::look(rest)
            && let Some(Entry::Session { profile, replica }) = Entry::read(payload)
        {
            segment.profile = profile.into();
            segment.replica = replica.into();
        }
        if self.at.offset == 0 && head.starts_with(&MAGIC) {
            self.at.offset = MAGIC.len() as u64;
        }
        self.segment = Some(segment);
        Ok(true)
    }

    /// Takes the entries that begin in these bytes, up to so many rows. `is_last`: whether the segment ends with them.
    fn take(&mut self, bytes: &[u8], is_last: bool, batch: &mut SpoolBatch, rows_max: usize) {
        let mut rest = bytes;
        while !rest.is_empty() && batch.rows.len() < rows_max {
            let passed = match frame::look(rest) {
                Look::Whole(payload) => {
                    let length = HEAD_BYTES + payload.len();
                    match Entry::read(payload) {
                        Some(entry) => self.apply(entry, &mut batch.rows),
                        None => batch.damaged_bytes += length as u64,
                    }
                    length
                }
                // The rest of it comes with the next piece.
                Look::Cut if !is_last => return,
                Look::Cut | Look::Damaged => {
                    let behind = frame::next_whole(&rest[1..]).map(|next| next + 1);
                    let kept = if is_last { 0 } else { FRAME_BYTES_MAX };
                    let passed = behind.unwrap_or_else(|| rest.len().saturating_sub(kept).max(1));
                    batch.damaged_bytes += passed as u64;
                    passed
                }
            };
            rest = &rest[passed..];
            self.at.offset += passed as u64;
            if self.open.is_empty() {
                self.clean = self.at;
            }
        }
    }

    fn apply(&mut self, entry: Entry, rows: &mut Vec<Intercept>) {
        match entry {
            Entry::Session { .. } => {}
            Entry::Whole(intercept) => rows.push(self.signed(intercept)),
            Entry::Opens(slot, intercept) => {
                let intercept = self.signed(intercept);
                // There is one already only if something was damaged in between.
                rows.extend(self.open.insert(slot, intercept));
            }
            Entry::Adds(added) => self.add(added),
            Entry::Ends => rows.extend(std::mem::take(&mut self.open).into_values()),
        }
    }

    fn add(&mut self, added: Added) {
        // Without its beginning, which was damaged then, it cannot be told what it was added to.
        if let Some(row) = self.open.get_mut(&added.slot) {
            row.count = row.count.saturating_add(added.count);
            row.last_at = row.last_at.max(added.last_at);
            if added.is_mixed {
                (row.fingerprint, row.hint) = (None, None);
            }
        }
    }

    fn signed(&self, mut intercept: Intercept) -> Intercept {
        if let Some(segment) = &self.segment {
            intercept.profile = Arc::clone(&segment.profile);
            intercept.replica = Arc::clone(&segment.replica);
        }
        intercept
    }
}
