//! The log of what operators did, each event chained to the one before it.
//!
//! There is one writer, so nobody else can be at the end of the chain.

use rusqlite::{Connection, Row, params, params_from_iter};
use sentinel_core::audit::{ChainHash, ChainHead, ChainedEvent};
use sentinel_core::event::AdminEvent;
use sentinel_core::ports::{EventFilter, StoredEvent};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::filter::Conditions;
use super::rows;
use crate::bounds::page_rows;
use crate::change;

const SELECT: &str = "SELECT id, at, actor, client_ip, action, detail, previous_hash, hash FROM admin_events";

pub(super) fn append(connection: &Connection, event: &AdminEvent) -> Result<(), Failure> {
    let before = head(connection)?.hash;
    let hash = before.followed_by(event);
    connection
        .prepare_cached(
            "INSERT INTO admin_events (at, actor, client_ip, action, detail, previous_hash, hash, binding_id) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            event.at.unix_ms(),
            event.actor,
            event.client_ip.map(|address| address.to_string()),
            event.action,
            event.detail,
            before.as_bytes(),
            hash.as_bytes(),
            change::binding_of(event),
        ])?;
    connection
        .prepare_cached("UPDATE audit_chain SET length = length + 1, last_id = ?, hash = ?")?
        .execute(params![connection.last_insert_rowid(), hash.as_bytes()])?;
    Ok(())
}

pub(super) fn head(connection: &Connection) -> Result<ChainHead, Failure> {
    let select = "SELECT began_after, length, last_id, hash FROM audit_chain";
    let head = rows::first(connection, select, [], |row| {
        Ok(ChainHead {
            began_after: row.get("began_after")?,
            length: row.get::<_, i64>("length")?.cast_unsigned(),
            last_id: row.get("last_id")?,
            hash: ChainHash::from_bytes(row.get("hash")?),
        })
    })?;
    head.ok_or_else(|| Failure::damaged("audit_chain"))
}

pub(super) fn chained(connection: &Connection, after: i64, limit: u32) -> Result<Vec<ChainedEvent>, Failure> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE id > ? ORDER BY id LIMIT ?"))?
        .query_and_then([after, i64::from(page_rows(limit))], |row| {
            let hash = |column| -> Result<Option<ChainHash>, Failure> {
                Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(ChainHash::from_bytes))
            };
            Ok(ChainedEvent {
                id: row.get("id")?,
                event: read(row)?,
                hashes: hash("previous_hash")?.zip(hash("hash")?),
            })
        })?
        .collect()
}

pub(super) fn list(connection: &Connection, filter: EventFilter) -> Result<Vec<StoredEvent>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("actor = ?", filter.actor);
    conditions.add("action = ?", filter.action);
    conditions.add("binding_id = ?", filter.binding.map(|id| id.0));
    conditions.add("at >= ?", filter.since.map(Timestamp::unix_ms));
    conditions.add("at < ?", filter.until.map(Timestamp::unix_ms));
    conditions.add("id < ?", filter.before);
    let (statement, values) = conditions.page(SELECT, page_rows(filter.limit));
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), |row| {
            Ok(StoredEvent {
                id: row.get("id")?,
                event: read(row)?,
            })
        })?
        .collect()
}

pub(super) fn newest(connection: &Connection, limit: u32) -> Result<Vec<AdminEvent>, Failure> {
    let filter = EventFilter {
        limit,
        ..EventFilter::default()
    };
    let stored = list(connection, filter)?;
    Ok(stored.into_iter().map(|stored| stored.event).collect())
}

pub(super) fn read(row: &Row<'_>) -> Result<AdminEvent, Failure> {
    let client_ip: Option<String> = row.get("client_ip")?;
    Ok(AdminEvent {
        at: rows::timestamp(row, "at")?,
        actor: row.get("actor")?,
        client_ip: client_ip
            .map(|text| rows::address(&text, "admin_events.client_ip"))
            .transpose()?,
        action: row.get("action")?,
        detail: row.get("detail")?,
    })
}
