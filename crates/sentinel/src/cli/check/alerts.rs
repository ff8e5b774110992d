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

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use async_trait::async_trait;
    use sentinel_alerts::outbound::Resolve;

    use super::super::Verdict;
    use super::*;
    use crate::config;

    /// Gives this address; none at all, and never, when it has none.
    struct Names(Option<IpAddr>);

    #[async_trait]
    impl Resolve for Names {
        async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
            match self.0 {
                Some(address) => Ok(vec![address]),
                None => std::future::pending().await,
            }
        }
    }

    async fn checked(names: Names) -> Finding {
        let config = config::of_variables(&[("ALERT_WEBHOOK_URL", "https://hooks.example/hunter2")]);
        let finding = one(&Guard::new(Arc::new(names), []), &config.alerts.channels[0]).await;
        assert!(
            finding
                .text
                .starts_with("channel webhook: webhook at hooks.example:443"),
            "{finding:?}"
        );
        assert!(!finding.text.contains("hunter2"), "{finding:?}");
        finding
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_s_name_is_looked_up_and_nothing_is_sent() {
        let good = checked(Names(Some(IpAddr::from([198, 51, 99, 7])))).await;
        assert_eq!(good.verdict, Verdict::Good);
        let inside = checked(Names(Some(IpAddr::from([10, 0, 0, 7])))).await;
        assert_eq!(inside.verdict, Verdict::Bad);
        assert!(
            inside.advice.contains("SENTINEL_ALERT_ALLOWED_NETWORKS"),
            "{inside:?}"
        );
        let began = tokio::time::Instant::now();
        let silent = checked(Names(None)).await;
        assert_eq!((silent.verdict, began.elapsed()), (Verdict::Bad, LOOK_UP_MAX));
    }
}
