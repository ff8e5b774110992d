//! The audit log: written in batches, read page by page, counted per stretch of time.

use std::ops::RangeInclusive;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::ports::{InterceptBucket, InterceptFilter, StoredIntercept};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::filter::Conditions;
use super::{rows, top};
use crate::bounds::{BUCKETS_MAX, RUNS_ASKED_MAX, page_rows, remaining};
use crate::network_list;
use crate::pattern::containing;

/// The most rows that one search looks at where no index leads to them: the newest, and before a page the ones before it.
pub(super) const SEARCHED_ROWS_MAX: i64 = 1_000_000;

pub(super) const SELECT_INTERCEPT: &str = "SELECT id, reference, at, last_at, reason, outcome, binding_id, networks, \
     fingerprint, hint, client_ip, method, path, user_agent, count, profile, replica FROM intercept_logs";

pub(super) fn append(connection: &Connection, batch: &[Intercept]) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, binding_id, networks, fingerprint, hint, \
         client_ip, method, path, user_agent, count, profile, replica) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reference, at) DO NOTHING",
    )?;
    let mut written = Vec::with_capacity(batch.len());
    for intercept in batch {
        let rows = insert.execute(params![
            intercept.reference.as_str(),
            intercept.at.unix_ms(),
            intercept.last_at.unix_ms(),
            intercept.reason.code(),
            intercept.outcome.as_str(),
            intercept.binding.map(|id| id.0),
            network_list::write(&intercept.networks),
            intercept.fingerprint.as_ref().map(KeyFingerprint::as_bytes),
            intercept.hint.as_ref().map(KeyHint::as_str),
            intercept.client_ip.to_string(),
            intercept.method,
            intercept.path,
            intercept.user_agent,
            intercept.count,
            &*intercept.profile,
            &*intercept.replica,
        ])?;
        if rows > 0 {
            written.push(intercept);
        }
    }
    top::add(connection, &written)
}

pub(super) fn list(
    connection: &Connection,
    filter: InterceptFilter,
) -> Result<Vec<StoredIntercept>, Failure> {
    let looks_at_each = filter.looks_at_each();
    let mut conditions = Conditions::default();
    conditions.add("reason = ?", filter.reason.map(|reason| reason.code().to_owned()));
    conditions.add("reference = ?", filter.reference);
    conditions.add("binding_id = ?", filter.binding.map(|id| id.0));
    conditions.add(
        "client_ip = ?",
        filter.client_ip.map(|address| address.to_string()),
    );
    let part = |text: Option<String>| text.as_deref().map(containing);
    if looks_at_each {
        let newest = match filter.before {
            Some(before) => before,
            None => rows::single(connection, "SELECT coalesce(max(id), 0) + 1 FROM intercept_logs")?,
        };
        conditions.add("id >= ?", Some(newest.saturating_sub(SEARCHED_ROWS_MAX)));
    }
    conditions.add(
        "outcome = ?",
        filter.outcome.map(|outcome| outcome.as_str().to_owned()),
    );
    conditions.add(r"path LIKE ? ESCAPE '\'", part(filter.path));
    conditions.add(r"user_agent LIKE ? ESCAPE '\'", part(filter.user_agent));
    conditions.add(r"hint LIKE ? ESCAPE '\'", part(filter.hint));
    conditions.add(
        r"(path || char(10) || user_agent) LIKE ? ESCAPE '\'",
        part(filter.text),
    );
    conditions.add("at >= ?", filter.since.map(Timestamp::unix_ms));
    conditions.add("at < ?", filter.until.map(Timestamp::unix_ms));
    conditions.add("id < ?", filter.before);
    let order = if is_short_time(connection, filter.since, filter.until)? {
        BY_TIME
    } else {
        BY_ID
    };
    // Addresses are texts here: whether one lies in a network is decided row by row, and the page is full when enough do.
    let limit = page_rows(filter.limit);
    let rows_read = if filter.network.is_some() { u32::MAX } else { limit };
    let (statement, values) = conditions.page_ordered(SELECT_INTERCEPT, order, rows_read);
    let is_inside = |row: &Result<StoredIntercept, Failure>| match (row, filter.network) {
        (Ok(stored), Some(network)) => network.contains(stored.intercept.client_ip),
        _ => true,
    };
    connection
        .prepare_cached(&statement)?
        .query_and_then(params_from_iter(values), read)?
        .filter(is_inside)
        .take(limit as usize)
        .collect()
}

/// Reads from the newest on until the page is full.
pub(super) const BY_ID: &str = "id DESC";
/// The same order, but not by way of the ids, so that the index of times is taken: with few rows in that time, the log would else be looked
/// through to its end for a page that never fills.
pub(super) const BY_TIME: &str = "+id DESC";
/// So many rows are few.
pub(super) const SHORT_TIME_ROWS_MAX: i64 = 10_000;

fn is_short_time(
    connection: &Connection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<bool, Failure> {
    if since.is_none() && until.is_none() {
        return Ok(false);
    }
    let from = since.map_or(i64::MIN, Timestamp::unix_ms);
    let to = until.map_or(i64::MAX, Timestamp::unix_ms);
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM intercept_logs WHERE at >= ? AND at < ? LIMIT ?)",
        )?
        .query_row([from, to, SHORT_TIME_ROWS_MAX + 1], |row| row.get(0))?;
    Ok(count <= SHORT_TIME_ROWS_MAX)
}

/// As [`sentinel_core::ports::InterceptStore::by_ids`].
pub(super) fn by_ids(
    connection: &Connection,
    runs: &[RangeInclusive<i64>],
    limit: u32,
) -> Result<Vec<StoredIntercept>, Failure> {
    let mut found = Vec::new();
    for runs in runs.chunks(RUNS_ASKED_MAX) {
        let limit = remaining(limit, found.len());
        if limit == 0 {
            break;
        }
        // Where the look through the ids begins is said apart: a chain of ORs leads to no index in the order of ids.
        let mut conditions = Conditions::default();
        conditions.add("id >= ?", runs.first().map(|run| *run.start()));
        let any = vec!["id BETWEEN ? AND ?"; runs.len()].join(" OR ");
        let ends = runs.iter().flat_map(|run| [*run.start(), *run.end()]);
        conditions.add_all(format!("({any})"), ends.map(Value::Integer));
        let (statement, values) = conditions.page_ordered(SELECT_INTERCEPT, "id", limit);
        let mut statement = connection.prepare(&statement)?;
        for row in statement.query_and_then(params_from_iter(values), read)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// Removes at most `rows_max` of the rows from before `oldest`, the oldest first, and says how many.
pub(super) fn remove_before(
    connection: &Connection,
    oldest: Timestamp,
    rows_max: u32,
) -> Result<u32, Failure> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM intercept_logs WHERE id IN (SELECT id FROM intercept_logs WHERE at < ? ORDER BY at LIMIT ?)",
        )?
        .execute([oldest.unix_ms(), i64::from(rows_max)])?;
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}

/// Removes at most `at_most` of the rows beyond the `rows_max` newest, the oldest first, and says how many. Ids are dense but for what
/// was removed, so the newest and the oldest one say how many rows there are at most, without counting them.
pub(super) fn remove_beyond(connection: &Connection, rows_max: u64, at_most: u32) -> Result<u32, Failure> {
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let newest: i64 = rows::single(connection, "SELECT coalesce(max(id), 0) FROM intercept_logs")?;
    let removed = connection
        .prepare_cached(
            "DELETE FROM intercept_logs WHERE id IN (SELECT id FROM intercept_logs WHERE id <= ? ORDER BY id LIMIT ?)",
        )?
        .execute([newest.saturating_sub(rows_max), i64::from(at_most)])?;
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}

/// A stretch shorter than a millisecond is taken as one; of more than [`BUCKETS_MAX`] stretches the newest are kept.
pub(super) fn buckets(
    connection: &Connection,
    since: Timestamp,
    bucket_ms: i64,
) -> Result<Vec<InterceptBucket>, Failure> {
    let mut buckets = connection
        .prepare_cached(
            "SELECT ?1 + (at - ?1) / ?2 * ?2 AS bucket_from, \
             sum(CASE outcome WHEN 'refused' THEN count ELSE 0 END) AS refused, \
             sum(CASE outcome WHEN 'observed' THEN count ELSE 0 END) AS observed \
             FROM intercept_logs WHERE at >= ?1 GROUP BY bucket_from ORDER BY bucket_from DESC LIMIT ?3",
        )?
        .query_and_then(
            [since.unix_ms(), bucket_ms.max(1), i64::from(BUCKETS_MAX)],
            |row| {
                Ok(InterceptBucket {
                    from: rows::timestamp(row, "bucket_from")?,
                    refused: row.get::<_, i64>("refused")?.cast_unsigned(),
                    observed: row.get::<_, i64>("observed")?.cast_unsigned(),
                })
            },
        )?
        .collect::<Result<Vec<_>, Failure>>()?;
    buckets.reverse();
    Ok(buckets)
}

pub(super) fn read(row: &Row<'_>) -> Result<StoredIntercept, Failure> {
    let reason: String = row.get("reason")?;
    let outcome: String = row.get("outcome")?;
    let client_ip: String = row.get("client_ip")?;
    let networks: String = row.get("networks")?;
    let (profile, replica): (String, String) = (row.get("profile")?, row.get("replica")?);
    Ok(StoredIntercept {
        id: row.get("id")?,
        intercept: Intercept {
            reference: Reference::from_stored(row.get("reference")?),
            at: rows::timestamp(row, "at")?,
            last_at: rows::timestamp(row, "last_at")?,
            reason: RefusalReason::from_code(&reason)
                .ok_or_else(|| Failure::damaged("intercept_logs.reason"))?,
            outcome: InterceptOutcome::from_word(&outcome)
                .ok_or_else(|| Failure::damaged("intercept_logs.outcome"))?,
            binding: row.get::<_, Option<i64>>("binding_id")?.map(BindingId),
            networks: network_list::read(&networks)
                .ok_or_else(|| Failure::damaged("intercept_logs.networks"))?,
            fingerprint: row
                .get::<_, Option<[u8; 32]>>("fingerprint")?
                .map(KeyFingerprint::from_bytes),
            hint: row.get::<_, Option<String>>("hint")?.map(KeyHint::from_stored),
            client_ip: rows::address(&client_ip, "intercept_logs.client_ip")?,
            method: row.get("method")?,
            path: row.get("path")?,
            user_agent: row.get("user_agent")?,
            count: row.get("count")?,
            profile: profile.into(),
            replica: replica.into(),
        },
    })
}
