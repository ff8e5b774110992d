//! What replicas tell each other: that a key's binding, or the settings, changed.
//!
//! A message names what changed and never what it is now: whoever hears it asks the store. So a message that is lost, repeated or late
//! costs time and never a wrong decision, and a forged one no more than a lookup.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use async_trait::async_trait;
use sentinel_core::binding::Version;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;

/// The longest message, in bytes; a longer one is not read.
pub const MESSAGE_BYTES_MAX: usize = 128;

/// One message. Its text is `binding <64 hex digits> <version> <milliseconds since the epoch>` or
/// `settings <version> <milliseconds since the epoch>`; the time is when the change was made, by its maker's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The binding of a key: changed, or gone.
    Binding {
        /// Of which key.
        fingerprint: KeyFingerprint,
        /// The version that it has now, or that of its absence ([`Version::of_absence`]).
        version: Version,
        /// When.
        at: Timestamp,
    },
    /// The settings.
    Settings {
        /// The version that they have now.
        version: i64,
        /// When.
        at: Timestamp,
    },
}

/// What a listener hears on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The channel works from here on. Changes before it may have been missed.
    Connected,
    /// The channel is lost; it is being connected again.
    Lost,
    /// A change.
    Change(Change),
}

/// One channel's listening end. Reconnects by itself, with a growing pause between attempts, and never ends.
#[async_trait]
pub trait ChangeFeed: Send {
    /// Which channel it is, for logs and metrics: `postgresql`, `redis`.
    fn channel(&self) -> &'static str;

    /// The next thing heard. Loses nothing when it is dropped before it is done.
    async fn next(&mut self) -> Heard;
}

/// The end that tells the other replicas. Whatever happens here, the change itself is made.
#[async_trait]
pub trait ChangeAnnouncer: Send + Sync {
    /// Tells them, within a bound of its own.
    async fn announce(&self, change: Change) -> Result<(), StoreError>;
}

/// A text that is no message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message that no replica of this version writes")]
pub struct MessageError;

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binding {
                fingerprint,
                version,
                at,
            } => {
                formatter.write_str("binding ")?;
                for byte in fingerprint.as_bytes() {
                    write!(formatter, "{byte:02x}")?;
                }
                formatter.write_char(' ')?;
                write!(formatter, "{} {}", version.0, at.unix_ms())
            }
            Self::Settings { version, at } => write!(formatter, "settings {version} {}", at.unix_ms()),
        }
    }
}

impl FromStr for Change {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError);
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| MessageError);
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["binding", fingerprint, version, at] => Ok(Self::Binding {
                fingerprint: from_hexadecimal(fingerprint)?,
                version: Version(number(version)?),
                at: Timestamp::from_unix_ms(number(at)?),
            }),
            ["settings", version, at] => Ok(Self::Settings {
                version: number(version)?,
                at: Timestamp::from_unix_ms(number(at)?),
            }),
            _ => Err(MessageError),
        }
    }
}

pub(crate) fn from_hexadecimal(text: &str) -> Result<KeyFingerprint, MessageError> {
    let mut bytes = [0_u8; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(MessageError);
    }
    for (byte, place) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).map_err(|_| MessageError)?;
    }
    Ok(KeyFingerprint::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: Change = Change::Binding {
        fingerprint: KeyFingerprint::from_bytes([0xA5; 32]),
        version: Version(i64::MAX),
        at: Timestamp::from_unix_ms(i64::MAX),
    };

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let settings = Change::Settings {
            version: 7,
            at: Timestamp::from_unix_ms(1_790_000_000_000),
        };
        for change in [BINDING, settings] {
            assert_eq!(change.to_string().parse(), Ok(change));
        }
    }

    #[test]
    fn the_longest_message_fits_its_bound() {
        let longest = BINDING.to_string();
        assert!(longest.len() <= MESSAGE_BYTES_MAX, "{longest}");
        let padded = format!("settings 1 {:0>width$}", 1, width = MESSAGE_BYTES_MAX);
        assert_eq!(padded.parse::<Change>(), Err(MessageError));
    }

    #[test]
    fn other_texts_are_no_messages() {
        let short = "a5".repeat(31);
        let wrong = [
            String::new(),
            "binding".to_owned(),
            format!("binding {short} 1 1"),
            format!("binding {short}+5 1 1"),
            format!("binding {short}é 1 1"),
            format!("binding {short}a5 x 1"),
            format!("binding {short}a5 1 1 1"),
            "settings 1".to_owned(),
            "settings 1 99999999999999999999".to_owned(),
        ];
        for text in wrong {
            assert_eq!(text.parse::<Change>(), Err(MessageError), "{text}");
        }
    }
}
