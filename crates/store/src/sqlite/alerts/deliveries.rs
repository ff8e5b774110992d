//! Deliveries of alerts: who has them, and how they end. What ends one looks at its state in the same statement.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use sentinel_core::alert::ports::{Delivery, DeliveryFilter, DeliveryId, DeliveryState, delivery_error_kept};
use sentinel_core::alert::{Alert, ChannelId};
use sentinel_core::time::Timestamp;

use super::super::failure::Failure;
use super::super::filter::Conditions;
use super::super::rows;
use super::alert;
use crate::alert_records::{different, page_rows};

const SELECT_DELIVERY: &str = "SELECT id, record, channel, state, attempts, since, next_attempt_at, ended_at, last_error \
     FROM alert_deliveries JOIN alert_transitions USING (alert_id, sequence)";

/// One for each channel, due at once.
pub(super) fn add(
    connection: &Connection,
    number: i64,
    alert: &Alert,
    channels: &[ChannelId],
) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO alert_deliveries (alert_id, sequence, channel, since, next_attempt_at) VALUES (?1, ?2, ?3, ?4, ?4)",
    )?;
    for channel in different(channels) {
        insert.execute(params![number, alert.sequence, channel, alert.at.unix_ms()])?;
    }
    Ok(())
}

pub(super) fn is_due(connection: &Connection, channel: &ChannelId, now: Timestamp) -> Result<bool, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT 1 FROM alert_deliveries WHERE channel = ? AND state = 'pending' AND next_attempt_at <= ? LIMIT 1",
        )?
        .query_row(params![channel.as_str(), now.unix_ms()], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

pub(super) fn take_due(
    connection: &Connection,
    channel: &ChannelId,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<Delivery>, Failure> {
    let due: Vec<i64> = connection
        .prepare_cached(
            "SELECT id FROM alert_deliveries WHERE channel = ? AND state = 'pending' AND next_attempt_at <= ? \
             ORDER BY next_attempt_at, id LIMIT ?",
        )?
        .query_map(params![channel.as_str(), now.unix_ms(), page_rows(limit)], |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    let mut take = connection.prepare_cached(
        "UPDATE alert_deliveries SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ?",
    )?;
    let select = format!("{SELECT_DELIVERY} WHERE id = ?");
    let mut taken = Vec::with_capacity(due.len());
    for id in due {
        take.execute(params![now.plus(lease).unix_ms(), id])?;
        taken.extend(rows::first(connection, &select, [id], read)?);
    }
    Ok(taken)
}

pub(super) fn delivered(connection: &Connection, id: DeliveryId, at: Timestamp) -> Result<bool, Failure> {
    let end =
        "UPDATE alert_deliveries SET state = 'delivered', ended_at = ? WHERE id = ? AND state = 'pending'";
    let ended = connection
        .prepare_cached(end)?
        .execute(params![at.unix_ms(), id.0])?;
    Ok(ended > 0)
}

pub(super) fn failed(
    connection: &Connection,
    id: DeliveryId,
    attempt: u32,
    next_attempt_at: Timestamp,
    error: &str,
) -> Result<bool, Failure> {
    let put_off = "UPDATE alert_deliveries SET next_attempt_at = ?, last_error = ? \
         WHERE id = ? AND state = 'pending' AND attempts = ?";
    let error = delivery_error_kept(error);
    let changed = connection.prepare_cached(put_off)?.execute(params![
        next_attempt_at.unix_ms(),
        error,
        id.0,
        attempt
    ])?;
    Ok(changed > 0)
}

pub(super) fn dead(
    connection: &Connection,
    id: DeliveryId,
    attempt: u32,
    at: Timestamp,
    error: &str,
) -> Result<bool, Failure> {
    let bury = "UPDATE alert_deliveries SET state = 'dead', ended_at = ?, last_error = ? \
         WHERE id = ? AND state = 'pending' AND attempts = ?";
    let error = delivery_error_kept(error);
    let changed = connection
        .prepare_cached(bury)?
        .execute(params![at.unix_ms(), error, id.0, attempt])?;
    Ok(changed > 0)
}

pub(super) fn bury_strays(
    connection: &Connection,
    channels: &[ChannelId],
    since_before: Timestamp,
    at: Timestamp,
    error: &str,
) -> Result<u64, Failure> {
    // As JSON, so that the statement is the same for any number of channels.
    let channels: Vec<&str> = channels.iter().map(ChannelId::as_str).collect();
    let channels = serde_json::Value::from(channels).to_string();
    let bury = "UPDATE alert_deliveries SET state = 'dead', ended_at = ?, last_error = ? \
         WHERE state = 'pending' AND since < ? AND channel NOT IN (SELECT value FROM json_each(?))";
    let error = delivery_error_kept(error);
    let buried = connection.prepare_cached(bury)?.execute(params![
        at.unix_ms(),
        error,
        since_before.unix_ms(),
        channels
    ])?;
    Ok(u64::try_from(buried).unwrap_or(u64::MAX))
}

pub(super) fn retry(connection: &Connection, id: DeliveryId, now: Timestamp) -> Result<bool, Failure> {
    let bring_back = "UPDATE alert_deliveries SET state = 'pending', attempts = 0, since = ?1, next_attempt_at = ?1, \
         ended_at = NULL WHERE id = ?2 AND state = 'dead'";
    let changed = connection
        .prepare_cached(bring_back)?
        .execute(params![now.unix_ms(), id.0])?;
    Ok(changed > 0)
}

pub(super) fn list(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add(
        "state = ?",
        filter.state.map(DeliveryState::as_str).map(str::to_owned),
    );
    conditions.add(
        "channel = ?",
        filter.channel.as_ref().map(|channel| channel.as_str().to_owned()),
    );
    conditions.add(
        "alert_id = (SELECT a.id FROM alerts a WHERE a.name = ?)",
        filter.alert.as_ref().map(|alert| alert.as_str().to_owned()),
    );
    conditions.add("id < ?", filter.before.map(|before| before.0));
    let (statement, values) = conditions.page(SELECT_DELIVERY, page_rows(filter.limit));
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), read)?
        .collect()
}

fn read(row: &Row<'_>) -> Result<Delivery, Failure> {
    let channel: String = row.get("channel")?;
    let state: String = row.get("state")?;
    Ok(Delivery {
        id: DeliveryId(row.get("id")?),
        alert: alert(row)?,
        channel: ChannelId::new(channel).map_err(|_| Failure::damaged("alert_deliveries.channel"))?,
        state: DeliveryState::from_word(&state).ok_or_else(|| Failure::damaged("alert_deliveries.state"))?,
        attempts: row.get("attempts")?,
        since: rows::timestamp(row, "since")?,
        next_attempt_at: rows::timestamp(row, "next_attempt_at")?,
        ended_at: row
            .get::<_, Option<i64>>("ended_at")?
            .map(Timestamp::from_unix_ms),
        last_error: row.get("last_error")?,
    })
}
