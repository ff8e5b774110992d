//! The settings that operators changed while the server runs.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use sentinel_core::event::Actor;
use sentinel_core::ports::{SettingsChanged, StoredSettings};

use super::failure::Failure;
use super::{events, rows};
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
