//! Any receiver that reads JSON, signed after the Standard Webhooks specification: `webhook-id`, `webhook-timestamp` in seconds, and
//! `webhook-signature`, a list of `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` under each secret.
//!
//! The body is the same at every attempt, and so is `webhook-id`: by it a receiver knows a repetition. Must never send a secret.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use sentinel_core::alert::{Alert, LinkAction, Subject};
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::time::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Call, Failure, Platform};
use crate::mac::hmac_sha256;
use crate::outbound::{HttpUrl, Reply};
use crate::secret::Secret;
use crate::text::{LinkKind, Message};

/// The most secrets that sign at once, while one takes another's place.
pub const SECRETS_MAX: usize = 4;

/// A secret that signs: 24 to 64 bytes, as the specification wants them.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

/// The text is no secret of the Standard Webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret is 'whsec_' and the base64 of 24 to 64 bytes; at most {SECRETS_MAX} of them")]
pub struct SecretMalformed;

impl WebhookSecret {
    /// Reads `whsec_…`.
    pub fn parse(text: &Secret) -> Result<Self, SecretMalformed> {
        let encoded = text.expose().strip_prefix("whsec_").ok_or(SecretMalformed)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SecretMalformed)?;
        let bytes = Zeroizing::new(bytes);
        if (24..=64).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretMalformed)
        }
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        format!("v1,{}", BASE64_STANDARD.encode(hmac_sha256(&self.0, &parts)))
    }
}

/// A receiver of webhooks.
pub struct Webhook {
    url: HttpUrl,
    secrets: Vec<WebhookSecret>,
}

impl Webhook {
    /// Signs with each of the secrets, the newest first; without any, calls carry no signature.
    pub fn new(url: HttpUrl, secrets: Vec<WebhookSecret>) -> Result<Self, SecretMalformed> {
        if secrets.len() > SECRETS_MAX {
            return Err(SecretMalformed);
        }
        Ok(Self { url, secrets })
    }
}

impl Platform for Webhook {
    fn call(&self, alert: &Alert, message: &Message, now: Timestamp) -> Call {
        let body = Bytes::from(body(alert, message).to_string());
        let id = alert.notice_id();
        let timestamp = now.unix_ms().div_euclid(1_000).to_string();
        let signatures: Vec<String> = self
            .secrets
            .iter()
            .map(|secret| secret.sign(&id, &timestamp, &body))
            .collect();
        let named = [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signatures.join(" ")),
        ];
        let headers = named
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_str(&value).ok()?;
                Some((HeaderName::from_static(name), value))
            })
            .collect();
        Call {
            url: self.url.clone(),
            headers,
            body,
        }
    }

    fn judge(&self, _reply: &Reply) -> Result<(), Failure> {
        Ok(())
    }
}

/// The body: flat, its fields never change their meaning. What does not apply is null.
///
/// `type` is `alert.` and the state; `timestamp` when the transition was made; `id` names the alert through its life and `sequence`
/// its transitions; `subject` is the kind of what it is about (`binding`, `key`, `address`, `part`, `many`); times are RFC 3339 in UTC;
/// `reference`, `reason`, `client_ip`, `method`, `path` and `user_agent` are of one of the refused requests; `title` is in the channel's
/// language. `ban_url`, `allow_network_url` and `ignore_url` act once, after somebody confirmed on the page that they open.
fn body(alert: &Alert, message: &Message) -> Value {
    let seen = &alert.seen;
    let example = seen.example.as_ref();
    let link = |kind| {
        let found = message.links.iter().find(|link| link.kind == kind);
        found.map(|link| link.url.as_str())
    };
    let networks: Vec<String> = seen.networks.iter().map(ToString::to_string).collect();
    json!({
        "type": format!("alert.{}", alert.state.as_str()),
        "timestamp": alert.at.rfc3339(),
        "id": alert.id.as_str(),
        "sequence": alert.sequence,
        "state": alert.state.as_str(),
        "rule": alert.rule.as_str(),
        "severity": alert.severity.as_str(),
        "title": message.title,
        "subject": subject_kind(&alert.subject),
        "part": match &alert.subject { Subject::Part(part) => Some(part.as_str()), _ => None },
        "binding_id": alert.binding.map(|id| id.0),
        "key_hint": alert.hint.as_ref().map(KeyHint::as_str),
        "networks": networks,
        "has_more_networks": seen.has_more_networks,
        "count": seen.count,
        "peak": seen.peak,
        "threshold": alert.threshold,
        "window_seconds": alert.window.as_secs(),
        "raised_at": alert.raised_at.rfc3339(),
        "first_at": seen.first_at.rfc3339(),
        "last_at": seen.last_at.rfc3339(),
        "replica": alert.replica,
        "reference": example.map(|example| example.reference.as_str()),
        "reason": example.map(|example| example.reason.code()),
        "client_ip": example.map(|example| example.client_ip.to_string()),
        "method": example.map(|example| example.method.as_str()),
        "path": example.map(|example| example.path.as_str()),
        "user_agent": example.map(|example| example.user_agent.as_str()),
        "console_url": link(LinkKind::Console),
        "ban_url": link(LinkKind::Act(LinkAction::Ban)),
        "allow_network_url": link(LinkKind::Act(LinkAction::AllowNetwork)),
        "ignore_url": link(LinkKind::Act(LinkAction::Ignore)),
    })
}

fn subject_kind(subject: &Subject) -> &'static str {
    match subject {
        Subject::Binding(_) => "binding",
        Subject::Key(_) => "key",
        Subject::Address(_) => "address",
        Subject::Part(_) => "part",
        Subject::Many => "many",
    }
}
