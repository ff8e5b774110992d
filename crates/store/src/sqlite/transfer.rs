//! Giving the store's content page by page, and taking that of another store.
//!
//! A fingerprint names a binding; whether a row of a log is here already is told by what makes it one of its kind.

use rusqlite::{Connection, Row, params};
use sentinel_core::binding::{BindingId, BindingRecord};
use sentinel_core::event::{AdminEvent, Intercept};
use sentinel_core::fingerprint::{KeyFingerprint, SecretMark};
use sentinel_core::ports::{
    ArchivedBinding, Existing, MovedBinding, Taken, TakenIn, TransferItem, TransferKind,
};

use super::failure::Failure;
use super::rows::{self, SELECT_RECORD, labels_text};
use super::{bindings, events, intercepts, secrets};
use crate::bounds::page_rows;
use crate::secret::OwnSecret;

/// Makes an item of a row.
type ReadItem = fn(&Row<'_>) -> Result<TransferItem, Failure>;

pub(super) fn page(
    connection: &Connection,
    kind: TransferKind,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, TransferItem)>, Failure> {
    let (select, read): (_, ReadItem) = match kind {
        TransferKind::Bindings => (SELECT_RECORD, |row| {
            Ok(TransferItem::Binding(MovedBinding {
                secret: row.get::<_, Option<i64>>("secret")?.map(SecretMark),
                ..rows::record(row)?.into()
            }))
        }),
        TransferKind::Archived => (
            "SELECT id, fingerprint, record, reason, archived_at FROM archived_bindings",
            |row| read_archived(row).map(TransferItem::Archived),
        ),
        TransferKind::Intercepts => (intercepts::SELECT_INTERCEPT, |row| {
            Ok(TransferItem::Intercept(intercepts::read(row)?.intercept))
        }),
        TransferKind::Events => (
            "SELECT id, at, actor, client_ip, action, detail FROM admin_events",
            |row| events::read(row).map(TransferItem::Event),
        ),
    };
    connection
        .prepare_cached(&format!("{select} WHERE id > ? ORDER BY id LIMIT ?"))?
        .query_and_then([after, i64::from(page_rows(limit))], |row| {
            Ok((row.get("id")?, read(row)?))
        })?
        .collect()
}

pub(super) fn read_archived(row: &Row<'_>) -> Result<ArchivedBinding, Failure> {
    Ok(ArchivedBinding {
        fingerprint: KeyFingerprint::from_bytes(row.get("fingerprint")?),
        record: row.get("record")?,
        reason: row.get("reason")?,
        archived_at: rows::timestamp(row, "archived_at")?,
    })
}

pub(super) fn take_in(
    connection: &Connection,
    own: &OwnSecret,
    items: &[TransferItem],
    existing: Existing,
    is_rehearsal: bool,
) -> Result<TakenIn, Failure> {
    let mut taken_in = TakenIn::default();
    for item in items {
        let taken = match item {
            TransferItem::Binding(moved) => take_binding(connection, own, moved, existing, is_rehearsal)?,
            TransferItem::Archived(archived) => take_archived(connection, archived, is_rehearsal)?,
            TransferItem::Intercept(intercept) => take_intercept(connection, intercept, is_rehearsal)?,
            TransferItem::Event(event) => take_event(connection, event, is_rehearsal)?,
        };
        taken_in.count(taken);
    }
    Ok(taken_in)
}

pub(super) fn take_binding(
    connection: &Connection,
    own: &OwnSecret,
    moved: &MovedBinding,
    existing: Existing,
    is_rehearsal: bool,
) -> Result<Taken, Failure> {
    secrets::assert_current(connection, own)?;
    let stored = stored(connection, own, moved, is_rehearsal)?;
    let id = stored.as_ref().map(|record| record.binding.id);
    let taken = existing.judge(stored.map(MovedBinding::from).as_ref(), moved);
    match (taken, id) {
        _ if is_rehearsal => {}
        (Taken::Replaced, Some(id)) => write_binding(connection, own, moved, Some(id))?,
        (Taken::Added, _) => write_binding(connection, own, moved, None)?,
        _ => {}
    }
    Ok(taken)
}

/// What is here of the key; what lies under its other fingerprint moves.
fn stored(
    connection: &Connection,
    own: &OwnSecret,
    moved: &MovedBinding,
    is_rehearsal: bool,
) -> Result<Option<BindingRecord>, Failure> {
    let found = match &moved.previous {
        Some(previous) if is_rehearsal => secrets::either(connection, &moved.fingerprint, previous)?,
        Some(previous) => secrets::adopt(connection, own, &moved.fingerprint, previous)?,
        None => return bindings::by_fingerprint(connection, &moved.fingerprint),
    };
    match found {
        Some(found) => bindings::by_id(connection, found.id),
        None => Ok(None),
    }
}

/// Writes the binding over the one with this id, or as a new one.
fn write_binding(
    connection: &Connection,
    own: &OwnSecret,
    moved: &MovedBinding,
    over: Option<BindingId>,
) -> Result<(), Failure> {
    let version = bindings::next_version(connection)?;
    let policy = serde_json::to_string(&moved.policy).map_err(|_| Failure::damaged("a moved policy"))?;
    let id: i64 = connection
        .prepare_cached(
            "INSERT INTO bindings (id, fingerprint, hint, status, policy, version, bound_at, updated_at, last_used_at, \
             use_count, ban_reason, ban_expires_at, note, labels, profile, secret) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
             ON CONFLICT (id) DO UPDATE SET hint = ?3, status = ?4, policy = ?5, version = ?6, bound_at = ?7, \
             updated_at = ?8, last_used_at = ?9, use_count = ?10, ban_reason = ?11, ban_expires_at = ?12, \
             note = ?13, labels = ?14, profile = ?15, archive_marked_at = NULL \
             RETURNING id",
        )?
        .query_row(
            params![
                over.map(|id| id.0),
                moved.fingerprint.as_bytes(),
                moved.hint.as_str(),
                moved.status.as_str(),
                policy,
                version.0,
                moved.bound_at.unix_ms(),
                moved.updated_at.unix_ms(),
                moved.last_used_at.map(sentinel_core::time::Timestamp::unix_ms),
                i64::try_from(moved.use_count).unwrap_or(i64::MAX),
                moved.ban_reason,
                moved.ban_expires_at.map(sentinel_core::time::Timestamp::unix_ms),
                moved.remarks.note,
                labels_text(&moved.remarks.labels),
                moved.profile,
                moved.secret.or(own.mark()).map(|mark| mark.0),
            ],
            |row| row.get(0),
        )?;
    bindings::replace_networks(connection, BindingId(id), &moved.networks)
}

fn take_archived(
    connection: &Connection,
    archived: &ArchivedBinding,
    is_rehearsal: bool,
) -> Result<Taken, Failure> {
    let is_here = rows::first(
        connection,
        "SELECT 1 FROM archived_bindings WHERE fingerprint = ? AND archived_at = ? AND reason = ?",
        params![
            archived.fingerprint.as_bytes(),
            archived.archived_at.unix_ms(),
            archived.reason
        ],
        |_| Ok(()),
    )?;
    if is_here.is_some() {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        connection
            .prepare_cached(
                "INSERT INTO archived_bindings (binding_id, fingerprint, record, reason, archived_at) \
                 VALUES (coalesce(json_extract(?2, '$.id'), 0), ?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                archived.fingerprint.as_bytes(),
                archived.record,
                archived.reason,
                archived.archived_at.unix_ms(),
            ])?;
    }
    Ok(Taken::Added)
}

fn take_intercept(
    connection: &Connection,
    intercept: &Intercept,
    is_rehearsal: bool,
) -> Result<Taken, Failure> {
    let is_here = rows::first(
        connection,
        "SELECT 1 FROM intercept_logs WHERE reference = ? AND at = ?",
        params![intercept.reference.as_str(), intercept.at.unix_ms()],
        |_| Ok(()),
    )?;
    if is_here.is_some() {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        let mut here = intercept.clone();
        here.binding = match &intercept.fingerprint {
            Some(fingerprint) => bindings::find(connection, fingerprint)?.map(|binding| binding.id),
            None => None,
        };
        intercepts::append(connection, &[here])?;
    }
    Ok(Taken::Added)
}

fn take_event(connection: &Connection, event: &AdminEvent, is_rehearsal: bool) -> Result<Taken, Failure> {
    let is_here = rows::first(
        connection,
        "SELECT 1 FROM admin_events WHERE at = ? AND actor = ? AND action = ? AND detail = ?",
        params![event.at.unix_ms(), event.actor, event.action, event.detail],
        |_| Ok(()),
    )?;
    if is_here.is_some() {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        events::append(connection, event)?;
    }
    Ok(Taken::Added)
}
