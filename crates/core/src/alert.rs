//! Alerts: what operators are told of, who is meant, and what has been seen of it since.
//!
//! An alert is raised once per rule and subject, told of again at growing intervals, and calmed once. It holds what may be
//! shown, never a key. Texts are made where it is sent; nothing in here may speak a language.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod ports;
mod rule;
mod subject;
mod written;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::binding::BindingId;
use crate::decision::RefusalReason;
use crate::event::Reference;
use crate::fingerprint::KeyHint;
use crate::network::{ClientIp, Network};
use crate::time::Timestamp;

pub use rule::{
    QUIET_MAX, Rule, RuleKind, RuleProblem, Rules, SILENCE_MAX, THRESHOLD_MAX, WINDOW_MAX, WINDOW_MIN,
};
pub use subject::{Part, Subject};

/// The most networks that one alert names.
pub const ALERT_NETWORKS_MAX: usize = 8;
/// The most characters of a channel's name.
pub const CHANNEL_CHARACTERS_MAX: usize = 64;

/// The name of one alert, from its raising to its calm: `al_` and 16 characters of base32.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertId(String);

impl AlertId {
    /// A fresh, random one.
    pub fn random() -> Self {
        let reference = Reference::random();
        let random = reference.as_str().trim_start_matches("sr_");
        Self(format!("al_{random}"))
    }

    /// From a stored name.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name that an operator gave to a place that alerts go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChannelId(String);

/// A channel's name is empty, too long, or has other characters than letters, digits, `-` and `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a channel's name has 1 to {CHANNEL_CHARACTERS_MAX} characters: letters, digits, hyphens and underscores"
)]
pub struct ChannelNameMalformed;

impl ChannelId {
    /// The name, when it is one.
    pub fn new(name: impl Into<String>) -> Result<Self, ChannelNameMalformed> {
        let name = name.into();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_name =
            (1..=CHANNEL_CHARACTERS_MAX).contains(&name.chars().count()) && name.chars().all(is_plain);
        if is_name {
            Ok(Self(name))
        } else {
            Err(ChannelNameMalformed)
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word that settings, stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }
}

/// What a link in an alert's message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkAction {
    /// Bans the key.
    Ban,
    /// Adds the network to the key's own.
    AllowNetwork,
    /// Leaves the alert alone.
    Ignore,
}

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It was raised.
    Firing,
    /// It goes on: more was seen since it was told of last.
    Updated,
    /// It is over.
    Calmed,
}

impl AlertState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 3] = [Self::Firing, Self::Updated, Self::Calmed];

    /// The word that stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Updated => "updated",
            Self::Calmed => "calmed",
        }
    }

    /// The state that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the alert is not over yet.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Calmed)
    }
}

/// One alert as it stood at one moment: at its latest transition, or now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name, the same through its life.
    pub id: AlertId,
    /// How many transitions came before: 0 when it is raised.
    pub sequence: u32,
    /// Where it is in its life.
    pub state: AlertState,
    /// The rule that raised it.
    pub rule: RuleKind,
    /// How urgent the rule calls it.
    pub severity: Severity,
    /// Who or what it is about. Of all alerts of one rule on one subject at most one is open.
    #[serde(with = "written::text")]
    pub subject: Subject,
    /// The binding of the key that it is about.
    #[serde(with = "written::binding")]
    pub binding: Option<BindingId>,
    /// What may be shown of that key.
    #[serde(with = "written::hint")]
    pub hint: Option<KeyHint>,
    /// What was seen of it.
    pub seen: Seen,
    /// What `seen.count` was when it was told of last.
    pub told: u64,
    /// How many in `window` raised it.
    pub threshold: u64,
    /// The stretch of time that is counted over.
    #[serde(with = "written::milliseconds")]
    pub window: Duration,
    /// When it was raised.
    #[serde(with = "written::moment")]
    pub raised_at: Timestamp,
    /// When its latest transition was.
    #[serde(with = "written::moment")]
    pub at: Timestamp,
    /// The replica that made its latest transition.
    pub replica: String,
}

impl Alert {
    /// The name of this one transition: what every channel passes on as the key by which a receiver knows a repetition.
    pub fn notice_id(&self) -> String {
        format!("{}.{}", self.id, self.sequence)
    }

    /// The alert after its next transition.
    #[must_use]
    pub fn advanced(&self, to: AlertState, at: Timestamp, replica: &str) -> Self {
        Self {
            sequence: self.sequence.saturating_add(1),
            state: to,
            told: self.seen.count,
            at,
            replica: replica.to_owned(),
            ..self.clone()
        }
    }
}

/// What was seen of an alert's subject. What several replicas saw is put together with [`Seen::merge`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How many requests (or events) in all.
    pub count: u64,
    /// The most in one window.
    pub peak: u64,
    /// From which networks, at most [`ALERT_NETWORKS_MAX`] of them.
    #[serde(with = "written::networks")]
    pub networks: Vec<Network>,
    /// Whether there were more networks than are named.
    pub has_more_networks: bool,
    /// The first of them.
    #[serde(with = "written::moment")]
    pub first_at: Timestamp,
    /// The latest of them.
    #[serde(with = "written::moment")]
    pub last_at: Timestamp,
    /// When the count in a window was last too high for calm.
    #[serde(with = "written::moment")]
    pub above_at: Timestamp,
    /// One of the requests.
    pub example: Option<Example>,
}

impl Seen {
    /// Nothing yet, at this moment.
    pub const fn nothing(at: Timestamp) -> Self {
        Self {
            count: 0,
            peak: 0,
            networks: Vec::new(),
            has_more_networks: false,
            first_at: at,
            last_at: at,
            above_at: at,
            example: None,
        }
    }

    /// Adds a network, unless it is known or there is no room.
    pub fn add_network(&mut self, network: Network) {
        if self.networks.contains(&network) {
            return;
        }
        if self.networks.len() < ALERT_NETWORKS_MAX {
            self.networks.push(network);
        } else {
            self.has_more_networks = true;
        }
    }

    /// Adds what somebody else saw, or what was seen later.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.peak = self.peak.max(other.peak);
        for network in &other.networks {
            self.add_network(*network);
        }
        self.has_more_networks |= other.has_more_networks;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
        self.above_at = self.above_at.max(other.above_at);
        if self.example.is_none() {
            self.example.clone_from(&other.example);
        }
    }
}

/// One refused request that stands for all of an alert. Its texts are printable and bounded already, as an intercept's are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Where it is found in the audit log.
    #[serde(with = "written::reference")]
    pub reference: Reference,
    /// Why it was refused.
    #[serde(with = "written::reason")]
    pub reason: RefusalReason,
    /// Where it came from.
    #[serde(with = "written::address")]
    pub client_ip: ClientIp,
    /// The request's method.
    pub method: String,
    /// The request's path without its query.
    pub path: String,
    /// The client's name for itself.
    pub user_agent: String,
}

#[cfg(test)]
mod tests;
