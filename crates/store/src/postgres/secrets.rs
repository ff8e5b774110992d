//! Under which secret keys are hashed: whether the caller's is the current one, bindings that are moved to it, and how many there are under which.
//!
//! Whoever binds a key or moves a binding holds a lock together with all others who do; whoever changes the current secret holds it alone. So
//! after the change nothing is bound under the secret before it, and what was is seen by all. The lock comes first, in a statement of its own:
//! a statement sees what was committed before it began.

use sentinel_core::binding::{Binding, BindingCounts, BindingStatus, Version};
use sentinel_core::fingerprint::{KeyFingerprint, SecretMark};
use sentinel_core::ports::{BindingsUnder, HMAC_CHECK_SETTING};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::bindings;
use super::changes::announce;
use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, SELECT_RECORD, column};
use crate::secret::OwnSecret;

/// Names the lock: "KIPS", and a number.
pub(super) const SECRET_LOCK: i64 = 0x4B49_5053_0000_0010;
/// Holds it together with others.
pub(super) const LOCK_SHARED: &str = "SELECT FROM pg_advisory_xact_lock_shared($1)";
/// What is written down of the current secret, as JSON.
pub(super) const SELECT_CHECK: &str = "SELECT value::text AS value FROM settings WHERE name = $1";

/// An error unless the caller's secret is the current one.
pub(super) async fn assert_current(session: &Session, own: &OwnSecret) -> Result<(), Failure> {
    let row = rows::first(session, SELECT_CHECK, &[&HMAC_CHECK_SETTING]).await?;
    judge(own, row.as_ref())
}

/// The same, of what [`SELECT_CHECK`] gave.
pub(super) fn judge(own: &OwnSecret, row: Option<&Row>) -> Result<(), Failure> {
    let written: Option<String> = row.map(|row| column(row, "value")).transpose()?;
    if own.is_current(written.as_deref()) {
        Ok(())
    } else {
        Err(Failure::secret_outdated())
    }
}

/// The same, and it stays so as long as this transaction lasts.
pub(super) async fn hold_current(session: &Session, own: &OwnSecret) -> Result<(), Failure> {
    rows::execute(session, LOCK_SHARED, &[&SECRET_LOCK]).await?;
    assert_current(session, own).await
}

/// Nobody binds a key or moves a binding as long as this transaction lasts.
pub(super) async fn hold_alone(session: &Session) -> Result<(), Failure> {
    let lock = "SELECT FROM pg_advisory_xact_lock($1)";
    rows::execute(session, lock, &[&SECRET_LOCK]).await.map(drop)
}

/// The binding under either fingerprint, both seen by one statement; one under the first comes first. That there is none counts.
pub(super) async fn look(
    session: &Session,
    own: &OwnSecret,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let found = either(session, fingerprint, previous).await?;
    if found.is_none() {
        // Asked afterwards: a secret that is the current one now was so before, and what was found is all there is.
        assert_current(session, own).await?;
    }
    Ok(found)
}

async fn either(
    session: &Session,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
) -> Result<Option<Binding>, Failure> {
    let found = bindings::find_many(session, &[*fingerprint, *previous]).await?;
    Ok(found
        .into_iter()
        .max_by_key(|binding| binding.fingerprint == *fingerprint))
}

/// Moves a binding, and what was put away of the key before, to the caller's fingerprint. Gives what is there afterwards.
pub(super) async fn adopt(
    session: &Session,
    own: &OwnSecret,
    fingerprint: &KeyFingerprint,
    previous: &KeyFingerprint,
    now: Timestamp,
) -> Result<Option<Binding>, Failure> {
    hold_current(session, own).await?;
    let (to, from) = (fingerprint.as_bytes().as_slice(), previous.as_bytes().as_slice());
    let lock = "SELECT id, version FROM bindings WHERE fingerprint = $1 \
         AND NOT EXISTS (SELECT FROM bindings AS current WHERE current.fingerprint = $2) FOR UPDATE";
    let Some(row) = rows::first(session, lock, &[&from, &to]).await? else {
        // Somebody else was first, or there is nothing to be moved.
        return either(session, fingerprint, previous).await;
    };
    let (id, before): (i64, i64) = (column(&row, "id")?, column(&row, "version")?);
    let version = bindings::next_version(session, Version(before)).await?;
    let update = "UPDATE bindings SET fingerprint = $2, version = $3, secret = $4 WHERE id = $1";
    let mark = own.mark().map(|mark| mark.0);
    rows::execute(session, update, &[&id, &to, &version.0, &mark]).await?;
    move_archived(session, &[to], &[from]).await?;
    bindings::note_removal(session).await?;
    announce(session, bindings::removed(*previous, Version(before), now)).await?;
    announce(session, bindings::changed(*fingerprint, version, now)).await?;
    let select = format!("{SELECT_RECORD} WHERE id = $1");
    let row = rows::first(session, &select, &[&id]).await?;
    Ok(row
        .as_ref()
        .map(rows::record)
        .transpose()?
        .map(|record| record.binding))
}

/// What was put away of keys goes where their bindings lie.
pub(super) async fn move_archived(session: &Session, to: &[&[u8]], from: &[&[u8]]) -> Result<(), Failure> {
    let update = "UPDATE archived_bindings SET fingerprint = moved.to_fingerprint \
         FROM unnest($1::bytea[], $2::bytea[]) AS moved (to_fingerprint, from_fingerprint) \
         WHERE archived_bindings.fingerprint = moved.from_fingerprint";
    rows::execute(session, update, &[&to, &from]).await.map(drop)
}

pub(super) async fn by_secret(session: &Session) -> Result<Vec<BindingsUnder>, Failure> {
    let select = "SELECT secret, count(*) FILTER (WHERE status = $1) AS active, \
         count(*) FILTER (WHERE status = $2) AS banned FROM bindings GROUP BY secret";
    let [active, banned] = [BindingStatus::Active, BindingStatus::Banned].map(BindingStatus::as_str);
    rows::query(session, select, &[&active, &banned])
        .await?
        .iter()
        .map(|row| {
            Ok(BindingsUnder {
                secret: column::<Option<i64>>(row, "secret")?.map(SecretMark),
                counts: BindingCounts {
                    active: column::<i64>(row, "active")?.cast_unsigned(),
                    banned: column::<i64>(row, "banned")?.cast_unsigned(),
                },
            })
        })
        .collect()
}
