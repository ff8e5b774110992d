//! Putting bindings away: one that an operator unbinds, and those that nobody uses.

use sentinel_core::binding::BindingRecord;
use sentinel_core::ports::{ArchiveRun, Archived};
use sentinel_core::time::Timestamp;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, SELECT_RECORD, column};
use super::values::Moment;
use super::{bindings, events};
use crate::bounds::page_rows;
use crate::change;

/// Names the lock that a run holds: "KIPS", and a number.
const ARCHIVE_LOCK: i64 = 0x4B49_5053_0000_0002;

/// A mark counts as long as what it says is true: by another bound for what is unused, it may not be. Whoever holds a row just now takes its
/// mark away himself, and is not waited for: he may wait for another row that is held here.
const FORGET_MARKS: &str = "UPDATE bindings SET archive_marked_at = NULL WHERE id IN ( \
     SELECT id FROM bindings WHERE archive_marked_at IS NOT NULL \
     AND (status <> 'active' OR greatest(bound_at, updated_at, last_used_at) >= $1) \
     FOR NO KEY UPDATE SKIP LOCKED)";

/// The marked ones, oldest mark first. One that is locked is in use just now.
pub(super) const DUE: &str = "SELECT id FROM bindings WHERE archive_marked_at <= $1 AND status = 'active' \
     AND greatest(bound_at, updated_at, last_used_at) < $2 \
     ORDER BY archive_marked_at, id LIMIT $3 FOR UPDATE SKIP LOCKED";

/// The unused ones without a mark, longest unused first. The day leads to them; the moment decides.
pub(super) const MARK: &str = "UPDATE bindings SET archive_marked_at = $1 WHERE id IN ( \
     SELECT id FROM bindings WHERE status = 'active' AND archive_marked_at IS NULL \
     AND last_active_on <= ($2::timestamptz AT TIME ZONE 'UTC')::date \
     AND greatest(bound_at, updated_at, last_used_at) < $2 \
     ORDER BY last_active_on, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)";

/// Moves whole records into the archive; the caller's transaction holds their rows.
pub(super) async fn put_away(
    session: &Session,
    records: &[BindingRecord],
    reason: &str,
    at: Timestamp,
) -> Result<(), Failure> {
    let insert = "INSERT INTO archived_bindings (binding_id, fingerprint, record, reason, archived_at) \
         SELECT id, fingerprint, record::json, $4, $5 \
         FROM unnest($1::bigint[], $2::bytea[], $3::text[]) AS gone (id, fingerprint, record)";
    let ids: Vec<i64> = records.iter().map(|record| record.binding.id.0).collect();
    let fingerprints: Vec<&[u8]> = records
        .iter()
        .map(|record| record.binding.fingerprint.as_bytes().as_slice())
        .collect();
    let texts: Vec<String> = records
        .iter()
        .map(|record| change::archived(record).to_string())
        .collect();
    let archive: &rows::Values<'_> = &[&ids, &fingerprints, &texts, &reason, &Moment(at)];
    rows::execute(session, insert, archive).await?;
    rows::execute(session, "DELETE FROM bindings WHERE id = ANY($1)", &[&ids]).await?;
    bindings::note_removal(session).await?;
    for record in records {
        let binding = &record.binding;
        announce(
            session,
            bindings::removed(binding.fingerprint, binding.version, at),
        )
        .await?;
    }
    Ok(())
}

/// One batch.
pub(super) async fn archive_unused(session: &Session, run: ArchiveRun) -> Result<Archived, Failure> {
    let is_alone: bool = rows::single(
        session,
        &format!("SELECT pg_try_advisory_xact_lock({ARCHIVE_LOCK})"),
    )
    .await?;
    if !is_alone {
        return Ok(Archived::Elsewhere);
    }
    let batch_max = i64::from(page_rows(run.batch_max));
    let unused_since = Moment(run.unused_since);
    rows::execute(session, FORGET_MARKS, &[&unused_since]).await?;
    let due = due(session, &run, batch_max).await?;
    let moved = due
        .iter()
        .map(|record| (record.binding.fingerprint, record.binding.version.of_absence()))
        .collect();
    if !due.is_empty() {
        put_away(session, &due, change::UNUSED, run.now).await?;
        events::append(session, &change::archive_event(run, due.len())).await?;
    }
    let marked = rows::execute(session, MARK, &[&Moment(run.now), &unused_since, &batch_max]).await?;
    let marked = u32::try_from(marked).unwrap_or(u32::MAX);
    Ok(Archived::Here { moved, marked })
}

/// Locked first, read after that: a use that was written in between has taken the mark away.
async fn due(session: &Session, run: &ArchiveRun, batch_max: i64) -> Result<Vec<BindingRecord>, Failure> {
    let values: &rows::Values<'_> = &[&Moment(run.marked_until), &Moment(run.unused_since), &batch_max];
    let ids = rows::query(session, DUE, values)
        .await?
        .iter()
        .map(|row| column::<i64>(row, "id"))
        .collect::<Result<Vec<_>, _>>()?;
    let select = format!("{SELECT_RECORD} WHERE id = ANY($1) ORDER BY id");
    rows::query(session, &select, &[&ids])
        .await?
        .iter()
        .map(rows::record)
        .collect()
}
