//! Who or what an alert is about, and the one spelling in which stores and counters know it.
//!
//! A subject has no key in it, only its fingerprint. Two spellings of one subject would be two alerts, so none may be made
//! anywhere else.

use std::fmt;
use std::str::FromStr;

use crate::binding::BindingId;
use crate::fingerprint::KeyFingerprint;
use crate::network::Network;

/// A part that the installation depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The store that decides.
    Store,
    /// The cache and the counters that replicas share.
    Cache,
    /// The queue of audit records.
    Records,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Store, Self::Cache, Self::Records];

    /// The word that stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Cache => "cache",
            Self::Records => "records",
        }
    }
}

/// Who or what an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A key with a binding.
    Binding(BindingId),
    /// A key without one.
    Key(KeyFingerprint),
    /// An address, widened to what one client holds.
    Address(Network),
    /// A part of the installation.
    Part(Part),
    /// So many subjects at once that they are told of together.
    Many,
}

/// A text that no subject is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a subject of alerts")]
pub struct SubjectMalformed;

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binding(id) => write!(formatter, "binding:{id}"),
            Self::Key(fingerprint) => {
                formatter.write_str("key:")?;
                fingerprint
                    .as_bytes()
                    .iter()
                    .try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
            Self::Address(network) => write!(formatter, "address:{network}"),
            Self::Part(part) => write!(formatter, "part:{}", part.as_str()),
            Self::Many => formatter.write_str("many:"),
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectMalformed;

    fn from_str(text: &str) -> Result<Self, SubjectMalformed> {
        let (kind, name) = text.split_once(':').ok_or(SubjectMalformed)?;
        let subject = match kind {
            "binding" => name.parse().ok().map(|id| Self::Binding(BindingId(id))),
            "key" => fingerprint(name).map(Self::Key),
            "address" => name.parse().ok().map(Self::Address),
            "part" => Part::ALL
                .into_iter()
                .find(|part| part.as_str() == name)
                .map(Self::Part),
            "many" if name.is_empty() => Some(Self::Many),
            _ => None,
        };
        subject.ok_or(SubjectMalformed)
    }
}

fn fingerprint(hexadecimal: &str) -> Option<KeyFingerprint> {
    if hexadecimal.len() != 64 || !hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hexadecimal[place..place + 2], 16).ok()?;
    }
    Some(KeyFingerprint::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_back_as_it_was_written() {
        let subjects = [
            Subject::Binding(BindingId(12)),
            Subject::Key(KeyFingerprint::from_bytes(std::array::from_fn(|i| {
                u8::try_from(i * 8).expect("small")
            }))),
            Subject::Address("192.0.2.7".parse().expect("a network")),
            Subject::Address("2001:db8:1::/64".parse().expect("a network")),
            Subject::Part(Part::Store),
            Subject::Part(Part::Cache),
            Subject::Part(Part::Records),
            Subject::Many,
        ];
        for subject in subjects {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        let not_hexadecimal = format!("key:{}", "g".repeat(64));
        let too_wide = format!("key:{}", "é".repeat(32));
        for text in [
            "",
            "binding",
            "binding:x",
            "key:00",
            &not_hexadecimal,
            &too_wide,
            "address:x",
            "part:x",
            "many:x",
            "x:",
        ] {
            assert_eq!(text.parse::<Subject>(), Err(SubjectMalformed), "{text}");
        }
    }
}
