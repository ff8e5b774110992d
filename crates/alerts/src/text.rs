//! What a message says, in the channel's language, before a channel puts it into its own format. Nothing in here is escaped: a channel
//! must never pass a title or a value on as it stands.

mod chinese;
mod english;

use std::time::Duration;

use sentinel_core::alert::{Alert, AlertState, Part, RuleKind, Severity, Subject};
use sentinel_core::decision::RefusalReason;

use crate::links::{Console, LinkAction};

/// The most lines of a message.
pub const LINES_MAX: usize = 10;
/// The most characters of one value.
pub const VALUE_CHARACTERS_MAX: usize = 300;
/// The most characters of a title.
pub const TITLE_CHARACTERS_MAX: usize = 120;

/// The language of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The language that a setting's word (`zh`, `en`) names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    fn words(self) -> &'static dyn Words {
        match self {
            Self::Chinese => &chinese::Chinese,
            Self::English => &english::English,
        }
    }
}

/// The label of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Rule,
    Key,
    Networks,
    Count,
    Peak,
    Time,
    Request,
    Client,
    Reference,
    Replica,
}

/// One language.
trait Words: Sync {
    fn severity(&self, severity: Severity) -> &'static str;
    fn state(&self, state: AlertState) -> &'static str;
    fn rule(&self, kind: RuleKind) -> &'static str;
    fn limit(&self, kind: RuleKind, threshold: u64, window: Duration) -> String;
    fn reason(&self, reason: RefusalReason) -> &'static str;
    fn label(&self, label: Label) -> &'static str;
    fn part(&self, part: Part) -> &'static str;
    fn many(&self) -> &'static str;
    fn binding(&self, hint: &str, id: i64) -> String;
    fn and_more(&self) -> &'static str;
    fn span(&self, from: &str, to: &str) -> String;
    fn action(&self, action: LinkAction) -> &'static str;
    fn open_console(&self) -> &'static str;
}

/// One line: what, and what of it. The value may hold what a client chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: &'static str,
    /// At most [`VALUE_CHARACTERS_MAX`] characters.
    pub value: String,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// To look.
    Console,
    /// To act.
    Act(LinkAction),
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub kind: LinkKind,
    /// Its text.
    pub label: &'static str,
    /// Where it leads.
    pub url: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line, at most [`TITLE_CHARACTERS_MAX`] characters.
    pub title: String,
    /// At most [`LINES_MAX`].
    pub lines: Vec<Line>,
    /// None when the console's address is not known.
    pub links: Vec<Link>,
}

impl Message {
    /// What the alert says in this language.
    pub fn compose(alert: &Alert, language: Language, console: Option<&Console>) -> Self {
        let words = language.words();
        let title = format!(
            "[{} · {}] {}: {}",
            words.severity(alert.severity),
            words.state(alert.state),
            words.rule(alert.rule),
            subject(alert, words)
        );
        Self {
            title: cut(&title, TITLE_CHARACTERS_MAX),
            lines: lines(alert, words),
            links: console.map_or_else(Vec::new, |console| links(alert, words, console)),
        }
    }
}

fn subject(alert: &Alert, words: &dyn Words) -> String {
    match &alert.subject {
        Subject::Part(part) => words.part(*part).to_owned(),
        Subject::Many => words.many().to_owned(),
        Subject::Address(network) => network_shown(&network.to_string()),
        Subject::Binding(_) | Subject::Key(_) => alert
            .hint
            .as_ref()
            .map_or_else(|| "…".to_owned(), |hint| hint.as_str().to_owned()),
    }
}

fn lines(alert: &Alert, words: &dyn Words) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |label: Label, value: String| {
        lines.push(Line {
            label: words.label(label),
            value: cut(&value, VALUE_CHARACTERS_MAX),
        });
    };
    let seen = &alert.seen;
    add(
        Label::Rule,
        words.limit(alert.rule, alert.threshold, alert.window),
    );
    if let Some(hint) = &alert.hint {
        let key = match alert.binding {
            Some(id) => words.binding(hint.as_str(), id.0),
            None => hint.as_str().to_owned(),
        };
        add(Label::Key, key);
    }
    if !seen.networks.is_empty() {
        let networks = seen.networks.iter();
        let mut shown: Vec<String> = networks
            .map(|network| network_shown(&network.to_string()))
            .collect();
        if seen.has_more_networks {
            shown.push(words.and_more().to_owned());
        }
        add(Label::Networks, shown.join(", "));
    }
    add(Label::Count, seen.count.to_string());
    if alert.rule.counts_different() {
        add(Label::Peak, seen.peak.to_string());
    }
    add(
        Label::Time,
        words.span(&seen.first_at.rfc3339(), &seen.last_at.rfc3339()),
    );
    if let Some(example) = &seen.example {
        add(Label::Request, format!("{} {}", example.method, example.path));
        add(Label::Client, example.user_agent.clone());
        let reason = words.reason(example.reason);
        add(Label::Reference, format!("{} ({reason})", example.reference));
    }
    add(Label::Replica, alert.replica.clone());
    lines.truncate(LINES_MAX);
    lines
}

fn links(alert: &Alert, words: &dyn Words, console: &Console) -> Vec<Link> {
    let look = Link {
        kind: LinkKind::Console,
        label: words.open_console(),
        url: console.alert(alert),
    };
    let acts = console.actions(alert).into_iter().map(|(action, url)| Link {
        kind: LinkKind::Act(action),
        label: words.action(action),
        url,
    });
    std::iter::once(look).chain(acts).collect()
}

/// A single address without its length.
fn network_shown(network: &str) -> String {
    network
        .strip_suffix("/32")
        .or_else(|| network.strip_suffix("/128"))
        .unwrap_or(network)
        .to_owned()
}

/// The text on one line, cut to `characters_max`.
pub(crate) fn cut(text: &str, characters_max: usize) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().count() <= characters_max {
        return one_line.collect();
    }
    let mut shown: String = one_line.take(characters_max.saturating_sub(1)).collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests;
