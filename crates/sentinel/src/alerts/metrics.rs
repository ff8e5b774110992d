//! What `/metrics` says of alerts: how many were raised, how attempts to deliver ended, and how much waits. Labels hold rules and the names of
//! channels, never who an alert is about.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sentinel_alerts::channel::{Again, Failure};
use sentinel_core::alert::ports::{ALERT_PAGE_MAX, AlertStore, DeliveryFilter, DeliveryState};
use sentinel_core::alert::{ChannelId, RuleKind};

/// Counts alerts. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertMetrics {
    raised: Family<OfRule, Counter>,
    deliveries: Family<OfAttempt, Counter>,
    outbox: Family<OfState, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAttempt {
    channel: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    Failed,
    Refused,
}

impl Outcome {
    pub(super) fn of(sent: &Result<(), Failure>) -> Self {
        match sent {
            Ok(()) => Self::Delivered,
            Err(failure) if failure.again == Again::Never => Self::Refused,
            Err(_) => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl AlertMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "alerts_raised",
            "Alerts that this replica raised",
            self.raised.clone(),
        );
        registry.register(
            "alert_deliveries",
            "Attempts of this replica to deliver an alert, by how they ended",
            self.deliveries.clone(),
        );
        registry.register(
            "alert_outbox",
            "Deliveries of alerts in the outbox that all replicas share; 1000 stands for that many or more",
            self.outbox.clone(),
        );
    }

    pub(super) fn raised(&self, rule: RuleKind) {
        let rule = rule.as_str();
        self.raised.get_or_create(&OfRule { rule }).inc();
    }

    pub(super) fn attempted(&self, channel: &ChannelId, outcome: Outcome) {
        let of_attempt = OfAttempt {
            channel: channel.as_str().to_owned(),
            outcome: outcome.as_str(),
        };
        self.deliveries.get_or_create(&of_attempt).inc();
    }

    /// Looks how much waits, and how much was given up.
    pub(super) async fn look_at(&self, outbox: &dyn AlertStore) {
        for state in [DeliveryState::Pending, DeliveryState::Dead] {
            let filter = DeliveryFilter {
                state: Some(state),
                limit: ALERT_PAGE_MAX,
                ..DeliveryFilter::default()
            };
            let Ok(rows) = outbox.deliveries(filter).await else {
                return;
            };
            let depth = i64::try_from(rows.len()).unwrap_or(i64::MAX);
            let state = state.as_str();
            self.outbox.get_or_create(&OfState { state }).set(depth);
        }
    }
}
