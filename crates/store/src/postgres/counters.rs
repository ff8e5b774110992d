//! Counts in sliding windows, shared by all replicas, by the server's clock: for installations without Redis. While PostgreSQL is away each
//! replica goes on by itself, and merges what it counted when it is back.
//!
//! Batches of one window take turns, from before they are added until they are committed: of replicas that count at once each sees all that
//! came before it, so exactly one sees a threshold crossed. Must never keep more than [`COUNT_ROWS_MAX`] rows for long.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{Count, WindowCounters};
use sentinel_core::ports::StoreError;
use tokio::time::Instant;

use super::connector::Session;
use super::failure::Failure;
use super::ports::run;
use super::rows::{self, column};
use super::sessions::Scope;
use super::{PostgresStore, values};
use crate::counting::merged::{Batch, CountKeeper, MergedCounters};
use crate::pace::Pace;

/// The most rows, each a name's times in one slice, that are kept; of more, those that would go soonest go at once.
pub const COUNT_ROWS_MAX: u32 = 1_000_000;
/// The most rows that one sweep removes: more than a replica adds until its next one.
pub const COUNT_ROWS_SWEPT_MAX: u32 = 20_000;
/// How many rows a replica adds at most before it sweeps, but for the batch that it is at.
const SWEPT_AFTER_ROWS: usize = 10_000;
/// How often a replica that counts sweeps, however little it adds.
const SWEPT_EVERY: Duration = Duration::from_secs(10);

/// Waits for the turn of a batch of this window; "KIPS" keeps the lock apart from other programs'. It ends with the transaction. Locks on rows
/// would not do: two batches may meet at the turn of a slice, write different rows, and each miss the other.
const TAKE_TURN: &str = "SELECT FROM pg_advisory_xact_lock(1263095891, hashint8($1::bigint))";

/// Adds a batch unless its number, or a later one, is there already. A slice is 1/60 of the window ([`sentinel_core::counting::SLICES`]),
/// numbered from 1970.
const ADD: &str = "WITH clock AS (SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint AS ms), \
     given AS ( \
         INSERT INTO alert_count_batches AS batches (replica, window_ms, number, expires_at) \
         VALUES ($1::bigint, $2::bigint, $3::bigint, statement_timestamp() + ($2::bigint + 60000) * interval '1 millisecond') \
         ON CONFLICT (replica, window_ms) DO UPDATE SET number = excluded.number, expires_at = excluded.expires_at \
         WHERE batches.number < excluded.number RETURNING number), \
     parts AS ( \
         SELECT part.name, (clock.ms - part.age_ms) * 60 / $2::bigint AS slice, sum(part.times)::bigint AS times \
         FROM unnest($4::text[], $5::bigint[], $6::bigint[]) AS part (name, age_ms, times), clock GROUP BY 1, 2) \
     INSERT INTO alert_counts AS counts (window_ms, name, slice, times, expires_at) \
     SELECT $2::bigint, name, slice, times, to_timestamp((slice + 60) * $2::bigint / 60000.0) \
     FROM parts, clock, given WHERE slice > clock.ms * 60 / $2::bigint - 60 \
     ON CONFLICT (window_ms, name, slice) DO UPDATE \
     SET times = least(counts.times, 9223372036854775807 - excluded.times) + excluded.times";

/// How often each name happened in the window that ends now, in the order of the names.
const SUM: &str = "WITH first AS ( \
         SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint * 60 / $1::bigint - 59 AS slice) \
     SELECT least(coalesce((SELECT sum(counts.times) FROM alert_counts counts \
         WHERE counts.window_ms = $1::bigint AND counts.name = asked.name COLLATE \"C\" \
         AND counts.slice >= (SELECT slice FROM first)), 0), 9223372036854775807)::bigint AS times \
     FROM unnest($2::text[]) WITH ORDINALITY AS asked (name, place) ORDER BY place";

/// Removes what no window reaches any more, and what is beyond the bound; says how much of it would have counted. What another replica
/// removes just now is passed over.
const SWEEP: &str = "WITH due AS ( \
         SELECT window_ms, name, slice FROM alert_counts WHERE expires_at <= greatest(now(), \
             (SELECT expires_at FROM alert_counts ORDER BY expires_at DESC OFFSET $1 LIMIT 1)) \
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED), \
     gone AS ( \
         DELETE FROM alert_counts counts USING due WHERE counts.window_ms = due.window_ms \
         AND counts.name = due.name AND counts.slice = due.slice RETURNING counts.expires_at), \
     numbers AS ( \
         DELETE FROM alert_count_batches WHERE (replica, window_ms) IN ( \
             SELECT replica, window_ms FROM alert_count_batches WHERE expires_at <= now() LIMIT $2 FOR UPDATE SKIP LOCKED)) \
     SELECT count(*) FILTER (WHERE expires_at > now()) FROM gone";

/// [`WindowCounters`] on PostgreSQL. Knows one window at a time: a call with another one begins anew, and what waited for the old one is let
/// go.
#[derive(Debug)]
pub struct PostgresCounters(MergedCounters<OnPostgres>);

#[derive(Debug)]
pub(super) struct OnPostgres(pub(super) PostgresStore);

impl PostgresCounters {
    /// Counts in the store's database. Fails when the system has no random numbers.
    pub fn new(store: &PostgresStore) -> Result<Self, StoreError> {
        MergedCounters::new(OnPostgres(store.clone())).map(Self)
    }
}

#[async_trait]
impl WindowCounters for PostgresCounters {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        self.0.add(window, batch).await
    }

    fn take_lost(&self) -> u64 {
        self.0.take_lost()
    }
}

/// What all counters of one store know of the table's upkeep.
#[derive(Debug)]
pub(super) struct CountsUpkeep {
    rows_max: u32,
    swept: Mutex<Swept>,
    said: Pace,
}

#[derive(Debug, Default)]
struct Swept {
    at: Option<Instant>,
    rows_since: usize,
}

impl CountsUpkeep {
    pub(super) fn new(rows_max: u32) -> Self {
        Self {
            rows_max,
            swept: Mutex::default(),
            said: Pace::default(),
        }
    }

    /// Whether to sweep before so many rows are added; whoever asks then does.
    fn is_due(&self, rows: usize) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept.at.is_none_or(|at| at.elapsed() >= SWEPT_EVERY);
        let is_due = is_time || swept.rows_since >= SWEPT_AFTER_ROWS;
        if is_due {
            *swept = Swept {
                at: Some(Instant::now()),
                rows_since: 0,
            };
        }
        swept.rows_since += rows;
        is_due
    }
}

impl OnPostgres {
    /// What goes wrong here is no reason not to count.
    async fn sweep(&self) {
        let store = &self.0;
        let rows_max = i64::from(store.counts_upkeep.rows_max);
        match run!(store, Scope::Question, |session| sweep(session, rows_max)) {
            Ok(0) => {}
            Ok(rows) if store.counts_upkeep.said.is_due() => tracing::warn!(
                rows,
                rows_max,
                "more is counted for alerts than there is room for: the oldest counts go early, and alerts may come late"
            ),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "old counts could not be removed yet"),
        }
    }
}

#[async_trait]
impl CountKeeper for OnPostgres {
    async fn add(&self, batch: Batch, asked: Vec<String>) -> Result<Vec<u64>, StoreError> {
        let store = &self.0;
        if store.counts_upkeep.is_due(batch.parts.len()) {
            self.sweep().await;
        }
        if batch.parts.is_empty() {
            return run!(store, Scope::Question, |session| sum(
                session,
                batch.window_ms,
                &asked
            ));
        }
        run!(store, Scope::Change, |session| async {
            add(session, &batch).await?;
            sum(session, batch.window_ms, &asked).await
        })
    }
}

async fn add(session: &Session, batch: &Batch) -> Result<(), Failure> {
    let window_ms = whole(batch.window_ms);
    rows::execute(session, TAKE_TURN, &[&window_ms]).await?;
    let names: Vec<Cow<'_, str>> = batch.parts.iter().map(|part| values::text(&part.name)).collect();
    let ages: Vec<i64> = batch.parts.iter().map(|part| whole(part.age_ms)).collect();
    let times: Vec<i64> = batch.parts.iter().map(|part| whole(part.times)).collect();
    let (replica, number) = (batch.replica.cast_signed(), whole(batch.number));
    let values: &rows::Values<'_> = &[&replica, &window_ms, &number, &names, &ages, &times];
    rows::execute(session, ADD, values).await.map(drop)
}

async fn sum(session: &Session, window_ms: u64, asked: &[String]) -> Result<Vec<u64>, Failure> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<Cow<'_, str>> = asked.iter().map(|name| values::text(name)).collect();
    let rows = rows::query(session, SUM, &[&whole(window_ms), &names]).await?;
    let times = |row| column::<i64>(row, "times").map(i64::cast_unsigned);
    rows.iter().map(times).collect()
}

/// How many counts went before their time.
async fn sweep(session: &Session, rows_max: i64) -> Result<i64, Failure> {
    let values: &rows::Values<'_> = &[&rows_max, &i64::from(COUNT_ROWS_SWEPT_MAX)];
    let gone = rows::first(session, SWEEP, values).await?;
    column(&gone.ok_or_else(|| Failure::damaged("alert_counts"))?, 0)
}

/// A duration in milliseconds, or a number of times, as far as a column holds it.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use sentinel_core::counting::{COUNT_BATCH_MAX, SLICES};

    use super::*;

    #[test]
    fn the_statements_know_how_many_slices_there_are() {
        let slices = SLICES.to_string();
        assert!(ADD.contains(&format!("* {slices} / $2")) && ADD.contains(&format!("(slice + {slices})")));
        assert!(ADD.contains(&format!("$2::bigint - {slices} ")));
        assert!(SUM.contains(&format!("* {slices} / $1")) && SUM.contains(&format!("- {}", SLICES - 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_is_due_by_time_and_by_what_was_added_and_keeps_up_with_it() {
        let upkeep = CountsUpkeep::new(COUNT_ROWS_MAX);
        assert!(upkeep.is_due(1));
        assert!(!upkeep.is_due(0));
        tokio::time::advance(SWEPT_EVERY).await;
        assert!(upkeep.is_due(0));
        for _ in 0..SWEPT_AFTER_ROWS / COUNT_BATCH_MAX {
            assert!(!upkeep.is_due(COUNT_BATCH_MAX));
        }
        assert!(upkeep.is_due(COUNT_BATCH_MAX));
        assert!((SWEPT_AFTER_ROWS + COUNT_BATCH_MAX) < COUNT_ROWS_SWEPT_MAX as usize);
    }
}
