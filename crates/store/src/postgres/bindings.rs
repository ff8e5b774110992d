//! Bindings as the data plane needs them: found, released, taught a network. Claims have a file of their own.
//!
//! Whatever changes a row locks it first, and reads it in a statement of its own after that: a statement that waits for a lock sees the row
//! anew, but not the networks beside it.

use sentinel_core::binding::{
    BINDING_NETWORKS_MAX, Binding, BindingId, BindingRecord, BindingStatus, Version,
};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;

use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, SELECT_RECORD};
use super::values::Moment;
use crate::changes::Change;

/// Names the lock of whoever sets the sequence of versions: "KIPS", and a number.
const VERSION_LOCK: i64 = 0x4B49_5053_0000_0004;

pub(super) async fn find(
    session: &Session,
    fingerprint: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let statement = format!("{SELECT_RECORD} WHERE fingerprint = $1");
    let row = rows::first(session, &statement, &[&fingerprint.as_bytes().as_slice()]).await?;
    Ok(row
        .as_ref()
        .map(rows::record)
        .transpose()?
        .map(|record| record.binding))
}

pub(super) async fn find_many(
    session: &Session,
    fingerprints: &[KeyFingerprint],
) -> Result<Vec<Binding>, Failure> {
    let statement = format!("{SELECT_RECORD} WHERE fingerprint = ANY($1)");
    let fingerprints: Vec<&[u8]> = fingerprints
        .iter()
        .map(|fingerprint| fingerprint.as_bytes().as_slice())
        .collect();
    rows::query(session, &statement, &[&fingerprints])
        .await?
        .iter()
        .map(|row| rows::record(row).map(|record| record.binding))
        .collect()
}

pub(super) async fn by_id(session: &Session, id: BindingId) -> Result<Option<BindingRecord>, Failure> {
    let statement = format!("{SELECT_RECORD} WHERE id = $1");
    let row = rows::first(session, &statement, &[&id.0]).await?;
    row.as_ref().map(rows::record).transpose()
}

pub(super) async fn id_of(
    session: &Session,
    fingerprint: &KeyFingerprint,
) -> Result<Option<BindingId>, Failure> {
    let select = "SELECT id FROM bindings WHERE fingerprint = $1";
    let row = rows::first(session, select, &[&fingerprint.as_bytes().as_slice()]).await?;
    row.map(|row| rows::column(&row, "id").map(BindingId)).transpose()
}

/// The binding as it is while this transaction lasts: nobody else changes it.
pub(super) async fn locked(session: &Session, id: BindingId) -> Result<Option<BindingRecord>, Failure> {
    let lock = "SELECT FROM bindings WHERE id = $1 FOR UPDATE";
    if rows::first(session, lock, &[&id.0]).await?.is_none() {
        return Ok(None);
    }
    by_id(session, id).await
}

pub(super) async fn release(
    session: &Session,
    id: BindingId,
    claimed: Version,
    now: Timestamp,
) -> Result<bool, Failure> {
    let delete = "DELETE FROM bindings WHERE id = $1 AND version = $2 RETURNING fingerprint";
    let Some(row) = rows::first(session, delete, &[&id.0, &claimed.0]).await? else {
        return Ok(false);
    };
    let fingerprint =
        rows::fingerprint(&row, "fingerprint")?.ok_or_else(|| Failure::damaged("fingerprint"))?;
    note_removal(session).await?;
    announce(session, removed(fingerprint, claimed, now)).await?;
    Ok(true)
}

/// A banned binding learns nothing: a ban would otherwise be lifted with the banned address already in.
pub(super) async fn learn(
    session: &Session,
    id: BindingId,
    network: Network,
    networks_max: u16,
    now: Timestamp,
) -> Result<Option<Binding>, Failure> {
    let Some(BindingRecord { mut binding, .. }) = locked(session, id).await? else {
        return Ok(None);
    };
    let full = binding.networks.len() >= usize::from(networks_max).min(BINDING_NETWORKS_MAX);
    if full || binding.status == BindingStatus::Banned || binding.networks.contains(&network) {
        return Ok(Some(binding));
    }
    binding.version = next_version(session, binding.version).await?;
    let update = "UPDATE bindings SET version = $2, updated_at = $3, archive_marked_at = NULL WHERE id = $1";
    rows::execute(session, update, &[&id.0, &binding.version.0, &Moment(now)]).await?;
    insert_networks(session, id, binding.networks.len(), &[network]).await?;
    binding.networks = binding.networks.iter().copied().chain([network]).collect();
    announce(session, changed(binding.fingerprint, binding.version, now)).await?;
    Ok(Some(binding))
}

/// Takes the next version from the one sequence, after that of the row. Only ever while the row that gets it is locked: versions of one row
/// grow, also where rows were restored from a backup and the sequence was not.
pub(super) async fn next_version(session: &Session, current: Version) -> Result<Version, Failure> {
    let next = "SELECT nextval('binding_version')";
    let version: i64 = rows::single(session, next).await?;
    if version > current.0 {
        return Ok(Version(version));
    }
    tracing::warn!(
        version,
        current = current.0,
        "the sequence of versions was behind a binding's own: was only a part of the database restored?"
    );
    // One at a time, so that nobody sets it back.
    let lock = format!("SELECT FROM pg_advisory_xact_lock({VERSION_LOCK})");
    rows::execute(session, &lock, &[]).await?;
    let catch_up = "SELECT setval('binding_version', $1) FROM binding_version WHERE last_value < $1";
    rows::execute(session, catch_up, &[&current.0]).await?;
    rows::single(session, next).await.map(Version)
}

/// Tells claims that wait for this transaction that a binding goes. See `claims::statements`.
pub(super) async fn note_removal(session: &Session) -> Result<(), Failure> {
    rows::single::<i64>(session, "SELECT nextval('binding_removals')")
        .await
        .map(drop)
}

/// What the other replicas hear of a binding that is another now.
pub(super) const fn changed(fingerprint: KeyFingerprint, version: Version, at: Timestamp) -> Change {
    Change::Binding {
        fingerprint,
        version,
        at,
    }
}

/// What they hear of one that is gone.
pub(super) fn removed(fingerprint: KeyFingerprint, last: Version, at: Timestamp) -> Change {
    Change::Binding {
        fingerprint,
        version: last.of_absence(),
        at,
    }
}

pub(super) async fn replace_networks(
    session: &Session,
    id: BindingId,
    networks: &[Network],
) -> Result<(), Failure> {
    rows::execute(
        session,
        "DELETE FROM binding_networks WHERE binding_id = $1",
        &[&id.0],
    )
    .await?;
    insert_networks(session, id, 0, networks).await
}

async fn insert_networks(
    session: &Session,
    id: BindingId,
    first_position: usize,
    networks: &[Network],
) -> Result<(), Failure> {
    let insert = "INSERT INTO binding_networks (binding_id, position, network) \
         SELECT $1, $2 + place - 1, network::cidr FROM unnest($3::text[]) WITH ORDINALITY AS new (network, place)";
    let networks: Vec<String> = networks.iter().map(Network::to_string).collect();
    let first_position = i64::try_from(first_position).unwrap_or(i64::MAX);
    rows::execute(session, insert, &[&id.0, &first_position, &networks]).await?;
    Ok(())
}
