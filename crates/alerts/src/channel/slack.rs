//! Slack: an incoming webhook, or a bot that calls `chat.postMessage`. Values go into `plain_text` objects, which know no markup; only the
//! short text for notifications is mrkdwn, and escaped. Must never take a "200 OK" for a success without reading it.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use sentinel_core::alert::Alert;
use sentinel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Again, Call, Failure, Platform, read_answer};
use crate::escape;
use crate::links::LinkAction;
use crate::outbound::{HttpUrl, Reply};
use crate::secret::Secret;
use crate::text::{Link, LinkKind, Message, cut};

/// Block Kit reference: the text of a header.
const HEADER_CHARACTERS_MAX: usize = 150;
/// Block Kit reference: the fields of a section.
const FIELDS_MAX: usize = 10;
/// Block Kit reference: the text of one field.
const FIELD_CHARACTERS_MAX: usize = 2_000;
/// Block Kit reference: the URL of a button.
const BUTTON_URL_CHARACTERS_MAX: usize = 3_000;

/// The longest word of an incoming webhook's answer that is shown.
const WORD_BYTES_MAX: usize = 64;

/// Errors of the Web API that pass ("chat.postMessage", errors).
const PASSING_ERRORS: [&str; 6] = [
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
];
const TOO_FAST_PAUSE: Duration = Duration::from_secs(30);

/// An incoming webhook.
pub struct SlackWebhook {
    url: HttpUrl,
}

impl SlackWebhook {
    /// The webhook's address.
    pub fn new(url: HttpUrl) -> Self {
        Self { url }
    }
}

impl Platform for SlackWebhook {
    fn call(&self, _alert: &Alert, message: &Message, _now: Timestamp) -> Call {
        Call::new(self.url.clone(), &body(message))
    }

    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        if reply.body.trim_ascii() == b"ok" {
            return Ok(());
        }
        // Slack answers with one word. Anything else is not shown: who knows whose page it is.
        let is_word = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        let said = std::str::from_utf8(&reply.body)
            .ok()
            .filter(|said| said.len() <= WORD_BYTES_MAX && said.as_bytes().iter().all(is_word));
        let said = said.unwrap_or("something else than ok");
        Err(Failure::said(Again::Later(reply.retry_after), reply.status, said))
    }
}

/// A bot with a token, in one conversation.
pub struct SlackBot {
    url: HttpUrl,
    authorization: HeaderValue,
    conversation: String,
}

impl SlackBot {
    /// `api` is `https://slack.com/api`; none when the token cannot stand in a header.
    pub fn new(api: &HttpUrl, token: &Secret, conversation: impl Into<String>) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            url: api.with_segments(&["chat.postMessage"]),
            authorization,
            conversation: conversation.into(),
        })
    }
}

impl Platform for SlackBot {
    fn call(&self, _alert: &Alert, message: &Message, _now: Timestamp) -> Call {
        let mut body = body(message);
        body["channel"] = self.conversation.as_str().into();
        body["unfurl_links"] = false.into();
        let mut call = Call::new(self.url.clone(), &body);
        call.headers.push((AUTHORIZATION, self.authorization.clone()));
        call
    }

    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            #[serde(default)]
            error: String,
        }
        let answer: Answer = read_answer(reply)?;
        if answer.ok {
            return Ok(());
        }
        let again = if PASSING_ERRORS.contains(&answer.error.as_str()) {
            Again::Later(reply.retry_after.or(Some(TOO_FAST_PAUSE)))
        } else {
            Again::Never
        };
        Err(Failure::said(again, "", &answer.error))
    }
}

fn plain(text: &str, characters_max: usize) -> Value {
    json!({ "type": "plain_text", "text": cut(text, characters_max), "emoji": false })
}

fn body(message: &Message) -> Value {
    let fields: Vec<Value> = message
        .lines
        .iter()
        .take(FIELDS_MAX)
        .map(|line| plain(&format!("{}: {}", line.label, line.value), FIELD_CHARACTERS_MAX))
        .collect();
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&message.title, HEADER_CHARACTERS_MAX) }),
        json!({ "type": "section", "fields": fields }),
    ];
    let buttons: Vec<Value> = message.links.iter().filter_map(button).collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    json!({ "text": escape::slack(&message.title), "blocks": blocks })
}

fn button(link: &Link) -> Option<Value> {
    if link.url.len() > BUTTON_URL_CHARACTERS_MAX {
        return None;
    }
    let action = match link.kind {
        LinkKind::Console => "console",
        LinkKind::Act(LinkAction::Ban) => "ban",
        LinkKind::Act(LinkAction::AllowNetwork) => "allow_network",
        LinkKind::Act(LinkAction::Ignore) => "ignore",
    };
    let mut button = json!({
        "type": "button", "action_id": action, "text": plain(link.label, 75), "url": link.url,
    });
    match link.kind {
        LinkKind::Console => button["style"] = "primary".into(),
        LinkKind::Act(LinkAction::Ban) => button["style"] = "danger".into(),
        LinkKind::Act(_) => {}
    }
    Some(button)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Line;

    #[test]
    fn a_word_of_slack_is_shown_and_nothing_else() {
        let webhook = SlackWebhook::new(HttpUrl::parse("https://slack.test/", false).expect("a URL"));
        let shown = |body: &str| {
            let reply = Reply {
                status: 200,
                retry_after: None,
                body: body.to_owned().into(),
            };
            webhook.judge(&reply).expect_err("not ok").text
        };
        let longest = "x".repeat(WORD_BYTES_MAX);
        assert!(shown("no_text").ends_with("200 no_text"));
        assert!(shown(&longest).ends_with(&longest));
        for other in [
            "<html>secret</html>",
            "two words",
            &"x".repeat(WORD_BYTES_MAX + 1),
        ] {
            assert!(shown(other).ends_with("something else than ok"), "{other}");
        }
    }

    #[test]
    fn a_message_keeps_to_the_limits_of_its_blocks() {
        let long = "x".repeat(5_000);
        let line = Line {
            label: "Request",
            value: long.clone(),
        };
        let link = |url: String| Link {
            kind: LinkKind::Console,
            label: "Open",
            url,
        };
        let message = Message {
            title: long.clone(),
            lines: vec![line; FIELDS_MAX + 1],
            links: vec![
                link("x".repeat(BUTTON_URL_CHARACTERS_MAX)),
                link("x".repeat(BUTTON_URL_CHARACTERS_MAX + 1)),
            ],
        };
        let body = body(&message);
        let characters = |text: &Value| text.as_str().expect("a text").chars().count();
        assert_eq!(
            characters(&body["blocks"][0]["text"]["text"]),
            HEADER_CHARACTERS_MAX
        );
        let fields = body["blocks"][1]["fields"].as_array().expect("fields");
        assert_eq!(fields.len(), FIELDS_MAX);
        assert_eq!(characters(&fields[0]["text"]), FIELD_CHARACTERS_MAX);
        assert_eq!(
            body["blocks"][2]["elements"].as_array().expect("buttons").len(),
            1
        );
    }
}
