//! Under which secret keys are hashed: whether the caller's is the current one, bindings that are moved to it, and how many there are under which.
//!
//! What changes something runs inside the writer's transaction, as does a change of the current secret: neither happens during the other.

use rusqlite::{Connection, params};
use sentinel_core::binding::{Binding, BindingCounts, BindingStatus};
use sentinel_core::fingerprint::{KeyFingerprint, SecretMark};
use sentinel_core::ports::{BindingsUnder, HMAC_CHECK_SETTING};

use super::failure::Failure;
use super::{bindings, rows};
use crate::secret::OwnSecret;

fn is_current(connection: &Connection, own: &OwnSecret) -> Result<bool, Failure> {
    let select = "SELECT value FROM settings WHERE name = ?";
    let written = rows::first(connection, select, [HMAC_CHECK_SETTING], |row| {
        Ok(row.get::<_, String>(0)?)
    })?;
    Ok(own.is_current(written.as_deref()))
}

/// An error unless the caller's secret is the current one.
pub(super) fn assert_current(connection: &Connection, own: &OwnSecret) -> Result<(), Failure> {
    if is_current(connection, own)? {
        Ok(())
    } else {
        Err(Failure::secret_outdated())
    }
}

/// The binding under either fingerprint; one under the first comes first.
pub(super) fn either(
    connection: &Connection,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let found = bindings::find(connection, fingerprint)?;
    if found.is_some() {
        return Ok(found);
    }
    bindings::find(connection, previous)
}

/// As [`either`], where the answer that there is none counts. A reader sees both fingerprints in one transaction.
pub(super) fn look(
    connection: &Connection,
    own: &OwnSecret,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let found = either(&snapshot, fingerprint, previous)?;
    if found.is_none() {
        assert_current(&snapshot, own)?;
    }
    Ok(found)
}

/// Moves a binding, and what was put away of the key before, to the caller's fingerprint, if that is of the current secret.
pub(super) fn adopt(
    connection: &Connection,
    own: &OwnSecret,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let found = either(connection, fingerprint, previous)?;
    let is_current = is_current(connection, own)?;
    let mut binding = match found {
        Some(binding) if binding.fingerprint == *previous && is_current => binding,
        None if !is_current => return Err(Failure::secret_outdated()),
        found => return Ok(found),
    };
    binding.version = bindings::next_version(connection)?;
    binding.fingerprint = *fingerprint;
    connection
        .prepare_cached("UPDATE bindings SET fingerprint = ?, version = ?, secret = ? WHERE id = ?")?
        .execute(params![
            fingerprint.as_bytes(),
            binding.version.0,
            own.mark().map(|mark| mark.0),
            binding.id.0,
        ])?;
    move_archived(connection, fingerprint, previous)?;
    Ok(Some(binding))
}

/// What was put away of a key goes where its binding lies.
pub(super) fn move_archived(
    connection: &Connection,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE archived_bindings SET fingerprint = ? WHERE fingerprint = ?")?
        .execute([fingerprint.as_bytes(), previous.as_bytes()])?;
    Ok(())
}

pub(super) fn by_secret(connection: &Connection) -> Result<Vec<BindingsUnder>, Failure> {
    let mut prepared = connection.prepare_cached(
        "SELECT secret, count(*) FILTER (WHERE status = ?), count(*) FILTER (WHERE status = ?) FROM bindings GROUP BY secret",
    )?;
    let statuses = [BindingStatus::Active, BindingStatus::Banned].map(BindingStatus::as_str);
    prepared
        .query_and_then(statuses, |row| {
            Ok(BindingsUnder {
                secret: row.get::<_, Option<i64>>(0)?.map(SecretMark),
                counts: BindingCounts {
                    active: row.get::<_, i64>(1)?.cast_unsigned(),
                    banned: row.get::<_, i64>(2)?.cast_unsigned(),
                },
            })
        })?
        .collect()
}
