//! The settings that operators changed while the server runs.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use sentinel_core::event::Actor;
use sentinel_core::ports::{SettingChange, SettingsChanged, StoredSettings};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::{events, rows};
use crate::bounds::page_rows;
use crate::change;

/// All of them and their version, by one statement: so both are of the same moment.
pub(super) fn all(connection: &Connection) -> Result<StoredSettings, Failure> {
    let mut stored = StoredSettings::default();
    let mut prepared = connection.prepare_cached(
        "SELECT settings_version.value, settings.name, settings.value FROM settings_version LEFT JOIN settings",
    )?;
    let mut rows = prepared.query([])?;
    while let Some(row) = rows.next()? {
        stored.version = row.get(0)?;
        if let Some(name) = row.get(1)? {
            stored.values.insert(name, row.get(2)?);
        }
    }
    Ok(stored)
}

/// As core's `SettingStore::change_settings`, inside the writer's transaction.
pub(super) fn change(
    connection: &Connection,
    version: i64,
    changes: &BTreeMap<String, Option<String>>,
    actor: &Actor,
) -> Result<SettingsChanged, Failure> {
    let before = all(connection)?;
    if before.version != version {
        return Ok(SettingsChanged::Outdated(before));
    }
    if changes.is_empty() {
        return Ok(SettingsChanged::Done(before));
    }
    for (name, value) in changes {
        put(connection, name, value.as_deref(), actor)?;
    }
    rows::single::<i64>(
        connection,
        "UPDATE settings_version SET value = value + 1 RETURNING value",
    )?;
    let after = all(connection)?;
    note(connection, changes, actor, &before, &after)?;
    events::append(
        connection,
        &change::settings_event(actor, changes, &before, &after),
    )?;
    Ok(SettingsChanged::Done(after))
}

fn put(connection: &Connection, name: &str, value: Option<&str>, actor: &Actor) -> Result<(), Failure> {
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT INTO settings (name, value, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (name) DO UPDATE SET value = ?2, updated_at = ?3, updated_by = ?4",
            )?
            .execute(params![name, value, actor.at.unix_ms(), actor.name])?,
        None => connection
            .prepare_cached("DELETE FROM settings WHERE name = ?")?
            .execute([name])?,
    };
    Ok(())
}

/// Writes the change into the history, and takes from there what is too old.
fn note(
    connection: &Connection,
    changes: &BTreeMap<String, Option<String>>,
    actor: &Actor,
    before: &StoredSettings,
    after: &StoredSettings,
) -> Result<(), Failure> {
    let (change, snapshot) = change::settings_change(actor, changes, before, after);
    connection
        .prepare_cached(
            "INSERT INTO setting_changes (version, at, actor, client_ip, before, after, snapshot) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            change.version,
            change.at.unix_ms(),
            change.actor,
            change.client_ip.map(|address| address.to_string()),
            change::settings_text(&change.before),
            change::settings_text(&change.after),
            change::settings_text(&snapshot),
        ])?;
    connection
        .prepare_cached("DELETE FROM setting_changes WHERE version <= ?")?
        .execute([change::last_forgotten(change.version)])?;
    Ok(())
}

/// As core's `SettingStore::setting_changes`.
pub(super) fn history(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SettingChange>, Failure> {
    connection
        .prepare_cached(
            "SELECT version, at, actor, client_ip, before, after FROM setting_changes WHERE version < ? \
             ORDER BY version DESC LIMIT ?",
        )?
        .query_and_then(params![before.unwrap_or(i64::MAX), page_rows(limit)], read_change)?
        .collect()
}

/// As core's `SettingStore::settings_at`.
pub(super) fn at(connection: &Connection, version: i64) -> Result<Option<StoredSettings>, Failure> {
    if version == 0 {
        return Ok(Some(StoredSettings::default()));
    }
    let select = "SELECT snapshot FROM setting_changes WHERE version = ?";
    let values = rows::first(connection, select, [version], |row| read_json(row, "snapshot"))?;
    Ok(values.map(|values| StoredSettings { version, values }))
}

fn read_change(row: &Row<'_>) -> Result<SettingChange, Failure> {
    let client_ip: Option<String> = row.get("client_ip")?;
    Ok(SettingChange {
        version: row.get("version")?,
        at: rows::timestamp(row, "at")?,
        actor: row.get("actor")?,
        client_ip: client_ip
            .map(|text| rows::address(&text, "setting_changes.client_ip"))
            .transpose()?,
        before: read_json(row, "before")?,
        after: read_json(row, "after")?,
    })
}

fn read_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, Failure> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| Failure::damaged(format!("setting_changes.{column}")))
}
