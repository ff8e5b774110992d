//! Alerts and their transitions. Each function is one transaction: the row of an alert is locked before it is changed, and the index of the
//! open ones decides which replica raises.

use sentinel_core::alert::ports::{AlertFilter, StoredAlert, Transitioned};
use sentinel_core::alert::{Alert, AlertId, ChannelId, RuleKind, Seen, Severity};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::filter::Conditions;
use super::super::rows::{self, column};
use super::super::values::Moment;
use super::{alert, deliveries};
use crate::alert_records::{Advance, page_rows, written};

/// Waits for another replica that raises the same just now, and loses to it.
pub(super) async fn raise(
    session: &Session,
    raised: &Alert,
    channels: &[ChannelId],
) -> Result<Transitioned, Failure> {
    let insert = "INSERT INTO alerts (name, rule, subject, severity, state, sequence, raised_at, at, record) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (rule, subject) WHERE state <> 'calmed' DO NOTHING RETURNING id";
    let subject = raised.subject.to_string();
    let values: &rows::Values<'_> = &[
        &raised.id.as_str(),
        &raised.rule.as_str(),
        &subject,
        &raised.severity.as_str(),
        &raised.state.as_str(),
        &i64::from(raised.sequence),
        &Moment(raised.raised_at),
        &Moment(raised.at),
        &written(raised),
    ];
    let Some(row) = rows::first(session, insert, values).await? else {
        let select = "SELECT record FROM alerts WHERE rule = $1 AND subject = $2 AND state <> 'calmed'";
        let open = rows::first(session, select, &[&raised.rule.as_str(), &subject]).await?;
        let open = open.as_ref().map(alert).transpose()?;
        return Ok(Transitioned::Lost(open.map(Box::new)));
    };
    note(session, column(&row, "id")?, raised, channels).await?;
    Ok(Transitioned::Won(Box::new(raised.clone())))
}

pub(super) async fn advance(
    session: &Session,
    wanted: &Advance,
    channels: &[ChannelId],
) -> Result<Transitioned, Failure> {
    let stored = locked(session, &wanted.id).await?;
    let next = match wanted.of(stored.as_ref().map(|stored| &stored.alert)) {
        Ok(next) => next,
        Err(lost) => return Ok(lost),
    };
    let Some(StoredAlert { number, .. }) = stored else {
        return Ok(Transitioned::Lost(None));
    };
    let update = "UPDATE alerts SET state = $1, sequence = $2, at = $3, record = $4 WHERE id = $5";
    let values: &rows::Values<'_> = &[
        &next.state.as_str(),
        &i64::from(next.sequence),
        &Moment(next.at),
        &written(&next),
        &number,
    ];
    rows::execute(session, update, values).await?;
    note(session, number, &next, channels).await?;
    Ok(Transitioned::Won(Box::new(next)))
}

/// Writes the transition down, and puts it on its way.
async fn note(session: &Session, number: i64, alert: &Alert, channels: &[ChannelId]) -> Result<(), Failure> {
    let insert = "INSERT INTO alert_transitions (alert_id, sequence, record) VALUES ($1, $2, $3)";
    let values: &rows::Values<'_> = &[&number, &i64::from(alert.sequence), &written(alert)];
    rows::execute(session, insert, values).await?;
    deliveries::add(session, number, alert, channels).await
}

/// The alert, which nobody else changes before this transaction ends.
async fn locked(session: &Session, id: &AlertId) -> Result<Option<StoredAlert>, Failure> {
    let select = "SELECT id, record FROM alerts WHERE name = $1 FOR UPDATE";
    let row = rows::first(session, select, &[&id.as_str()]).await?;
    row.as_ref().map(stored).transpose()
}

fn stored(row: &Row) -> Result<StoredAlert, Failure> {
    Ok(StoredAlert {
        number: column(row, "id")?,
        alert: alert(row)?,
    })
}

pub(super) async fn observe(session: &Session, id: &AlertId, seen: &Seen) -> Result<bool, Failure> {
    let stored = locked(session, id).await?;
    let Some(StoredAlert { number, mut alert }) = stored.filter(|stored| stored.alert.state.is_open()) else {
        return Ok(false);
    };
    alert.seen.merge(seen);
    let update = "UPDATE alerts SET record = $1 WHERE id = $2";
    rows::execute(session, update, &[&written(&alert), &number]).await?;
    Ok(true)
}

pub(super) async fn open(session: &Session) -> Result<Vec<Alert>, Failure> {
    let select = "SELECT record FROM alerts WHERE state <> 'calmed' ORDER BY raised_at, id LIMIT $1";
    let rows = rows::query(session, select, &[&i64::from(page_rows(u32::MAX))]).await?;
    rows.iter().map(alert).collect()
}

pub(super) async fn list(session: &Session, filter: &AlertFilter) -> Result<Vec<StoredAlert>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("(state <> 'calmed') = ?", filter.is_open);
    conditions.add("rule = ?", filter.rule.map(RuleKind::as_str));
    conditions.add("severity = ?", filter.severity.map(Severity::as_str));
    conditions.add("id < ?", filter.before);
    let statement = conditions.page("SELECT id, record FROM alerts", page_rows(filter.limit));
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter().map(stored).collect()
}

pub(super) async fn history(session: &Session, id: &AlertId) -> Result<Vec<Alert>, Failure> {
    let select = "SELECT t.record AS record FROM alert_transitions t JOIN alerts a ON a.id = t.alert_id \
         WHERE a.name = $1 ORDER BY t.sequence";
    let rows = rows::query(session, select, &[&id.as_str()]).await?;
    rows.iter().map(alert).collect()
}

/// Transitions and deliveries go with their alert. What another replica forgets just now is passed over.
pub(super) async fn forget(session: &Session, calmed_before: Timestamp, limit: u32) -> Result<u64, Failure> {
    let forget = "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts a WHERE state = 'calmed' AND at < $1 AND NOT EXISTS \
         (SELECT FROM alert_deliveries d WHERE d.alert_id = a.id AND d.state = 'pending') \
         ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED)";
    rows::execute(session, forget, &[&Moment(calmed_before), &i64::from(limit)]).await
}
