//! The audit log: written in batches, read page by page, counted per stretch of time.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{InterceptBucket, InterceptFilter, StoredIntercept};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::connector::Session;
use super::failure::Failure;
use super::filter::Conditions;
use super::rows::{self, column};
use super::top;
use super::values::{self, Moment};
use crate::bounds::{BUCKETS_MAX, RUNS_ASKED_MAX, page_rows, remaining};
use crate::network_list;
use crate::pattern::containing;

pub(super) const COLUMNS: &str = "reference, at, last_at, reason, outcome, binding_id, networks, fingerprint, hint, client_ip, \
     method, path, user_agent, count, profile, replica";

/// Rows take their ids in the order of the batch. What is there already is passed over.
pub(super) async fn append(session: &Session, batch: &[Intercept]) -> Result<(), Failure> {
    let insert = format!(
        "INSERT INTO intercept_logs ({COLUMNS}) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], \
         $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bytea[], $9::text[], $10::inet[], $11::text[], \
         $12::text[], $13::text[], $14::bigint[], $15::text[], $16::text[]) ON CONFLICT (reference, at) DO NOTHING \
         RETURNING reference, at"
    );
    let texts = |read: fn(&Intercept) -> &str| -> Vec<Cow<'_, str>> {
        batch
            .iter()
            .map(|intercept| values::text(read(intercept)))
            .collect()
    };
    let references = texts(|intercept| intercept.reference.as_str());
    let moments: Vec<Moment> = batch.iter().map(|intercept| Moment(intercept.at)).collect();
    let last_moments: Vec<Moment> = batch.iter().map(|intercept| Moment(intercept.last_at)).collect();
    let reasons: Vec<&str> = batch.iter().map(|intercept| intercept.reason.code()).collect();
    let outcomes: Vec<&str> = batch.iter().map(|intercept| intercept.outcome.as_str()).collect();
    let bindings: Vec<Option<i64>> = batch
        .iter()
        .map(|intercept| intercept.binding.map(|id| id.0))
        .collect();
    let networks: Vec<String> = batch
        .iter()
        .map(|intercept| network_list::write(&intercept.networks))
        .collect();
    let fingerprints: Vec<Option<&[u8]>> = batch
        .iter()
        .map(|intercept| {
            let fingerprint = intercept.fingerprint.as_ref()?;
            Some(fingerprint.as_bytes().as_slice())
        })
        .collect();
    let hints: Vec<Option<Cow<'_, str>>> = batch
        .iter()
        .map(|intercept| Some(values::text(intercept.hint.as_ref()?.as_str())))
        .collect();
    let addresses: Vec<IpAddr> = batch.iter().map(|intercept| intercept.client_ip.addr()).collect();
    let methods = texts(|intercept| &intercept.method);
    let paths = texts(|intercept| &intercept.path);
    let user_agents = texts(|intercept| &intercept.user_agent);
    let counts: Vec<i64> = batch.iter().map(|intercept| i64::from(intercept.count)).collect();
    let profiles = texts(|intercept| &intercept.profile);
    let replicas = texts(|intercept| &intercept.replica);
    let values: &rows::Values<'_> = &[
        &references,
        &moments,
        &last_moments,
        &reasons,
        &outcomes,
        &bindings,
        &networks,
        &fingerprints,
        &hints,
        &addresses,
        &methods,
        &paths,
        &user_agents,
        &counts,
        &profiles,
        &replicas,
    ];
    let rows = rows::query(session, &insert, values).await?;
    let mut written = HashSet::with_capacity(rows.len());
    for row in &rows {
        written.insert((column::<&str>(row, "reference")?, rows::timestamp(row, "at")?));
    }
    // Of two that are the same, the first was written.
    let mut new: Vec<&Intercept> = Vec::with_capacity(rows.len());
    for (intercept, reference) in batch.iter().zip(&references) {
        if written.remove(&(reference.as_ref(), Moment::stored(intercept.at))) {
            new.push(intercept);
        }
    }
    top::add(session, &new).await
}

pub(super) async fn list(
    session: &Session,
    filter: InterceptFilter,
) -> Result<Vec<StoredIntercept>, Failure> {
    let mut conditions = Conditions::default();
    conditions.add("reason = ?", filter.reason.map(RefusalReason::code));
    conditions.add(
        "reference = ?",
        filter.reference.map(|text| values::text(&text).into_owned()),
    );
    conditions.add("binding_id = ?", filter.binding.map(|id| id.0));
    conditions.add("client_ip = ?", filter.client_ip.map(ClientIp::addr));
    conditions.add(
        "client_ip <<= ?::text::inet",
        filter.network.map(|network| network.to_string()),
    );
    conditions.add("outcome = ?", filter.outcome.map(InterceptOutcome::as_str));
    let part = |text: Option<String>| text.map(|text| containing(&values::text(&text)));
    conditions.add(r"path ILIKE ? ESCAPE '\'", part(filter.path));
    conditions.add(r"user_agent ILIKE ? ESCAPE '\'", part(filter.user_agent));
    conditions.add(r"hint ILIKE ? ESCAPE '\'", part(filter.hint));
    conditions.add(
        r"(path || E'\n' || user_agent) ILIKE ? ESCAPE '\'",
        part(filter.text),
    );
    conditions.add("at >= ?", filter.since.map(Moment));
    conditions.add("at < ?", filter.until.map(Moment));
    conditions.add("id < ?", filter.before);
    let select = format!("SELECT id, {COLUMNS} FROM intercept_logs");
    let statement = conditions.page(&select, page_rows(filter.limit));
    let rows = session.query(&statement, &conditions.values()).await?;
    rows.iter().map(read).collect()
}

/// As [`sentinel_core::ports::InterceptStore::by_ids`].
pub(super) async fn by_ids(
    session: &Session,
    runs: &[RangeInclusive<i64>],
    limit: u32,
) -> Result<Vec<StoredIntercept>, Failure> {
    let mut found = Vec::new();
    for runs in runs.chunks(RUNS_ASKED_MAX) {
        let Some(select) = select_by_ids(runs, remaining(limit, found.len())) else {
            break;
        };
        for row in session.query(&select, &[]).await? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

/// The statement for these runs; none when there is nothing to ask for. Where the look through the ids begins is said apart: a chain of ORs leads to no
/// index in the order of ids.
pub(super) fn select_by_ids(runs: &[RangeInclusive<i64>], limit: u32) -> Option<String> {
    let lowest = *runs.first().filter(|_| limit > 0)?.start();
    let any: Vec<String> = runs
        .iter()
        .map(|run| format!("id BETWEEN {} AND {}", run.start(), run.end()))
        .collect();
    Some(format!(
        "SELECT id, {COLUMNS} FROM intercept_logs WHERE id >= {lowest} AND ({}) ORDER BY id LIMIT {}",
        any.join(" OR "),
        page_rows(limit)
    ))
}

/// A stretch shorter than a millisecond is taken as one; of more than [`BUCKETS_MAX`] stretches the newest are kept.
pub(super) async fn buckets(
    session: &Session,
    since: Timestamp,
    bucket_ms: i64,
) -> Result<Vec<InterceptBucket>, Failure> {
    // Rounded, because seconds may come as a floating-point number; every moment is a whole millisecond.
    let select = "SELECT round(extract(epoch FROM (at - $1)) * 1000)::bigint / $2 AS number, \
         coalesce(sum(count) FILTER (WHERE outcome = 'refused'), 0)::bigint AS refused, \
         coalesce(sum(count) FILTER (WHERE outcome = 'observed'), 0)::bigint AS observed \
         FROM intercept_logs WHERE at >= $1 GROUP BY number ORDER BY number DESC LIMIT $3";
    let (since, bucket_ms) = (Moment::stored(since), bucket_ms.max(1));
    let values: &rows::Values<'_> = &[&Moment(since), &bucket_ms, &i64::from(BUCKETS_MAX)];
    let mut buckets = rows::query(session, select, values)
        .await?
        .iter()
        .map(|row| {
            let number: i64 = column(row, "number")?;
            Ok(InterceptBucket {
                from: Timestamp::from_unix_ms(since.unix_ms() + number * bucket_ms),
                refused: column::<i64>(row, "refused")?.cast_unsigned(),
                observed: column::<i64>(row, "observed")?.cast_unsigned(),
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    buckets.reverse();
    Ok(buckets)
}

pub(super) fn read(row: &Row) -> Result<StoredIntercept, Failure> {
    let (reason, outcome): (&str, &str) = (column(row, "reason")?, column(row, "outcome")?);
    let binding: Option<i64> = column(row, "binding_id")?;
    let hint: Option<String> = column(row, "hint")?;
    let count: i64 = column(row, "count")?;
    let (profile, replica): (&str, &str) = (column(row, "profile")?, column(row, "replica")?);
    Ok(StoredIntercept {
        id: column(row, "id")?,
        intercept: Intercept {
            reference: Reference::from_stored(column(row, "reference")?),
            at: rows::timestamp(row, "at")?,
            last_at: rows::timestamp(row, "last_at")?,
            reason: RefusalReason::from_code(reason)
                .ok_or_else(|| Failure::damaged("intercept_logs.reason"))?,
            outcome: InterceptOutcome::from_word(outcome)
                .ok_or_else(|| Failure::damaged("intercept_logs.outcome"))?,
            binding: binding.map(BindingId),
            networks: network_list::read(column(row, "networks")?)
                .ok_or_else(|| Failure::damaged("intercept_logs.networks"))?,
            fingerprint: rows::fingerprint(row, "fingerprint")?,
            hint: hint.map(KeyHint::from_stored),
            client_ip: rows::address(row, "client_ip")?
                .ok_or_else(|| Failure::damaged("intercept_logs.client_ip"))?,
            method: column(row, "method")?,
            path: column(row, "path")?,
            user_agent: column(row, "user_agent")?,
            count: u32::try_from(count).map_err(|_| Failure::damaged("intercept_logs.count"))?,
            profile: profile.into(),
            replica: replica.into(),
        },
    })
}
