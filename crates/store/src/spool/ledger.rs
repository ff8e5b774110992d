//! The ledger beside the log: how far the log is written to the store, and how many requests have no record. One small file, made whole in
//! the beginning and changed in place, so that it can be written when the disk is full; two copies that take turns, so that a write that is
//! cut leaves the one before.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use sentinel_core::decision::RefusalReason;
use sentinel_core::event::InterceptOutcome;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Position;
use super::frame::{self, Look};
use super::overflow::Overflow;

/// The room of one copy.
const COPY_BYTES: usize = 4096;

/// What the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    generation: u64,
    /// All before it is in the store.
    pub(super) mark: Position,
    /// Requests without a record.
    pub(super) overflow: Overflow,
    /// Those of them that are becoming rows, under references made of this id; their number stays as it is until they are in the log.
    pub(super) reporting: Option<(Overflow, [u8; 16])>,
}

/// The open ledger.
pub(super) struct Ledger {
    file: File,
    content: Content,
    is_written: bool,
    is_unsynced: bool,
}

impl Ledger {
    /// Opens it, makes it where it is not there yet. Says whether it was there and could not be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, bool)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut bytes = vec![0; 2 * COPY_BYTES];
        let is_new = file.metadata()?.len() == 0;
        if file.metadata()?.len() < bytes.len() as u64 {
            // Zeros that are written have their place on the disk; a file that is only said to be so long has none.
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
        }
        file.read_exact_at(&mut bytes, 0)?;
        let copies = bytes.chunks(COPY_BYTES).filter_map(read);
        let newest = copies.max_by_key(|content| content.generation);
        let is_damaged = newest.is_none() && !is_new;
        let mut ledger = Self {
            file,
            content: newest.unwrap_or_default(),
            is_written: false,
            is_unsynced: false,
        };
        ledger.write()?;
        Ok((ledger, is_damaged))
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Makes a change and writes it. What could not be written is written with the next change, or by [`Ledger::write_again`].
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        change(&mut self.content);
        self.is_written = false;
        self.write()
    }

    /// Writes what could not be written before.
    pub(super) fn write_again(&mut self) -> io::Result<()> {
        if self.is_written { Ok(()) } else { self.write() }
    }

    /// The file, if something was written that may not be on the disk yet.
    pub(super) fn unsynced(&mut self) -> io::Result<Option<File>> {
        if !mem::take(&mut self.is_unsynced) {
            return Ok(None);
        }
        self.file.try_clone().map(Some)
    }

    fn write(&mut self) -> io::Result<()> {
        self.content.generation += 1;
        let mut bytes = Vec::with_capacity(COPY_BYTES);
        let fits = frame::add(&mut bytes, |out| write(&self.content, out));
        if !fits || bytes.len() > COPY_BYTES {
            return Err(io::Error::other("the ledger has outgrown its place"));
        }
        let place = self.content.generation % 2 * COPY_BYTES as u64;
        self.file.write_all_at(&bytes, place)?;
        self.is_written = true;
        self.is_unsynced = true;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Written<'w> {
    generation: u64,
    mark: (u64, u64),
    #[serde(borrow)]
    overflow: WrittenOverflow<'w>,
    reporting: Option<(WrittenOverflow<'w>, [u8; 16])>,
}

#[derive(Serialize, Deserialize)]
struct WrittenOverflow<'w> {
    #[serde(borrow)]
    counts: Vec<(&'w str, &'w str, u64)>,
    span_ms: (i64, i64),
}

impl From<&Overflow> for WrittenOverflow<'_> {
    fn from(overflow: &Overflow) -> Self {
        let (from, until) = overflow.span();
        Self {
            counts: overflow
                .kinds()
                .map(|((reason, outcome), count)| (reason.code(), outcome.as_str(), count))
                .collect(),
            span_ms: (from.unix_ms(), until.unix_ms()),
        }
    }
}

impl WrittenOverflow<'_> {
    fn read(&self) -> Option<Overflow> {
        let mut overflow = Overflow::default();
        for (reason, outcome, count) in &self.counts {
            let (reason, outcome) = (
                RefusalReason::from_code(reason)?,
                InterceptOutcome::from_word(outcome)?,
            );
            let (from, until) = self.span_ms;
            overflow.add(reason, outcome, *count, Timestamp::from_unix_ms(from));
            overflow.add(reason, outcome, 0, Timestamp::from_unix_ms(until));
        }
        Some(overflow)
    }
}

/// As JSON: it is small, and whoever looks into the folder can read it.
fn write(content: &Content, out: &mut Vec<u8>) {
    let written = Written {
        generation: content.generation,
        mark: (content.mark.segment, content.mark.offset),
        overflow: (&content.overflow).into(),
        reporting: content
            .reporting
            .as_ref()
            .map(|(overflow, id)| (overflow.into(), *id)),
    };
    serde_json::to_writer(out, &written).expect("numbers and words are always JSON");
}

fn read(copy: &[u8]) -> Option<Content> {
    let Look::Whole(payload) = frame::look(copy) else {
        return None;
    };
    let written: Written<'_> = serde_json::from_slice(payload).ok()?;
    let reporting = match &written.reporting {
        Some((overflow, id)) => Some((overflow.read()?, *id)),
        None => None,
    };
    Some(Content {
        generation: written.generation,
        mark: Position {
            segment: written.mark.0,
            offset: written.mark.1,
        },
        overflow: written.overflow.read()?,
        reporting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(segment: u64, offset: u64) -> Position {
        Position { segment, offset }
    }

    #[test]
    fn what_was_written_last_is_there_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        let (mut ledger, is_damaged) = Ledger::open(&path).expect("made");
        assert!(!is_damaged);
        let mut overflow = Overflow::default();
        for reason in RefusalReason::ALL {
            for outcome in [InterceptOutcome::Refused, InterceptOutcome::Observed] {
                overflow.add(reason, outcome, u64::MAX / 32, Timestamp::from_unix_ms(i64::MAX));
            }
        }
        ledger
            .change(|content| {
                content.mark = position(u64::MAX, u64::MAX);
                content.overflow = overflow.clone();
                content.reporting = Some((overflow, [255; 16]));
            })
            .expect("the largest content fits");
        let (again, is_damaged) = Ledger::open(&path).expect("opened");
        assert!(!is_damaged);
        assert_eq!(again.content().mark, ledger.content().mark);
        assert_eq!(again.content().overflow, ledger.content().overflow);
        assert_eq!(again.content().reporting, ledger.content().reporting);
    }

    #[test]
    fn a_write_that_is_cut_anywhere_leaves_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        let (mut ledger, _) = Ledger::open(&path).expect("made");
        ledger
            .change(|content| content.mark = position(1, 1))
            .expect("written");
        let before = std::fs::read(&path).expect("there");
        ledger
            .change(|content| content.mark = position(2, 2))
            .expect("written");
        let after = std::fs::read(&path).expect("there");
        let changed = (0..after.len()).filter(|at| before[*at] != after[*at]);
        for end in changed.collect::<Vec<_>>() {
            let mut torn = after[..end].to_vec();
            torn.extend_from_slice(&before[end..]);
            std::fs::write(&path, &torn).expect("written");
            let (found, is_damaged) = Ledger::open(&path).expect("opened");
            assert!(!is_damaged);
            assert_eq!(found.content().mark, position(1, 1), "cut at {end}");
        }
    }

    #[test]
    fn a_ledger_of_which_nothing_is_whole_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        std::fs::write(&path, [7; 2 * COPY_BYTES]).expect("written");
        let (ledger, is_damaged) = Ledger::open(&path).expect("opened");
        assert!(is_damaged);
        assert_eq!(ledger.content().mark, Position::default());
    }
}
