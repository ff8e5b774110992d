//! Checks the channels of alerts: that each can be made, and that its host's name has an address that may be called. Sends nothing.

use std::sync::Arc;
use std::time::Duration;

use sentinel_alerts::outbound::{Guard, OutboundError, SystemResolver};
use tokio::time::timeout;

use super::Finding;
use crate::alerts::open_channels;
use crate::config::{ChannelConfig, Config};

/// How long a name may take to be looked up.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);
/// What these findings are called.
const PART: &str = "alerts";

/// One finding for each channel.
pub(super) async fn alerts(config: &Config) -> Vec<Finding> {
    let alerts = &config.alerts;
    if alerts.channels.is_empty() {
        let text =
            "no channel: alerts are kept for the console and sent nowhere; ALERT_WEBHOOK_URL makes one";
        return vec![Finding::good(PART, text)];
    }
    if let Err(error) = open_channels(alerts, None) {
        return vec![Finding::bad(
            PART,
            error.to_string(),
            "correct it where it is set",
        )];
    }
    let guard = Guard::new(Arc::new(SystemResolver), alerts.allowed_networks.clone());
    let mut findings = Vec::new();
    for channel in &alerts.channels {
        findings.push(one(&guard, channel).await);
    }
    findings
}

async fn one(guard: &Guard, channel: &ChannelConfig) -> Finding {
    let (kind, host) = channel.kind.place();
    let about = format!("channel {}: {kind} at {host}", channel.id);
    let found = timeout(LOOK_UP_MAX, guard.addresses(channel.kind.destination())).await;
    match found {
        Ok(Ok(_)) => Finding::good(PART, about),
        Ok(Err(error @ OutboundError::Forbidden { .. })) => Finding::bad(
            PART,
            format!("{about}: {error}"),
            "set SENTINEL_ALERT_ALLOWED_NETWORKS to its network, if alerts are meant to go there",
        ),
        Ok(Err(error)) => Finding::bad(
            PART,
            format!("{about}: {error}"),
            "correct the host, or the machine's name service",
        ),
        Err(_) => Finding::bad(
            PART,
            format!("{about}: its name is not looked up in time"),
            "see to the machine's name service",
        ),
    }
}
