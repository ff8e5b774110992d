//! Counts as the dashboard shows them, and series of them without gaps.

use sentinel_core::decision::RefusalReason;
use sentinel_core::ports::{TrafficCounts, TrafficMeasure, TrafficSpan, TrafficStretch};
use sentinel_core::time::Timestamp;
use serde::Serialize;

/// What went through all replicas in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DashboardCounts)]
pub(super) struct Counts {
    /// Requests let on because nothing spoke against them; observed ones are not among them.
    allowed: u64,
    /// Requests that Sentinel refused. Those that the upstream did not answer are not among them.
    refused: u64,
    /// Requests let on although a rule was broken.
    observed: u64,
    /// Keys bound at their first use.
    bound: u64,
}

impl From<&TrafficCounts> for Counts {
    fn from(counts: &TrafficCounts) -> Self {
        Self {
            allowed: counts.of(TrafficMeasure::Allowed),
            refused: by_reason(counts).fold(0, |sum, (_, count)| sum.saturating_add(count)),
            observed: counts.of(TrafficMeasure::Observed),
            bound: counts.of(TrafficMeasure::Bound),
        }
    }
}

/// Counts of one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DashboardStretch)]
pub(super) struct Stretch {
    /// Where it begins.
    #[schema(format = DateTime)]
    from: String,
    #[serde(flatten)]
    counts: Counts,
}

/// Which refusals there were of each reason.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RefusedByReason)]
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) count: u64,
}

/// What Sentinel refused itself, by reason.
pub(super) fn by_reason(counts: &TrafficCounts) -> impl Iterator<Item = (RefusalReason, u64)> {
    counts.nonzero().filter_map(|(measure, count)| match measure {
        TrafficMeasure::Refused(reason) if !reason.is_of_upstream() => Some((reason, count)),
        _ => None,
    })
}

/// The counts of the stretch that begins `back` before the one of `now`.
pub(super) fn counts_of(
    stretches: &[TrafficStretch],
    span: TrafficSpan,
    now: Timestamp,
    back: u32,
) -> TrafficCounts {
    let from = span.before(now, back);
    let found = stretches.binary_search_by_key(&from, |stretch| stretch.from);
    found.map_or_else(|_| TrafficCounts::default(), |place| stretches[place].counts)
}

/// So many stretches, the one of `now` last; those in which nothing was counted too.
pub(super) fn series(
    stretches: &[TrafficStretch],
    span: TrafficSpan,
    now: Timestamp,
    length: u32,
) -> Vec<Stretch> {
    (0..length)
        .rev()
        .map(|back| Stretch {
            from: span.before(now, back).rfc3339(),
            counts: Counts::from(&counts_of(stretches, span, now, back)),
        })
        .collect()
}
