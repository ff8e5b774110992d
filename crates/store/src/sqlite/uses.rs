//! The coalesced uses of keys.

use rusqlite::Connection;
use sentinel_core::usage::Uses;

use super::failure::Failure;

/// Adds the batch. A count stops at the largest one that a row holds; `last_used_at` only moves forward; what was used is not for the archive.
pub(super) fn add(connection: &Connection, batch: &[Uses]) -> Result<(), Failure> {
    let mut update = connection.prepare_cached(
        "UPDATE bindings SET use_count = min(use_count, 9223372036854775807 - ?1) + ?1, \
         last_used_at = max(coalesce(last_used_at, ?2), ?2), archive_marked_at = NULL WHERE id = ?3",
    )?;
    for uses in batch {
        let count = i64::try_from(uses.count).unwrap_or(i64::MAX);
        update.execute([count, uses.last_used_at.unix_ms(), uses.binding.0])?;
    }
    Ok(())
}
