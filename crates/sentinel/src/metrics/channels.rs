//! How well this replica hears of what others change: which channels work, and how late their news is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sentinel_admin::Propagation;
use sentinel_store::changes::ChangeFeed;
use sentinel_store::listener::ChannelObserver;

/// Within how many seconds news is expected, from the best to the worst that is worth telling apart.
const DELAYS_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The most delays that are kept to say how late news is lately.
pub(crate) const DELAYS_KEPT_MAX: usize = 1_024;

/// Measures the channels.
#[derive(Clone, Debug)]
pub(crate) struct ChannelMetrics {
    up: Family<Channel, Gauge>,
    delay_seconds: Family<Channel, Histogram>,
    /// The latest, of all channels.
    latest: Arc<Mutex<VecDeque<Duration>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Channel {
    channel: &'static str,
}

impl Default for ChannelMetrics {
    fn default() -> Self {
        Self {
            up: Family::default(),
            delay_seconds: Family::new_with_constructor(|| Histogram::new(DELAYS_SECONDS)),
            latest: Arc::default(),
        }
    }
}

impl ChannelMetrics {
    /// Before any of them has worked: one that never worked is no less lost than one that did.
    pub(crate) fn none_is_up(&self, feeds: &[Box<dyn ChangeFeed>]) {
        for feed in feeds {
            self.is_up(feed.channel(), false);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "change_channel_up",
            "Whether changes made by other replicas are heard on this channel",
            self.up.clone(),
        );
        registry.register(
            "propagation_seconds",
            "How long after a change was made elsewhere this replica heard of it",
            self.delay_seconds.clone(),
        );
    }

    /// How late news is lately; none when there was none.
    pub(crate) fn propagation(&self) -> Option<Propagation> {
        let mut delays: Vec<Duration> = self.latest().iter().copied().collect();
        delays.sort_unstable();
        let of_hundred = |percent: usize| {
            let rank = (delays.len() * percent).div_ceil(100);
            delays.get(rank.saturating_sub(1)).copied()
        };
        Some(Propagation {
            p50: of_hundred(50)?,
            p99: of_hundred(99)?,
        })
    }

    fn latest(&self) -> MutexGuard<'_, VecDeque<Duration>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelObserver for ChannelMetrics {
    fn heard(&self, channel: &'static str, delay: Duration) {
        self.delay_seconds
            .get_or_create(&Channel { channel })
            .observe(delay.as_secs_f64());
        let mut latest = self.latest();
        if latest.len() == DELAYS_KEPT_MAX {
            latest.pop_front();
        }
        latest.push_back(delay);
    }

    fn is_up(&self, channel: &'static str, is_up: bool) {
        self.up.get_or_create(&Channel { channel }).set(i64::from(is_up));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_apart() {
        let metrics = ChannelMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.is_up("redis", true);
        metrics.is_up("redis", false);
        metrics.is_up("postgresql", true);
        metrics.heard("redis", Duration::from_millis(7));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("it is text");
        for line in [
            "change_channel_up{channel=\"redis\"} 0",
            "change_channel_up{channel=\"postgresql\"} 1",
            "propagation_seconds_bucket{le=\"0.005\",channel=\"redis\"} 0",
            "propagation_seconds_bucket{le=\"0.01\",channel=\"redis\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn how_late_news_is_counts_the_latest_only() {
        let metrics = ChannelMetrics::default();
        assert_eq!(metrics.propagation(), None);
        let milliseconds = Duration::from_millis;
        metrics.heard("redis", milliseconds(9));
        let one = Propagation {
            p50: milliseconds(9),
            p99: milliseconds(9),
        };
        assert_eq!(metrics.propagation(), Some(one));
        for _ in 0..DELAYS_KEPT_MAX / 100 * 95 {
            metrics.heard("redis", milliseconds(2));
        }
        for _ in 0..DELAYS_KEPT_MAX / 100 * 5 {
            metrics.heard("postgresql", milliseconds(40));
        }
        let of_most = Propagation {
            p50: milliseconds(2),
            p99: milliseconds(40),
        };
        assert_eq!(metrics.propagation(), Some(of_most));
        for _ in 0..DELAYS_KEPT_MAX {
            metrics.heard("redis", milliseconds(1));
        }
        assert_eq!(metrics.propagation().map(|late| late.p99), Some(milliseconds(1)));
    }
}
