//! The log of what operators did.

use rusqlite::{Connection, Row, params};
use sentinel_core::event::AdminEvent;

use super::failure::Failure;
use super::rows;
use crate::bounds::page_rows;

pub(super) fn append(connection: &Connection, event: &AdminEvent) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO admin_events (at, actor, client_ip, action, detail) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            event.at.unix_ms(),
            event.actor,
            event.client_ip.map(|address| address.to_string()),
            event.action,
            event.detail,
        ])?;
    Ok(())
}

pub(super) fn newest(connection: &Connection, limit: u32) -> Result<Vec<AdminEvent>, Failure> {
    connection
        .prepare_cached(
            "SELECT at, actor, client_ip, action, detail FROM admin_events ORDER BY id DESC LIMIT ?",
        )?
        .query_and_then([page_rows(limit)], read)?
        .collect()
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
