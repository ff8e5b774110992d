//! The days of the audit log: each in a partition of its own, made ahead, and dropped whole when it is old enough.
//!
//! An intercept of a day without a partition goes to the default one. When that day gets its partition, what is there of it moves over.
//! Must never lose a row on the way. Whoever writes waits meanwhile: for as long as the rows of one day take to move, which are few where
//! days are made ahead.

use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, column};
use super::sessions::{Scope, Sessions};
use super::values::Moment;

/// Names the lock that whoever makes or drops partitions holds: "KIPS", and a number.
const PARTITION_LOCK: i64 = 0x4B49_5053_0000_0003;
/// The most days that partitions are made ahead for.
pub(super) const DAYS_AHEAD_MAX: u32 = 31;
/// The most rows that are deleted in one transaction.
pub(super) const ROWS_DELETED_MAX: i64 = 1_000;

const DAY_MS: i64 = 86_400_000;
const PREFIX: &str = "intercept_logs_day_";

/// A day in UTC, as the count of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Day(i64);

impl Day {
    fn of(at: Timestamp) -> Self {
        Self(Moment::stored(at).unix_ms().div_euclid(DAY_MS))
    }

    fn begins(self) -> Timestamp {
        Timestamp::from_unix_ms(self.0 * DAY_MS)
    }

    /// `20261231`.
    fn digits(self) -> String {
        let digits = self.begins().rfc3339();
        digits.chars().filter(char::is_ascii_digit).take(8).collect()
    }

    fn partition(self) -> String {
        format!("{PREFIX}{}", self.digits())
    }
}

/// As `PostgresStore::ensure_partitions`.
pub(super) async fn ensure(sessions: &Sessions, now: Timestamp, days_ahead: u32) -> Result<u32, StoreError> {
    let first = Day::of(now).0;
    let mut made = 0;
    for day in (first..=first + i64::from(days_ahead.min(DAYS_AHEAD_MAX))).map(Day) {
        // Each in a transaction of its own, so that the log's locks are held for a moment only.
        let is_new = sessions
            .run(Scope::Job, move |session| Box::pin(make(session, day)))
            .await?;
        made += u32::from(is_new);
    }
    Ok(made)
}

/// As `PostgresStore::drop_partitions_before`.
pub(super) async fn drop_before(sessions: &Sessions, at: Timestamp) -> Result<u32, StoreError> {
    let kept = Day::of(at).partition();
    let old = sessions
        .run(Scope::Question, move |session| {
            Box::pin(async move {
                Ok(partitions(session)
                    .await?
                    .into_iter()
                    .filter(|name| *name < kept)
                    .collect())
            })
        })
        .await?;
    let old: Vec<String> = old;
    let mut dropped = 0;
    for name in old {
        let is_gone = sessions
            .run(Scope::Job, move |session| {
                Box::pin(async move { drop_one(session, &name).await })
            })
            .await?;
        dropped += u32::from(is_gone);
    }
    Ok(dropped)
}

/// Drops whole days, the oldest first, while there are more than `rows_max` rows, up to yesterday; then deletes the oldest rows in small
/// steps. Says how many rows were deleted.
pub(super) async fn keep_newest(
    sessions: &Sessions,
    rows_max: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let today = Day::of(now).partition();
    loop {
        let today = today.clone();
        let oldest = sessions
            .run(Scope::Report, move |session| {
                Box::pin(async move {
                    if rows_at_most(session).await? <= rows_max {
                        return Ok(None);
                    }
                    Ok(partitions(session).await?.into_iter().find(|name| *name < today))
                })
            })
            .await?;
        let Some(name) = oldest else {
            break;
        };
        let is_gone = sessions
            .run(Scope::Job, move |session| {
                Box::pin(async move { drop_one(session, &name).await })
            })
            .await?;
        if !is_gone {
            // Another replica is at it.
            return Ok(0);
        }
    }
    delete_beyond(sessions, rows_max).await
}

async fn delete_beyond(sessions: &Sessions, rows_max: i64) -> Result<u64, StoreError> {
    let delete = "DELETE FROM intercept_logs WHERE (id, at) IN ( \
         SELECT id, at FROM intercept_logs WHERE id <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let mut deleted = 0;
    loop {
        let step = sessions
            .run(Scope::Batch, move |session| {
                Box::pin(async move {
                    let newest: i64 =
                        rows::single(session, "SELECT coalesce(max(id), 0) FROM intercept_logs").await?;
                    let values: &rows::Values<'_> = &[&newest.saturating_sub(rows_max), &ROWS_DELETED_MAX];
                    rows::execute(session, delete, values).await
                })
            })
            .await?;
        deleted += step;
        if step < ROWS_DELETED_MAX.unsigned_abs() {
            return Ok(deleted);
        }
    }
}

/// Ids come from one sequence and are dense but for what was removed, so the newest and the oldest one say how many rows there are at
/// most, without counting them.
async fn rows_at_most(session: &Session) -> Result<i64, Failure> {
    rows::single(
        session,
        "SELECT coalesce(max(id) - min(id) + 1, 0)::bigint FROM intercept_logs",
    )
    .await
}

/// Deletes what lies before `oldest` and is not in a day that was dropped, in small steps; says how many rows.
pub(super) async fn delete_before(sessions: &Sessions, oldest: Timestamp) -> Result<u64, StoreError> {
    let delete = "DELETE FROM intercept_logs WHERE (id, at) IN ( \
         SELECT id, at FROM intercept_logs WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let mut deleted = 0;
    loop {
        let step = sessions
            .run(Scope::Batch, move |session| {
                Box::pin(async move {
                    rows::execute(session, delete, &[&Moment(oldest), &ROWS_DELETED_MAX]).await
                })
            })
            .await?;
        deleted += step;
        if step < ROWS_DELETED_MAX.unsigned_abs() {
            return Ok(deleted);
        }
    }
}

/// Waits until nobody else makes or drops partitions; then nobody does while this transaction lasts.
async fn alone(session: &Session) -> Result<(), Failure> {
    let lock = format!("SELECT FROM pg_advisory_xact_lock({PARTITION_LOCK})");
    rows::execute(session, &lock, &[]).await.map(drop)
}

/// The names of the days' partitions; they sort as the days do.
async fn partitions(session: &Session) -> Result<Vec<String>, Failure> {
    let select = "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'intercept_logs'::regclass AND starts_with(c.relname::text, $1) ORDER BY name";
    rows::query(session, select, &[&PREFIX])
        .await?
        .iter()
        .map(|row| column(row, "name"))
        .collect()
}

async fn make(session: &Session, day: Day) -> Result<bool, Failure> {
    alone(session).await?;
    let name = day.partition();
    if partitions(session).await?.contains(&name) {
        return Ok(false);
    }
    let (from, to) = (day.begins().rfc3339(), Day(day.0 + 1).begins().rfc3339());
    // Whoever writes waits at the log itself, and finds the new day when it is his turn. A day without rows in the default partition costs
    // a look at an index.
    let statements = format!(
        "LOCK TABLE intercept_logs IN SHARE ROW EXCLUSIVE MODE; \
         CREATE TABLE {name} (LIKE intercept_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         WITH moved AS (DELETE FROM intercept_logs_default WHERE at >= '{from}' AND at < '{to}' RETURNING *) \
             INSERT INTO {name} SELECT * FROM moved; \
         ALTER TABLE intercept_logs ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}')"
    );
    session.batch_execute(&statements).await?;
    Ok(true)
}

async fn drop_one(session: &Session, name: &str) -> Result<bool, Failure> {
    alone(session).await?;
    // Another replica may have dropped it since.
    let is_there = partitions(session).await?.iter().any(|there| there == name);
    if is_there {
        session.batch_execute(&format!("DROP TABLE {name}")).await?;
    }
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let last_moment = Timestamp::from_unix_ms(1_798_761_599_999);
        let day = Day::of(last_moment);
        assert_eq!(day.partition(), "intercept_logs_day_20261231");
        assert_eq!(Day(day.0 + 1).begins().rfc3339(), "2027-01-01T00:00:00Z");
        assert_eq!(
            Day::of(Timestamp::from_unix_ms(-1)).partition(),
            "intercept_logs_day_19691231"
        );
    }
}
