//! Feishu and Lark: a custom bot of a group ("Custom bot usage guide" of the open platform). Text goes in as `plain_text`, which knows no
//! markup, so that no mention and no link can be made of it. Must never use `lark_md` for a value.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sentinel_core::alert::Alert;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Again, Call, Failure, Platform, Tone, fitting, read_answer, tone};
use crate::links::LinkAction;
use crate::mac::hmac_sha256;
use crate::outbound::{HttpUrl, Reply};
use crate::secret::Secret;
use crate::text::{Link, LinkKind, Message};

/// The most bytes of a request ("Custom bot usage guide": a request's body must not exceed 20 KB).
pub const FEISHU_BODY_BYTES_MAX: usize = 20 * 1024;

/// Codes that no repetition changes: malformed (9499), no such bot (19001), signature or clock (19021), address not in the bot's list (19022),
/// keyword missing (19024).
const FINAL_CODES: [i64; 5] = [9_499, 19_001, 19_021, 19_022, 19_024];

/// A custom bot.
pub struct Feishu {
    url: HttpUrl,
    secret: Option<Secret>,
}

impl Feishu {
    /// The bot's webhook address, and its secret when signatures are on.
    pub fn new(url: HttpUrl, secret: Option<Secret>) -> Self {
        Self { url, secret }
    }

    fn body(&self, alert: &Alert, message: &Message, lines: usize, now: Timestamp) -> Value {
        let mut body = json!({ "msg_type": "interactive", "card": card(alert, message, lines) });
        if let Some(secret) = &self.secret {
            let timestamp = now.unix_ms().div_euclid(1_000).to_string();
            body["sign"] = sign(&timestamp, secret).into();
            body["timestamp"] = timestamp.into();
        }
        body
    }
}

impl Platform for Feishu {
    fn call(&self, alert: &Alert, message: &Message, now: Timestamp) -> Call {
        let body = fitting(
            message.lines.len(),
            |lines| self.body(alert, message, lines, now),
            |body| body.to_string().len() <= FEISHU_BODY_BYTES_MAX,
        );
        Call::new(self.url.clone(), &body)
    }

    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(alias = "StatusCode")]
            code: i64,
            #[serde(default, alias = "StatusMessage")]
            msg: String,
        }
        // Old and new names of the fields come side by side in one answer.
        let mut answer: Value = read_answer(reply)?;
        if let Some(fields) = answer.as_object_mut()
            && fields.contains_key("code")
        {
            fields.remove("StatusCode");
            fields.remove("StatusMessage");
        }
        let Ok(answer) = serde_json::from_value::<Answer>(answer) else {
            return Err(Failure::later("not the platform's answer"));
        };
        match answer.code {
            0 => Ok(()),
            code if FINAL_CODES.contains(&code) => Err(Failure::said(Again::Never, code, &answer.msg)),
            code => Err(Failure::said(Again::Later(reply.retry_after), code, &answer.msg)),
        }
    }
}

/// HMAC-SHA256 of nothing, with the time stamp, a line feed and the secret as the key.
fn sign(timestamp: &str, secret: &Secret) -> String {
    let key = format!("{timestamp}\n{}", secret.expose());
    BASE64_STANDARD.encode(hmac_sha256(key.as_bytes(), &[]))
}

fn plain(text: &str) -> Value {
    json!({ "tag": "plain_text", "content": text })
}

fn card(alert: &Alert, message: &Message, lines: usize) -> Value {
    let template = match tone(alert) {
        Tone::Calm => "green",
        Tone::Quiet => "blue",
        Tone::Loud => "orange",
        Tone::Alarm => "red",
    };
    let mut elements: Vec<Value> = message.lines[..lines]
        .iter()
        .map(|line| json!({ "tag": "div", "text": plain(&format!("{}: {}", line.label, line.value)) }))
        .collect();
    if !message.links.is_empty() {
        let buttons: Vec<Value> = message.links.iter().map(button).collect();
        elements.push(json!({ "tag": "action", "actions": buttons }));
    }
    json!({
        "config": { "wide_screen_mode": true },
        "header": { "title": plain(&message.title), "template": template },
        "elements": elements,
    })
}

fn button(link: &Link) -> Value {
    let kind = match link.kind {
        LinkKind::Console => "primary",
        LinkKind::Act(LinkAction::Ban) => "danger",
        LinkKind::Act(_) => "default",
    };
    json!({ "tag": "button", "text": plain(link.label), "url": link.url, "type": kind })
}
