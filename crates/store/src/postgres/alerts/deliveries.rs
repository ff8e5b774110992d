//! Deliveries of alerts: which replica has them, and how they end. What ends one looks at its state in the same statement.

use std::time::Duration;

use sentinel_core::alert::ports::{Delivery, DeliveryFilter, DeliveryId, DeliveryState, delivery_error_kept};
use sentinel_core::alert::{Alert, ChannelId};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::filter::Conditions;
use super::super::rows::{self, column};
use super::super::values::Moment;
use super::alert;
use crate::alert_records::{different, page_rows};

const COLUMNS: &str = "id, record, channel, state, attempts, since, next_attempt_at, ended_at, last_error";

/// One for each channel, due at once.
pub(super) async fn add(
    session: &Session,
    number: i64,
    alert: &Alert,
    channels: &[ChannelId],
) -> Result<(), Failure> {
    if channels.is_empty() {
        return Ok(());
    }
    let insert = "INSERT INTO alert_deliveries (alert_id, sequence, channel, since, next_attempt_at) \
         SELECT $1, $2, channel, $4, $4 FROM unnest($3::text[]) AS channel";
    let values: &rows::Values<'_> = &[
        &number,
        &i64::from(alert.sequence),
        &different(channels),
        &Moment(alert.at),
    ];
    rows::execute(session, insert, values).await?;
    Ok(())
}

/// What another replica takes just now is passed over, and nobody waits.
pub(super) async fn take_due(
    session: &Session,
    channel: &ChannelId,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<Delivery>, Failure> {
    let take = format!(
        "WITH due AS (SELECT id AS due_id, next_attempt_at AS due_at FROM alert_deliveries \
             WHERE channel = $1 AND state = 'pending' AND next_attempt_at <= $2 \
             ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED), \
         taken AS (UPDATE alert_deliveries SET attempts = attempts + 1, next_attempt_at = $4 \
             FROM due WHERE id = due_id RETURNING alert_deliveries.*, due_at) \
         SELECT {COLUMNS} FROM taken JOIN alert_transitions USING (alert_id, sequence) ORDER BY due_at, id"
    );
    let values: &rows::Values<'_> = &[
        &channel.as_str(),
        &Moment(now),
        &i64::from(page_rows(limit)),
        &Moment(now.plus(lease)),
    ];
    rows::query(session, &take, values)
        .await?
        .iter()
        .map(read)
        .collect()
}

pub(super) async fn delivered(session: &Session, id: DeliveryId, at: Timestamp) -> Result<bool, Failure> {
    let end =
        "UPDATE alert_deliveries SET state = 'delivered', ended_at = $1 WHERE id = $2 AND state = 'pending'";
    let ended = rows::execute(session, end, &[&Moment(at), &id.0]).await?;
    Ok(ended > 0)
}

pub(super) async fn failed(
    session: &Session,
    id: DeliveryId,
    attempt: u32,
    next_attempt_at: Timestamp,
    error: &str,
) -> Result<bool, Failure> {
    let put_off = "UPDATE alert_deliveries SET next_attempt_at = $1, last_error = $2 \
         WHERE id = $3 AND state = 'pending' AND attempts = $4";
    let values: &rows::Values<'_> = &[
        &Moment(next_attempt_at),
        &delivery_error_kept(error),
        &id.0,
        &i64::from(attempt),
    ];
    Ok(rows::execute(session, put_off, values).await? > 0)
}

pub(super) async fn dead(
    session: &Session,
    id: DeliveryId,
    attempt: u32,
    at: Timestamp,
    error: &str,
) -> Result<bool, Failure> {
    let bury = "UPDATE alert_deliveries SET state = 'dead', ended_at = $1, last_error = $2 \
         WHERE id = $3 AND state = 'pending' AND attempts = $4";
    let values: &rows::Values<'_> = &[
        &Moment(at),
        &delivery_error_kept(error),
        &id.0,
        &i64::from(attempt),
    ];
    Ok(rows::execute(session, bury, values).await? > 0)
}

pub(super) async fn bury_strays(
    session: &Session,
    channels: &[ChannelId],
    since_before: Timestamp,
    at: Timestamp,
    error: &str,
) -> Result<u64, Failure> {
    let bury = "UPDATE alert_deliveries SET state = 'dead', ended_at = $1, last_error = $2 \
         WHERE state = 'pending' AND since < $3 AND channel <> ALL ($4::text[])";
    let values: &rows::Values<'_> = &[
        &Moment(at),
        &delivery_error_kept(error),
        &Moment(since_before),
        &different(channels),
    ];
    rows::execute(session, bury, values).await
}

pub(super) async fn retry(session: &Session, id: DeliveryId, now: Timestamp) -> Result<bool, Failure> {
    let bring_back = "UPDATE alert_deliveries SET state = 'pending', attempts = 0, since = $1, next_attempt_at = $1, \
         ended_at = NULL WHERE id = $2 AND state = 'dead'";
    Ok(rows::execute(session, bring_back, &[&Moment(now), &id.0]).await? > 0)
}

pub(super) async fn list(session: &Session, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("state = ?", filter.state.map(DeliveryState::as_str));
    conditions.add(
        "channel = ?",
        filter.channel.as_ref().map(|channel| channel.as_str().to_owned()),
    );
    conditions.add(
        "alert_id = (SELECT a.id FROM alerts a WHERE a.name = ?)",
        filter.alert.as_ref().map(|alert| alert.as_str().to_owned()),
    );
    conditions.add("id < ?", filter.before.map(|before| before.0));
    let select =
        format!("SELECT {COLUMNS} FROM alert_deliveries JOIN alert_transitions USING (alert_id, sequence)");
    let statement = conditions.page(&select, page_rows(filter.limit));
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Delivery, Failure> {
    let ended_at: Option<Moment> = column(row, "ended_at")?;
    let attempts: i64 = column(row, "attempts")?;
    Ok(Delivery {
        id: DeliveryId(column(row, "id")?),
        alert: alert(row)?,
        channel: ChannelId::new(column::<String>(row, "channel")?)
            .map_err(|_| Failure::damaged("alert_deliveries.channel"))?,
        state: DeliveryState::from_word(column(row, "state")?)
            .ok_or_else(|| Failure::damaged("alert_deliveries.state"))?,
        attempts: u32::try_from(attempts).map_err(|_| Failure::damaged("alert_deliveries.attempts"))?,
        since: rows::timestamp(row, "since")?,
        next_attempt_at: rows::timestamp(row, "next_attempt_at")?,
        ended_at: ended_at.map(|Moment(at)| at),
        last_error: column(row, "last_error")?,
    })
}
