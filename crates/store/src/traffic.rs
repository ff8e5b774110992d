//! What the stores do alike with figures of the traffic: add up what a report adds to each row, put rows together to stretches, and say
//! which ones have had their time.

use std::collections::BTreeMap;

use sentinel_core::ports::{
    REPORT_MINUTES_MAX, STRETCHES_MAX, TrafficCounts, TrafficKept, TrafficMeasure, TrafficReport,
    TrafficSpan, TrafficStretch,
};
use sentinel_core::time::Timestamp;

/// In the order in which every replica locks rows. A count stops at the largest one that a column holds.
pub(crate) fn sums(report: &TrafficReport) -> BTreeMap<(TrafficSpan, Timestamp, &'static str), i64> {
    let mut sums = BTreeMap::new();
    for minute in report.minutes.iter().take(REPORT_MINUTES_MAX) {
        for span in TrafficSpan::ALL {
            let from = span.start_of(minute.from);
            for (measure, count) in minute.counts.nonzero() {
                let sum: &mut i64 = sums.entry((span, from, measure.code())).or_default();
                *sum = sum.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
    sums
}

/// The most rows that a question for stretches reads: a stretch has a row for each measure at most, and of one beyond the bound it is seen that
/// it is there.
pub(crate) fn stretch_rows_max() -> i64 {
    i64::from(STRETCHES_MAX + 1) * i64::try_from(TrafficMeasure::all().count()).unwrap_or(1)
}

/// Stretches, put together from rows that come newest first: so the bound cuts the oldest off.
#[derive(Debug, Default)]
pub(crate) struct Stretches(Vec<TrafficStretch>);

impl Stretches {
    /// Takes the next row; false when it is beyond [`STRETCHES_MAX`], and so are all after it. A measure that this version does not know is
    /// passed over.
    pub(crate) fn take(&mut self, from: Timestamp, measure: &str, count: i64) -> bool {
        if self.0.last().is_none_or(|last| last.from != from) {
            if self.0.len() == STRETCHES_MAX as usize {
                return false;
            }
            let counts = TrafficCounts::default();
            self.0.push(TrafficStretch { from, counts });
        }
        if let (Some(measure), Some(stretch)) = (TrafficMeasure::from_code(measure), self.0.last_mut()) {
            stretch.counts.add(measure, count.cast_unsigned());
        }
        true
    }

    pub(crate) fn oldest_first(mut self) -> Vec<TrafficStretch> {
        self.0.reverse();
        self.0
    }
}

/// Up to when what a table holds of a span has had its time.
pub(crate) fn outlived(kept: &TrafficKept) -> [(&'static str, TrafficSpan, Timestamp); 5] {
    [
        ("traffic", TrafficSpan::Minute, kept.minutes_from),
        ("traffic", TrafficSpan::Hour, kept.hours_from),
        ("traffic", TrafficSpan::Day, kept.days_from),
        ("top_refused", TrafficSpan::Hour, kept.top_hours_from),
        ("top_refused", TrafficSpan::Day, kept.top_days_from),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::traffic::{minute, report};

    #[test]
    fn minutes_add_up_to_hours_and_days_and_no_report_is_longer_than_its_maximum() {
        let minutes_max = i64::try_from(REPORT_MINUTES_MAX).unwrap();
        let counted = (0..=minutes_max).map(|number| minute(number, TrafficMeasure::Allowed, 2));
        let sums = sums(&report(1, counted.collect()));
        let of_span = |span| {
            let rows = sums.iter().filter(|((of, ..), _)| *of == span);
            rows.map(|(_, count)| *count).collect::<Vec<_>>()
        };
        assert_eq!(of_span(TrafficSpan::Minute), [2; REPORT_MINUTES_MAX]);
        assert_eq!(of_span(TrafficSpan::Hour), [2 * minutes_max]);
        assert_eq!(of_span(TrafficSpan::Day), [2 * minutes_max]);
    }
}
