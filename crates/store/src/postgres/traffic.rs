//! How much went through, and which processes serve: the port, each call one piece of work on one session.

use async_trait::async_trait;
use sentinel_core::ports::{
    REPLICAS_MAX, Replica, StoreError, TopRefused, TrafficKept, TrafficReport, TrafficSpan, TrafficStore,
    TrafficStretch,
};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::connector::Session;
use super::failure::Failure;
use super::ports::run;
use super::rows::{self, column};
use super::sessions::Scope;
use super::values::{self, Moment};
use super::{PostgresStore, top};
use crate::top::column_count;
use crate::traffic::{self, Stretches};

/// Names the lock that whoever forgets holds: "KIPS", and a number.
const FORGET_LOCK: i64 = 0x4B49_5053_0000_0006;

/// One statement notes the replica, and adds only if the report is new. Rows are locked in the order of their key by every replica: reports
/// wait for each other, and none for one that waits for it.
const REPORT: &str = "WITH noted AS ( \
         INSERT INTO replicas (run, name, version, report, started_at, seen_at, is_stopped, propagation_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run) DO UPDATE SET report = excluded.report, \
             seen_at = excluded.seen_at, is_stopped = excluded.is_stopped, propagation_ms = excluded.propagation_ms \
         WHERE replicas.report < excluded.report RETURNING run), \
     added AS ( \
         INSERT INTO traffic (span, at, measure, count) \
         SELECT span, at, measure, count \
         FROM unnest($9::text[], $10::timestamptz[], $11::text[], $12::bigint[]) AS counted (span, at, measure, count) \
         WHERE EXISTS (SELECT FROM noted) ORDER BY span, at, measure \
         ON CONFLICT (span, at, measure) DO UPDATE SET \
             count = least(traffic.count, 9223372036854775807 - excluded.count) + excluded.count) \
     SELECT run FROM noted";

#[async_trait]
impl TrafficStore for PostgresStore {
    async fn report(&self, report: TrafficReport) -> Result<bool, StoreError> {
        run!(self, Scope::Batch, |session| add(session, &report))
    }

    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError> {
        run!(self, Scope::Question, |session| stretches(session, span, since))
    }

    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError> {
        run!(self, Scope::Report, |session| top::list(
            session, span, from, limit
        ))
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        run!(self, Scope::Question, |session| replicas(session, since))
    }

    async fn forget(&self, kept: TrafficKept) -> Result<Option<u64>, StoreError> {
        run!(self, Scope::Job, |session| forget(session, &kept))
    }
}

async fn add(session: &Session, report: &TrafficReport) -> Result<bool, Failure> {
    let sums = traffic::sums(report);
    let spans: Vec<&str> = sums.keys().map(|(span, ..)| span.as_str()).collect();
    let moments: Vec<Moment> = sums.keys().map(|(_, from, _)| Moment(*from)).collect();
    let measures: Vec<&str> = sums.keys().map(|(.., measure)| *measure).collect();
    let counts: Vec<i64> = sums.into_values().collect();
    let replica = &report.replica;
    let noted = rows::query(
        session,
        REPORT,
        &[
            &values::text(&replica.run),
            &values::text(&replica.name),
            &values::text(&replica.version),
            &column_count(report.number),
            &Moment(replica.started_at),
            &Moment(replica.seen_at),
            &replica.is_stopped,
            &replica.propagation_ms.map(i64::from),
            &spans,
            &moments,
            &measures,
            &counts,
        ],
    )
    .await?;
    Ok(!noted.is_empty())
}

async fn stretches(
    session: &Session,
    span: TrafficSpan,
    since: Timestamp,
) -> Result<Vec<TrafficStretch>, Failure> {
    let select =
        "SELECT at, measure, count FROM traffic WHERE span = $1 AND at >= $2 ORDER BY at DESC LIMIT $3";
    let values: &rows::Values<'_> = &[&span.as_str(), &Moment(since), &traffic::stretch_rows_max()];
    let mut stretches = Stretches::default();
    for row in rows::query(session, select, values).await? {
        let (from, count) = (rows::timestamp(&row, "at")?, column(&row, "count")?);
        if !stretches.take(from, column(&row, "measure")?, count) {
            break;
        }
    }
    Ok(stretches.oldest_first())
}

async fn replicas(session: &Session, since: Timestamp) -> Result<Vec<Replica>, Failure> {
    let select = "SELECT run, name, version, started_at, seen_at, is_stopped, propagation_ms FROM replicas \
         WHERE seen_at >= $1 ORDER BY seen_at DESC, run LIMIT $2";
    rows::query(session, select, &[&Moment(since), &i64::from(REPLICAS_MAX)])
        .await?
        .iter()
        .map(replica)
        .collect()
}

fn replica(row: &Row) -> Result<Replica, Failure> {
    let propagation_ms = column::<Option<i64>>(row, "propagation_ms")?
        .map(u32::try_from)
        .transpose()
        .map_err(|_| Failure::damaged("replicas.propagation_ms"))?;
    Ok(Replica {
        run: column(row, "run")?,
        name: column(row, "name")?,
        version: column(row, "version")?,
        started_at: rows::timestamp(row, "started_at")?,
        seen_at: rows::timestamp(row, "seen_at")?,
        is_stopped: column(row, "is_stopped")?,
        propagation_ms,
    })
}

async fn forget(session: &Session, kept: &TrafficKept) -> Result<Option<u64>, Failure> {
    let lock = format!("SELECT pg_try_advisory_xact_lock({FORGET_LOCK})");
    if !rows::single::<bool>(session, &lock).await? {
        return Ok(None);
    }
    let mut gone = 0;
    for (table, span, from) in traffic::outlived(kept) {
        // A row that somebody writes to just now goes the next time.
        let delete = format!(
            "DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} \
             WHERE span = $1 AND at < $2 FOR UPDATE SKIP LOCKED)"
        );
        gone += rows::execute(session, &delete, &[&span.as_str(), &Moment(from)]).await?;
    }
    let delete = "DELETE FROM replicas WHERE seen_at < $1";
    gone += rows::execute(session, delete, &[&Moment(kept.replicas_from)]).await?;
    Ok(Some(gone))
}
