//! Who was refused most, by hour and day: each list is bounded, and what has no place in it is counted together.

use std::borrow::Cow;

use sentinel_core::binding::BindingId;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{
    TOP_SUBJECTS_CUT_MAX, TOP_SUBJECTS_MAX, TopAddress, TopKey, TopRefused, TrafficSpan,
};
use sentinel_core::time::Timestamp;
use tokio_postgres::Row;

use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, column};
use super::values::{self, Moment};
use crate::bounds::page_rows;
use crate::top::{self, Additions, OTHERS, TopKind, TopList};

/// Names the lock that whoever changes the lists holds: "KIPS", and a number. A cut locks rows in an order of its own, so changes take turns.
const TOP_LOCK: i64 = 0x4B49_5053_0000_0005;

/// A subject that is new may have been there before, and lost as much as any that went.
const ADD: &str = "INSERT INTO top_refused (span, at, kind, subject, binding_id, hint, count, missed_max) \
     SELECT added.span, added.at, added.kind, added.subject, added.binding_id, added.hint, added.count, \
         coalesce(others.missed_max, 0) \
     FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[]) \
         AS added (span, at, kind, subject, binding_id, hint, count) \
     LEFT JOIN top_refused others ON others.span = added.span AND others.at = added.at \
         AND others.kind = added.kind AND others.subject = '' \
     ON CONFLICT (span, at, kind, subject) DO UPDATE SET \
         count = least(top_refused.count, 9223372036854775807 - excluded.count) + excluded.count";

/// Moves all but the first into the row of the others.
const CUT: &str = "WITH least AS ( \
         SELECT subject FROM top_refused WHERE span = $1 AND at = $2 AND kind = $3 AND subject <> '' \
         ORDER BY count + missed_max DESC, subject OFFSET $4), \
     gone AS ( \
         DELETE FROM top_refused USING least WHERE span = $1 AND at = $2 AND kind = $3 \
         AND top_refused.subject = least.subject RETURNING count, missed_max) \
     INSERT INTO top_refused (span, at, kind, subject, count, missed_max) \
     SELECT $1, $2, $3, '', sum(count)::bigint, max(count + missed_max) FROM gone HAVING count(*) > 0 \
     ON CONFLICT (span, at, kind, subject) DO UPDATE SET count = top_refused.count + excluded.count, \
         missed_max = greatest(top_refused.missed_max, excluded.missed_max)";

/// Counts these rows of the audit log, which the same transaction has written.
pub(super) async fn add(session: &Session, written: &[&Intercept]) -> Result<(), Failure> {
    let additions = top::additions(written.iter().copied());
    if additions.is_empty() {
        return Ok(());
    }
    let lock = format!("SELECT FROM pg_advisory_xact_lock({TOP_LOCK})");
    rows::execute(session, &lock, &[]).await?;
    insert(session, &additions).await?;
    for list in top::lists(&additions) {
        cut(session, list).await?;
    }
    Ok(())
}

async fn insert(session: &Session, additions: &Additions) -> Result<(), Failure> {
    let lists = || additions.keys().map(|(list, _)| list);
    let spans: Vec<&str> = lists().map(|list| list.span.as_str()).collect();
    let moments: Vec<Moment> = lists().map(|list| Moment(list.from)).collect();
    let kinds: Vec<&str> = lists().map(|list| list.kind.as_str()).collect();
    let subjects: Vec<&str> = additions.keys().map(|(_, subject)| subject.as_str()).collect();
    let bindings: Vec<Option<i64>> = additions
        .values()
        .map(|added| added.binding.map(|id| id.0))
        .collect();
    let hints: Vec<Option<Cow<'_, str>>> = additions
        .values()
        .map(|added| Some(values::text(added.hint.as_ref()?.as_str())))
        .collect();
    let counts: Vec<i64> = additions
        .values()
        .map(|added| top::column_count(added.count))
        .collect();
    let values: &rows::Values<'_> = &[&spans, &moments, &kinds, &subjects, &bindings, &hints, &counts];
    rows::execute(session, ADD, values).await?;
    Ok(())
}

/// Cuts a list to its bound when it has grown well past it.
async fn cut(session: &Session, list: TopList) -> Result<(), Failure> {
    let count =
        "SELECT count(*) FROM top_refused WHERE span = $1 AND at = $2 AND kind = $3 AND subject <> ''";
    let (span, from, kind) = (list.span.as_str(), Moment(list.from), list.kind.as_str());
    let subjects = rows::first(session, count, &[&span, &from, &kind]).await?;
    let subjects: i64 = column(&subjects.ok_or_else(|| Failure::damaged(count))?, 0)?;
    if subjects > i64::from(TOP_SUBJECTS_CUT_MAX) {
        let values: &rows::Values<'_> = &[&span, &from, &kind, &i64::from(TOP_SUBJECTS_MAX)];
        rows::execute(session, CUT, values).await?;
    }
    Ok(())
}

/// As core's `TrafficStore::top_refused`.
pub(super) async fn list(
    session: &Session,
    span: TrafficSpan,
    from: Timestamp,
    limit: u32,
) -> Result<TopRefused, Failure> {
    let keys = subjects(
        session,
        TopList {
            span,
            from,
            kind: TopKind::Key,
        },
        limit,
    )
    .await?;
    let kind = TopKind::Address;
    let addresses = subjects(session, TopList { span, from, kind }, limit).await?;
    let mut listed = TopRefused::default();
    for row in keys {
        let count = column::<i64>(&row, "count")?.cast_unsigned();
        if column::<&str>(&row, "subject")? == OTHERS {
            listed.other_keys = count;
            continue;
        }
        listed.keys.push(TopKey {
            binding: column::<Option<i64>>(&row, "binding_id")?.map(BindingId),
            hint: column::<Option<String>>(&row, "hint")?.map(KeyHint::from_stored),
            count,
        });
    }
    for row in addresses {
        let count = column::<i64>(&row, "count")?.cast_unsigned();
        let subject: &str = column(&row, "subject")?;
        if subject == OTHERS {
            listed.other_addresses = count;
            continue;
        }
        let client_ip = subject
            .parse()
            .map(sentinel_core::network::ClientIp::new)
            .map_err(|_| Failure::damaged("top_refused.subject"))?;
        listed.addresses.push(TopAddress { client_ip, count });
    }
    Ok(listed)
}

/// The first subjects, and the others' row before them.
async fn subjects(session: &Session, list: TopList, limit: u32) -> Result<Vec<Row>, Failure> {
    let select = "(SELECT subject, binding_id, hint, count FROM top_refused \
             WHERE span = $1 AND at = $2 AND kind = $3 AND subject = '') \
         UNION ALL (SELECT subject, binding_id, hint, count FROM top_refused \
             WHERE span = $1 AND at = $2 AND kind = $3 AND subject <> '' ORDER BY count DESC, subject LIMIT $4)";
    let (span, from, kind) = (list.span.as_str(), Moment(list.from), list.kind.as_str());
    let limit = i64::from(page_rows(limit));
    rows::query(session, select, &[&span, &from, &kind, &limit]).await
}
