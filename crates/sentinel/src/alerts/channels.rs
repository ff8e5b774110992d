//! From the configuration of channels to channels. One way out for all of them, which reaches public addresses and the networks that the
//! operator named, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_alerts::channel::{
    Channel, DingTalk, Email, EmailProblem, Failure, Feishu, HttpChannel, Platform, SecretMalformed,
    SlackBot, SlackWebhook, Telegram, WeCom, Webhook,
};
use sentinel_alerts::links::{Console, ConsoleProblem, LinkSigner};
use sentinel_alerts::outbound::{Dialer, Guard, HttpClient, SystemResolver, TrustProblem, trust};
use sentinel_core::alert::{Alert, ChannelId};
use sentinel_core::time::Timestamp;

use super::metrics::{AlertMetrics, Outcome};
use crate::config::{AlertConfig, ChannelConfig, ChannelKind};

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertsError {
    /// The extra authorities.
    #[error("SENTINEL_ALERT_CA_FILE: {0}")]
    Trust(#[from] TrustProblem),
    /// The console's address.
    #[error("SENTINEL_ADMIN_PUBLIC_URL: {0}")]
    Console(#[from] ConsoleProblem),
    /// A secret.
    #[error("alert.channels.{0}: {1}")]
    Secret(ChannelId, SecretMalformed),
    /// A bot's token.
    #[error("alert.channels.{0}: the token has characters that no header takes")]
    Token(ChannelId),
    /// Sender or recipients.
    #[error("alert.channels.{0}: {1}")]
    Email(ChannelId, EmailProblem),
}

/// All channels of the configuration; their links lead to the console, when its address is known.
pub(crate) fn open(
    config: &AlertConfig,
    console: Option<(&str, LinkSigner)>,
) -> Result<Vec<Arc<dyn Channel>>, AlertsError> {
    let console = match console {
        Some((url, signer)) => Some(Arc::new(Console::new(url, signer)?)),
        None => None,
    };
    let guard = Guard::new(Arc::new(SystemResolver), config.allowed_networks.clone());
    let dialer = Dialer::new(guard, trust(&config.authorities)?);
    let opening = Opening {
        client: HttpClient::new(dialer.clone()),
        dialer,
        console,
    };
    config
        .channels
        .iter()
        .map(|channel| opening.open(channel))
        .collect()
}

struct Opening {
    client: HttpClient,
    dialer: Dialer,
    console: Option<Arc<Console>>,
}

impl Opening {
    fn open(&self, config: &ChannelConfig) -> Result<Arc<dyn Channel>, AlertsError> {
        let id = || config.id.clone();
        Ok(match &config.kind {
            ChannelKind::Webhook { url, secrets } => {
                let webhook = Webhook::new(url.clone(), secrets.clone());
                self.over_http(config, webhook.map_err(|error| AlertsError::Secret(id(), error))?)
            }
            ChannelKind::Feishu { url, secret } => {
                self.over_http(config, Feishu::new(url.clone(), secret.clone()))
            }
            ChannelKind::DingTalk { url, secret } => {
                self.over_http(config, DingTalk::new(url.clone(), secret.clone()))
            }
            ChannelKind::WeCom { url } => self.over_http(config, WeCom::new(url.clone())),
            ChannelKind::Slack { url } => self.over_http(config, SlackWebhook::new(url.clone())),
            ChannelKind::SlackBot {
                api,
                token,
                conversation,
            } => {
                let bot = SlackBot::new(api, token, conversation.as_str());
                self.over_http(config, bot.ok_or_else(|| AlertsError::Token(id()))?)
            }
            ChannelKind::Telegram {
                api,
                token,
                chat,
                thread,
            } => self.over_http(config, Telegram::new(api, token, chat.as_str(), *thread)),
            ChannelKind::Email {
                server,
                security,
                from,
                to,
                credentials,
            } => {
                let email = Email::new(
                    id(),
                    (server.clone(), *security),
                    (from, to),
                    self.dialer.clone(),
                    config.language,
                    self.console.clone(),
                );
                let email = email.map_err(|error| AlertsError::Email(id(), error))?;
                match credentials {
                    Some((user, password)) => {
                        Arc::new(email.with_credentials(user.as_str(), password.clone()))
                    }
                    None => Arc::new(email),
                }
            }
        })
    }

    fn over_http(&self, config: &ChannelConfig, platform: impl Platform + 'static) -> Arc<dyn Channel> {
        Arc::new(HttpChannel::new(
            config.id.clone(),
            platform,
            self.client.clone(),
            config.language,
            self.console.clone(),
        ))
    }
}

/// A channel whose attempts are counted.
pub(super) struct Counted {
    channel: Arc<dyn Channel>,
    metrics: AlertMetrics,
}

impl Counted {
    pub(super) fn new(channel: Arc<dyn Channel>, metrics: AlertMetrics) -> Self {
        Self { channel, metrics }
    }
}

#[async_trait]
impl Channel for Counted {
    fn id(&self) -> &ChannelId {
        self.channel.id()
    }

    async fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), Failure> {
        let sent = self.channel.send(alert, now).await;
        self.metrics.attempted(self.channel.id(), Outcome::of(&sent));
        sent
    }
}
