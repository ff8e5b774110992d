//! Forgetting an address or a key: what names it goes from the store's records, for good.
//!
//! Must never touch what decides. A binding names the network of its key, and stays: with it gone, whoever comes next with the key would be
//! bound. Nor the log of what operators did, whose chain of hashes holds every word of it.

use std::str::FromStr;

use async_trait::async_trait;

use super::StoreError;
use crate::fingerprint::KeyHint;
use crate::network::{ClientIp, Network};

/// What stands between words where a store keeps text or JSON.
const BETWEEN_WORDS: &str = "\"',;()[]{}<>=";
/// What an alert's subject begins with when it is an address.
const ADDRESS_SUBJECT: &str = "address:";

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgettable {
    /// All addresses of this network, which may be a single one; and networks that lie in it.
    Addresses(Network),
    /// All keys with this hint.
    Key(KeyHint),
}

impl Forgettable {
    /// Whether this is one of the addresses.
    pub fn is_address(&self, address: ClientIp) -> bool {
        matches!(self, Self::Addresses(network) if network.contains(address))
    }

    /// Whether this network names one of the addresses. One that is wider does not: others are in it, too.
    pub fn is_network(&self, other: &Network) -> bool {
        matches!(self, Self::Addresses(network) if other.is_within(network))
    }

    /// Whether this is the key's hint.
    pub fn is_hint(&self, other: &str) -> bool {
        matches!(self, Self::Key(hint) if hint.as_str() == other)
    }

    /// Whether a text, or JSON as a store keeps it, names it.
    pub fn is_named_in(&self, text: &str) -> bool {
        let mut words = text.split(|letter: char| letter.is_whitespace() || BETWEEN_WORDS.contains(letter));
        match self {
            Self::Addresses(_) => words.any(|word| {
                let word = word.strip_prefix(ADDRESS_SUBJECT).unwrap_or(word);
                word.parse().is_ok_and(|network| self.is_network(&network))
            }),
            Self::Key(hint) => {
                let quoted = serde_json::Value::from(hint.as_str()).to_string();
                text.contains(&quoted) || words.any(|word| word == hint.as_str())
            }
        }
    }
}

/// Why a text names nothing that can be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "wanted an IP address, a network like 203.0.113.0/24, or a key's hint as it is shown, like sk-ab…wxyz"
)]
pub struct NotForgettable;

impl FromStr for Forgettable {
    type Err = NotForgettable;

    fn from_str(text: &str) -> Result<Self, NotForgettable> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Addresses(network));
        }
        // Not every keyboard has the one character.
        let hint = text.replace("...", "…");
        // The ellipsis alone stands for every short key.
        let is_hint = hint.contains('…') && hint != "…";
        is_hint
            .then(|| Self::Key(KeyHint::from_stored(hint)))
            .ok_or(NotForgettable)
    }
}

/// Where something is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Rows of the audit log about it: they go.
    pub intercepts: u64,
    /// Rows about others that name it as a network of their binding: they stay without that network.
    pub mentions: u64,
    /// Bindings that were put away: they go.
    pub archived: u64,
    /// Places in lists of who was refused most: what was counted there goes to those without a place.
    pub top_places: u64,
    /// Alerts, with their history and what was not delivered of them: they go.
    pub alerts: u64,
    /// Bindings in force: they stay.
    pub bindings: u64,
    /// Events of operators: they stay.
    pub events: u64,
    /// Sessions of operators from there that are not over: they stay.
    pub sessions: u64,
}

impl Traces {
    /// Whether there is anything that would go.
    pub fn is_forgotten(&self) -> bool {
        [
            self.intercepts,
            self.mentions,
            self.archived,
            self.top_places,
            self.alerts,
        ]
        .into_iter()
        .all(|count| count == 0)
    }
}

/// Finding and removing what names an address or a key. Both take as long as a look through the records takes, in many small steps; whoever
/// serves beside them is not held up.
#[async_trait]
pub trait ForgettingStore: Send + Sync {
    /// Where it is named.
    async fn traces(&self, of: &Forgettable) -> Result<Traces, StoreError>;

    /// Removes what can go, and says what went and what stays. What was interrupted is finished by doing it again.
    async fn forget_traces(&self, of: &Forgettable) -> Result<Traces, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgettable(text: &str) -> Forgettable {
        text.parse().expect("it can be forgotten")
    }

    #[test]
    fn addresses_networks_and_hints_can_be_forgotten_and_nothing_else() {
        assert_eq!(forgettable("sk-ab...wxyz"), forgettable("sk-ab…wxyz"));
        assert_eq!(forgettable("192.0.2.7"), forgettable("192.0.2.7/32"));
        for text in ["", "…", "...", "everything", "192.0.2.300", "::ffff:192.0.2.7"] {
            assert_eq!(text.parse::<Forgettable>(), Err(NotForgettable), "{text}");
        }
    }

    #[test]
    fn an_address_is_named_by_itself_and_by_networks_that_are_no_wider() {
        let home = forgettable("2001:db8:1::/64");
        for text in [
            r#"{"subject":"address:2001:db8:1::/64"}"#,
            r#"{"networks":["192.0.2.1/32","2001:db8:1::7/128"]}"#,
            "from 2001:db8:1::9, twice",
        ] {
            assert!(home.is_named_in(text), "{text}");
        }
        for text in [
            "2001:db8::/48",
            r#"{"subject":"address:2001:db8:2::/64"}"#,
            "no address",
        ] {
            assert!(!home.is_named_in(text), "{text}");
        }
    }

    #[test]
    fn a_hint_is_named_only_whole() {
        let key = forgettable("sk-ab…wxyz");
        assert!(key.is_named_in(r#"{"hint":"sk-ab…wxyz"}"#));
        assert!(key.is_named_in("key sk-ab…wxyz, banned"));
        assert!(!key.is_named_in(r#"{"hint":"xsk-ab…wxyz"}"#));
        let strange = Forgettable::Key(KeyHint::from_stored("a\"b…c d".to_owned()));
        assert!(strange.is_named_in(r#"{"hint":"a\"b…c d"}"#));
    }
}
