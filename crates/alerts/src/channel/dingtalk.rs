//! DingTalk: a custom robot of a group ("Custom robot access" and "Message types" of the open platform). The time stamp is in
//! milliseconds, and the signature goes into the URL. Must never let Markdown of a client through.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sentinel_core::alert::Alert;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use super::{Again, Call, Failure, Platform, fitting, read_answer};
use crate::escape;
use crate::mac::hmac_sha256;
use crate::outbound::{HttpUrl, Reply};
use crate::secret::Secret;
use crate::text::Message;

/// The most bytes of a message ("Message types": 15,000 bytes, the smallest of the limits that are named).
pub const DINGTALK_BODY_BYTES_MAX: usize = 15_000;
/// Above 20 messages a minute a robot is silenced for 10 minutes ("Custom robot access", limits).
const SILENCED: Duration = Duration::from_mins(10);
/// Sent too fast.
const TOO_FAST: i64 = 130_101;
/// Codes that no repetition changes: keyword, signature or address (310000), no such robot (300001, 400101), malformed (40035, 43004, 400105), content
/// that is refused (430101 to 430104).
const FINAL_CODES: [i64; 10] = [
    310_000, 300_001, 400_101, 40_035, 43_004, 400_105, 430_101, 430_102, 430_103, 430_104,
];

/// A custom robot.
pub struct DingTalk {
    url: HttpUrl,
    secret: Option<Secret>,
}

impl DingTalk {
    /// The robot's webhook address, and its secret (`SEC…`) when signatures are on.
    pub fn new(url: HttpUrl, secret: Option<Secret>) -> Self {
        Self { url, secret }
    }
}

impl Platform for DingTalk {
    fn call(&self, _alert: &Alert, message: &Message, now: Timestamp) -> Call {
        let url = match &self.secret {
            Some(secret) => {
                let timestamp = now.unix_ms().to_string();
                let sign = sign(&timestamp, secret);
                self.url
                    .with_query(&[("timestamp", timestamp.as_str()), ("sign", sign.as_str())])
            }
            None => self.url.clone(),
        };
        let body = fitting(
            message.lines.len(),
            |lines| body(message, lines),
            |body| body.to_string().len() <= DINGTALK_BODY_BYTES_MAX,
        );
        Call::new(url, &body)
    }

    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer {
            errcode: i64,
            #[serde(default)]
            errmsg: String,
        }
        let answer: Answer = read_answer(reply)?;
        let again = match answer.errcode {
            0 => return Ok(()),
            TOO_FAST => Again::Later(Some(SILENCED)),
            code if FINAL_CODES.contains(&code) => Again::Never,
            _ => Again::Later(reply.retry_after),
        };
        Err(Failure::said(again, answer.errcode, &answer.errmsg))
    }
}

/// HMAC-SHA256 of the time stamp, a line feed and the secret, under the secret.
fn sign(timestamp: &str, secret: &Secret) -> String {
    let secret = secret.expose().as_bytes();
    BASE64_STANDARD.encode(hmac_sha256(secret, &[timestamp.as_bytes(), b"\n", secret]))
}

fn body(message: &Message, lines: usize) -> Value {
    let title = escape::markdown(&message.title);
    let mut text = format!("### {title}\n\n");
    for line in &message.lines[..lines] {
        let _ = writeln!(text, "- **{}**: {}", line.label, escape::markdown(&line.value));
    }
    if message.links.is_empty() {
        return json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } });
    }
    let buttons: Vec<Value> = message
        .links
        .iter()
        .map(|link| json!({ "title": link.label, "actionURL": link.url }))
        .collect();
    json!({
        "msgtype": "actionCard",
        "actionCard": { "title": title, "text": text, "btnOrientation": "0", "btns": buttons },
    })
}
