//! One channel or rule: what its fields have to be. All that is wrong is told together, under the field's name.

use std::sync::Arc;
use std::time::Duration;

use sentinel_alerts::Secret;
use sentinel_alerts::channel::{Email, Security, SlackBot, WebhookSecret};
use sentinel_alerts::outbound::{Destination, Dialer, Guard, HttpUrl, SystemResolver, trust};
use sentinel_alerts::text::Language;
use sentinel_core::alert::{ChannelId, Rule, RuleKind, Severity};
use sentinel_core::network::Network;

use super::super::problem::Problem;
use super::super::values::{list_entries, quoted};
use super::fields::Fields;
use super::webhook_secrets;
use super::written::WrittenTable;

/// Where Slack's and Telegram's bots are called.
const SLACK_API: &str = "https://slack.com/api";
const TELEGRAM_API: &str = "https://api.telegram.org";

/// What every kind has.
const COMMON: &[&str] = &["kind", "language", "rules", "severity"];
/// Each kind with the fields that it needs, and those that it may have.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("webhook", &["url"], &["secret"]),
    ("feishu", &["url"], &["secret"]),
    ("dingtalk", &["url"], &["secret"]),
    ("wecom", &["url"], &[]),
    ("slack", &["url"], &[]),
    ("slack-bot", &["token", "conversation"], &["api"]),
    ("telegram", &["token", "chat"], &["thread", "api"]),
    (
        "email",
        &["server", "from", "to"],
        &["port", "security", "user", "password"],
    ),
];

/// One channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelConfig {
    /// Its name.
    pub(crate) id: ChannelId,
    /// What it speaks, and to whom.
    pub(crate) kind: ChannelKind,
    /// In which language.
    pub(crate) language: Language,
    /// The rules whose alerts it takes; all when empty.
    pub(super) rules: Vec<RuleKind>,
    /// The mildest alerts that it takes.
    pub(super) severity_min: Severity,
}

impl ChannelConfig {
    /// Whether the rule's alerts go there.
    pub(super) fn takes(&self, rule: &Rule) -> bool {
        rule.severity >= self.severity_min && (self.rules.is_empty() || self.rules.contains(&rule.kind))
    }
}

/// What a channel speaks, and to whom.
#[derive(Clone)]
pub(crate) enum ChannelKind {
    Webhook {
        url: HttpUrl,
        secrets: Vec<WebhookSecret>,
    },
    Feishu {
        url: HttpUrl,
        secret: Option<Secret>,
    },
    DingTalk {
        url: HttpUrl,
        secret: Option<Secret>,
    },
    WeCom {
        url: HttpUrl,
    },
    Slack {
        url: HttpUrl,
    },
    SlackBot {
        api: HttpUrl,
        token: Secret,
        conversation: String,
    },
    Telegram {
        api: HttpUrl,
        token: Secret,
        chat: String,
        thread: Option<i64>,
    },
    Email {
        server: Destination,
        security: Security,
        from: String,
        to: Vec<String>,
        credentials: Option<(String, Secret)>,
    },
}

impl ChannelKind {
    /// Where it connects to.
    pub(crate) fn destination(&self) -> &Destination {
        match self {
            Self::Webhook { url, .. }
            | Self::Feishu { url, .. }
            | Self::DingTalk { url, .. }
            | Self::WeCom { url }
            | Self::Slack { url } => url.destination(),
            Self::SlackBot { api, .. } | Self::Telegram { api, .. } => api.destination(),
            Self::Email { server, .. } => server,
        }
    }

    /// The word for it, and the host that is spoken to.
    pub(crate) fn place(&self) -> (&'static str, String) {
        let word = match self {
            Self::Webhook { .. } => "webhook",
            Self::Feishu { .. } => "feishu",
            Self::DingTalk { .. } => "dingtalk",
            Self::WeCom { .. } => "wecom",
            Self::Slack { .. } => "slack",
            Self::SlackBot { .. } => "slack-bot",
            Self::Telegram { .. } => "telegram",
            Self::Email { .. } => "email",
        };
        (word, self.destination().to_string())
    }
}

/// Tokens stand in URLs.
impl std::fmt::Debug for ChannelKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, host) = self.place();
        write!(formatter, "{word} at {host}")
    }
}

/// What all channels have in common.
pub(super) struct Surroundings<'c> {
    pub(super) allowed: &'c [Network],
    pub(super) is_http_allowed: bool,
    pub(super) language: Language,
}

impl Surroundings<'_> {
    /// A URL that can be called.
    pub(super) fn url(&self, text: &str) -> Result<HttpUrl, String> {
        let url = HttpUrl::parse(text, self.is_http_allowed).map_err(|error| {
            format!("{error}; wanted https://host/path (SENTINEL_ALERT_PLAIN_HTTP allows http)")
        })?;
        self.destination(url.destination())?;
        Ok(url)
    }

    fn destination(&self, destination: &Destination) -> Result<(), String> {
        if destination.is_forbidden(self.allowed) {
            return Err(format!(
                "{destination} is no public address; wanted another one, or its network in SENTINEL_ALERT_ALLOWED_NETWORKS"
            ));
        }
        Ok(())
    }
}

/// The channel that was written, unless something is wrong with it.
pub(super) fn judge(
    written: &WrittenTable,
    surroundings: &Surroundings<'_>,
) -> (Option<ChannelConfig>, Vec<Problem>) {
    let mut fields = Fields::new(written);
    let channel = one(&mut fields, surroundings);
    let is_whole = fields.problems.is_empty();
    (channel.filter(|_| is_whole), fields.problems)
}

fn one(fields: &mut Fields<'_>, surroundings: &Surroundings<'_>) -> Option<ChannelConfig> {
    let id = ChannelId::new(fields.table.name.as_str());
    if let Err(error) = &id {
        let text = format!("is no name; wanted: {error}");
        fields.problems.push(fields.table.problem(text));
    }
    let words: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
    if fields.text("kind").is_none() {
        fields.wrong("kind", format!("is missing; wanted one of {}", words.join(", ")));
    }
    let by_word = |word: &str| KINDS.iter().find(|(kind, ..)| *kind == word);
    let (kind, required, optional) = fields.word("kind", &words, by_word)?;
    fields.only(&[COMMON, required, optional].concat());
    for field in *required {
        if fields.text(field).is_none() && !fields.table.unread.contains(*field) {
            fields.wrong(field, format!("is missing; wanted for the kind {kind}"));
        }
    }
    let language = fields.word("language", &["en", "zh"], Language::from_word);
    let severity_min = fields.severity().unwrap_or(Severity::Info);
    let rules = rule_kinds(fields);
    Some(ChannelConfig {
        id: id.ok()?,
        kind: speaks(kind, fields, surroundings)?,
        language: language.unwrap_or(surroundings.language),
        rules,
        severity_min,
    })
}

fn rule_kinds(fields: &mut Fields<'_>) -> Vec<RuleKind> {
    let words = RuleKind::ALL.map(RuleKind::as_str).join(", ");
    let kinds = fields.parsed("rules", |text| {
        list_entries(text)
            .map(|word| {
                RuleKind::from_word(word)
                    .ok_or_else(|| format!("cannot hold {}; wanted some of {words}", quoted(word)))
            })
            .collect()
    });
    kinds.unwrap_or_default()
}

fn speaks(kind: &str, fields: &mut Fields<'_>, surroundings: &Surroundings<'_>) -> Option<ChannelKind> {
    let api = |fields: &mut Fields<'_>, default: &str| match fields.text("api") {
        Some(_) => fields.parsed("api", |text| surroundings.url(text)),
        None => surroundings.url(default).ok(),
    };
    let text = |fields: &Fields<'_>, field| fields.text(field).map(str::to_owned);
    Some(match kind {
        "slack-bot" => {
            let (api, token) = (api(fields, SLACK_API)?, fields.secret("token")?);
            // Made only to be judged.
            if SlackBot::new(&api, &token, "").is_none() {
                fields.wrong(
                    "token",
                    "has characters that no header takes; wanted it as Slack shows it",
                );
            }
            ChannelKind::SlackBot {
                api,
                token,
                conversation: text(fields, "conversation")?,
            }
        }
        "telegram" => ChannelKind::Telegram {
            api: api(fields, TELEGRAM_API)?,
            thread: fields.number("thread"),
            token: fields.secret("token")?,
            chat: text(fields, "chat")?,
        },
        "email" => email(fields, surroundings)?,
        _ => {
            let url = fields.parsed("url", |text| surroundings.url(text))?;
            let secret = fields.secret("secret");
            match kind {
                "feishu" => ChannelKind::Feishu { url, secret },
                "dingtalk" => ChannelKind::DingTalk { url, secret },
                "wecom" => ChannelKind::WeCom { url },
                "slack" => ChannelKind::Slack { url },
                _ => ChannelKind::Webhook {
                    url,
                    secrets: fields.parsed("secret", webhook_secrets).unwrap_or_default(),
                },
            }
        }
    })
}

fn email(fields: &mut Fields<'_>, surroundings: &Surroundings<'_>) -> Option<ChannelKind> {
    let words = ["tls", "starttls", "plain"];
    let security = fields.word("security", &words, |word| match word {
        "tls" => Some(Security::Tls),
        "starttls" => Some(Security::StartTls),
        "plain" => Some(Security::Plain),
        _ => None,
    });
    let security = security.unwrap_or(Security::Tls);
    let port = fields.number("port").unwrap_or(match security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::Plain => 25,
    });
    let server = fields.parsed("server", |host| {
        let server = Destination::new(host, port)
            .map_err(|error| format!("{error}; wanted a host name, and its port in the field port"))?;
        surroundings.destination(&server)?;
        Ok(server)
    });
    let credentials = match (fields.text("user"), fields.secret("password")) {
        (Some(user), Some(password)) => Some((user.to_owned(), password)),
        (None, None) => None,
        (Some(_), None) => {
            fields.wrong("password", "is missing; wanted with user");
            None
        }
        (None, Some(_)) => {
            fields.wrong("user", "is missing; wanted with password");
            None
        }
    };
    let to: Vec<String> = list_entries(fields.text("to")?).map(str::to_owned).collect();
    let from = fields.text("from")?;
    let server = server?;
    // Made only to be judged: the channel reads the addresses.
    let dialer = Dialer::new(Guard::new(Arc::new(SystemResolver), []), trust(&[]).ok()?);
    let id = ChannelId::new("judged").ok()?;
    let judged = Email::new(
        id,
        (server.clone(), security),
        (from, &to),
        dialer,
        Language::English,
        None,
    );
    if let Err(error) = judged {
        fields.wrong(
            "to",
            format!("{error}; wanted addresses like ops@example.com in from and to"),
        );
    }
    Some(ChannelKind::Email {
        server,
        security,
        from: from.to_owned(),
        to,
        credentials,
    })
}

/// The rule with the numbers that were written.
pub(super) fn rule(written: &WrittenTable, mut rule: Rule) -> (Rule, Vec<Problem>) {
    let mut fields = Fields::new(written);
    let mut known = vec!["enabled", "severity", "quiet_seconds"];
    // The numbers of this one are settings of their own, which change while the server runs.
    if rule.kind != RuleKind::RefusalsPerBinding {
        known.extend(["threshold", "window_seconds"]);
    }
    fields.only(&known);
    let flag = fields.word("enabled", &["true", "false"], |word| word.parse().ok());
    rule.is_enabled = flag.unwrap_or(rule.is_enabled);
    rule.severity = fields.severity().unwrap_or(rule.severity);
    rule.threshold = fields.number("threshold").unwrap_or(rule.threshold);
    let seconds = |number: Option<u64>, default| number.map_or(default, Duration::from_secs);
    rule.window = seconds(fields.number("window_seconds"), rule.window);
    rule.quiet = seconds(fields.number("quiet_seconds"), rule.quiet);
    (rule, fields.problems)
}
