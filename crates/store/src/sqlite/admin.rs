//! What operators do with bindings: pages, counts, and changes that each leave their event in the same transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use sentinel_core::binding::{BindingCounts, BindingId, BindingRecord, BindingStatus};
use sentinel_core::event::Actor;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::BindingFilter;

use super::failure::Failure;
use super::filter::{Conditions, containing};
use super::rows::{self, SELECT_RECORD};
use super::{archive, bindings, events};
use crate::bounds::page_rows;
use crate::change::{self, Action};

pub(super) fn list(connection: &Connection, filter: &BindingFilter) -> Result<Vec<BindingRecord>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add(
        "status = ?",
        filter.status.map(|status| status.as_str().to_owned()),
    );
    conditions.add(r"hint LIKE ? ESCAPE '\'", filter.hint.as_deref().map(containing));
    conditions.add("id < ?", filter.before.map(|id| id.0));
    if let Some(address) = filter.address {
        add_address(&mut conditions, address);
    }
    let (statement, values) = conditions.page(SELECT_RECORD, page_rows(filter.limit));
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), rows::record)?
        .collect()
}

/// "A network of the binding contains the address". Networks nest, so the one that contains it begins at one of 33
/// (IPv4) or 129 (IPv6) addresses: each is one step into the index, however many networks there are.
fn add_address(conditions: &mut Conditions, address: ClientIp) {
    let first = rows::first_addresses(address);
    let (family, key) = rows::address_key(address);
    let places = vec!["?"; first.len()].join(", ");
    conditions.add_all(
        format!(
            "id IN (SELECT binding_id FROM binding_networks \
             WHERE family = ? AND first_address IN ({places}) AND last_address >= ?)"
        ),
        std::iter::once(Value::Integer(family))
            .chain(first.into_iter().map(|bytes| Value::Blob(bytes.to_vec())))
            .chain(std::iter::once(Value::Blob(key.to_vec()))),
    );
}

pub(super) fn counts(connection: &Connection) -> Result<BindingCounts, Failure> {
    let mut counts = BindingCounts::default();
    let mut prepared = connection.prepare_cached("SELECT status, count(*) FROM bindings GROUP BY status")?;
    let mut rows = prepared.query([])?;
    while let Some(row) = rows.next()? {
        let status: String = row.get(0)?;
        let count = row.get::<_, i64>(1)?.cast_unsigned();
        match BindingStatus::from_word(&status) {
            Some(BindingStatus::Active) => counts.active = count,
            Some(BindingStatus::Banned) => counts.banned = count,
            None => return Err(Failure::damaged("bindings.status")),
        }
    }
    Ok(counts)
}

pub(super) fn unbind(
    connection: &Connection,
    id: BindingId,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    let Some(before) = bindings::by_id(connection, id)? else {
        return Ok(None);
    };
    archive::put_away(connection, &before, Action::Unbind.as_str(), actor.at)?;
    events::append(connection, &change::event(Action::Unbind, actor, &before, None))?;
    Ok(Some(before))
}

pub(super) fn ban(
    connection: &Connection,
    id: BindingId,
    reason: &str,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    change(connection, id, Action::Ban, actor, || {
        set_status(connection, id, BindingStatus::Banned, reason)
    })
}

pub(super) fn unban(
    connection: &Connection,
    id: BindingId,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    change(connection, id, Action::Unban, actor, || {
        set_status(connection, id, BindingStatus::Active, "")
    })
}

pub(super) fn set_networks(
    connection: &Connection,
    id: BindingId,
    networks: Vec<Network>,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    let networks = change::without_repetition(networks);
    change(connection, id, Action::SetNetworks, actor, || {
        bindings::replace_networks(connection, id, &networks)
    })
}

/// One change: a new version, the change itself, and the event with what was before and what is after.
fn change(
    connection: &Connection,
    id: BindingId,
    action: Action,
    actor: &Actor,
    apply: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<BindingRecord>, Failure> {
    let Some(before) = bindings::by_id(connection, id)? else {
        return Ok(None);
    };
    let version = bindings::next_version(connection)?;
    connection
        .prepare_cached(
            "UPDATE bindings SET version = ?, updated_at = ?, archive_marked_at = NULL WHERE id = ?",
        )?
        .execute([version.0, actor.at.unix_ms(), id.0])?;
    apply()?;
    let after = bindings::by_id(connection, id)?;
    events::append(connection, &change::event(action, actor, &before, after.as_ref()))?;
    Ok(after)
}

fn set_status(
    connection: &Connection,
    id: BindingId,
    status: BindingStatus,
    reason: &str,
) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE bindings SET status = ?, ban_reason = ? WHERE id = ?")?
        .execute(params![status.as_str(), reason, id.0])?;
    Ok(())
}
