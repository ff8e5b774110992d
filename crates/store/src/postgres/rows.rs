//! Between rows and the domain's types. What cannot be read back is `Damaged`, never guessed at.

use std::net::IpAddr;

use sentinel_core::binding::{Binding, BindingId, BindingRecord, BindingStatus, Remarks, Version};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::{OwnPolicy, PolicyOverride};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::connector::Session;
use super::failure::Failure;
use super::values::Moment;

/// Everything of a binding in one row, so that one statement sees it and its networks at the same moment.
pub(super) const SELECT_RECORD: &str = "SELECT id, fingerprint, hint, status, policy::text AS policy, version, bound_at, \
     updated_at, last_used_at, use_count, ban_reason, ban_expires_at, note, labels, profile, secret, \
     ARRAY(SELECT network::text FROM binding_networks WHERE binding_id = bindings.id ORDER BY position) AS networks \
     FROM bindings";

/// The values of a statement.
pub(super) type Values<'v> = [&'v (dyn ToSql + Sync)];

/// Runs a statement that is always written the same, so that each session prepares it once.
pub(super) async fn query(
    session: &Session,
    statement: &str,
    values: &Values<'_>,
) -> Result<Vec<Row>, Failure> {
    let prepared = session.prepare_cached(statement).await?;
    Ok(session.query(&prepared, values).await?)
}

/// The one row that a statement gives, or none.
pub(super) async fn first(
    session: &Session,
    statement: &str,
    values: &Values<'_>,
) -> Result<Option<Row>, Failure> {
    let prepared = session.prepare_cached(statement).await?;
    Ok(session.query_opt(&prepared, values).await?)
}

/// Runs a statement that gives nothing.
pub(super) async fn execute(session: &Session, statement: &str, values: &Values<'_>) -> Result<u64, Failure> {
    let prepared = session.prepare_cached(statement).await?;
    Ok(session.execute(&prepared, values).await?)
}

/// The one value of the one row that a statement always gives.
pub(super) async fn single<T: for<'r> FromSql<'r>>(session: &Session, statement: &str) -> Result<T, Failure> {
    let row = first(session, statement, &[]).await?;
    column(&row.ok_or_else(|| Failure::damaged(statement))?, 0)
}

/// A value of a row.
pub(super) fn column<'r, T: FromSql<'r>>(
    row: &'r Row,
    name: impl tokio_postgres::row::RowIndex + std::fmt::Display + Copy,
) -> Result<T, Failure> {
    row.try_get(name)
        .map_err(|_| Failure::damaged(format!("column {name}")))
}

/// A moment in a column.
pub(super) fn timestamp(row: &Row, name: &str) -> Result<Timestamp, Failure> {
    column(row, name).map(|Moment(at)| at)
}

/// An address in a column.
pub(super) fn address(row: &Row, name: &str) -> Result<Option<ClientIp>, Failure> {
    let address: Option<IpAddr> = column(row, name)?;
    Ok(address.map(ClientIp::new))
}

/// A fingerprint in a column.
pub(super) fn fingerprint(row: &Row, name: &str) -> Result<Option<KeyFingerprint>, Failure> {
    let bytes: Option<&[u8]> = column(row, name)?;
    bytes
        .map(|bytes| {
            let bytes = bytes.try_into().map_err(|_| Failure::damaged(name))?;
            Ok(KeyFingerprint::from_bytes(bytes))
        })
        .transpose()
}

/// Reads a row of [`SELECT_RECORD`].
pub(super) fn record(row: &Row) -> Result<BindingRecord, Failure> {
    let status: &str = column(row, "status")?;
    let last_used_at: Option<Moment> = column(row, "last_used_at")?;
    let use_count: i64 = column(row, "use_count")?;
    Ok(BindingRecord {
        binding: Binding {
            id: BindingId(column(row, "id")?),
            fingerprint: fingerprint(row, "fingerprint")?.ok_or_else(|| Failure::damaged("fingerprint"))?,
            status: BindingStatus::from_word(status).ok_or_else(|| Failure::damaged("bindings.status"))?,
            networks: column::<Vec<&str>>(row, "networks")?
                .into_iter()
                .map(read_network)
                .collect::<Result<_, _>>()?,
            policy: read_policy(column(row, "policy")?)?,
            version: Version(column(row, "version")?),
            bound_at: timestamp(row, "bound_at")?,
        },
        hint: KeyHint::from_stored(column(row, "hint")?),
        updated_at: timestamp(row, "updated_at")?,
        last_used_at: last_used_at.map(|Moment(at)| at),
        use_count: use_count.cast_unsigned(),
        ban_reason: column(row, "ban_reason")?,
        ban_expires_at: column::<Option<Moment>>(row, "ban_expires_at")?.map(|Moment(at)| at),
        remarks: Remarks {
            note: column(row, "note")?,
            labels: column(row, "labels")?,
        },
        profile: column(row, "profile")?,
    })
}

fn read_network(text: &str) -> Result<Network, Failure> {
    text.parse()
        .map_err(|_| Failure::damaged("binding_networks.network"))
}

fn read_policy(text: &str) -> Result<OwnPolicy, Failure> {
    let policy: PolicyOverride =
        serde_json::from_str(text).map_err(|_| Failure::damaged("bindings.policy"))?;
    Ok(policy.into())
}
