//! What a client makes of its connection: how much of it comes to something, and how much only keeps the worker busy. Must never hold
//! against a client what honest ones do: they cancel, ping and open windows, too, but in proportion to what they ask and get.

use std::cell::Cell;

use super::bucket::LeakyBucket;

/// How many bytes are read of one connection, give or take one read, before it is the others' turn.
pub(crate) const TURN_BYTES_MAX: usize = 64 * 1024;
/// How many frames, likewise: small ones cost far more than their bytes.
pub(crate) const TURN_FRAMES_MAX: u32 = 256;
/// By how many frames a client may be ahead of what comes of them; beyond, the connection ends.
pub(crate) const FRAMES_AHEAD_MAX: u32 = 10_000;
/// How many of them are forgotten in each second.
const FRAMES_FORGOTTEN_PER_SECOND: f64 = 500.0;
/// For so many bytes of a body, in either direction, a client may send one frame.
const BYTES_PER_FRAME: f64 = 32.0;
/// For the head of a request or an answer a client may send so many.
const FRAMES_PER_HEAD: f64 = 8.0;
/// By how many a connection's cancelled requests may outnumber its answered ones; beyond, it ends at once. Each costs the upstream a connection.
pub(crate) const CANCELLED_AHEAD_MAX: u32 = 200;
/// The same until it ends with what is under way. A client that heeds the goodbye has at most `STREAMS_MAX` more to cancel, so it never meets
/// the other bound.
pub(crate) const CANCELLED_BEFORE_GOODBYE_MAX: u32 = CANCELLED_AHEAD_MAX - super::STREAMS_MAX;
/// How many of them are forgotten in each second.
const CANCELLED_FORGOTTEN_PER_SECOND: f64 = 20.0;

/// The account of one connection.
#[derive(Debug)]
pub(super) struct Conduct {
    cancelled: LeakyBucket,
    frames: LeakyBucket,
    turn: Cell<Turn>,
}

/// What was read since it was this connection's turn.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    bytes: usize,
    frames: u32,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            cancelled: LeakyBucket::new(CANCELLED_FORGOTTEN_PER_SECOND),
            frames: LeakyBucket::new(FRAMES_FORGOTTEN_PER_SECOND),
            turn: Cell::default(),
        }
    }
}

impl Conduct {
    /// It is this connection's turn.
    pub(super) fn begin_turn(&self) {
        self.turn.take();
    }

    /// Whether it still is, and the client deserves it.
    pub(super) fn may_read(&self) -> bool {
        let Turn { bytes, frames } = self.turn.get();
        bytes < TURN_BYTES_MAX && frames < TURN_FRAMES_MAX && !self.is_flood()
    }

    /// So much was read, with so many frames beginning in it.
    pub(super) fn read(&self, bytes: usize, frames: u32) {
        let turn = self.turn.get();
        self.turn.set(Turn {
            bytes: turn.bytes + bytes,
            frames: turn.frames + frames,
        });
        self.frames.add(f64::from(frames));
    }

    /// The head of a request came, or that of its answer goes.
    pub(super) fn head_passed(&self) {
        self.frames.take(FRAMES_PER_HEAD);
    }

    /// So many bytes of a body pass, in either direction.
    pub(super) fn data_passed(&self, bytes: usize) {
        self.frames
            .take(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / BYTES_PER_FRAME);
    }

    /// A request was answered in full.
    pub(super) fn answered(&self) {
        self.cancelled.take(1.0);
    }

    /// A request was taken back before its answer began, or was none.
    pub(super) fn cancelled(&self) {
        self.cancelled.add(1.0);
    }

    /// Whether the connection should carry no further requests.
    pub(super) fn is_wasteful(&self) -> bool {
        self.cancelled.is_above(CANCELLED_BEFORE_GOODBYE_MAX)
    }

    /// Whether the connection has to end at once.
    pub(super) fn is_flood(&self) -> bool {
        self.cancelled.is_above(CANCELLED_AHEAD_MAX) || self.frames.is_above(FRAMES_AHEAD_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_cancels_two_of_three_for_long_may_go_on() {
        let conduct = Conduct::default();
        for request in 0..100_000 {
            if request % 3 == 0 {
                conduct.answered();
            } else {
                conduct.cancelled();
            }
            assert!(!conduct.is_wasteful(), "after {request} requests");
            sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_faster_ends_it_softly_and_then_hard() {
        let conduct = Conduct::default();
        (0..CANCELLED_BEFORE_GOODBYE_MAX).for_each(|_| conduct.cancelled());
        assert!(!conduct.is_wasteful());
        conduct.cancelled();
        assert!(conduct.is_wasteful());
        (0..super::super::STREAMS_MAX - 1).for_each(|_| conduct.cancelled());
        assert!(!conduct.is_flood(), "what was under way may be cancelled");
        conduct.cancelled();
        assert!(conduct.is_flood(), "more than CANCELLED_AHEAD_MAX");
    }

    #[tokio::test(start_paused = true)]
    async fn frames_for_nothing_are_a_flood() {
        let conduct = Conduct::default();
        conduct.read(90_000, FRAMES_AHEAD_MAX);
        assert!(!conduct.is_flood());
        sleep(Duration::from_secs(1)).await;
        conduct.read(4_500, 500);
        assert!(!conduct.is_flood(), "so many are forgotten in a second");
        conduct.read(9, 1);
        assert!(conduct.is_flood());
        conduct.begin_turn();
        assert!(!conduct.may_read());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_come_to_something_are_none() {
        let conduct = Conduct::default();
        for _ in 0..FRAMES_AHEAD_MAX {
            // A request with its window and its end; an answer of which every 64 bytes open two windows.
            conduct.read(200, 4);
            (0..2).for_each(|_| conduct.head_passed());
            conduct.data_passed(64 * 100);
            conduct.read(13 * 200, 200);
            assert!(!conduct.is_flood());
        }
    }
}
