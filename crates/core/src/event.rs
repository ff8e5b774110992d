//! What is written down: refused requests, and what operators did.
//!
//! Text that a client chose is bounded and made printable here, once, so that no log line and no table can be forged, and
//! what looks like a key is taken out of it.

mod redaction;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

pub use redaction::{path_shown, printable_without_keys, user_agent_shown};

use crate::binding::{BindingId, Networks};
use crate::decision::RefusalReason;
use crate::fingerprint::{KeyFingerprint, KeyHint};
use crate::network::ClientIp;
use crate::time::Timestamp;

/// The most characters of a path that are kept.
pub const PATH_CHARACTERS_MAX: usize = 256;
/// The most characters of a user agent that are kept.
pub const USER_AGENT_CHARACTERS_MAX: usize = 256;
/// The most networks of a binding that a record shows: the first ones.
pub const NETWORKS_SHOWN_MAX: usize = 16;

/// The bytes of a [`Reference`].
const REFERENCE_BYTES: usize = 19;

/// The name of one refusal, told to the client and found again in the audit log: `sr_` and 16 characters of base32.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference(Name);

/// Each refusal makes and copies one, so it is kept where it is and not on the heap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// Of the usual length.
    Usual([u8; REFERENCE_BYTES]),
    /// What a store has that somebody else wrote into it.
    Other(String),
}

impl Reference {
    /// A fresh, random one.
    pub fn random() -> Self {
        Self::from_bytes(FRESH.with_borrow_mut(Fresh::take))
    }

    /// Of the five low bits of each byte.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = *b"sr_aaaaaaaaaaaaaaaa";
        for (character, byte) in text[3..].iter_mut().zip(bytes) {
            *character = ALPHABET[usize::from(byte & 31)];
        }
        Self(Name::Usual(text))
    }

    /// From a stored reference.
    pub fn from_stored(text: String) -> Self {
        Self(match text.as_bytes().try_into() {
            Ok(bytes) => Name::Usual(bytes),
            Err(_) => Name::Other(text),
        })
    }

    /// Its text.
    #[expect(clippy::missing_panics_doc, reason = "it was made of text")]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Usual(bytes) => std::str::from_utf8(bytes).expect("it was made of text"),
            Name::Other(text) => text,
        }
    }
}

/// Random bytes of this thread for the references of the next records, each used once: the kernel is asked for many at a time.
struct Fresh {
    bytes: [u8; 64 * 16],
    used: usize,
}

thread_local! {
    static FRESH: RefCell<Fresh> = const { RefCell::new(Fresh { bytes: [0; 64 * 16], used: 64 * 16 }) };
}

impl Fresh {
    fn take(&mut self) -> [u8; 16] {
        if self.used == self.bytes.len() {
            // Without randomness a reference names nothing in particular; the refusal itself still holds.
            let _ = getrandom::fill(&mut self.bytes);
            self.used = 0;
        }
        let mut taken = [0; 16];
        taken.copy_from_slice(&self.bytes[self.used..self.used + 16]);
        self.used += 16;
        taken
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What became of a request that broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterceptOutcome {
    /// It was refused.
    Refused,
    /// It went on: the rule is only observed.
    Observed,
}

impl InterceptOutcome {
    /// The word that stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Observed => "observed",
        }
    }

    /// The outcome that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Refused, Self::Observed]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// The record of one request that broke a rule, or of many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intercept {
    /// The name of the first one towards its client.
    pub reference: Reference,
    /// When the first one came.
    pub at: Timestamp,
    /// When the last one came.
    pub last_at: Timestamp,
    /// Which rule.
    pub reason: RefusalReason,
    /// What became of it.
    pub outcome: InterceptOutcome,
    /// The binding that was held against it.
    pub binding: Option<BindingId>,
    /// The networks that the binding had at that moment, the first [`NETWORKS_SHOWN_MAX`] of them. For operators only: they would tell a
    /// thief where to go.
    pub networks: Networks,
    /// The key, when one was read.
    pub fingerprint: Option<KeyFingerprint>,
    /// What may be shown of the key.
    pub hint: Option<KeyHint>,
    /// Where from; the socket's peer when the client's address could not be resolved; [`SEVERAL_CLIENTS`] when it stands for requests of
    /// many clients.
    pub client_ip: ClientIp,
    /// The request's method.
    pub method: String,
    /// The request's path without its query, printable and bounded.
    pub path: String,
    /// The client's name for itself, printable and bounded.
    pub user_agent: String,
    /// How many equal requests this record stands for.
    pub count: u32,
    /// The profile by which the request was read; empty until the record is kept.
    pub profile: Arc<str>,
    /// The replica that it came to; empty until the record is kept.
    pub replica: Arc<str>,
}

/// The address of a record that stands for requests of many clients: the unspecified one, `::`.
pub const SEVERAL_CLIENTS: ClientIp = ClientIp::UNSPECIFIED;

/// The networks of a binding as a record shows them.
pub fn networks_shown(networks: &Networks) -> Networks {
    match networks.get(..NETWORKS_SHOWN_MAX) {
        Some(first) => first.iter().copied().collect(),
        None => networks.clone(),
    }
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminEvent {
    /// When.
    pub at: Timestamp,
    /// Who: an account's name, or `cli`, or `system`.
    pub actor: String,
    /// From where, when over the network.
    pub client_ip: Option<ClientIp>,
    /// What, one word: `login`, `login_failed`, `unbind`, `ban`, `unban`, `set_networks`, `archive`, `change_settings`,
    /// `import`, `intercepts_lost`.
    pub action: String,
    /// On what, and what it was before and after; never a key.
    pub detail: String,
}

impl AdminEvent {
    /// What this operator did just now.
    pub fn by(actor: &Actor, action: &str, detail: String) -> Self {
        Self {
            at: actor.at,
            actor: actor.name.clone(),
            client_ip: actor.client_ip,
            action: action.to_owned(),
            detail,
        }
    }
}

/// Who changes something, and when: what every change leaves in the admin events.
#[derive(Clone, Debug)]
pub struct Actor {
    /// An account's name, or `cli`.
    pub name: String,
    /// From where, when over the network.
    pub client_ip: Option<ClientIp>,
    /// When.
    pub at: Timestamp,
}

/// `text` cut to `characters_max`, with everything that a terminal or a log could act on shown as `\u{…}`.
pub fn printable(text: &[u8], characters_max: usize) -> String {
    let mut shown = String::new();
    for (count, character) in String::from_utf8_lossy(text).chars().enumerate() {
        if count == characters_max {
            shown.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that are not controls but still rearrange or hide text: bidirectional marks, zero-width ones, line separators.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{00AD}' | '\u{061C}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_is_bounded_and_harmless() {
        assert_eq!(printable(b"/v1/models", 256), "/v1/models");
        assert_eq!(printable(b"a\r\nb\x1b[31m", 256), "a\\u{d}\\u{a}b\\u{1b}[31m");
        assert_eq!(printable("a\u{202e}b".as_bytes(), 256), "a\\u{202e}b");
        assert_eq!(printable(b"abcdef", 3), "abc…");
        assert_eq!(printable(b"\xff", 3), "\u{fffd}");
    }

    #[test]
    fn references_look_alike_and_differ() {
        let many: Vec<_> = (0..1_000).map(|_| Reference::random()).collect();
        let different: std::collections::HashSet<_> = many.iter().collect();
        assert_eq!(different.len(), many.len());
        let one = &many[0];
        assert_eq!(one.as_str().len(), 19);
        assert!(one.as_str().starts_with("sr_"));
    }

    #[test]
    fn a_record_shows_so_many_networks() {
        let network = |number: usize| format!("10.0.0.{number}").parse().expect("a network");
        for (held, shown) in [
            (0, 0),
            (1, 1),
            (NETWORKS_SHOWN_MAX, NETWORKS_SHOWN_MAX),
            (64, NETWORKS_SHOWN_MAX),
        ] {
            let networks: Networks = (0..held).map(network).collect();
            assert_eq!(*networks_shown(&networks), networks[..shown]);
        }
    }

    #[test]
    fn words_round_trip() {
        for reason in RefusalReason::ALL {
            assert_eq!(RefusalReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(
            InterceptOutcome::from_word("observed"),
            Some(InterceptOutcome::Observed)
        );
        assert_eq!(InterceptOutcome::from_word("x"), None);
    }
}
