//! What a batch of claims says to PostgreSQL, inside one transaction.
//!
//! A row takes its version when it is inserted, which may be before a row of the same key has made way for it: the server looks for that row
//! after it has made the values. The binding would then be older than the one that is gone, and caches would take the old one for the
//! newer. `binding_removals` moves with each binding that is taken away, before that is committed. When it has moved since before the
//! insertion, the new rows, which nobody else sees yet, take their versions anew.

use std::borrow::Cow;
use std::collections::HashMap;

use futures_util::future::try_join3;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, NewBinding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::policy::OwnPolicy;
use tokio_postgres::Row;

use super::super::bindings;
use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::rows::{self, column};
use super::super::values::{self, Moment};

const COUNT_REMOVALS: &str =
    "SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END AS removals FROM binding_removals";

const INSERT: &str = "WITH asked AS MATERIALIZED ( \
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]) \
         AS asked (fingerprint, hint, network, bound_at, profile)), \
     made AS ( \
         INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, profile) \
         SELECT fingerprint, hint, 'active', '{}', nextval('binding_version'), bound_at, bound_at, profile FROM asked \
         ON CONFLICT (fingerprint) DO NOTHING RETURNING id, fingerprint, version), \
     networks AS ( \
         INSERT INTO binding_networks (binding_id, position, network) \
         SELECT made.id, 0, asked.network::cidr FROM made JOIN asked USING (fingerprint)) \
     SELECT id, fingerprint, version FROM made";

const RENEW_VERSIONS: &str =
    "UPDATE bindings SET version = nextval('binding_version') WHERE id = ANY($1) RETURNING id, version";

/// What is stored for a key.
pub(super) struct Stored {
    pub(super) binding: Binding,
    /// This transaction made it.
    pub(super) is_new: bool,
}

/// Makes the bindings that are not there yet, and gives what is stored for each key; nothing for one whose binding was there and is gone.
/// The keys differ, and come in order: two batches that insert the same keys wait for each other at the first.
pub(super) async fn claim(session: &Session, new: &[NewBinding]) -> Result<Vec<Stored>, Failure> {
    let (removals_before, made, removals_after) = insert(session, new).await?;
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
    for row in &made {
        let fingerprint = rows::fingerprint(row, "fingerprint")?;
        let new = fingerprint.and_then(|fingerprint| asked.remove(&fingerprint));
        let new = new.ok_or_else(|| Failure::damaged("a binding that nobody claimed"))?;
        let id: i64 = column(row, "id")?;
        stored.push(Stored {
            binding: binding(id, versions[&id], new),
            is_new: true,
        });
    }
    let lost: Vec<KeyFingerprint> = asked.into_keys().collect();
    if !lost.is_empty() {
        let before = bindings::find_many(session, &lost).await?;
        stored.extend(before.into_iter().map(|binding| Stored {
            binding,
            is_new: false,
        }));
    }
    Ok(stored)
}

/// The insertion, between two looks at the removals. Sent together, and carried out in this order.
async fn insert(session: &Session, new: &[NewBinding]) -> Result<(i64, Vec<Row>, i64), Failure> {
    let fingerprints: Vec<&[u8]> = new
        .iter()
        .map(|new| new.fingerprint.as_bytes().as_slice())
        .collect();
    let hints: Vec<Cow<'_, str>> = new.iter().map(|new| values::text(new.hint.as_str())).collect();
    let networks: Vec<String> = new.iter().map(|new| new.network.to_string()).collect();
    let moments: Vec<Moment> = new.iter().map(|new| Moment(new.bound_at)).collect();
    let profiles: Vec<Cow<'_, str>> = new.iter().map(|new| values::text(&new.profile)).collect();
    let count = session.prepare_cached(COUNT_REMOVALS).await?;
    let insert = session.prepare_cached(INSERT).await?;
    let values: &rows::Values<'_> = &[&fingerprints, &hints, &networks, &moments, &profiles];
    let (before, made, after) = try_join3(
        session.query_one(&count, &[]),
        session.query(&insert, values),
        session.query_one(&count, &[]),
    )
    .await?;
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
