//! Bindings as the data plane needs them: found, claimed, released, taught a network.
//!
//! Every function that changes something runs inside the writer's transaction, so what it reads cannot change under it.

use rusqlite::{Connection, params};
use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, Binding, BindingId, BindingRecord, BindingStatus, NewBinding, Version,
};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::Claim;
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::rows::{self, SELECT_RECORD};
use super::secrets;
use crate::secret::OwnSecret;

pub(super) fn find(
    connection: &Connection,
    fingerprint: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    Ok(by_fingerprint(connection, fingerprint)?.map(|record| record.binding))
}

pub(super) fn by_fingerprint(
    connection: &Connection,
    fingerprint: &KeyFingerprint,
) -> Result<Option<BindingRecord>, Failure> {
    let statement = format!("{SELECT_RECORD} WHERE fingerprint = ?");
    rows::first(connection, &statement, [fingerprint.as_bytes()], rows::record)
}

pub(super) fn by_id(connection: &Connection, id: BindingId) -> Result<Option<BindingRecord>, Failure> {
    rows::first(
        connection,
        &format!("{SELECT_RECORD} WHERE id = ?"),
        [id.0],
        rows::record,
    )
}

pub(super) fn claim(
    connection: &Connection,
    own: &OwnSecret,
    new: &NewBinding,
) -> Result<Claim<Binding>, Failure> {
    secrets::assert_current(connection, own)?;
    let stored = match &new.previous {
        Some(previous) => secrets::either(connection, &new.fingerprint, previous)?,
        None => find(connection, &new.fingerprint)?,
    };
    if let Some(stored) = stored {
        return Ok(Claim::Lost(stored));
    }
    if let Some(previous) = &new.previous {
        secrets::move_archived(connection, &new.fingerprint, previous)?;
    }
    let version = next_version(connection)?;
    connection
        .prepare_cached(
            "INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, profile, secret) \
             VALUES (?, ?, ?, '{}', ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.fingerprint.as_bytes(),
            new.hint.as_str(),
            BindingStatus::Active.as_str(),
            version.0,
            new.bound_at.unix_ms(),
            new.bound_at.unix_ms(),
            &*new.profile,
            own.mark().map(|mark| mark.0),
        ])?;
    let id = BindingId(connection.last_insert_rowid());
    insert_network(connection, id, 0, new.network)?;
    Ok(Claim::Won(Binding {
        id,
        fingerprint: new.fingerprint,
        status: BindingStatus::Active,
        networks: new.network.into(),
        policy: OwnPolicy::default(),
        version,
        bound_at: new.bound_at,
    }))
}

pub(super) fn release(connection: &Connection, id: BindingId, claimed: Version) -> Result<bool, Failure> {
    let removed = connection
        .prepare_cached("DELETE FROM bindings WHERE id = ? AND version = ?")?
        .execute([id.0, claimed.0])?;
    Ok(removed > 0)
}

/// A banned binding learns nothing: a ban would otherwise be lifted with the banned address already in.
pub(super) fn learn(
    connection: &Connection,
    id: BindingId,
    network: Network,
    networks_max: u16,
    now: Timestamp,
) -> Result<Option<Binding>, Failure> {
    let Some(BindingRecord { mut binding, .. }) = by_id(connection, id)? else {
        return Ok(None);
    };
    let full = binding.networks.len() >= usize::from(networks_max).min(BINDING_NETWORKS_MAX);
    if full || binding.status == BindingStatus::Banned || binding.networks.contains(&network) {
        return Ok(Some(binding));
    }
    binding.version = next_version(connection)?;
    connection
        .prepare_cached(
            "UPDATE bindings SET version = ?, updated_at = ?, archive_marked_at = NULL WHERE id = ?",
        )?
        .execute([binding.version.0, now.unix_ms(), id.0])?;
    insert_network(connection, id, binding.networks.len(), network)?;
    binding.networks = binding.networks.iter().copied().chain([network]).collect();
    Ok(Some(binding))
}

/// Takes the next version from the one sequence.
pub(super) fn next_version(connection: &Connection) -> Result<Version, Failure> {
    rows::single(
        connection,
        "UPDATE binding_version SET value = value + 1 RETURNING value",
    )
    .map(Version)
}

pub(super) fn replace_networks(
    connection: &Connection,
    id: BindingId,
    networks: &[Network],
) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM binding_networks WHERE binding_id = ?")?
        .execute([id.0])?;
    for (position, network) in networks.iter().enumerate() {
        insert_network(connection, id, position, *network)?;
    }
    Ok(())
}

pub(super) fn insert_network(
    connection: &Connection,
    id: BindingId,
    position: usize,
    network: Network,
) -> Result<(), Failure> {
    let (family, first, last) = rows::network_range(network);
    connection
        .prepare_cached(
            "INSERT INTO binding_networks (binding_id, position, network, family, first_address, last_address) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id.0,
            i64::try_from(position).unwrap_or(i64::MAX),
            network.to_string(),
            family,
            first,
            last
        ])?;
    Ok(())
}
