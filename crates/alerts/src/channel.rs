//! Channels: where alerts go. One file per platform, each after that platform's own documentation.
//!
//! A channel makes one attempt and says how it ended. Platforms answer "200 OK" to what they refuse, so each reads its answer; what it
//! says of a failure never holds a token, a URL or a secret. Waiting and repeating are the courier's.

mod dingtalk;
mod email;
mod feishu;
mod slack;
mod telegram;
mod webhook;
mod wecom;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use sentinel_core::alert::{Alert, AlertState, ChannelId, Severity};
use sentinel_core::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::links::Console;
use crate::outbound::{HttpClient, HttpUrl, OutboundError, Reply};
use crate::text::{Language, Message, cut};

pub use dingtalk::{DINGTALK_BODY_BYTES_MAX, DingTalk};
pub use email::{Email, EmailProblem, RECIPIENTS_MAX, SMTP_ANSWERS_BYTES_MAX, SMTP_TIMEOUT, Security};
pub use feishu::{FEISHU_BODY_BYTES_MAX, Feishu};
pub use slack::{SlackBot, SlackWebhook};
pub use telegram::{TELEGRAM_TEXT_CHARACTERS_MAX, Telegram};
pub use webhook::{SECRETS_MAX, SecretMalformed, Webhook, WebhookSecret};
pub use wecom::{WECOM_CONTENT_BYTES_MAX, WeCom};

/// The most characters of what a platform says about a failure.
const ANSWER_CHARACTERS_MAX: usize = 200;

/// A place that alerts go to.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Its name.
    fn id(&self) -> &ChannelId;

    /// Makes one attempt. It may be dropped at any moment, and ends by itself within bounds.
    async fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), Failure>;
}

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Later; not before this much time has passed, when the receiver said so.
    Later(Option<Duration>),
    /// Only after somebody has changed something.
    Never,
}

/// An attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether another attempt can help.
    pub again: Again,
    /// What happened, for operators. No secrets.
    pub text: String,
}

impl Failure {
    fn later(text: impl Into<String>) -> Self {
        Self {
            again: Again::Later(None),
            text: text.into(),
        }
    }

    fn never(text: impl Into<String>) -> Self {
        Self {
            again: Again::Never,
            text: text.into(),
        }
    }

    /// A platform's error inside of an answer that looks well.
    fn said(again: Again, code: impl std::fmt::Display, said: &str) -> Self {
        let said = cut(said, ANSWER_CHARACTERS_MAX);
        Self {
            again,
            text: format!("the platform refused it: {code} {said}"),
        }
    }
}

impl From<OutboundError> for Failure {
    fn from(error: OutboundError) -> Self {
        if error.is_passing() {
            Self::later(error.to_string())
        } else {
            Self::never(error.to_string())
        }
    }
}

/// One HTTP request to a platform.
#[derive(Debug)]
pub struct Call {
    url: HttpUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Call {
    fn new(url: HttpUrl, body: &serde_json::Value) -> Self {
        Self {
            url,
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        }
    }
}

/// A platform that is reached by one HTTP call.
pub trait Platform: Send + Sync {
    /// The call that tells of the alert.
    fn call(&self, alert: &Alert, message: &Message, now: Timestamp) -> Call;

    /// What the answer means. Called with statuses from 200 to 299 only, unless [`Platform::reads_every_status`].
    fn judge(&self, reply: &Reply) -> Result<(), Failure>;

    /// Whether an answer with another status says more than its status.
    fn reads_every_status(&self) -> bool {
        false
    }
}

/// A channel on a platform.
pub struct HttpChannel<P> {
    id: ChannelId,
    platform: P,
    client: HttpClient,
    language: Language,
    console: Option<Arc<Console>>,
}

impl<P: Platform> HttpChannel<P> {
    /// A channel with this name and language; its links lead to `console`.
    pub fn new(
        id: ChannelId,
        platform: P,
        client: HttpClient,
        language: Language,
        console: Option<Arc<Console>>,
    ) -> Self {
        Self {
            id,
            platform,
            client,
            language,
            console,
        }
    }
}

#[async_trait]
impl<P: Platform> Channel for HttpChannel<P> {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), Failure> {
        let message = Message::compose(alert, self.language, self.console.as_deref());
        let call = self.platform.call(alert, &message, now);
        let reply = self
            .client
            .post_json(&call.url, call.headers, call.body, now)
            .await?;
        let is_redirect = (300..400).contains(&reply.status);
        if is_redirect || !self.platform.reads_every_status() {
            judge_status(&reply)?;
        }
        self.platform.judge(&reply)
    }
}

/// What a status alone means.
fn judge_status(reply: &Reply) -> Result<(), Failure> {
    let status = reply.status;
    let again = match status {
        200..=299 => return Ok(()),
        300..=399 => {
            return Err(Failure::never(format!(
                "the receiver redirects with status {status}; redirects are not followed"
            )));
        }
        408 | 425 | 429 | 500..=599 => Again::Later(reply.retry_after),
        _ => Again::Never,
    };
    Err(Failure {
        again,
        text: format!("the receiver answered with status {status}"),
    })
}

/// An answer's body as JSON of a known shape.
fn read_answer<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    serde_json::from_slice(&reply.body)
        .map_err(|_| Failure::later(format!("status {}, but not the platform's answer", reply.status)))
}

/// `render` with as many lines as fit: the last ones go first.
fn fitting<T>(lines: usize, render: impl Fn(usize) -> T, fits: impl Fn(&T) -> bool) -> T {
    let mut kept = lines;
    loop {
        let rendered = render(kept);
        if kept == 0 || fits(&rendered) {
            return rendered;
        }
        kept -= 1;
    }
}

/// A colour's kind for cards.
fn tone(alert: &Alert) -> Tone {
    match (alert.state, alert.severity) {
        (AlertState::Calmed, _) => Tone::Calm,
        (_, Severity::Info) => Tone::Quiet,
        (_, Severity::Warning) => Tone::Loud,
        (_, Severity::Critical) => Tone::Alarm,
    }
}

#[derive(Clone, Copy, Debug)]
enum Tone {
    Calm,
    Quiet,
    Loud,
    Alarm,
}

#[cfg(test)]
mod tests;
