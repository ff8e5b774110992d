//! Between rows and the domain's types. What cannot be read back is `Damaged`, never guessed at.

use std::net::IpAddr;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use sentinel_core::binding::{Binding, BindingId, BindingRecord, BindingStatus, Networks, Remarks, Version};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::policy::{OwnPolicy, PolicyOverride};
use sentinel_core::time::Timestamp;

use super::failure::Failure;

/// Everything of a binding in one row, so that one statement sees it and its networks at the same moment.
pub(super) const SELECT_RECORD: &str = "SELECT id, fingerprint, hint, status, policy, version, bound_at, \
     updated_at, last_used_at, use_count, ban_reason, ban_expires_at, note, labels, profile, secret, \
     (SELECT group_concat(network, ' ' ORDER BY position) FROM binding_networks WHERE binding_id = bindings.id) \
     AS networks FROM bindings";

/// Reads a row of [`SELECT_RECORD`].
pub(super) fn record(row: &Row<'_>) -> Result<BindingRecord, Failure> {
    let status: String = row.get("status")?;
    let policy: String = row.get("policy")?;
    let networks: Option<String> = row.get("networks")?;
    Ok(BindingRecord {
        binding: Binding {
            id: BindingId(row.get("id")?),
            fingerprint: KeyFingerprint::from_bytes(row.get("fingerprint")?),
            status: BindingStatus::from_word(&status).ok_or_else(|| Failure::damaged("bindings.status"))?,
            networks: read_networks(networks.as_deref().unwrap_or_default())?,
            policy: read_policy(&policy)?,
            version: Version(row.get("version")?),
            bound_at: timestamp(row, "bound_at")?,
        },
        hint: KeyHint::from_stored(row.get("hint")?),
        updated_at: timestamp(row, "updated_at")?,
        last_used_at: row
            .get::<_, Option<i64>>("last_used_at")?
            .map(Timestamp::from_unix_ms),
        use_count: row.get::<_, i64>("use_count")?.cast_unsigned(),
        ban_reason: row.get("ban_reason")?,
        ban_expires_at: row
            .get::<_, Option<i64>>("ban_expires_at")?
            .map(Timestamp::from_unix_ms),
        remarks: Remarks {
            note: row.get("note")?,
            labels: serde_json::from_str(&row.get::<_, String>("labels")?)
                .map_err(|_| Failure::damaged("bindings.labels"))?,
        },
        profile: row.get("profile")?,
    })
}

/// Labels as their column holds them.
pub(super) fn labels_text(labels: &[String]) -> String {
    serde_json::Value::from(labels).to_string()
}

/// A moment in a column.
pub(super) fn timestamp(row: &Row<'_>, column: &str) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_unix_ms(row.get(column)?))
}

/// An address in a column that `name` names.
pub(super) fn address(text: &str, name: &str) -> Result<ClientIp, Failure> {
    text.parse::<IpAddr>()
        .map(ClientIp::new)
        .map_err(|_| Failure::damaged(name))
}

/// The one row that a statement gives, or none.
pub(super) fn first<T>(
    connection: &Connection,
    statement: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let mut prepared = connection.prepare_cached(statement)?;
    let mut rows = prepared.query(parameters)?;
    rows.next()?.map(read).transpose()
}

/// The one value of the one row that a statement always gives.
pub(super) fn single<T: FromSql>(connection: &Connection, statement: &str) -> Result<T, Failure> {
    Ok(connection
        .prepare_cached(statement)?
        .query_row([], |row| row.get(0))?)
}

/// A network's columns: family, first address, last address.
pub(super) fn network_range(network: Network) -> (i64, [u8; 16], [u8; 16]) {
    let (first, last) = (network.first().addr(), network.last().addr());
    (family(first), sixteen_bytes(first), sixteen_bytes(last))
}

/// The columns that an address is looked for with: its family, and the address.
pub(super) fn address_key(address: ClientIp) -> (i64, [u8; 16]) {
    (family(address.addr()), sixteen_bytes(address.addr()))
}

/// The first addresses of all networks that could contain this address, one per prefix length.
pub(super) fn first_addresses(address: ClientIp) -> Vec<[u8; 16]> {
    let longest = if address.addr().is_ipv4() { 32 } else { 128 };
    let mut first: Vec<[u8; 16]> = (0..=longest)
        .map(|prefix| Network::widen(address, prefix, prefix).first())
        .map(|first| sixteen_bytes(first.addr()))
        .collect();
    first.dedup();
    first
}

fn read_networks(text: &str) -> Result<Networks, Failure> {
    text.split_whitespace()
        .map(|network| {
            network
                .parse()
                .map_err(|_| Failure::damaged("binding_networks.network"))
        })
        .collect()
}

fn read_policy(text: &str) -> Result<OwnPolicy, Failure> {
    let policy: PolicyOverride =
        serde_json::from_str(text).map_err(|_| Failure::damaged("bindings.policy"))?;
    Ok(policy.into())
}

fn family(address: IpAddr) -> i64 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// IPv4 as `::ffff:a.b.c.d`, so that both families have one width. The family keeps them apart.
fn sixteen_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
