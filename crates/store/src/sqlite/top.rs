//! Who was refused most, by hour and day: each list is bounded, and what has no place in it is counted together.

use rusqlite::{Connection, Row, params};
use sentinel_core::binding::BindingId;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{
    TOP_SUBJECTS_CUT_MAX, TOP_SUBJECTS_MAX, TopAddress, TopKey, TopRefused, TrafficSpan,
};
use sentinel_core::time::Timestamp;

use super::failure::Failure;
use super::rows;
use crate::bounds::page_rows;
use crate::top::{self, OTHERS, TopKind, TopList};

/// A subject that is new may have been there before, and lost as much as any that went.
const ADD: &str = "INSERT INTO top_refused (span, at, kind, subject, binding_id, hint, count, missed_max) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce((SELECT missed_max FROM top_refused \
         WHERE span = ?1 AND at = ?2 AND kind = ?3 AND subject = ''), 0)) \
     ON CONFLICT (span, at, kind, subject) DO UPDATE SET \
     count = min(count, 9223372036854775807 - excluded.count) + excluded.count";

/// All but the first.
const LEAST: &str = "SELECT subject, count, missed_max FROM top_refused \
     WHERE span = ?1 AND at = ?2 AND kind = ?3 AND subject <> '' \
     ORDER BY count + missed_max DESC, subject LIMIT -1 OFFSET ?4";

/// Counts these rows of the audit log, which the same transaction has written.
pub(super) fn add(connection: &Connection, written: &[&Intercept]) -> Result<(), Failure> {
    let additions = top::additions(written.iter().copied());
    let mut insert = connection.prepare_cached(ADD)?;
    for ((list, subject), added) in &additions {
        insert.execute(params![
            list.span.as_str(),
            list.from.unix_ms(),
            list.kind.as_str(),
            subject,
            added.binding.map(|id| id.0),
            added.hint.as_ref().map(KeyHint::as_str),
            top::column_count(added.count),
        ])?;
    }
    top::lists(&additions)
        .into_iter()
        .try_for_each(|list| cut(connection, list))
}

/// Cuts a list to its bound when it has grown well past it.
fn cut(connection: &Connection, list: TopList) -> Result<(), Failure> {
    let key = (list.span.as_str(), list.from.unix_ms(), list.kind.as_str());
    let subjects: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM top_refused WHERE span = ? AND at = ? AND kind = ? AND subject <> ''",
        )?
        .query_row(key, |row| row.get(0))?;
    if subjects <= TOP_SUBJECTS_CUT_MAX {
        return Ok(());
    }
    let values = params![key.0, key.1, key.2, TOP_SUBJECTS_MAX];
    connection
        .prepare_cached(&format!(
            "INSERT INTO top_refused (span, at, kind, subject, count, missed_max) \
             SELECT ?1, ?2, ?3, '', sum(count), max(count + missed_max) FROM ({LEAST}) WHERE true \
             ON CONFLICT (span, at, kind, subject) DO UPDATE SET count = count + excluded.count, \
             missed_max = max(missed_max, excluded.missed_max)"
        ))?
        .execute(values)?;
    connection
        .prepare_cached(&format!(
            "DELETE FROM top_refused WHERE span = ?1 AND at = ?2 AND kind = ?3 AND subject IN \
             (SELECT subject FROM ({LEAST}))"
        ))?
        .execute(values)?;
    Ok(())
}

/// As core's `TrafficStore::top_refused`.
pub(super) fn list(
    connection: &Connection,
    span: TrafficSpan,
    from: Timestamp,
    limit: u32,
) -> Result<TopRefused, Failure> {
    let subjects = |kind| subjects(connection, TopList { span, from, kind }, limit);
    let (keys, addresses) = (subjects(TopKind::Key)?, subjects(TopKind::Address)?);
    Ok(TopRefused {
        other_keys: others(connection, span, from, TopKind::Key)?,
        other_addresses: others(connection, span, from, TopKind::Address)?,
        keys: keys
            .into_iter()
            .map(|subject| TopKey {
                binding: subject.binding,
                hint: subject.hint,
                count: subject.count,
            })
            .collect(),
        addresses: addresses
            .into_iter()
            .map(|subject| {
                Ok(TopAddress {
                    client_ip: rows::address(&subject.name, "top_refused.subject")?,
                    count: subject.count,
                })
            })
            .collect::<Result<_, Failure>>()?,
    })
}

struct Subject {
    name: String,
    binding: Option<BindingId>,
    hint: Option<KeyHint>,
    count: u64,
}

fn subjects(connection: &Connection, list: TopList, limit: u32) -> Result<Vec<Subject>, Failure> {
    connection
        .prepare_cached(
            "SELECT subject, binding_id, hint, count FROM top_refused \
             WHERE span = ? AND at = ? AND kind = ? AND subject <> '' ORDER BY count DESC, subject LIMIT ?",
        )?
        .query_and_then(
            params![
                list.span.as_str(),
                list.from.unix_ms(),
                list.kind.as_str(),
                page_rows(limit)
            ],
            |row: &Row<'_>| {
                Ok(Subject {
                    name: row.get("subject")?,
                    binding: row.get::<_, Option<i64>>("binding_id")?.map(BindingId),
                    hint: row.get::<_, Option<String>>("hint")?.map(KeyHint::from_stored),
                    count: row.get::<_, i64>("count")?.cast_unsigned(),
                })
            },
        )?
        .collect()
}

fn others(
    connection: &Connection,
    span: TrafficSpan,
    from: Timestamp,
    kind: TopKind,
) -> Result<u64, Failure> {
    let count = rows::first(
        connection,
        "SELECT count FROM top_refused WHERE span = ? AND at = ? AND kind = ? AND subject = ?",
        params![span.as_str(), from.unix_ms(), kind.as_str(), OTHERS],
        |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()),
    )?;
    Ok(count.unwrap_or(0))
}
