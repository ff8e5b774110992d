//! What operators do with bindings: pages, counts, and changes that each leave their event in the same transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use sentinel_core::binding::{
    BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Version,
};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::{
    ArchivedBinding, BINDINGS_COUNTED_MAX, BindingCursor, BindingFilter, BindingOrder, BindingPage,
    CountedBindings, Existing, MovedBinding, Taken,
};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::filter::Conditions;
use super::rows::{self, SELECT_RECORD};
use super::{archive, bindings, events, transfer};
use crate::bounds::page_rows;
use crate::change;
use crate::pattern::containing;

pub(super) fn list(
    connection: &Connection,
    filter: &BindingFilter,
    page: BindingPage,
) -> Result<Vec<BindingRecord>, Failure> {
    let mut conditions = conditions(filter);
    conditions.add("id < ?", filter.before.map(|id| id.0));
    let (key, direction, beyond) = match page.order {
        BindingOrder::Newest => ("id", "DESC", '<'),
        BindingOrder::Oldest => ("id", "ASC", '>'),
        BindingOrder::LastUsed => ("coalesce(last_used_at, -1)", "DESC", '<'),
        BindingOrder::MostUsed => ("use_count", "DESC", '<'),
    };
    if let Some(BindingCursor { value, id }) = page.after {
        conditions.add_all(
            format!("({key}, id) {beyond} (?, ?)"),
            [Value::Integer(value), Value::Integer(id.0)],
        );
    }
    let order = format!("{key} {direction}, id {direction}");
    let (statement, values) = conditions.page_ordered(SELECT_RECORD, &order, page_rows(filter.limit));
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), rows::record)?
        .collect()
}

/// What the filter says, its place and its limit aside.
fn conditions(filter: &BindingFilter) -> Conditions {
    let mut conditions = Conditions::default();
    let text = |text: &Option<String>| text.as_deref().map(containing);
    conditions.add(
        "status = ?",
        filter.status.map(|status| status.as_str().to_owned()),
    );
    conditions.add(r"hint LIKE ? ESCAPE '\'", text(&filter.hint));
    conditions.add(r"note LIKE ? ESCAPE '\'", text(&filter.note));
    conditions.add("profile = ?", filter.profile.clone());
    let ids = filter.ids.as_ref();
    conditions.add(
        "id IN (SELECT value FROM json_each(?))",
        ids.map(|ids| {
            ids.iter()
                .map(|id| id.0)
                .collect::<serde_json::Value>()
                .to_string()
        }),
    );
    conditions.add(
        "EXISTS (SELECT 1 FROM json_each(bindings.labels) AS label WHERE label.value = ?)",
        filter.label.clone(),
    );
    conditions.add("last_used_at >= ?", filter.used_after.map(Timestamp::unix_ms));
    conditions.add("last_used_at < ?", filter.used_before.map(Timestamp::unix_ms));
    conditions.add(
        "ban_expires_at <= ?",
        filter.ban_expires_until.map(Timestamp::unix_ms),
    );
    if let Some(address) = filter.address {
        add_address(&mut conditions, address);
    }
    if let Some(network) = filter.within {
        let (clause, values) = inside(network);
        conditions.add_all(format!("id IN ({clause})"), values);
    }
    if let Some(network) = filter.network {
        add_overlap(&mut conditions, network);
    }
    conditions
}

/// The bindings with a network that lies in this one.
fn inside(network: Network) -> (&'static str, Vec<Value>) {
    let (family, first, last) = rows::network_range(network);
    let blob = |bytes: [u8; 16]| Value::Blob(bytes.to_vec());
    (
        "SELECT binding_id FROM binding_networks \
         WHERE family = ? AND first_address >= ? AND first_address <= ? AND last_address <= ?",
        vec![Value::Integer(family), blob(first), blob(last), blob(last)],
    )
}

/// Networks nest: of two that share an address one lies in the other. Those around it begin where [`add_address`] says.
fn add_overlap(conditions: &mut Conditions, network: Network) {
    let (family, _, last) = rows::network_range(network);
    let (inside, mut values) = inside(network);
    let around = rows::first_addresses(network.first());
    let places = vec!["?"; around.len()].join(", ");
    values.push(Value::Integer(family));
    values.extend(around.into_iter().map(|bytes| Value::Blob(bytes.to_vec())));
    values.push(Value::Blob(last.to_vec()));
    conditions.add_all(
        format!(
            "id IN ({inside} UNION SELECT binding_id FROM binding_networks \
             WHERE family = ? AND first_address IN ({places}) AND last_address >= ?)"
        ),
        values,
    );
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
    let statement = "SELECT status, count(*) FROM bindings GROUP BY status";
    grouped(connection, statement, Vec::new())
}

/// Looks at one binding more than it counts: that tells whether there are more.
pub(super) fn count_some(
    connection: &Connection,
    filter: &BindingFilter,
) -> Result<CountedBindings, Failure> {
    let bound = i64::try_from(BINDINGS_COUNTED_MAX).unwrap_or(i64::MAX);
    let (some, values) = conditions(filter).limited("SELECT status FROM bindings", bound + 1);
    let statement = format!("SELECT status, count(*) FROM ({some}) GROUP BY status");
    let counts = grouped(connection, &statement, values)?;
    Ok(CountedBindings {
        counts,
        is_exact: counts.total() <= BINDINGS_COUNTED_MAX,
    })
}

fn grouped(connection: &Connection, statement: &str, values: Vec<Value>) -> Result<BindingCounts, Failure> {
    let mut counts = BindingCounts::default();
    let mut prepared = connection.prepare_cached(statement)?;
    let mut rows = prepared.query(params_from_iter(values))?;
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

/// A key that has a binding keeps it.
pub(super) fn create(
    connection: &Connection,
    new: &MovedBinding,
    actor: &Actor,
) -> Result<Option<BindingRecord>, Failure> {
    if transfer::take_binding(connection, new, Existing::Keep, false)? != Taken::Added {
        return Ok(None);
    }
    let made = bindings::by_fingerprint(connection, &new.fingerprint)?;
    if let Some(record) = &made {
        events::append(connection, &change::created_event(actor, record))?;
    }
    Ok(made)
}

pub(super) fn earlier(
    connection: &Connection,
    fingerprint: &KeyFingerprint,
    limit: u32,
) -> Result<Vec<ArchivedBinding>, Failure> {
    connection
        .prepare_cached(
            "SELECT fingerprint, record, reason, archived_at FROM archived_bindings WHERE fingerprint = ? \
             ORDER BY id DESC LIMIT ?",
        )?
        .query_and_then(
            params![fingerprint.as_bytes(), page_rows(limit)],
            transfer::read_archived,
        )?
        .collect()
}

/// One change: a new version, the change itself, and the event with what was before and what is after.
pub(super) fn edit(
    connection: &Connection,
    id: BindingId,
    edit: &BindingEdit,
    known: Option<Version>,
    actor: &Actor,
) -> Result<Edited, Failure> {
    let Some(before) = bindings::by_id(connection, id)? else {
        return Ok(Edited::Missing);
    };
    if known.is_some_and(|known| known != before.binding.version) {
        return Ok(Edited::Outdated(Box::new(before)));
    }
    if *edit == BindingEdit::Unbind {
        archive::put_away(connection, &before, change::action(edit), actor.at)?;
        events::append(connection, &change::event(edit, actor, &before, None))?;
        return Ok(Edited::Done(Box::new(before)));
    }
    let mut after = change::applied(edit, &before, actor.at);
    after.binding.version = bindings::next_version(connection)?;
    write(connection, &after)?;
    if matches!(edit, BindingEdit::Networks(_)) {
        bindings::replace_networks(connection, id, &after.binding.networks)?;
    }
    events::append(connection, &change::event(edit, actor, &before, Some(&after)))?;
    Ok(Edited::Done(Box::new(after)))
}

fn write(connection: &Connection, after: &BindingRecord) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE bindings SET version = ?, updated_at = ?, status = ?, ban_reason = ?, ban_expires_at = ?, \
             note = ?, labels = ?, archive_marked_at = NULL WHERE id = ?",
        )?
        .execute(params![
            after.binding.version.0,
            after.updated_at.unix_ms(),
            after.binding.status.as_str(),
            after.ban_reason,
            after.ban_expires_at.map(Timestamp::unix_ms),
            after.remarks.note,
            rows::labels_text(&after.remarks.labels),
            after.binding.id.0,
        ])?;
    Ok(())
}
