//! The settings that operators changed while the server runs.

use std::collections::BTreeMap;

use sentinel_core::event::Actor;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{HMAC_CHECK_SETTING, SettingChange, SettingsChanged, StoredSettings};
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, column};
use super::values::{self, Moment};
use super::{events, secrets};
use crate::bounds::page_rows;
use crate::change;
use crate::changes::Change;

/// All of them and their version, by one statement: so both are of the same moment.
pub(super) async fn all(session: &Session) -> Result<StoredSettings, Failure> {
    let select = "SELECT settings_version.value AS version, settings.name, settings.value::text AS value \
         FROM settings_version LEFT JOIN settings ON true";
    let mut stored = StoredSettings::default();
    for row in rows::query(session, select, &[]).await? {
        stored.version = column(&row, "version")?;
        if let Some(name) = column(&row, "name")? {
            stored.values.insert(name, column(&row, "value")?);
        }
    }
    Ok(stored)
}

/// As core's `SettingStore::change_settings`.
pub(super) async fn change(
    session: &Session,
    version: i64,
    changes: &BTreeMap<String, Option<String>>,
    actor: &Actor,
) -> Result<SettingsChanged, Failure> {
    if changes.contains_key(HMAC_CHECK_SETTING) {
        secrets::hold_alone(session).await?;
    }
    // Locked first, read after that.
    rows::single::<i64>(session, "SELECT value FROM settings_version FOR UPDATE").await?;
    let before = all(session).await?;
    if before.version != version {
        return Ok(SettingsChanged::Outdated(before));
    }
    if changes.is_empty() {
        return Ok(SettingsChanged::Done(before));
    }
    for (name, value) in changes {
        put(session, name, value.as_deref(), actor).await?;
    }
    rows::execute(session, "UPDATE settings_version SET value = value + 1", &[]).await?;
    let after = all(session).await?;
    note(session, changes, actor, &before, &after).await?;
    events::append(session, &change::settings_event(actor, changes, &before, &after)).await?;
    let changed = Change::Settings {
        version: after.version,
        at: actor.at,
    };
    announce(session, changed).await?;
    Ok(SettingsChanged::Done(after))
}

async fn put(session: &Session, name: &str, value: Option<&str>, actor: &Actor) -> Result<(), Failure> {
    let name = values::text(name);
    match value {
        Some(value) => {
            let upsert = "INSERT INTO settings (name, value, updated_at, updated_by) VALUES ($1, $2::text::json, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, \
                 updated_by = excluded.updated_by";
            let values: &rows::Values<'_> = &[&name, &value, &Moment(actor.at), &values::text(&actor.name)];
            rows::execute(session, upsert, values).await?
        }
        None => rows::execute(session, "DELETE FROM settings WHERE name = $1", &[&name]).await?,
    };
    Ok(())
}

/// Writes the change into the history, and takes from there what is too old.
async fn note(
    session: &Session,
    changes: &BTreeMap<String, Option<String>>,
    actor: &Actor,
    before: &StoredSettings,
    after: &StoredSettings,
) -> Result<(), Failure> {
    let (change, snapshot) = change::settings_change(actor, changes, before, after);
    let insert = "INSERT INTO setting_changes (version, at, actor, client_ip, before, after, snapshot) \
         VALUES ($1, $2, $3, $4, $5::text::json, $6::text::json, $7::text::json)";
    let values: &rows::Values<'_> = &[
        &change.version,
        &Moment(change.at),
        &values::text(&change.actor),
        &change.client_ip.map(ClientIp::addr),
        &change::settings_text(&change.before),
        &change::settings_text(&change.after),
        &change::settings_text(&snapshot),
    ];
    rows::execute(session, insert, values).await?;
    let forget = "DELETE FROM setting_changes WHERE version <= $1";
    rows::execute(session, forget, &[&change::last_forgotten(change.version)])
        .await
        .map(drop)
}

/// As core's `SettingStore::setting_changes`.
pub(super) async fn history(
    session: &Session,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SettingChange>, Failure> {
    let select = "SELECT version, at, actor, client_ip, before::text AS before, after::text AS after \
         FROM setting_changes WHERE version < $1 ORDER BY version DESC LIMIT $2";
    let values: &rows::Values<'_> = &[&before.unwrap_or(i64::MAX), &i64::from(page_rows(limit))];
    let rows = rows::query(session, select, values).await?;
    rows.iter().map(read_change).collect()
}

/// As core's `SettingStore::settings_at`.
pub(super) async fn at(session: &Session, version: i64) -> Result<Option<StoredSettings>, Failure> {
    if version == 0 {
        return Ok(Some(StoredSettings::default()));
    }
    let select = "SELECT snapshot::text AS snapshot FROM setting_changes WHERE version = $1";
    let row = rows::first(session, select, &[&version]).await?;
    let values = row.map(|row| read_json(&row, "snapshot")).transpose()?;
    Ok(values.map(|values| StoredSettings { version, values }))
}

fn read_change(row: &Row) -> Result<SettingChange, Failure> {
    Ok(SettingChange {
        version: column(row, "version")?,
        at: rows::timestamp(row, "at")?,
        actor: column(row, "actor")?,
        client_ip: rows::address(row, "client_ip")?,
        before: read_json(row, "before")?,
        after: read_json(row, "after")?,
    })
}

fn read_json<T: DeserializeOwned>(row: &Row, name: &str) -> Result<T, Failure> {
    let text: String = column(row, name)?;
    serde_json::from_str(&text).map_err(|_| Failure::damaged(format!("setting_changes.{name}")))
}
