//! The page as HTML, in English or Chinese. Every value that is put into it is escaped; it has no script.

use http::{HeaderMap, header};
use sentinel_core::alert::LinkAction;

use super::{LinkRefused, LinkedAction, NAME_CHARACTERS_MAX, PATH, STYLE_PATH};

/// Light and dark, as the browser prefers; one column that fits a phone.
pub(super) const STYLE: &str = include_str!("act.css");

/// What the page says.
pub(super) enum Outcome<'p> {
    /// What would be done with this token; asks for a name.
    Asked(&'p LinkedAction, &'p str),
    /// It was done.
    Done(&'p LinkedAction),
    /// It was not.
    Refused(&'p LinkRefused),
}

/// In which language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// What the browser asks for first, where we have it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let wanted = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if wanted
            .trim_start()
            .get(..2)
            .is_some_and(|tag| tag.eq_ignore_ascii_case("zh"))
        {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// Of two texts the one in this language.
    fn pick(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    fn tag(self) -> &'static str {
        self.pick("en", "zh-CN")
    }
}

pub(super) fn render(language: Language, outcome: &Outcome<'_>) -> String {
    let (title, body) = match outcome {
        Outcome::Asked(action, token) => (question(language, action.action), form(language, action, token)),
        Outcome::Done(action) => (
            done(language, action.action),
            format!(
                "{}<p>{}</p>",
                facts(language, action),
                language.pick(
                    "It was written into the audit log, with your name and address. The console can take it back.",
                    "已连同你的姓名和地址写入审计日志，可在控制台撤销。"
                )
            ),
        ),
        Outcome::Refused(refused) => {
            let (title, text) = refusal(language, refused);
            (title, format!("<p>{text}</p>"))
        }
    };
    format!(
        "<!doctype html><html lang=\"{tag}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title} · Key-IP Sentinel</title><link rel=\"stylesheet\" href=\"{STYLE_PATH}\"></head>\
         <body><main><p class=\"brand\">Key-IP Sentinel</p><h1>{title}</h1>{body}\
         <p><a href=\"/admin/ui/alerts\">{console}</a></p></main></body></html>",
        tag = language.tag(),
        console = language.pick("Open the console", "打开控制台"),
    )
}

fn form(language: Language, action: &LinkedAction, token: &str) -> String {
    let is_danger = if action.action == LinkAction::Ban {
        " class=\"danger\""
    } else {
        ""
    };
    format!(
        "{facts}<p>{consequence}</p><form method=\"post\" action=\"{PATH}\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"name\">{who}</label>\
         <input id=\"name\" name=\"name\" required maxlength=\"{NAME_CHARACTERS_MAX}\" autocomplete=\"name\">\
         <button{is_danger}>{confirm}</button></form>",
        facts = facts(language, action),
        consequence = consequence(language, action.action),
        token = escape(token),
        who = language.pick("Your name, for the audit log", "你的姓名（写入审计日志）"),
        confirm = confirm(language, action.action),
    )
}

/// What it is about, as a list.
fn facts(language: Language, action: &LinkedAction) -> String {
    let mut rows = vec![(language.pick("Alert", "告警"), action.alert.to_string())];
    if let Some((id, hint)) = &action.key {
        rows.push((
            language.pick("Key", "密钥"),
            format!("{} (#{})", hint.as_str(), id.0),
        ));
    }
    if let Some(network) = action.network {
        rows.push((language.pick("Network", "网络"), network.to_string()));
    }
    rows.push((
        language.pick("Link works until", "链接有效期至"),
        action.expires_at.rfc3339(),
    ));
    let mut list = String::from("<dl>");
    for (label, value) in rows {
        list.extend(["<dt>", label, "</dt><dd>", &escape(&value), "</dd>"]);
    }
    list.push_str("</dl>");
    list
}

fn question(language: Language, action: LinkAction) -> &'static str {
    match action {
        LinkAction::Ban => language.pick("Ban this key?", "封禁此密钥？"),
        LinkAction::AllowNetwork => language.pick("Allow this network?", "允许此网络？"),
        LinkAction::Ignore => language.pick("Ignore this alert?", "忽略此告警？"),
    }
}

fn consequence(language: Language, action: LinkAction) -> &'static str {
    match action {
        LinkAction::Ban => language.pick(
            "Every request with this key is refused from now on, from everywhere, and its open streams end.",
            "此后无论来自何处，使用该密钥的请求都将被拒绝，已打开的流也会中断。",
        ),
        LinkAction::AllowNetwork => language.pick(
            "The key may also be used from this network from now on.",
            "此后该密钥也可从此网络使用。",
        ),
        LinkAction::Ignore => language.pick(
            "Nothing changes but the audit log, which says that you saw it.",
            "除审计日志记录你已查看外，不作任何更改。",
        ),
    }
}

fn confirm(language: Language, action: LinkAction) -> &'static str {
    match action {
        LinkAction::Ban => language.pick("Ban the key", "封禁密钥"),
        LinkAction::AllowNetwork => language.pick("Allow the network", "允许网络"),
        LinkAction::Ignore => language.pick("Ignore", "忽略"),
    }
}

fn done(language: Language, action: LinkAction) -> &'static str {
    match action {
        LinkAction::Ban => language.pick("The key is banned", "密钥已封禁"),
        LinkAction::AllowNetwork => language.pick("The network is allowed", "网络已允许"),
        LinkAction::Ignore => language.pick("The alert is ignored", "告警已忽略"),
    }
}

fn refusal(language: Language, refused: &LinkRefused) -> (&'static str, &'static str) {
    match refused {
        LinkRefused::Forged => (
            language.pick("This link does not work", "链接无效"),
            language.pick(
                "It is not one of this installation, or not complete. Open it from the message again.",
                "它不属于本系统或不完整，请从消息中重新打开。",
            ),
        ),
        LinkRefused::Expired => (
            language.pick("This link has expired", "链接已过期"),
            language.pick(
                "Links of alerts work for a day. Use the console.",
                "告警链接有效期为一天，请使用控制台操作。",
            ),
        ),
        LinkRefused::Used => (
            language.pick("This link was used already", "链接已被使用"),
            language.pick(
                "Somebody did this before, here or from another channel; the audit log says who.",
                "已有人在此处或其他渠道执行过该操作，详见审计日志。",
            ),
        ),
        LinkRefused::Pointless => (
            language.pick("There is nothing to do", "无需操作"),
            language.pick(
                "The key is not bound any more, or has as many networks as a key may have. The console shows it.",
                "该密钥已解绑，或其网络数量已达上限，请在控制台查看。",
            ),
        ),
        LinkRefused::Store(_) => (
            language.pick("It could not be done", "操作未完成"),
            language.pick(
                "The store does not answer. Look in the console whether it was done before you try again there.",
                "存储暂时不可用。请先在控制台确认是否已生效，再在那里重试。",
            ),
        ),
    }
}

/// For text and for quoted attributes.
fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut escaped, c| {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                other => escaped.push(other),
            }
            escaped
        })
}
