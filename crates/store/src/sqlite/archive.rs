//! Putting bindings away: one that an operator unbinds, and those that nobody uses.
//!
//! Every function runs inside the writer's transaction, so a use that was written before it counts.

use rusqlite::{Connection, Row, params};
use sentinel_core::binding::{BindingId, BindingRecord};
use sentinel_core::ports::{ArchiveRun, Archived};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::{bindings, events};
use crate::bounds::page_rows;
use crate::change;

/// The marked ones, oldest mark first.
pub(super) const TO_MOVE: &str =
    "SELECT id FROM bindings WHERE archive_marked_at <= ? ORDER BY archive_marked_at LIMIT ?";
/// The unused ones without a mark, longest unused first. By itself SQLite would rather look at all that are active.
pub(super) const TO_MARK: &str = "SELECT id FROM bindings INDEXED BY bindings_by_last_sign \
     WHERE status = 'active' AND archive_marked_at IS NULL \
     AND max(bound_at, updated_at, coalesce(last_used_at, bound_at)) < ? \
     ORDER BY max(bound_at, updated_at, coalesce(last_used_at, bound_at)) LIMIT ?";

/// Moves the whole record into the archive.
pub(super) fn put_away(
    connection: &Connection,
    record: &BindingRecord,
    reason: &str,
    at: Timestamp,
) -> Result<(), Failure> {
    let id = record.binding.id.0;
    connection
        .prepare_cached(
            "INSERT INTO archived_bindings (binding_id, fingerprint, record, reason, archived_at) \
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            record.binding.fingerprint.as_bytes(),
            change::archived(record).to_string(),
            reason,
            at.unix_ms(),
        ])?;
    connection
        .prepare_cached("DELETE FROM bindings WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

/// One batch. There is one writer, so nobody else can be at it.
pub(super) fn archive_unused(connection: &Connection, run: ArchiveRun) -> Result<Archived, Failure> {
    forget_marks(connection, run)?;
    let mut moved = Vec::new();
    for id in due(connection, run)? {
        let Some(record) = bindings::by_id(connection, id)? else {
            continue;
        };
        put_away(connection, &record, change::UNUSED, run.now)?;
        moved.push((record.binding.fingerprint, record.binding.version.of_absence()));
    }
    if !moved.is_empty() {
        events::append(connection, &change::archive_event(run, moved.len()))?;
    }
    let marked = mark(connection, run)?;
    Ok(Archived::Here { moved, marked })
}

/// A mark counts as long as what it says is true: by another bound for what is unused, it may not be.
fn forget_marks(connection: &Connection, run: ArchiveRun) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE bindings SET archive_marked_at = NULL WHERE archive_marked_at IS NOT NULL \
             AND (status <> 'active' OR max(bound_at, updated_at, coalesce(last_used_at, bound_at)) >= ?)",
        )?
        .execute([run.unused_since.unix_ms()])?;
    Ok(())
}

fn due(connection: &Connection, run: ArchiveRun) -> Result<Vec<BindingId>, Failure> {
    connection
        .prepare_cached(TO_MOVE)?
        .query_and_then(
            [run.marked_until.unix_ms(), i64::from(page_rows(run.batch_max))],
            |row: &Row<'_>| Ok(BindingId(row.get(0)?)),
        )?
        .collect()
}

fn mark(connection: &Connection, run: ArchiveRun) -> Result<u32, Failure> {
    let marked = connection
        .prepare_cached(&format!(
            "UPDATE bindings SET archive_marked_at = ? WHERE id IN ({TO_MARK})"
        ))?
        .execute([
            run.now.unix_ms(),
            run.unused_since.unix_ms(),
            i64::from(page_rows(run.batch_max)),
        ])?;
    Ok(u32::try_from(marked).unwrap_or(u32::MAX))
}
