//! How much went through, by minute, hour and day in UTC; which keys and addresses were refused most; and which replicas there are.
//!
//! Each replica reports what it counted since its report before. A store adds a report to all three lengths of time at once, and only once,
//! however often it comes: what a dashboard reads is never added up from more than a few rows, and never behind.

use async_trait::async_trait;

use super::StoreError;
use crate::binding::BindingId;
use crate::decision::RefusalReason;
use crate::fingerprint::KeyHint;
use crate::network::ClientIp;
use crate::time::Timestamp;

/// The most stretches of time that one question gives; the newest are kept.
pub const STRETCHES_MAX: u32 = 3_000;
/// The most minutes in one report; of a longer one the first are taken.
pub const REPORT_MINUTES_MAX: usize = 60;
/// The most replicas that one question gives; those seen last are kept.
pub const REPLICAS_MAX: u32 = 100;
/// The most keys, and the most addresses, that are kept of an hour and of a day. All others of it are counted together.
pub const TOP_SUBJECTS_MAX: u32 = 1_000;
/// So many may be there before they are cut to [`TOP_SUBJECTS_MAX`]: looking for the least of them is worth it only once in a while.
pub const TOP_SUBJECTS_CUT_MAX: u32 = 2 * TOP_SUBJECTS_MAX;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficMeasure {
    /// Requests let on because nothing spoke against them. Observed ones are not among them.
    Allowed,
    /// Requests let on although a rule was broken.
    Observed,
    /// Keys bound at their first use.
    Bound,
    /// Claims taken back because the upstream did not know the key.
    Released,
    /// Requests without an answer of the upstream, by reason.
    Refused(RefusalReason),
}

/// How many measures there are.
const MEASURES: usize = 4 + RefusalReason::ALL.len();

impl TrafficMeasure {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let refused = RefusalReason::ALL.into_iter().map(Self::Refused);
        [Self::Allowed, Self::Observed, Self::Bound, Self::Released]
            .into_iter()
            .chain(refused)
    }

    /// The word that stores use. A refusal's is its reason's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Observed => "observed",
            Self::Bound => "bound",
            Self::Released => "released",
            Self::Refused(reason) => reason.code(),
        }
    }

    /// The measure that `code` names.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|measure| measure.code() == code)
    }

    const fn index(self) -> usize {
        match self {
            Self::Allowed => 0,
            Self::Observed => 1,
            Self::Bound => 2,
            Self::Released => 3,
            Self::Refused(reason) => 4 + reason as usize,
        }
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts([u64; MEASURES]);

impl TrafficCounts {
    /// How much of one measure.
    pub const fn of(&self, measure: TrafficMeasure) -> u64 {
        self.0[measure.index()]
    }

    /// Adds to one measure.
    pub fn add(&mut self, measure: TrafficMeasure, count: u64) {
        let sum = &mut self.0[measure.index()];
        *sum = sum.saturating_add(count);
    }

    /// The same with one measure added to.
    #[must_use]
    pub fn with(mut self, measure: TrafficMeasure, count: u64) -> Self {
        self.add(measure, count);
        self
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (measure, count) in other.nonzero() {
            self.add(measure, count);
        }
    }

    /// What came since these counts were `earlier`; nothing where they went back.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = *self;
        for (count, before) in counts.0.iter_mut().zip(earlier.0) {
            *count = count.saturating_sub(before);
        }
        counts
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// The measures of which there is anything.
    pub fn nonzero(&self) -> impl Iterator<Item = (TrafficMeasure, u64)> {
        TrafficMeasure::all()
            .map(|measure| (measure, self.of(measure)))
            .filter(|(_, count)| *count > 0)
    }
}

/// A length of time for which counts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficSpan {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

impl TrafficSpan {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The word that stores use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long it is.
    pub const fn milliseconds(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// Where the one begins that `at` lies in.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        let length = self.milliseconds();
        let number = at.unix_ms().div_euclid(length);
        Timestamp::from_unix_ms(number.saturating_mul(length))
    }

    /// Where the one begins that lies `back` before the one of `at`.
    pub fn before(self, at: Timestamp, back: u32) -> Timestamp {
        let length = i64::from(back).saturating_mul(self.milliseconds());
        Timestamp::from_unix_ms(self.start_of(at).unix_ms().saturating_sub(length))
    }
}

/// What was counted in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficStretch {
    /// Where it begins.
    pub from: Timestamp,
    /// What was counted in it.
    pub counts: TrafficCounts,
}

/// One process that serves, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Names this run of it, and no other: random.
    pub run: String,
    /// Its name, which the next run has, too; others may have it by mistake.
    pub name: String,
    /// Which version it runs.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it reported last.
    pub seen_at: Timestamp,
    /// Whether it has said that it ends.
    pub is_stopped: bool,
    /// How late it hears of changes made elsewhere, in milliseconds: of a hundred, all but one come sooner. None when it heard of none.
    pub propagation_ms: Option<u32>,
}

impl Replica {
    /// Those that run, or should: without the ones that have ended in order, and without what a later run of the same name has replaced.
    pub fn running(replicas: &[Self]) -> Vec<Self> {
        let is_replaced = |replica: &Self| {
            replicas.iter().any(|other| {
                other.run != replica.run && other.name == replica.name && other.started_at > replica.seen_at
            })
        };
        let running = replicas
            .iter()
            .filter(|replica| !replica.is_stopped && !is_replaced(replica))
            .cloned();
        running.collect()
    }
}

/// What a replica counted since its report before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficReport {
    /// The replica, as it is now.
    pub replica: Replica,
    /// Grows with every report of this run. A report that is sent again, because nobody knows whether it arrived, keeps its number.
    pub number: u64,
    /// By minute, each at its begin; at most [`REPORT_MINUTES_MAX`]. May be none: then it is a sign of life.
    pub minutes: Vec<TrafficStretch>,
}

/// A key that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopKey {
    /// Its binding at that time, when it had one.
    pub binding: Option<BindingId>,
    /// What may be shown of it.
    pub hint: Option<KeyHint>,
    /// How often at least: what came before it was among the first may be missing.
    pub count: u64,
}

/// An address whose requests were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopAddress {
    /// The address.
    pub client_ip: ClientIp,
    /// How often at least.
    pub count: u64,
}

/// Who was refused most in one stretch of time, most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopRefused {
    /// Keys.
    pub keys: Vec<TopKey>,
    /// Addresses.
    pub addresses: Vec<TopAddress>,
    /// How often keys were refused that have no place of their own any more.
    pub other_keys: u64,
    /// The same of addresses, and records that stand for many.
    pub other_addresses: u64,
}

/// From when on figures are kept; what lies before is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficKept {
    /// Counts of minutes.
    pub minutes_from: Timestamp,
    /// Counts of hours.
    pub hours_from: Timestamp,
    /// Counts of days.
    pub days_from: Timestamp,
    /// Who was refused most, by hour.
    pub top_hours_from: Timestamp,
    /// Who was refused most, by day.
    pub top_days_from: Timestamp,
    /// Replicas, by when they were seen last.
    pub replicas_from: Timestamp,
}

/// The figures of all replicas. Who was refused most is written by [`super::InterceptStore::append`], with the rows that say so and in the
/// same transaction.
#[async_trait]
pub trait TrafficStore: Send + Sync {
    /// Adds what is reported to its minutes, hours and days, and notes the replica. False, and nothing done, when this run's report of that
    /// number, or a later one, was added already.
    async fn report(&self, report: TrafficReport) -> Result<bool, StoreError>;

    /// The counts of all stretches since `since`, oldest first; those without any are left out. At most [`STRETCHES_MAX`]. A measure that
    /// only a later version knows is passed over.
    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError>;

    /// Who was refused most in the hour or day that begins at `from`: at most `limit` keys and as many addresses. Nobody for a minute.
    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError>;

    /// The replicas seen at or after `since`, those seen last first; at most [`REPLICAS_MAX`].
    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError>;

    /// Forgets what is older; gives how many rows went. None when another replica is at it: nothing was done.
    async fn forget(&self, kept: TrafficKept) -> Result<Option<u64>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_its_own_place_and_word() {
        let mut counts = TrafficCounts::default();
        for (number, measure) in TrafficMeasure::all().enumerate() {
            assert_eq!(measure.index(), number);
            assert_eq!(TrafficMeasure::from_code(measure.code()), Some(measure));
            counts.add(measure, number as u64 + 1);
        }
        assert_eq!(counts.nonzero().count(), MEASURES);
        assert_eq!(TrafficMeasure::from_code("other"), None);
    }

    #[test]
    fn what_came_since_is_a_difference_and_never_less_than_nothing() {
        let counted = |allowed, bound| {
            TrafficCounts::default()
                .with(TrafficMeasure::Allowed, allowed)
                .with(TrafficMeasure::Bound, bound)
        };
        let since = counted(7, 1).since(&counted(5, 2));
        assert_eq!(since, counted(2, 0));
        assert!(since.since(&since).is_empty());
        let mut sum = counted(u64::MAX, 1);
        sum.merge(&counted(1, 1));
        assert_eq!(sum, counted(u64::MAX, 2));
    }

    #[test]
    fn a_stretch_begins_in_utc_before_the_epoch_too() {
        let at = Timestamp::from_unix_ms(1_798_761_599_999);
        for (span, start) in [
            (TrafficSpan::Minute, "2026-12-31T23:59:00Z"),
            (TrafficSpan::Hour, "2026-12-31T23:00:00Z"),
            (TrafficSpan::Day, "2026-12-31T00:00:00Z"),
        ] {
            assert_eq!(span.start_of(at).rfc3339(), start);
        }
        let before = TrafficSpan::Day.start_of(Timestamp::from_unix_ms(-1));
        assert_eq!(before.rfc3339(), "1969-12-31T00:00:00Z");
        assert_eq!(TrafficSpan::Day.before(at, 30).rfc3339(), "2026-12-01T00:00:00Z");
    }

    #[test]
    fn a_run_that_was_replaced_or_stopped_does_not_run() {
        let replica = |run: &str, name: &str, started_at, seen_at| Replica {
            run: run.to_owned(),
            name: name.to_owned(),
            version: "1".to_owned(),
            started_at: Timestamp::from_unix_ms(started_at),
            seen_at: Timestamp::from_unix_ms(seen_at),
            is_stopped: false,
            propagation_ms: None,
        };
        let mut stopped = replica("e", "two", 1, 90);
        stopped.is_stopped = true;
        let running = Replica::running(&[
            replica("a", "one", 50, 90),
            // Killed, and started again as the one above.
            replica("b", "one", 1, 40),
            // At the same time under the same name: not replaced.
            replica("c", "one", 10, 91),
            // Not heard of for long, and nobody took its place.
            replica("d", "three", 1, 2),
            stopped,
        ]);
        let runs: Vec<&str> = running.iter().map(|replica| replica.run.as_str()).collect();
        assert_eq!(runs, ["a", "c", "d"]);
    }
}
