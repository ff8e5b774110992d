//! What a batch of claims says to PostgreSQL, inside one transaction.
//!
//! A row takes its version when it is inserted, which may be before a row of the same key has made way for it: the server looks for that row
//! after it has made the values. The binding would then be older than the one that is gone, and caches would take the old one for the
//! newer. `binding_removals` moves with each binding that is taken away, before that is committed. When it has moved since before the
//! insertion, the new rows, which nobody else sees yet, take their versions anew.

use std::borrow::Cow;
use std::collections::HashMap;

use futures_util::future::try_join5;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::HMAC_CHECK_SETTING;
use tokio_postgres::Row;

use super::super::bindings;
use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::rows::{self, column};
use super::super::secrets;
use super::super::values::{self, Moment};
use crate::secret::OwnSecret;

const COUNT_REMOVALS: &str =
    "SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END AS removals FROM binding_removals";

const INSERT: &str = "WITH asked AS MATERIALIZED ( \
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bytea[]) \
         AS asked (fingerprint, hint, network, bound_at, profile, previous)), \
     made AS ( \
         INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, profile, secret) \
         SELECT fingerprint, hint, 'active', '{}', nextval('binding_version'), bound_at, bound_at, profile, $7 FROM asked \
         WHERE previous IS NULL OR NOT EXISTS (SELECT FROM bindings AS earlier WHERE earlier.fingerprint = asked.previous) \
         ON CONFLICT (fingerprint) DO NOTHING RETURNING id, fingerprint, version), \
     networks AS ( \
         INSERT INTO binding_networks (binding_id, position, network) \
         SELECT made.id, 0, asked.network::cidr FROM made JOIN asked USING (fingerprint)) \
     SELECT id, fingerprint, version FROM made";

const RENEW_VERSIONS: &str =
    "UPDATE bindings SET version = nextval('binding_version') WHERE id = ANY($1) RETURNING id, version";

/// What is stored for a key.
pub(super) struct Stored {
    /// The key's fingerprint in its claim; the binding may lie under the previous one.
    pub(super) claimed: KeyFingerprint,
    pub(super) binding: Binding,
    /// This transaction made it.
    pub(super) is_new: bool,
}

/// Makes the bindings that are not there yet, and gives what is stored for each key; nothing for one whose binding was there and is gone.
/// The keys differ, and come in order: two batches that insert the same keys wait for each other at the first.
pub(super) async fn claim(
    session: &Session,
    own: &OwnSecret,
    new: &[NewBinding],
) -> Result<Vec<Stored>, Failure> {
    let (removals_before, made, removals_after) = insert(session, own, new).await?;
    let mut versions = made
        .iter()
        .map(|row| Ok((column::<i64>(row, "id")?, column::<i64>(row, "version")?)))
        .collect::<Result<HashMap<i64, i64>, Failure>>()?;
    if removals_before != removals_after {
        renew_versions(session, &mut versions).await?;
    }
    let mut asked: HashMap<KeyFingerprint, &NewBinding> =
        new.iter().map(|new| (new.fingerprint, new)).collect();
    let mut stored = Vec::with_capacity(new.len());
    let mut won = Vec::new();
    for row in &made {
        let fingerprint = rows::fingerprint(row, "fingerprint")?;
        let new = fingerprint.and_then(|fingerprint| asked.remove(&fingerprint));
        let new = new.ok_or_else(|| Failure::damaged("a binding that nobody claimed"))?;
        let id: i64 = column(row, "id")?;
        won.extend(new.previous.map(|previous| (new.fingerprint, previous)));
        stored.push(Stored {
            claimed: new.fingerprint,
            binding: binding(id, versions[&id], new),
            is_new: true,
        });
    }
    if !won.is_empty() {
        let (to, from): (Vec<&[u8]>, Vec<&[u8]>) = won
            .iter()
            .map(|(to, from)| (to.as_bytes().as_slice(), from.as_bytes().as_slice()))
            .unzip();
        secrets::move_archived(session, &to, &from).await?;
    }
    stored.extend(lost(session, asked.into_values()).await?);
    Ok(stored)
}

/// What is stored for keys that were bound before; one under the current fingerprint comes before one under the previous.
async fn lost(session: &Session, asked: impl Iterator<Item = &NewBinding>) -> Result<Vec<Stored>, Failure> {
    let asked: Vec<&NewBinding> = asked.collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let fingerprints: Vec<KeyFingerprint> = asked
        .iter()
        .flat_map(|new| std::iter::once(new.fingerprint).chain(new.previous))
        .collect();
    let found = bindings::find_many(session, &fingerprints).await?;
    let mut found: HashMap<KeyFingerprint, Binding> = found
        .into_iter()
        .map(|binding| (binding.fingerprint, binding))
        .collect();
    let stored = asked.into_iter().filter_map(|new| {
        let current = found.remove(&new.fingerprint);
        let binding = current.or_else(|| found.remove(&new.previous?))?;
        Some(Stored {
            claimed: new.fingerprint,
            binding,
            is_new: false,
        })
    });
    Ok(stored.collect())
}

/// The insertion, between two looks at the removals, after the secret is held. Sent together, and carried out in this order: what an outdated
/// secret inserts goes with its transaction.
async fn insert(
    session: &Session,
    own: &OwnSecret,
    new: &[NewBinding],
) -> Result<(i64, Vec<Row>, i64), Failure> {
    let fingerprints: Vec<&[u8]> = new
        .iter()
        .map(|new| new.fingerprint.as_bytes().as_slice())
        .collect();
    let hints: Vec<Cow<'_, str>> = new.iter().map(|new| values::text(new.hint.as_str())).collect();
    let networks: Vec<String> = new.iter().map(|new| new.network.to_string()).collect();
    let moments: Vec<Moment> = new.iter().map(|new| Moment(new.bound_at)).collect();
    let profiles: Vec<Cow<'_, str>> = new.iter().map(|new| values::text(&new.profile)).collect();
    let previous: Vec<Option<&[u8]>> = new
        .iter()
        .map(|new| {
            new.previous
                .as_ref()
                .map(|previous| previous.as_bytes().as_slice())
        })
        .collect();
    let mark = own.mark().map(|mark| mark.0);
    let lock = session.prepare_cached(secrets::LOCK_SHARED).await?;
    let check = session.prepare_cached(secrets::SELECT_CHECK).await?;
    let count = session.prepare_cached(COUNT_REMOVALS).await?;
    let insert = session.prepare_cached(INSERT).await?;
    let values: &rows::Values<'_> = &[
        &fingerprints,
        &hints,
        &networks,
        &moments,
        &profiles,
        &previous,
        &mark,
    ];
    let (_, written, before, made, after) = try_join5(
        session.execute(&lock, &[&secrets::SECRET_LOCK]),
        session.query_opt(&check, &[&HMAC_CHECK_SETTING]),
        session.query_one(&count, &[]),
        session.query(&insert, values),
        session.query_one(&count, &[]),
    )
    .await?;
    secrets::judge(own, written.as_ref())?;
    Ok((column(&before, "removals")?, made, column(&after, "removals")?))
}

async fn renew_versions(session: &Session, versions: &mut HashMap<i64, i64>) -> Result<(), Failure> {
    let ids: Vec<i64> = versions.keys().copied().collect();
    for row in rows::query(session, RENEW_VERSIONS, &[&ids]).await? {
        versions.insert(column(&row, "id")?, column(&row, "version")?);
    }
    Ok(())
}

fn binding(id: i64, version: i64, new: &NewBinding) -> Binding {
    Binding {
        id: BindingId(id),
        fingerprint: new.fingerprint,
        status: BindingStatus::Active,
        networks: new.network.into(),
        policy: OwnPolicy::default(),
        version: Version(version),
        bound_at: Moment::stored(new.bound_at),
    }
}
