//! How long the questions of one dashboard take, asked together as the route asks them, beside an audit log of 30 days with more and more
//! rows in it. The lists of those refused most are as long as they get.

use std::time::{Duration, Instant};

use sentinel_core::ports::{BindingAdmin, InterceptFilter, InterceptStore, TrafficSpan, TrafficStore};
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_store::SqliteStore;
use serde_json::json;

use crate::keys::FILL;
use crate::latency::at;
use crate::{Failed, postgres, tell};

const DASHBOARDS: u32 = 500;
const DAYS: u32 = 30;
const BINDINGS: i64 = 100_000;
const FILLED_AT_ONCE: u64 = 500_000;

/// Rows number `$1` to `$2` of `$3`, spread over the days.
const POSTGRES_ROWS: &str = "INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, binding_id, client_ip, method, path, \
         user_agent, count) \
     SELECT 'sr_' || n, moment, moment, 'key_ip_mismatch', 'refused', n % 100000, '10.0.0.0'::inet + n % 1000000, 'POST', \
         '/v1/chat/completions', 'curl/8', 1 \
     FROM generate_series($1::bigint, $2::bigint) n, \
         LATERAL (SELECT now() - interval '30 days' * (1 - n::float8 / $3::bigint) AS moment) times";
const POSTGRES_FIGURES: &str = "INSERT INTO traffic SELECT span, moment, measure, 1000 FROM unnest(ARRAY['minute', 'hour', 'day'], \
         ARRAY[interval '2 days', '60 days', '731 days']) AS spans (span, kept), \
         LATERAL generate_series(date_trunc(span, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - kept, now(), ('1 ' || span)::interval) moment, \
         unnest(ARRAY['allowed', 'observed', 'bound', 'released', 'key_ip_mismatch', 'key_banned', 'key_missing', 'upstream_timeout']) measure; \
     INSERT INTO top_refused SELECT 'day', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - day * interval '1 day', kind, \
         CASE kind WHEN 'key' THEN 'binding ' || n ELSE host('10.0.0.0'::inet + n) END, CASE kind WHEN 'key' THEN n END, 'sk-ab…wxyz', n, 0 \
     FROM generate_series(0, 60) day, unnest(ARRAY['key', 'address']) kind, generate_series(1, 2000) n";
const SQLITE_ROWS: &str = "WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2) \
     INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, binding_id, client_ip, method, path, user_agent, count) \
     SELECT 'sr_' || n, ?4 - 2592000000 + n * 2592000000 / ?3, ?4 - 2592000000 + n * 2592000000 / ?3, 'key_ip_mismatch', 'refused', \
         n % 100000, '10.' || (n / 65536 % 16) || '.' || (n / 256 % 256) || '.' || (n % 256), 'POST', '/v1/chat/completions', 'curl/8', 1 \
     FROM numbers";
const SQLITE_FIGURES: &str = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2880), \
         spans (span, length, kept) AS (VALUES ('minute', 60000, 2880), ('hour', 3600000, 1440), ('day', 86400000, 731)), \
         measures (measure) AS (VALUES ('allowed'), ('observed'), ('bound'), ('released'), ('key_ip_mismatch'), ('key_banned'), \
             ('key_missing'), ('upstream_timeout')) \
     INSERT INTO traffic SELECT span, (?1 / length - n) * length, measure, 1000 FROM numbers, spans, measures WHERE n <= kept";
const SQLITE_TOP: &str = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000), \
         days (day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM days WHERE day < 60), kinds (kind) AS (VALUES ('key'), ('address')) \
     INSERT INTO top_refused SELECT 'day', (?1 / 86400000 - day) * 86400000, kind, \
         CASE kind WHEN 'key' THEN 'binding ' || n ELSE '10.0.' || (n / 256) || '.' || (n % 256) END, \
         CASE kind WHEN 'key' THEN n END, 'sk-ab…wxyz', n, 0 FROM numbers, days, kinds";

/// Sizes in growing order.
pub(crate) async fn measure(sizes: &[u64]) -> Result<(), Failed> {
    for size in sizes {
        on_sqlite(*size).await?;
        on_postgres(*size).await?;
    }
    Ok(())
}

async fn on_postgres(size: u64) -> Result<(), Failed> {
    let (server, store, dsn) = postgres().await?;
    let (session, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let first_day = TrafficSpan::Day.before(SystemClock.now(), DAYS);
    store.ensure_partitions(first_day, DAYS).await?;
    session.execute(FILL, &[&0_i64, &(BINDINGS - 1)]).await?;
    for (from, to) in steps(size)? {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&from, &to, &i64::try_from(size)?];
        session.execute(POSTGRES_ROWS, &values).await?;
    }
    session.batch_execute(POSTGRES_FIGURES).await?;
    session.batch_execute("VACUUM ANALYZE").await?;
    told("postgresql", size, &dashboards(&store).await?);
    store.close().await;
    drop(server);
    Ok(())
}

async fn on_sqlite(size: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("sentinel.db");
    let store = SqliteStore::open(&path)?;
    let file = rusqlite::Connection::open(&path)?;
    file.pragma_update(None, "synchronous", "off")?;
    let now = SystemClock.now().unix_ms();
    file.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1) \
         INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at) \
         SELECT randomblob(32), 'sk-ab…wxyz', 'active', '{}', n, ?2, ?2 FROM numbers",
        [BINDINGS, now],
    )?;
    for (from, to) in steps(size)? {
        file.execute(SQLITE_ROWS, [from, to, i64::try_from(size)?, now])?;
    }
    file.execute(SQLITE_FIGURES, [now])?;
    file.execute(SQLITE_TOP, [now])?;
    told("sqlite", size, &dashboards(&store).await?);
    store.close()?;
    Ok(())
}

fn steps(size: u64) -> Result<Vec<(i64, i64)>, Failed> {
    let step = usize::try_from(FILLED_AT_ONCE)?;
    (0..size)
        .step_by(step)
        .map(|from| {
            let to = size.min(from + FILLED_AT_ONCE);
            Ok((i64::try_from(from)?, i64::try_from(to)? - 1))
        })
        .collect()
}

/// The questions of a dashboard, many times; gives the times in order of length.
async fn dashboards(
    store: &(impl BindingAdmin + InterceptStore + TrafficStore),
) -> Result<Vec<Duration>, Failed> {
    let (hour, day) = (TrafficSpan::Hour, TrafficSpan::Day);
    let mut took = Vec::new();
    for _ in 0..DASHBOARDS {
        let now = SystemClock.now();
        let newest = InterceptFilter {
            limit: 10,
            ..InterceptFilter::default()
        };
        let begun = Instant::now();
        let (counts, hours, days, top, replicas, newest) = tokio::join!(
            store.counts(),
            store.traffic(hour, hour.before(now, 47)),
            store.traffic(day, day.before(now, 29)),
            store.top_refused(day, day.start_of(now), 10),
            store.replicas(hour.before(now, 24)),
            InterceptStore::list(store, newest),
        );
        took.push(begun.elapsed());
        let (counts, hours, days, top) = (counts?, hours?, days?, top?);
        let (_, newest) = (replicas?, newest?);
        let is_whole = counts.active == BINDINGS.unsigned_abs() && newest.len() == 10 && top.keys.len() == 10;
        if !is_whole || hours.len() < 48 || days.len() < 30 {
            return Err(format!("{counts:?}, {} hours, {} days, {top:?}", hours.len(), days.len()).into());
        }
    }
    took.sort_unstable();
    Ok(took)
}

fn told(store: &str, rows: u64, sorted: &[Duration]) {
    let (p50, p99) = (at(sorted, 50), at(sorted, 99));
    tell(&json!({"part": "dashboard", "store": store, "rows": rows, "p50_us": p50, "p99_us": p99}));
}
