//! Requests that are known by their number only, because there was no room for their records: by reason and outcome.

use sentinel_core::binding::Networks;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference, SEVERAL_CLIENTS};
use sentinel_core::time::Timestamp;

const OUTCOMES: [InterceptOutcome; 2] = [InterceptOutcome::Refused, InterceptOutcome::Observed];
const KINDS: usize = RefusalReason::ALL.len() * OUTCOMES.len();

/// How many requests of each kind, and from when to when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overflow {
    counts: [u64; KINDS],
    span: Option<(Timestamp, Timestamp)>,
}

impl Overflow {
    /// Adds all requests that a record, or a part of a row, stands for.
    pub(super) fn add(
        &mut self,
        reason: RefusalReason,
        outcome: InterceptOutcome,
        count: u64,
        at: Timestamp,
    ) {
        self.counts[kind(reason, outcome)] += count;
        let (from, until) = self.span.unwrap_or((at, at));
        self.span = Some((from.min(at), until.max(at)));
    }

    /// Adds all of another one.
    pub(super) fn merge(&mut self, other: &Self) {
        for ((reason, outcome), count) in other.kinds() {
            let (from, until) = other.span.unwrap_or_default();
            self.add(reason, outcome, count, from);
            self.add(reason, outcome, 0, until);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts == [0; KINDS]
    }

    /// From when to when.
    pub(super) fn span(&self) -> (Timestamp, Timestamp) {
        self.span.unwrap_or_default()
    }

    /// The kinds of which there are any.
    pub(super) fn kinds(&self) -> impl Iterator<Item = ((RefusalReason, InterceptOutcome), u64)> {
        all_kinds().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// In words, for the log.
    pub(super) fn words(&self) -> String {
        let words: Vec<String> = self
            .kinds()
            .map(|((reason, _), count)| format!("{} {count}", reason.code()))
            .collect();
        words.join(", ")
    }

    /// A row for each kind, or several where one row cannot count so far. The same `id` makes the same references.
    pub(super) fn rows(&self, id: [u8; 16]) -> Vec<Intercept> {
        let (at, last_at) = self.span();
        let mut rows = Vec::new();
        for ((reason, outcome), count) in self.kinds() {
            let mut left = count;
            while left > 0 {
                let count = u32::try_from(left).unwrap_or(u32::MAX);
                left -= u64::from(count);
                let mut reference = id;
                reference[15] = u8::try_from(rows.len()).unwrap_or(u8::MAX);
                rows.push(Intercept {
                    reference: Reference::from_bytes(reference),
                    at,
                    last_at,
                    reason,
                    outcome,
                    binding: None,
                    networks: Networks::default(),
                    fingerprint: None,
                    hint: None,
                    client_ip: SEVERAL_CLIENTS,
                    method: String::new(),
                    path: String::new(),
                    user_agent: String::new(),
                    count,
                    profile: "".into(),
                    replica: "".into(),
                });
            }
        }
        rows
    }
}

fn all_kinds() -> impl Iterator<Item = (RefusalReason, InterceptOutcome)> {
    RefusalReason::ALL
        .into_iter()
        .flat_map(|reason| OUTCOMES.map(|outcome| (reason, outcome)))
}

fn kind(reason: RefusalReason, outcome: InterceptOutcome) -> usize {
    reason as usize * OUTCOMES.len() + outcome as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(milliseconds)
    }

    #[test]
    fn kinds_are_counted_apart_and_become_rows_with_their_span() {
        let mut overflow = Overflow::default();
        assert!(overflow.is_empty());
        overflow.add(RefusalReason::KeyBanned, InterceptOutcome::Refused, 2, at(5));
        overflow.add(RefusalReason::KeyIpMismatch, InterceptOutcome::Observed, 1, at(3));
        let mut both = Overflow::default();
        both.add(RefusalReason::KeyBanned, InterceptOutcome::Refused, 1, at(9));
        both.merge(&overflow);
        assert_eq!(both.span(), (at(3), at(9)));
        assert_eq!(both.words(), "key_ip_mismatch 1, key_banned 3");
        let rows = both.rows([3; 16]);
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [1, 3]);
        assert_ne!(rows[0].reference, rows[1].reference);
        assert_eq!(both.rows([3; 16]), rows);
        assert_eq!((rows[0].at, rows[0].last_at), (at(3), at(9)));
    }

    #[test]
    fn a_count_that_no_row_can_hold_becomes_several() {
        let mut overflow = Overflow::default();
        overflow.add(
            RefusalReason::KeyMissing,
            InterceptOutcome::Refused,
            1 << 33,
            at(1),
        );
        let rows = overflow.rows([0; 16]);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.iter().map(|row| u64::from(row.count)).sum::<u64>(), 1 << 33);
    }
}
