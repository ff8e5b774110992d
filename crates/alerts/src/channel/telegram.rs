//! Telegram: a bot's `sendMessage` (Bot API). The token is part of the path, so no URL of this channel may be shown. Must never send
//! HTML of a client.

use std::fmt::Write as _;
use std::time::Duration;

use sentinel_core::alert::Alert;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Again, Call, Failure, Platform, fitting, read_answer};
use crate::escape;
use crate::outbound::{HttpUrl, RETRY_AFTER_MAX, Reply};
use crate::secret::Secret;
use crate::text::Message;

/// The most characters of a text, after its markup was read (Bot API, `sendMessage`). Counted before, and in UTF-16, which is
/// never less.
pub const TELEGRAM_TEXT_CHARACTERS_MAX: usize = 4_096;

/// A bot in one chat.
pub struct Telegram {
    url: HttpUrl,
    chat: String,
    thread: Option<i64>,
}

impl Telegram {
    /// `api` is `https://api.telegram.org` or an own Bot API server; `chat` a number or `@name`; `thread` a topic of a forum.
    pub fn new(api: &HttpUrl, token: &Secret, chat: impl Into<String>, thread: Option<i64>) -> Self {
        let bot = format!("bot{}", token.expose());
        Self {
            url: api.with_segments(&[bot.as_str(), "sendMessage"]),
            chat: chat.into(),
            thread,
        }
    }
}

impl Platform for Telegram {
    fn call(&self, _alert: &Alert, message: &Message, _now: Timestamp) -> Call {
        let buttons = takes_buttons(message);
        let text = fitting(
            message.lines.len(),
            |lines| text(message, lines, !buttons),
            |text| text.encode_utf16().count() <= TELEGRAM_TEXT_CHARACTERS_MAX,
        );
        let mut body = json!({
            "chat_id": self.chat,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(thread) = self.thread {
            body["message_thread_id"] = thread.into();
        }
        if buttons {
            let rows: Vec<Value> = message
                .links
                .iter()
                .map(|link| json!([{ "text": link.label, "url": link.url }]))
                .collect();
            body["reply_markup"] = json!({ "inline_keyboard": rows });
        }
        Call::new(self.url.clone(), &body)
    }

    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            #[serde(default)]
            error_code: i64,
            #[serde(default)]
            description: String,
            #[serde(default)]
            parameters: Parameters,
        }
        #[derive(Default, Deserialize)]
        struct Parameters {
            retry_after: Option<u64>,
        }
        let answer: Answer = read_answer(reply)?;
        if answer.ok {
            return Ok(());
        }
        let said = answer.parameters.retry_after.map(Duration::from_secs);
        let pause = said.or(reply.retry_after).map(|pause| pause.min(RETRY_AFTER_MAX));
        let again = match answer.error_code {
            429 | 500..=599 => Again::Later(pause),
            _ => Again::Never,
        };
        Err(Failure::said(again, answer.error_code, &answer.description))
    }

    fn reads_every_status(&self) -> bool {
        true
    }
}

/// Telegram refuses a whole message for a button to a name without a dot, such as `localhost`.
fn takes_buttons(message: &Message) -> bool {
    message.links.first().is_some_and(|link| {
        url::Url::parse(&link.url).is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('.')))
    })
}

fn text(message: &Message, lines: usize, with_links: bool) -> String {
    let mut text = format!("<b>{}</b>", escape::html(&message.title));
    for line in &message.lines[..lines] {
        let _ = write!(
            text,
            "\n{}: <code>{}</code>",
            escape::html(line.label),
            escape::html(&line.value)
        );
    }
    if with_links {
        for link in &message.links {
            let _ = write!(
                text,
                "\n{}: {}",
                escape::html(link.label),
                escape::html(&link.url)
            );
        }
    }
    text
}
