//! Where the data plane puts its records of broken rules, and how it hears that they are kept.

use std::task::Waker;

use crate::event::Intercept;

/// The place of a record among all that a sink took: a later one has a higher ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordTicket(pub u64);

/// Where the data plane puts its records. Never blocks.
///
/// A record is settled when it will outlive this process: when it is kept itself or, where there was no room for it, in a count.
pub trait InterceptSink: Send + Sync {
    /// Takes the record.
    fn record(&self, intercept: Intercept) -> RecordTicket;

    /// The last ticket that is settled; all before it are settled, too.
    fn settled(&self) -> RecordTicket;

    /// Wakes `waker` once, when [`InterceptSink::settled`] has gone on from `seen`; at once when it has already.
    fn wake_beyond(&self, seen: RecordTicket, waker: &Waker);
}

/// Whoever sees every record that is kept, once, on the thread that keeps them: for alerts.
///
/// A record is seen before it is settled. One that a later process reads again from where it is kept is not seen again.
pub trait InterceptWatch: Send + Sync {
    /// Sees records that were kept together. Must not block: refused clients wait for it.
    fn saw(&self, intercepts: &[Intercept]);
}
