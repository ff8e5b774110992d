//! Pages of bindings in the order of their uses.
//!
//! A use changes the binding, but must change no index. So the indexes hold steps, which most uses leave as they are, and a page sorts what
//! lies within one. Bindings without any use are asked for by themselves, after the others: however many they are, none is sorted.

use sentinel_core::binding::BindingRecord;
use sentinel_core::ports::{BindingCursor, BindingFilter, NEVER_USED};
use sentinel_core::time::Timestamp;

use super::super::connector::Session;
use super::super::failure::Failure;
use super::super::filter::Conditions;
use super::super::values::Moment;
use super::{conditions, read};
use crate::bounds::{page_rows, remaining};

/// How long a step of the last use is: as the column `last_used_step` has it.
const STEP_MS: i64 = 300_000;

/// An order of bindings by their uses.
pub(crate) struct Ranking {
    /// What lets the used ones through.
    pub(crate) used: &'static str,
    /// The order among them.
    pub(crate) order: &'static str,
    /// What lets the others through: the newest first.
    pub(crate) unused: &'static str,
    /// What the place of one of those has for a value.
    unused_value: i64,
    /// Says what comes after a used one's place.
    add_beyond: fn(&mut Conditions, BindingCursor),
}

pub(crate) const LAST_USED: Ranking = Ranking {
    used: "last_used_step IS NOT NULL",
    order: "last_used_step DESC, last_used_at DESC, id DESC",
    unused: "last_used_step IS NULL",
    unused_value: NEVER_USED,
    add_beyond: |conditions, BindingCursor { value, id }| {
        let moment = Timestamp::from_unix_ms(value);
        let beyond = format!(
            "(last_used_step, last_used_at, id) < ({}, ?, {})",
            step_of(moment),
            id.0
        );
        conditions.add(&beyond, Some(Moment(moment)));
    },
};

pub(crate) const MOST_USED: Ranking = Ranking {
    used: "use_count_step > 0",
    order: "use_count_step DESC, use_count DESC, id DESC",
    unused: "use_count_step = 0",
    unused_value: 0,
    add_beyond: |conditions, BindingCursor { value, id }| {
        // Numbers, so nothing can be written into the statement with them. The step is the column's.
        conditions.say(format!(
            "(use_count_step, use_count, id) < \
             (floor(ln({value}::float8 + 1) * 16 / ln(2::float8))::smallint, {value}, {})",
            id.0
        ));
    },
};

/// The step of a last use at this moment.
pub(super) fn step_of(moment: Timestamp) -> i64 {
    Moment::stored(moment).unix_ms().div_euclid(STEP_MS)
}

pub(super) async fn list(
    session: &Session,
    filter: &BindingFilter,
    ranking: &Ranking,
    after: Option<BindingCursor>,
) -> Result<Vec<BindingRecord>, Failure> {
    let among_unused = after.filter(|place| place.value <= ranking.unused_value);
    let mut records = Vec::new();
    if among_unused.is_none() {
        let mut used = conditions(filter);
        used.say(ranking.used.to_owned());
        if let Some(place) = after {
            (ranking.add_beyond)(&mut used, place);
        }
        records = read(session, &used, ranking.order, page_rows(filter.limit)).await?;
    }
    let missing = remaining(filter.limit, records.len());
    if missing > 0 {
        let mut unused = conditions(filter);
        unused.say(ranking.unused.to_owned());
        unused.add("id < ?", among_unused.map(|place| place.id.0));
        records.extend(read(session, &unused, "id DESC", missing).await?);
    }
    Ok(records)
}
