//! The chain of what operators did: each event carries a hash over itself and the one before it, so that none can be changed, taken away or
//! moved without notice.
//!
//! Whoever writes to the store past this program can still make the whole chain anew; a copy of the head that is kept elsewhere tells that.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::event::AdminEvent;

/// The hash of one event and, by way of the one before it, of all before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// Stands before the first event.
    pub const BEGINNING: Self = Self([0; 32]);

    /// From the bytes that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of the event that follows: SHA-256 over this hash and the event's canonical JSON, an array without spaces of its moment in
    /// milliseconds, actor, address, action and detail.
    #[must_use]
    pub fn followed_by(&self, event: &AdminEvent) -> Self {
        let canonical = serde_json::json!([
            event.at.unix_ms(),
            event.actor,
            event.client_ip.map(|address| address.to_string()),
            event.action,
            event.detail,
        ]);
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(canonical.to_string());
        Self(hash.finalize().into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Events up to this id were there before the chain began, and are not in it.
    pub began_after: i64,
    /// How many events are in it.
    pub length: u64,
    /// The id of its last event.
    pub last_id: i64,
    /// The hash of its last event.
    pub hash: ChainHash,
}

/// An event with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedEvent {
    /// Grows with every event.
    pub id: i64,
    /// What happened.
    pub event: AdminEvent,
    /// The hash before it, and its own; none for an event from before the chain.
    pub hashes: Option<(ChainHash, ChainHash)>,
}

/// What a look through the chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many events were looked at and are as they were written.
    pub checked: u64,
    /// The id of the first event that is not: it was changed or moved, or one before it is gone. Past the last event that is there, when the
    /// end is gone.
    pub first_broken: Option<i64>,
}

/// Looks through a chain, event by event.
#[derive(Clone, Copy, Debug)]
pub struct Verifier {
    head: ChainHead,
    hash: ChainHash,
    last_id: i64,
    checked: u64,
}

impl Verifier {
    /// Looks at the chain up to this head; what is written meanwhile is left out.
    pub fn new(head: ChainHead) -> Self {
        Self {
            head,
            hash: ChainHash::BEGINNING,
            last_id: head.began_after,
            checked: 0,
        }
    }

    /// After which event the next ones come.
    pub fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Looks at the next event, in the order of ids; the verdict when that is the end of it.
    pub fn look(&mut self, chained: &ChainedEvent) -> Option<Verdict> {
        if chained.id > self.head.last_id {
            return Some(self.finish());
        }
        let expected = (self.hash, self.hash.followed_by(&chained.event));
        if chained.hashes != Some(expected) {
            return Some(self.broken_at(chained.id));
        }
        self.hash = expected.1;
        self.last_id = chained.id;
        self.checked += 1;
        None
    }

    /// The verdict when there are no more events.
    pub fn finish(&self) -> Verdict {
        let is_whole = self.hash == self.head.hash && self.checked == self.head.length;
        if is_whole {
            Verdict {
                checked: self.checked,
                first_broken: None,
            }
        } else {
            self.broken_at(self.last_id + 1)
        }
    }

    fn broken_at(&self, id: i64) -> Verdict {
        Verdict {
            checked: self.checked,
            first_broken: Some(id),
        }
    }
}

#[cfg(test)]
mod tests;
