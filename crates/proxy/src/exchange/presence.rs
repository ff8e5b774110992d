//! Noticing that a client leaves whose bytes are not read now: because it sent far ahead, or the upstream takes no more of its body. Must not read
//! what the client sent: it would have to be kept.
//!
//! Behind a window that is full the end itself cannot come; then it is the kernel's keep-alive that finds out.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::client::Stream;

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the client is heard; if not, when it is looked at next.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whether the client's next bytes, or its end, wake the task.
    pub(super) is_heard: bool,
    /// Most are heard all the time, and need no timer.
    next_look: Option<Pin<Box<Sleep>>>,
}

impl Presence {
    /// Whether a client that is not heard has left. Comes back for the next look.
    pub(super) fn has_left(&mut self, stream: &mut impl Stream, context: &mut Context<'_>) -> bool {
        if self.is_heard {
            return false;
        }
        let next_look = self
            .next_look
            .get_or_insert_with(|| Box::pin(sleep(LOOK_INTERVAL)));
        while next_look.as_mut().poll(context).is_ready() {
            next_look.as_mut().reset(Instant::now() + LOOK_INTERVAL);
        }
        stream.has_left(context)
    }
}
