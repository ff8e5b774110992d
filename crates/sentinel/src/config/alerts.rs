//! Alerts in the configuration: which channels there are, what goes to each, and the rules' numbers.
//!
//! A channel is made once while the configuration is judged, so that whatever it would refuse is told before anything starts. Nothing is
//! sent, and no name is looked up. No secret and no URL is ever shown.

mod channel;
mod fields;
mod written;

use sentinel_alerts::channel::{SECRETS_MAX, SecretMalformed, WebhookSecret};
use sentinel_alerts::delivery::CHANNELS_MAX;
use sentinel_alerts::links::{Console, LinkSigner};
use sentinel_alerts::outbound::trust;
use sentinel_alerts::text::Language;
use sentinel_core::alert::{ChannelId, Rule, RuleKind, Rules, Severity};
use sentinel_core::network::Network;

use super::parse;
use super::problem::Problem;
use super::table;
use super::values::Values;

pub(crate) use channel::{ChannelConfig, ChannelKind};
use written::CHANNELS;
#[cfg(test)]
pub(super) use written::ENTRIES_MAX;
pub(crate) use written::WrittenAlerts;
pub(super) use written::read;

/// The channel that `ALERT_WEBHOOK_URL` makes.
pub(crate) const DEFAULT_CHANNEL: &str = "webhook";

/// Where alerts go, and what makes them.
#[derive(Clone, Debug)]
pub(crate) struct AlertConfig {
    /// All channels.
    pub(crate) channels: Vec<ChannelConfig>,
    /// Networks inside the installation that receivers may be in.
    pub(crate) allowed_networks: Vec<Network>,
    /// Further certificate authorities that receivers are believed by, as PEM.
    pub(crate) authorities: Vec<u8>,
    /// The rules, but for the numbers that change while the server runs.
    pub(crate) rules: Rules,
}

impl AlertConfig {
    /// The rules as they hold with these numbers for refusals of one key, each with the channels that take it.
    pub(crate) fn rules_with(&self, count: u32, within: std::time::Duration) -> Rules {
        let mut rules = self.rules.clone();
        for kind in RuleKind::ALL {
            let mut rule = rules.get(kind).clone();
            if kind == RuleKind::RefusalsPerBinding {
                rule.threshold = u64::from(count);
                rule.window = within;
            }
            let takers = self.channels.iter().filter(|channel| channel.takes(&rule));
            rule.channels = takers.map(|channel| channel.id.clone()).collect();
            // A rule without channels would go to all of them.
            rule.is_enabled &= self.channels.is_empty() || !rule.channels.is_empty();
            rules
                .set(rule)
                .expect("the numbers were judged with the configuration");
        }
        rules
    }
}

/// What the configuration says of alerts.
pub(super) fn alerts(values: &mut Values<'_>) -> AlertConfig {
    let allowed_networks = values.list(&table::ALERT_ALLOWED_NETWORKS, parse::receiver_network);
    let authorities = values
        .parsed(&table::ALERT_CA_FILE, |path| {
            let pem = parse::pem_file(path)?;
            trust(&pem).map(|_| pem).map_err(|error| error.to_string())
        })
        .unwrap_or_default();
    let mut config = AlertConfig {
        channels: Vec::new(),
        allowed_networks,
        authorities,
        rules: rules(values),
    };
    let surroundings = channel::Surroundings {
        allowed: &config.allowed_networks,
        is_http_allowed: values.choice(&table::ALERT_PLAIN_HTTP, &[false, true]),
        language: values.choice(&table::ALERT_LANGUAGE, &[Language::English, Language::Chinese]),
    };
    let mut channels: Vec<ChannelConfig> = default_channel(values, &surroundings).into_iter().collect();
    for written in &values.alerts().channels {
        let (channel, problems) = channel::judge(written, &surroundings);
        values.errors.extend(problems);
        channels.extend(channel);
    }
    check_channels(values, &channels);
    config.channels = channels;
    warn_of_rules_that_go_nowhere(values, &config);
    config
}

/// The channel of `ALERT_WEBHOOK_URL`.
fn default_channel(
    values: &mut Values<'_>,
    surroundings: &channel::Surroundings<'_>,
) -> Option<ChannelConfig> {
    let url = values.parsed(&table::ALERT_WEBHOOK_URL, |text| surroundings.url(text));
    let secrets = values.parsed(&table::ALERT_WEBHOOK_SECRET, webhook_secrets);
    if !values.is_given(&table::ALERT_WEBHOOK_URL) && values.is_given(&table::ALERT_WEBHOOK_SECRET) {
        values.warning(
            &table::ALERT_WEBHOOK_SECRET,
            "has no effect while ALERT_WEBHOOK_URL is not set",
        );
    }
    let url = url?;
    if secrets.is_none() {
        values.warning(
            &table::ALERT_WEBHOOK_URL,
            "has no secret: the receiver cannot tell alerts from forgeries; set ALERT_WEBHOOK_SECRET",
        );
    }
    Some(ChannelConfig {
        id: ChannelId::new(DEFAULT_CHANNEL).expect("letters"),
        kind: ChannelKind::Webhook {
            url,
            secrets: secrets.unwrap_or_default(),
        },
        language: surroundings.language,
        rules: Vec::new(),
        severity_min: Severity::Info,
    })
}

/// The secrets that sign a webhook, the newest first.
fn webhook_secrets(text: &str) -> Result<Vec<WebhookSecret>, String> {
    let wanted = |error: &dyn std::fmt::Display| format!("is no signing secret; wanted: {error}");
    let secrets = text
        .split_whitespace()
        .map(|secret| WebhookSecret::parse(&sentinel_alerts::Secret::new(secret)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wanted(&error))?;
    if secrets.len() > SECRETS_MAX {
        return Err(wanted(&SecretMalformed));
    }
    Ok(secrets)
}

fn check_channels(values: &mut Values<'_>, channels: &[ChannelConfig]) {
    if channels.len() > CHANNELS_MAX {
        let text = format!(
            "{CHANNELS}: has {} channels; wanted at most {CHANNELS_MAX}",
            channels.len()
        );
        values.errors.push(Problem::elsewhere(None, text));
    }
    for (place, channel) in channels.iter().enumerate() {
        if channels[..place].iter().any(|other| other.id == channel.id) {
            let text = format!(
                "{CHANNELS}.{}: is the name of the channel that ALERT_WEBHOOK_URL makes; wanted another name",
                channel.id
            );
            values.errors.push(Problem::elsewhere(None, text));
        }
    }
}

fn rules(values: &mut Values<'_>) -> Rules {
    let mut rules = Rules::default();
    for written in &values.alerts().rules {
        let kind = RuleKind::from_word(&written.name);
        let Some(kind) = kind else {
            let words = RuleKind::ALL.map(RuleKind::as_str).join(", ");
            values
                .errors
                .push(written.problem(format!("is no rule; wanted one of {words}")));
            continue;
        };
        let (rule, problems) = channel::rule(written, Rule::new(kind));
        values.errors.extend(problems);
        if let Err(problem) = rules.set(rule) {
            values
                .errors
                .push(written.problem(format!("{problem}; wanted a number within")));
        }
    }
    rules
}

fn warn_of_rules_that_go_nowhere(values: &mut Values<'_>, config: &AlertConfig) {
    if config.channels.is_empty() {
        return;
    }
    let nowhere = config.rules.iter().filter(|rule| {
        let is_taken = config.channels.iter().any(|channel| channel.takes(rule));
        rule.is_enabled && !is_taken
    });
    let names: Vec<&str> = nowhere.map(|rule| rule.kind.as_str()).collect();
    if !names.is_empty() {
        let text = format!(
            "no channel takes {}: what these rules watch for raises no alert",
            names.join(", ")
        );
        values.warnings.push(Problem::elsewhere(None, text));
    }
}

/// Where links in alerts lead, judged.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    // The signer has no say in whether the address is one.
    Console::new(text, LinkSigner::new(&[]))
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; wanted one like https://sentinel.example.com"))
}
