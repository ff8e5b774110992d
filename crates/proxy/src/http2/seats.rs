//! What the streams of one connection take of the bounds on connections: each stream is served as a connection, so it counts as one. One stream at
//! a time is covered by what the connection itself holds; so a client that sends one request after the other is never turned away.

use std::cell::Cell;
use std::rc::Rc;

use sentinel_core::network::ClientIp;
use tokio::sync::OwnedSemaphorePermit;

use crate::admission::Share;
use crate::worker::Worker;

/// The seats of one connection.
pub(super) struct Seats<'w> {
    worker: &'w Rc<Worker>,
    counted: Option<ClientIp>,
    own_is_taken: Rc<Cell<bool>>,
}

/// What a stream holds while it is served.
pub(super) enum Seat {
    /// The connection's own.
    Own(Rc<Cell<bool>>),
    /// One more.
    Further {
        _permit: OwnedSemaphorePermit,
        _share: Share,
    },
}

impl<'w> Seats<'w> {
    pub(super) fn new(worker: &'w Rc<Worker>, counted: Option<ClientIp>) -> Self {
        Self {
            worker,
            counted,
            own_is_taken: Rc::default(),
        }
    }

    /// A seat for one more stream; none at the bounds.
    pub(super) fn take(&self) -> Option<Seat> {
        if !self.own_is_taken.replace(true) {
            return Some(Seat::Own(Rc::clone(&self.own_is_taken)));
        }
        Some(Seat::Further {
            _permit: self.worker.shared.places.take_for_stream()?,
            _share: Share::take(self.worker, self.counted)?,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Self::Own(is_taken) = self {
            is_taken.set(false);
        }
    }
}
