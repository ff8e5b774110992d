//! What operators do with bindings: pages, counts, and changes that each leave their event, and tell the other replicas, in the same
//! transaction.

use sentinel_core::binding::{
    BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Version,
};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{
    ArchivedBinding, BINDINGS_COUNTED_MAX, BindingCursor, BindingFilter, BindingOrder, BindingPage,
    CountedBindings, Existing, MovedBinding, Taken,
};
use tokio_postgres::Row;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::filter::Conditions;
use super::rows::{self, SELECT_RECORD, column};
use super::values::{self, Moment};
use super::{archive, bindings, events, transfer};
use crate::bounds::page_rows;
use crate::change;
use crate::pattern::containing;

/// The last use in milliseconds, where every binding has one: as `BindingOrder::place` counts it.
const LAST_USED: &str = "coalesce(round(extract(epoch FROM last_used_at) * 1000)::bigint, -1)";

pub(super) async fn list(
    session: &Session,
    filter: &BindingFilter,
    page: BindingPage,
) -> Result<Vec<BindingRecord>, Failure> {
    let mut conditions = conditions(filter);
    conditions.add("id < ?", filter.before.map(|id| id.0));
    let (key, direction, beyond) = match page.order {
        BindingOrder::Newest => ("id", "DESC", '<'),
        BindingOrder::Oldest => ("id", "ASC", '>'),
        BindingOrder::LastUsed => (LAST_USED, "DESC", '<'),
        BindingOrder::MostUsed => ("use_count", "DESC", '<'),
    };
    if let Some(BindingCursor { value, id }) = page.after {
        // Numbers, so nothing can be written into the statement with them.
        conditions.say(format!("({key}, id) {beyond} ({value}, {})", id.0));
    }
    let order = format!("{key} {direction}, id {direction}");
    let statement = conditions.page_ordered(SELECT_RECORD, &order, page_rows(filter.limit).into());
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter().map(rows::record).collect()
}

/// What the filter says, its place and its limit aside.
fn conditions(filter: &BindingFilter) -> Conditions {
    let mut conditions = Conditions::default();
    let text = |text: &Option<String>| text.as_deref().map(|text| values::text(text).into_owned());
    let part = |wanted: &Option<String>| text(wanted).map(|wanted| containing(&wanted));
    conditions.add("status = ?", filter.status.map(BindingStatus::as_str));
    conditions.add(r"hint ILIKE ? ESCAPE '\'", part(&filter.hint));
    conditions.add(r"note ILIKE ? ESCAPE '\'", part(&filter.note));
    conditions.add("profile = ?", text(&filter.profile));
    let ids = filter.ids.as_ref();
    conditions.add(
        "id = ANY(?)",
        ids.map(|ids| ids.iter().map(|id| id.0).collect::<Vec<i64>>()),
    );
    conditions.add("labels @> ARRAY[?]", text(&filter.label));
    conditions.add("last_used_at >= ?", filter.used_after.map(Moment));
    conditions.add("last_used_at < ?", filter.used_before.map(Moment));
    conditions.add("ban_expires_at <= ?", filter.ban_expires_until.map(Moment));
    conditions.add(
        "id IN (SELECT binding_id FROM binding_networks WHERE network >>= ?)",
        filter.address.map(ClientIp::addr),
    );
    conditions.add(
        "id IN (SELECT binding_id FROM binding_networks WHERE network && ?::text::inet)",
        filter.network.map(|network| network.to_string()),
    );
    conditions.add(
        "id IN (SELECT binding_id FROM binding_networks WHERE network <<= ?::text::inet)",
        filter.within.map(|network| network.to_string()),
    );
    conditions
}

pub(super) async fn counts(session: &Session) -> Result<BindingCounts, Failure> {
    let select = "SELECT status, count(*) AS count FROM bindings GROUP BY status";
    by_status(&rows::query(session, select, &[]).await?)
}

/// Looks at one binding more than it counts: that tells whether there are more.
pub(super) async fn count_some(
    session: &Session,
    filter: &BindingFilter,
) -> Result<CountedBindings, Failure> {
    let conditions = conditions(filter);
    let some = conditions.limited("SELECT status FROM bindings", BINDINGS_COUNTED_MAX + 1);
    let statement = format!("SELECT status, count(*) AS count FROM ({some}) AS counted GROUP BY status");
    let counts = by_status(&session.query(&statement, &conditions.values()).await?)?;
    Ok(CountedBindings {
        counts,
        is_exact: counts.total() <= BINDINGS_COUNTED_MAX,
    })
}

fn by_status(rows: &[Row]) -> Result<BindingCounts, Failure> {
    let mut counts = BindingCounts::default();
    for row in rows {
        let count = column::<i64>(row, "count")?.cast_unsigned();
        match BindingStatus::from_word(column(row, "status")?) {
            Some(BindingStatus::Active) => counts.active = count,
            Some(BindingStatus::Banned) => counts.banned = count,
            None => return Err(Failure::damaged("bindings.status")),
        }
    }
    Ok(counts)
}

/// A key that has a binding keeps it.
pub(super) async fn create(
    session: &Session,
    new: &MovedBinding,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    if transfer::take_binding(session, new, Existing::Keep, false, actor.at).await? != Taken::Added {
        return Ok(None);
    }
    let Some(id) = bindings::id_of(session, &new.fingerprint).await? else {
        return Ok(None);
    };
    let made = bindings::by_id(session, id).await?;
    if let Some(record) = &made {
        events::append(session, &change::created_event(actor, record)).await?;
    }
    Ok(made)
}

pub(super) async fn earlier(
    session: &Session,
    fingerprint: &KeyFingerprint,
    limit: u32,
) -> Result<Vec<ArchivedBinding>, Failure> {
    let select = "SELECT fingerprint, record::text AS record, reason, archived_at FROM archived_bindings \
         WHERE fingerprint = $1 ORDER BY id DESC LIMIT $2";
    let values: &rows::Values<'_> = &[&fingerprint.as_bytes().as_slice(), &i64::from(page_rows(limit))];
    let rows = rows::query(session, select, values).await?;
    rows.iter().map(transfer::read_archived).collect()
}

/// One change: a new version, the change itself, the event with what was before and what is after, and word to the other replicas.
pub(super) async fn edit(
    session: &Session,
    id: BindingId,
    edit: &BindingEdit,
    known: Option<Version>,
    actor: &Actor,
) -> Result<Edited, Failure> {
    let Some(before) = bindings::locked(session, id).await? else {
        return Ok(Edited::Missing);
    };
    if known.is_some_and(|known| known != before.binding.version) {
        return Ok(Edited::Outdated(Box::new(before)));
    }
    if *edit == BindingEdit::Unbind {
        let gone = std::slice::from_ref(&before);
        archive::put_away(session, gone, change::action(edit), actor.at).await?;
        events::append(session, &change::event(edit, actor, &before, None)).await?;
        return Ok(Edited::Done(Box::new(before)));
    }
    let mut after = change::applied(edit, &before, actor.at);
    after.binding.version = bindings::next_version(session, before.binding.version).await?;
    write(session, &after).await?;
    if matches!(edit, BindingEdit::Networks(_)) {
        bindings::replace_networks(session, id, &after.binding.networks).await?;
    }
    let Some(after) = bindings::by_id(session, id).await? else {
        return Ok(Edited::Missing);
    };
    events::append(session, &change::event(edit, actor, &before, Some(&after))).await?;
    let changed = bindings::changed(before.binding.fingerprint, after.binding.version, actor.at);
    announce(session, changed).await?;
    Ok(Edited::Done(Box::new(after)))
}

async fn write(session: &Session, after: &BindingRecord) -> Result<(), Failure> {
    let update = "UPDATE bindings SET version = $2, updated_at = $3, status = $4, ban_reason = $5, ban_expires_at = $6, \
         note = $7, labels = $8, archive_marked_at = NULL WHERE id = $1";
    let values: &rows::Values<'_> = &[
        &after.binding.id.0,
        &after.binding.version.0,
        &Moment(after.updated_at),
        &after.binding.status.as_str(),
        &values::text(&after.ban_reason),
        &after.ban_expires_at.map(Moment),
        &values::text(&after.remarks.note),
        &values::texts(&after.remarks.labels),
    ];
    rows::execute(session, update, values).await.map(drop)
}
