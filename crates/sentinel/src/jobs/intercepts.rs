//! The way of audit records from the cores into the store: a bounded queue, a fold that makes one row of many equal
//! records, and one writer that takes them in batches.
//!
//! What does not fit is counted by reason and said in the operators' log; it is never silent. A flood of cheap refusals
//! must neither fill the disk nor crowd out the records that name a key.

mod fold;
mod queue;
mod writer;

use sentinel_core::decision::RefusalReason;

pub(crate) use queue::InterceptQueue;
pub(super) use writer::Writer;

/// Whether records of this reason may use what is held in reserve, in the queue and in the fold: they name a key that
/// somebody holds, and nobody without such a key can make them.
const fn may_use_reserve(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::KeyIpMismatch | RefusalReason::KeyBanned)
}

#[cfg(test)]
mod tests;
