//! How reporting the traffic's figures fares: what waits, and what failed.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counts reports. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrafficMetrics {
    waiting: Gauge,
    failed: Counter,
    folded: Counter,
}

impl TrafficMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "traffic_minutes_waiting",
            "Minutes whose figures the store has not taken yet",
            self.waiting.clone(),
        );
        registry.register(
            "traffic_reports_failed",
            "Reports of the traffic's figures that the store did not take; they are sent again",
            self.failed.clone(),
        );
        registry.register(
            "traffic_minutes_folded",
            "Minutes that were counted to the one after them, because too many waited",
            self.folded.clone(),
        );
    }

    /// So many minutes wait now.
    pub(crate) fn waiting(&self, minutes: usize) {
        self.waiting.set(i64::try_from(minutes).unwrap_or(i64::MAX));
    }

    /// A report was not taken.
    pub(crate) fn failed(&self) {
        self.failed.inc();
    }

    /// Two minutes became one.
    pub(crate) fn folded(&self) {
        self.folded.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_failed_is_told() {
        let metrics = TrafficMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.waiting(7);
        metrics.failed();
        metrics.folded();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("it is text");
        for line in [
            "traffic_minutes_waiting 7",
            "traffic_reports_failed_total 1",
            "traffic_minutes_folded_total 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
