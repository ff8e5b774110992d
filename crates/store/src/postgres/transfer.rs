//! Giving the store's content page by page, and taking that of another store.
//!
//! A fingerprint names a binding; whether a row of a log is here already is told by what makes it one of its kind.

use sentinel_core::binding::{BindingId, Version};
use sentinel_core::event::{AdminEvent, Intercept};
use sentinel_core::fingerprint::SecretMark;
use sentinel_core::ports::{
    ArchivedBinding, Existing, MovedBinding, Taken, TakenIn, TransferItem, TransferKind,
};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, SELECT_RECORD, column};
use super::values::{self, Moment};
use super::{bindings, events, intercepts, secrets};
use crate::bounds::page_rows;
use crate::secret::OwnSecret;

/// Reads a row of one kind.
type Read = fn(&Row) -> Result<TransferItem, Failure>;

pub(super) async fn page(
    session: &Session,
    kind: TransferKind,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, TransferItem)>, Failure> {
    let intercepts = format!("SELECT id, {} FROM intercept_logs", intercepts::COLUMNS);
    let (select, read): (_, Read) = match kind {
        TransferKind::Bindings => (SELECT_RECORD, |row| {
            Ok(TransferItem::Binding(MovedBinding {
                secret: column::<Option<i64>>(row, "secret")?.map(SecretMark),
                ..rows::record(row)?.into()
            }))
        }),
        TransferKind::Archived => (
            "SELECT id, fingerprint, record::text AS record, reason, archived_at FROM archived_bindings",
            |row| read_archived(row).map(TransferItem::Archived),
        ),
        TransferKind::Intercepts => (intercepts.as_str(), |row| {
            Ok(TransferItem::Intercept(intercepts::read(row)?.intercept))
        }),
        TransferKind::Events => (
            "SELECT id, at, actor, client_ip, action, detail FROM admin_events",
            |row| events::read(row).map(TransferItem::Event),
        ),
    };
    let statement = format!("{select} WHERE id > $1 ORDER BY id LIMIT $2");
    rows::query(session, &statement, &[&after, &i64::from(page_rows(limit))])
        .await?
        .iter()
        .map(|row| Ok((column(row, "id")?, read(row)?)))
        .collect()
}

pub(super) fn read_archived(row: &Row) -> Result<ArchivedBinding, Failure> {
    Ok(ArchivedBinding {
        fingerprint: rows::fingerprint(row, "fingerprint")?.ok_or_else(|| Failure::damaged("fingerprint"))?,
        record: column(row, "record")?,
        reason: column(row, "reason")?,
        archived_at: rows::timestamp(row, "archived_at")?,
    })
}

/// All of the items, in the caller's transaction.
pub(super) async fn take_in(
    session: &Session,
    own: &OwnSecret,
    items: &[TransferItem],
    existing: Existing,
    is_rehearsal: bool,
    now: Timestamp,
) -> Result<TakenIn, Failure> {
    let mut taken_in = TakenIn::default();
    for item in items {
        let taken = match item {
            TransferItem::Binding(moved) => {
                take_binding(session, own, moved, existing, is_rehearsal, now).await?
            }
            TransferItem::Archived(archived) => take_archived(session, archived, is_rehearsal).await?,
            TransferItem::Intercept(intercept) => take_intercept(session, intercept, is_rehearsal).await?,
            TransferItem::Event(event) => take_event(session, event, is_rehearsal).await?,
        };
        taken_in.count(taken);
    }
    Ok(taken_in)
}

pub(super) async fn take_binding(
    session: &Session,
    own: &OwnSecret,
    moved: &MovedBinding,
    existing: Existing,
    is_rehearsal: bool,
    now: Timestamp,
) -> Result<Taken, Failure> {
    secrets::hold_current(session, own).await?;
    let stored = match here(session, own, moved, is_rehearsal, now).await? {
        Some(id) if is_rehearsal => bindings::by_id(session, id).await?,
        Some(id) => bindings::locked(session, id).await?,
        None => None,
    };
    let id = stored.as_ref().map(|record| record.binding.id);
    let taken = existing.judge(stored.map(MovedBinding::from).as_ref(), moved);
    if is_rehearsal {
        return Ok(taken);
    }
    match (taken, id) {
        (Taken::Added, _) => {
            // Somebody may claim the key just now: then that binding is here, and stays.
            let Some(id) = insert(session, own, moved).await? else {
                return Ok(Taken::Kept);
            };
            write(session, id, moved, now).await?;
        }
        (Taken::Replaced, Some(id)) => write(session, id, moved, now).await?,
        _ => {}
    }
    Ok(taken)
}

/// Which binding the key has here; one under its other fingerprint moves.
async fn here(
    session: &Session,
    own: &OwnSecret,
    moved: &MovedBinding,
    is_rehearsal: bool,
    now: Timestamp,
) -> Result<Option<BindingId>, Failure> {
    let here = match &moved.previous {
        None => return bindings::id_of(session, &moved.fingerprint).await,
        Some(previous) if is_rehearsal => secrets::look(session, own, &moved.fingerprint, previous).await?,
        Some(previous) => secrets::adopt(session, own, &moved.fingerprint, previous, now).await?,
    };
    Ok(here.map(|binding| binding.id))
}

/// Makes the row, so that it can be written like one that was there.
async fn insert(
    session: &Session,
    own: &OwnSecret,
    moved: &MovedBinding,
) -> Result<Option<BindingId>, Failure> {
    let insert = "INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, secret) \
         VALUES ($1, '', 'active', '{}', 0, $2, $2, $3) ON CONFLICT (fingerprint) DO NOTHING RETURNING id";
    let mark = moved.secret.or(own.mark()).map(|mark| mark.0);
    let values: &rows::Values<'_> = &[
        &moved.fingerprint.as_bytes().as_slice(),
        &Moment(moved.bound_at),
        &mark,
    ];
    let row = rows::first(session, insert, values).await?;
    row.map(|row| column(&row, "id").map(BindingId)).transpose()
}

/// Writes the binding over the row, which this transaction holds.
async fn write(
    session: &Session,
    id: BindingId,
    moved: &MovedBinding,
    now: Timestamp,
) -> Result<(), Failure> {
    let update = "UPDATE bindings SET hint = $2, status = $3, policy = $4::text::json, version = $5, bound_at = $6, \
         updated_at = $7, last_used_at = $8, use_count = $9, ban_reason = $10, ban_expires_at = $11, \
         note = $12, labels = $13, profile = $14, archive_marked_at = NULL WHERE id = $1";
    let current = "SELECT version FROM bindings WHERE id = $1";
    let row = rows::first(session, current, &[&id.0]).await?;
    let row = row.ok_or_else(|| Failure::damaged("bindings.id"))?;
    let version = bindings::next_version(session, Version(column(&row, "version")?)).await?;
    let policy = serde_json::to_string(&moved.policy).map_err(|_| Failure::damaged("a moved policy"))?;
    let values: &rows::Values<'_> = &[
        &id.0,
        &values::text(moved.hint.as_str()),
        &moved.status.as_str(),
        &policy,
        &version.0,
        &Moment(moved.bound_at),
        &Moment(moved.updated_at),
        &moved.last_used_at.map(Moment),
        &i64::try_from(moved.use_count).unwrap_or(i64::MAX),
        &values::text(&moved.ban_reason),
        &moved.ban_expires_at.map(Moment),
        &values::text(&moved.remarks.note),
        &values::texts(&moved.remarks.labels),
        &values::text(&moved.profile),
    ];
    rows::execute(session, update, values).await?;
    bindings::replace_networks(session, id, &moved.networks).await?;
    announce(session, bindings::changed(moved.fingerprint, version, now)).await
}

async fn take_archived(
    session: &Session,
    archived: &ArchivedBinding,
    is_rehearsal: bool,
) -> Result<Taken, Failure> {
    let look =
        "SELECT FROM archived_bindings WHERE fingerprint = $1 AND archived_at = $2 AND reason = $3 LIMIT 1";
    let fingerprint = archived.fingerprint.as_bytes().as_slice();
    let (at, reason) = (Moment(archived.archived_at), values::text(&archived.reason));
    if rows::first(session, look, &[&fingerprint, &at, &reason])
        .await?
        .is_some()
    {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        let insert = "INSERT INTO archived_bindings (binding_id, fingerprint, record, reason, archived_at) \
             VALUES (coalesce(($2::text::json ->> 'id')::bigint, 0), $1, $2::text::json, $4, $3)";
        rows::execute(session, insert, &[&fingerprint, &archived.record, &at, &reason]).await?;
    }
    Ok(Taken::Added)
}

async fn take_intercept(
    session: &Session,
    intercept: &Intercept,
    is_rehearsal: bool,
) -> Result<Taken, Failure> {
    let look = "SELECT FROM intercept_logs WHERE reference = $1 AND at = $2 LIMIT 1";
    let reference = values::text(intercept.reference.as_str());
    if rows::first(session, look, &[&reference, &Moment(intercept.at)])
        .await?
        .is_some()
    {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        let mut here = intercept.clone();
        here.binding = match &intercept.fingerprint {
            Some(fingerprint) => bindings::id_of(session, fingerprint).await?,
            None => None,
        };
        intercepts::append(session, &[here]).await?;
    }
    Ok(Taken::Added)
}

async fn take_event(session: &Session, event: &AdminEvent, is_rehearsal: bool) -> Result<Taken, Failure> {
    let look =
        "SELECT FROM admin_events WHERE at = $1 AND actor = $2 AND action = $3 AND detail = $4 LIMIT 1";
    let values: &rows::Values<'_> = &[
        &Moment(event.at),
        &values::text(&event.actor),
        &values::text(&event.action),
        &values::text(&event.detail),
    ];
    if rows::first(session, look, values).await?.is_some() {
        return Ok(Taken::Unchanged);
    }
    if !is_rehearsal {
        events::append(session, event).await?;
    }
    Ok(Taken::Added)
}
