//! The end of the log that is written: frames behind each other in segments, one write for each batch.
//!
//! What is told as kept has been handed to the kernel: it survives this process, however that ends. The disk has it within
//! [`super::SYNC_INTERVAL`]. What cannot be written is given back, and nothing of it stays behind; what is there stays.

use std::io;
use std::sync::Arc;

use super::entry::Entry;
use super::fold::Kept;
use super::folder::{Folder, MAGIC, Medium};
use super::frame;
use super::shared::Shared;
use super::{BYTES_RESERVE, Position, is_of_known_key};

/// The segment that is written.
struct Current {
    medium: Arc<dyn Medium>,
    number: u64,
    length: u64,
}

/// Where the log is written.
pub(super) struct Log {
    folder: Folder,
    shared: Arc<Shared>,
    session: Entry,
    current: Option<Current>,
    next_number: u64,
    bytes_max: u64,
    segment_bytes: u64,
    buffer: Vec<u8>,
}

/// What became of a batch. After an error all open rows are complete.
#[derive(Default)]
pub(super) struct Appended {
    /// The entries that are not in the log, by their places in the batch.
    pub(super) left_out: Vec<usize>,
    /// Why, if it was not the bound.
    pub(super) error: Option<io::Error>,
}

impl Log {
    pub(super) fn new(
        folder: Folder,
        shared: Arc<Shared>,
        session: Entry,
        next_number: u64,
        bytes_max: u64,
        segment_bytes: u64,
    ) -> Self {
        Self {
            folder,
            shared,
            session,
            current: None,
            next_number,
            bytes_max,
            segment_bytes,
            buffer: Vec::new(),
        }
    }

    /// Whether there is so much room that what was only counted can become rows.
    pub(super) fn has_room(&self) -> bool {
        self.shared.bytes() + 2 * self.segment_bytes <= self.bytes_max
    }

    /// Writes the entries, those that fit, with one write.
    pub(super) fn append(&mut self, entries: &[Kept]) -> Appended {
        let mut appended = Appended::default();
        self.buffer.clear();
        // Where each entry that fits ends in the buffer.
        let mut ends = Vec::with_capacity(entries.len());
        let mut bytes = self.shared.bytes();
        let mut is_full = [false; 2];
        for (index, kept) in entries.iter().enumerate() {
            let start = self.buffer.len();
            let class = usize::from(is_of_known_key(kept.reason));
            let may_fit = !is_full[class] || matches!(kept.entry, Entry::Ends);
            let is_whole = may_fit && frame::add(&mut self.buffer, |out| kept.entry.write(out));
            let length = (self.buffer.len() - start) as u64;
            if is_whole && bytes + length <= self.room_for(kept) {
                bytes += length;
                ends.push((self.buffer.len(), index));
            } else {
                // What comes later may lean on this one.
                is_full[class] = true;
                self.buffer.truncate(start);
                appended.left_out.push(index);
            }
        }
        if ends.is_empty() {
            return appended;
        }
        if let Err((kept_bytes, error)) = self.write() {
            appended.error = Some(error);
            let lost = ends.iter().filter(|(end, _)| *end > kept_bytes);
            appended.left_out.extend(lost.map(|(_, index)| *index));
        }
        appended
    }

    /// How long the log may be with this entry in it.
    fn room_for(&self, kept: &Kept) -> u64 {
        if matches!(kept.entry, Entry::Ends) {
            self.bytes_max + BYTES_RESERVE
        } else if is_of_known_key(kept.reason) {
            self.bytes_max
        } else {
            self.bytes_max / 4 * 3
        }
    }

    /// Writes the buffer. If not all of it could be written, says how many bytes of whole entries were, and seals the segment.
    fn write(&mut self) -> Result<(), (usize, io::Error)> {
        if self.current.is_none() {
            self.current = Some(self.begin().map_err(|error| (0, error))?);
        }
        let current = self.current.as_mut().expect("begun just now");
        let (written, error) = write_all(&*current.medium, &self.buffer, current.length);
        let Some(error) = error else {
            current.length += written as u64;
            self.shared.appended(current.position(), written as u64);
            return Ok(());
        };
        let kept = whole_frames(&self.buffer[..written]);
        current.length += kept as u64;
        self.shared.appended(current.position(), kept as u64);
        if current.medium.cut(current.length).is_err() {
            // What stays behind is no whole entry, and is passed over.
            self.shared.left_behind((written - kept) as u64);
        }
        self.seal();
        Err((kept, error))
    }

    /// Whether the segment is long enough to be sealed.
    pub(super) fn is_long(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.length >= self.segment_bytes)
    }

    /// Ends the segment, and with it all open rows: so it can go as soon as it is read, however full the disk is. What comes next begins
    /// another one.
    pub(super) fn seal(&mut self) {
        self.current = None;
        self.shared.sealed(Position {
            segment: self.next_number,
            offset: 0,
        });
    }

    /// Makes the next segment, with the session in front.
    fn begin(&mut self) -> io::Result<Current> {
        let number = self.next_number;
        let medium = self.folder.make(number)?;
        self.next_number += 1;
        let mut bytes = MAGIC.to_vec();
        frame::add(&mut bytes, |out| self.session.write(out));
        let (_, error) = write_all(&*medium, &bytes, 0);
        if let Some(error) = error {
            // An empty segment is passed over by whoever reads.
            let _ = self.folder.remove(number);
            return Err(error);
        }
        self.shared.begun(Arc::clone(&medium), bytes.len() as u64);
        Ok(Current {
            medium,
            number,
            length: bytes.len() as u64,
        })
    }
}

impl Current {
    fn position(&self) -> Position {
        Position {
            segment: self.number,
            offset: self.length,
        }
    }
}

/// Writes all bytes there. Says how many were written, and why not all of them.
fn write_all(medium: &dyn Medium, bytes: &[u8], offset: u64) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match medium.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

/// How many of these bytes are whole frames.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let frame::Look::Whole(payload) = frame::look(&bytes[length..]) {
        length += frame::HEAD_BYTES + payload.len();
    }
    length
}
