//! The coalesced uses of keys.

use std::collections::BTreeMap;

use sentinel_core::time::Timestamp;
use sentinel_core::usage::Uses;

use super::connector::Session;
use super::failure::Failure;
use super::rows;
use super::values::Moment;

/// Rows are locked in the order of their ids before any is changed: the batches of two replicas wait for each other, and neither for both.
const ADD: &str = "WITH locked AS MATERIALIZED ( \
         SELECT id FROM bindings WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE), \
     used AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS used (id, count, at)) \
     UPDATE bindings SET \
         use_count = least(bindings.use_count, 9223372036854775807 - used.count) + used.count, \
         last_used_at = greatest(bindings.last_used_at, used.at), \
         archive_marked_at = NULL \
     FROM locked JOIN used USING (id) WHERE bindings.id = locked.id";

/// Adds the batch. A count stops at the largest one that a row holds; `last_used_at` only moves forward.
pub(super) async fn add(session: &Session, batch: &[Uses]) -> Result<(), Failure> {
    let mut sums = BTreeMap::<i64, (i64, Timestamp)>::new();
    for uses in batch {
        let count = i64::try_from(uses.count).unwrap_or(i64::MAX);
        let (sum, last) = sums.entry(uses.binding.0).or_insert((0, uses.last_used_at));
        *sum = sum.saturating_add(count);
        *last = uses.last_used_at.max(*last);
    }
    let ids: Vec<i64> = sums.keys().copied().collect();
    let counts: Vec<i64> = sums.values().map(|(sum, _)| *sum).collect();
    let moments: Vec<Moment> = sums.values().map(|(_, last)| Moment(*last)).collect();
    rows::execute(session, ADD, &[&ids, &counts, &moments]).await?;
    Ok(())
}
