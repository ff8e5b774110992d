//! What a report adds to each row of the traffic: by span, begin and measure.

use std::collections::BTreeMap;

use sentinel_core::ports::{REPORT_MINUTES_MAX, TrafficReport, TrafficSpan};
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

#[cfg(test)]
mod tests {
    use sentinel_core::ports::TrafficMeasure;

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
