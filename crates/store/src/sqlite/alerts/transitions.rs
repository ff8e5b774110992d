//! Alerts and their transitions. Each function is one step inside the writer's transaction, so that nobody is between what it reads and
//! what it writes.

use rusqlite::{Connection, params, params_from_iter};
use sentinel_core::alert::ports::{AlertFilter, StoredAlert, Transitioned};
use sentinel_core::alert::{Alert, AlertId, ChannelId, RuleKind, Seen, Severity};
use sentinel_core::time::Timestamp;

use super::super::failure::Failure;
use super::super::filter::Conditions;
use super::super::rows;
use super::{alert, deliveries};
use crate::alert_records::{Advance, page_rows, written};

pub(super) fn raise(
    connection: &Connection,
    raised: &Alert,
    channels: &[ChannelId],
) -> Result<Transitioned, Failure> {
    let insert = "INSERT INTO alerts (name, rule, subject, severity, state, sequence, raised_at, at, record) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (rule, subject) WHERE state <> 'calmed' DO NOTHING RETURNING id";
    let subject = raised.subject.to_string();
    let values = params![
        raised.id.as_str(),
        raised.rule.as_str(),
        subject,
        raised.severity.as_str(),
        raised.state.as_str(),
        raised.sequence,
        raised.raised_at.unix_ms(),
        raised.at.unix_ms(),
        written(raised),
    ];
    let Some(number) = rows::first(connection, insert, values, |row| Ok(row.get(0)?))? else {
        let select = "SELECT record FROM alerts WHERE rule = ? AND subject = ? AND state <> 'calmed'";
        let open = rows::first(connection, select, params![raised.rule.as_str(), subject], alert)?;
        return Ok(Transitioned::Lost(open.map(Box::new)));
    };
    note(connection, number, raised, channels)?;
    Ok(Transitioned::Won(Box::new(raised.clone())))
}

pub(super) fn advance(
    connection: &Connection,
    wanted: &Advance,
    channels: &[ChannelId],
) -> Result<Transitioned, Failure> {
    let stored = find(connection, &wanted.id)?;
    let next = match wanted.of(stored.as_ref().map(|stored| &stored.alert)) {
        Ok(next) => next,
        Err(lost) => return Ok(lost),
    };
    let Some(StoredAlert { number, .. }) = stored else {
        return Ok(Transitioned::Lost(None));
    };
    connection
        .prepare_cached("UPDATE alerts SET state = ?, sequence = ?, at = ?, record = ? WHERE id = ?")?
        .execute(params![
            next.state.as_str(),
            next.sequence,
            next.at.unix_ms(),
            written(&next),
            number,
        ])?;
    note(connection, number, &next, channels)?;
    Ok(Transitioned::Won(Box::new(next)))
}

/// Writes the transition down, and puts it on its way.
fn note(connection: &Connection, number: i64, alert: &Alert, channels: &[ChannelId]) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT INTO alert_transitions (alert_id, sequence, record) VALUES (?, ?, ?)")?
        .execute(params![number, alert.sequence, written(alert)])?;
    deliveries::add(connection, number, alert, channels)
}

fn find(connection: &Connection, id: &AlertId) -> Result<Option<StoredAlert>, Failure> {
    let select = "SELECT id, record FROM alerts WHERE name = ?";
    rows::first(connection, select, [id.as_str()], stored)
}

fn stored(row: &rusqlite::Row<'_>) -> Result<StoredAlert, Failure> {
    Ok(StoredAlert {
        number: row.get("id")?,
        alert: alert(row)?,
    })
}

pub(super) fn observe(connection: &Connection, id: &AlertId, seen: &Seen) -> Result<bool, Failure> {
    let stored = find(connection, id)?.filter(|stored| stored.alert.state.is_open());
    let Some(StoredAlert { number, mut alert }) = stored else {
        return Ok(false);
    };
    alert.seen.merge(seen);
    connection
        .prepare_cached("UPDATE alerts SET record = ? WHERE id = ?")?
        .execute(params![written(&alert), number])?;
    Ok(true)
}

pub(super) fn open(connection: &Connection) -> Result<Vec<Alert>, Failure> {
    connection
        .prepare_cached("SELECT record FROM alerts WHERE state <> 'calmed' ORDER BY raised_at, id LIMIT ?")?
        .query_and_then([page_rows(u32::MAX)], alert)?
        .collect()
}

pub(super) fn list(connection: &Connection, filter: &AlertFilter) -> Result<Vec<StoredAlert>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("(state <> 'calmed') = ?", filter.is_open);
    conditions.add("rule = ?", filter.rule.map(RuleKind::as_str).map(str::to_owned));
    conditions.add(
        "severity = ?",
        filter.severity.map(Severity::as_str).map(str::to_owned),
    );
    conditions.add("id < ?", filter.before);
    let (statement, values) = conditions.page("SELECT id, record FROM alerts", page_rows(filter.limit));
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), stored)?
        .collect()
}

pub(super) fn history(connection: &Connection, id: &AlertId) -> Result<Vec<Alert>, Failure> {
    connection
        .prepare_cached(
            "SELECT t.record AS record FROM alert_transitions t JOIN alerts a ON a.id = t.alert_id \
             WHERE a.name = ? ORDER BY t.sequence",
        )?
        .query_and_then([id.as_str()], alert)?
        .collect()
}

/// Transitions and deliveries go with their alert.
pub(super) fn forget(connection: &Connection, calmed_before: Timestamp, limit: u32) -> Result<u64, Failure> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts a WHERE state = 'calmed' AND at < ? AND NOT EXISTS \
             (SELECT 1 FROM alert_deliveries d WHERE d.alert_id = a.id AND d.state = 'pending') ORDER BY at, id LIMIT ?)",
        )?
        .execute(params![calmed_before.unix_ms(), limit])?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
