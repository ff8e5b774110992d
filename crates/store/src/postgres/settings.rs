//! The settings that operators changed while the server runs.

use std::collections::BTreeMap;

use sentinel_core::event::Actor;
use sentinel_core::ports::{SettingsChanged, StoredSettings};

use super::changes::announce;
use super::connector::Session;
use super::events;
use super::failure::Failure;
use super::rows::{self, column};
use super::values::{self, Moment};
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
