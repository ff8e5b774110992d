//! WeCom: a robot of a group ("Group robot configuration" of the developer centre). It knows no buttons, so links are in the text. Must
//! never exceed the content's bytes: the whole message would be refused.

use std::fmt::Write as _;
use std::time::Duration;

use sentinel_core::alert::Alert;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Again, Call, Failure, Platform, Tone, fitting, read_answer, tone};
use crate::escape;
use crate::outbound::{HttpUrl, Reply};
use crate::text::Message;

/// The most bytes of a Markdown message ("Group robot configuration", Markdown: 4096 bytes of UTF-8).
pub const WECOM_CONTENT_BYTES_MAX: usize = 4_096;
/// Above 20 messages a minute ("Group robot configuration", limits).
const TOO_FAST: i64 = 45_009;
const TOO_FAST_PAUSE: Duration = Duration::from_mins(1);
/// Codes that no repetition changes ("Global error codes"): no such robot (93000), malformed or too long (40008, 40058, 44004, 45002).
const FINAL_CODES: [i64; 5] = [93_000, 40_008, 40_058, 44_004, 45_002];

/// A group robot.
pub struct WeCom {
    url: HttpUrl,
}

impl WeCom {
    /// The robot's webhook address.
    pub fn new(url: HttpUrl) -> Self {
        Self { url }
    }
}

impl Platform for WeCom {
    fn call(&self, alert: &Alert, message: &Message, _now: Timestamp) -> Call {
        let content = fitting(
            message.lines.len(),
            |lines| content(alert, message, lines),
            |content| content.len() <= WECOM_CONTENT_BYTES_MAX,
        );
        let body = json!({ "msgtype": "markdown", "markdown": { "content": content } });
        Call::new(self.url.clone(), &body)
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
            TOO_FAST => Again::Later(Some(TOO_FAST_PAUSE)),
            code if FINAL_CODES.contains(&code) => Again::Never,
            _ => Again::Later(reply.retry_after),
        };
        Err(Failure::said(again, answer.errcode, &answer.errmsg))
    }
}

fn content(alert: &Alert, message: &Message, lines: usize) -> String {
    // The three colours that its Markdown knows.
    let colour = match tone(alert) {
        Tone::Calm => "info",
        Tone::Quiet => "comment",
        Tone::Loud | Tone::Alarm => "warning",
    };
    let title = escape::markdown(&message.title);
    let mut content = format!("### <font color=\"{colour}\">{title}</font>\n");
    for line in &message.lines[..lines] {
        let _ = writeln!(content, "> {}: {}", line.label, escape::markdown(&line.value));
    }
    let links: Vec<String> = message
        .links
        .iter()
        .map(|link| format!("[{}]({})", link.label, link.url))
        .collect();
    content.push_str(&links.join("  "));
    content
}
