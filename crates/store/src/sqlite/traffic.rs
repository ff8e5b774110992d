//! How much went through, and which processes serve: the port, each call one question to a reader or one command to the writer.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sentinel_core::ports::{
    REPLICAS_MAX, Replica, StoreError, TopRefused, TrafficKept, TrafficReport, TrafficSpan, TrafficStore,
    TrafficStretch,
};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::{SqliteStore, rows, top};
use crate::top::column_count;
use crate::traffic::{self, Stretches};

#[async_trait]
impl TrafficStore for SqliteStore {
    async fn report(&self, report: TrafficReport) -> Result<bool, StoreError> {
        self.write(move |connection| add(connection, &report)).await
    }

    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError> {
        self.read(move |connection| stretches(connection, span, since))
            .await
    }

    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError> {
        self.read(move |connection| top::list(connection, span, from, limit))
            .await
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        self.read(move |connection| replicas(connection, since)).await
    }

    async fn forget(&self, kept: TrafficKept) -> Result<Option<u64>, StoreError> {
        // There is one writer, so nobody else can be at it.
        self.write(move |connection| forget(connection, &kept))
            .await
            .map(Some)
    }
}

fn add(connection: &Connection, report: &TrafficReport) -> Result<bool, Failure> {
    if !note(connection, report)? {
        return Ok(false);
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO traffic (span, at, measure, count) VALUES (?, ?, ?, ?) \
         ON CONFLICT (span, at, measure) DO UPDATE SET \
         count = min(count, 9223372036854775807 - excluded.count) + excluded.count",
    )?;
    for ((span, from, measure), count) in traffic::sums(report) {
        upsert.execute(params![span.as_str(), from.unix_ms(), measure, count])?;
    }
    Ok(true)
}

/// Notes the replica, and says whether the report is a new one.
fn note(connection: &Connection, report: &TrafficReport) -> Result<bool, Failure> {
    let replica = &report.replica;
    let noted = connection
        .prepare_cached(
            "INSERT INTO replicas (run, name, version, report, started_at, seen_at, is_stopped, propagation_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET report = excluded.report, \
             seen_at = excluded.seen_at, is_stopped = excluded.is_stopped, propagation_ms = excluded.propagation_ms \
             WHERE replicas.report < excluded.report",
        )?
        .execute(params![
            replica.run,
            replica.name,
            replica.version,
            column_count(report.number),
            replica.started_at.unix_ms(),
            replica.seen_at.unix_ms(),
            replica.is_stopped,
            replica.propagation_ms,
        ])?;
    Ok(noted > 0)
}

fn stretches(
    connection: &Connection,
    span: TrafficSpan,
    since: Timestamp,
) -> Result<Vec<TrafficStretch>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT at, measure, count FROM traffic WHERE span = ? AND at >= ? ORDER BY at DESC LIMIT ?",
    )?;
    let mut rows = statement.query(params![
        span.as_str(),
        since.unix_ms(),
        traffic::stretch_rows_max()
    ])?;
    let mut stretches = Stretches::default();
    while let Some(row) = rows.next()? {
        let (from, measure) = (rows::timestamp(row, "at")?, row.get::<_, String>("measure")?);
        if !stretches.take(from, &measure, row.get("count")?) {
            break;
        }
    }
    Ok(stretches.oldest_first())
}

fn replicas(connection: &Connection, since: Timestamp) -> Result<Vec<Replica>, Failure> {
    connection
        .prepare_cached(
            "SELECT run, name, version, started_at, seen_at, is_stopped, propagation_ms FROM replicas \
             WHERE seen_at >= ? ORDER BY seen_at DESC, run LIMIT ?",
        )?
        .query_and_then([since.unix_ms(), i64::from(REPLICAS_MAX)], |row: &Row<'_>| {
            Ok(Replica {
                run: row.get("run")?,
                name: row.get("name")?,
                version: row.get("version")?,
                started_at: rows::timestamp(row, "started_at")?,
                seen_at: rows::timestamp(row, "seen_at")?,
                is_stopped: row.get("is_stopped")?,
                propagation_ms: row.get("propagation_ms")?,
            })
        })?
        .collect()
}

fn forget(connection: &Connection, kept: &TrafficKept) -> Result<u64, Failure> {
    let mut rows = 0;
    for (table, span, from) in traffic::outlived(kept) {
        rows += connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE span = ? AND at < ?"))?
            .execute(params![span.as_str(), from.unix_ms()])?;
    }
    rows += connection
        .prepare_cached("DELETE FROM replicas WHERE seen_at < ?")?
        .execute([kept.replicas_from.unix_ms()])?;
    Ok(rows as u64)
}
