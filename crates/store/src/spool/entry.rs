//! What the log consists of, and how it is written. The form outlives a version: a spool is read by whichever version starts next.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentinel_core::binding::{BindingId, Networks};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::ClientIp;
use sentinel_core::time::Timestamp;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Who writes what follows in this segment.
    Session {
        /// The profile by which requests were read.
        profile: String,
        /// The replica that they came to.
        replica: String,
    },
    /// A record that becomes a row as it is.
    Whole(Intercept),
    /// A record that begins a row, which stands for itself and for all that is added to it.
    Opens(u32, Intercept),
    /// Requests that are added to an open row.
    Adds(Added),
    /// All open rows are complete. So they are at the end of a segment.
    Ends,
}

/// Requests that are added to an open row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) slot: u32,
    pub(super) count: u32,
    pub(super) last_at: Timestamp,
    /// They did not all bring the key of the first one.
    pub(super) is_mixed: bool,
}

const SESSION: u8 = 1;
const WHOLE: u8 = 2;
const OPENS: u8 = 3;
const ADDS: u8 = 4;
const ENDS: u8 = 5;

impl Entry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Session { profile, replica } => {
                out.push(SESSION);
                text(out, profile);
                text(out, replica);
            }
            Self::Whole(intercept) => {
                out.push(WHOLE);
                write_intercept(out, intercept);
            }
            Self::Opens(slot, intercept) => {
                out.push(OPENS);
                out.extend_from_slice(&slot.to_le_bytes());
                write_intercept(out, intercept);
            }
            Self::Adds(added) => {
                out.push(ADDS);
                out.extend_from_slice(&added.slot.to_le_bytes());
                out.extend_from_slice(&added.count.to_le_bytes());
                out.extend_from_slice(&added.last_at.unix_ms().to_le_bytes());
                out.push(added.is_mixed.into());
            }
            Self::Ends => out.push(ENDS),
        }
    }

    /// None when it is no entry that this version knows.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let mut rest = Rest(payload);
        let entry = match rest.byte()? {
            SESSION => Self::Session {
                profile: rest.text()?,
                replica: rest.text()?,
            },
            WHOLE => Self::Whole(read_intercept(&mut rest)?),
            OPENS => Self::Opens(rest.number()?, read_intercept(&mut rest)?),
            ADDS => Self::Adds(Added {
                slot: rest.number()?,
                count: rest.number()?,
                last_at: rest.moment()?,
                is_mixed: rest.byte()? != 0,
            }),
            ENDS => Self::Ends,
            _ => return None,
        };
        rest.0.is_empty().then_some(entry)
    }
}

/// What whoever reads the log knows better is left out: profile and replica are the session's.
fn write_intercept(out: &mut Vec<u8>, intercept: &Intercept) {
    text(out, intercept.reference.as_str());
    out.extend_from_slice(&intercept.at.unix_ms().to_le_bytes());
    out.extend_from_slice(&intercept.last_at.unix_ms().to_le_bytes());
    text(out, intercept.reason.code());
    text(out, intercept.outcome.as_str());
    optional(out, intercept.binding, |out, id| {
        out.extend_from_slice(&id.0.to_le_bytes());
    });
    out.push(u8::try_from(intercept.networks.len()).unwrap_or(u8::MAX));
    for network in intercept.networks.iter().take(u8::MAX.into()) {
        text_of(out, |out| {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{network}");
        });
    }
    optional(out, intercept.fingerprint, |out, fingerprint| {
        out.extend_from_slice(fingerprint.as_bytes());
    });
    optional(out, intercept.hint.as_ref(), |out, hint| text(out, hint.as_str()));
    match intercept.client_ip.addr() {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(6);
            out.extend_from_slice(&address.octets());
        }
    }
    text(out, &intercept.method);
    text(out, &intercept.path);
    text(out, &intercept.user_agent);
    out.extend_from_slice(&intercept.count.to_le_bytes());
}

fn read_intercept(rest: &mut Rest<'_>) -> Option<Intercept> {
    Some(Intercept {
        reference: Reference::from_stored(rest.text()?),
        at: rest.moment()?,
        last_at: rest.moment()?,
        reason: RefusalReason::from_code(rest.str()?)?,
        outcome: InterceptOutcome::from_word(rest.str()?)?,
        binding: rest.optional(|rest| Some(BindingId(i64::from_le_bytes(rest.array()?))))?,
        networks: {
            let count = rest.byte()?;
            (0..count)
                .map(|_| rest.str()?.parse().ok())
                .collect::<Option<Networks>>()?
        },
        fingerprint: rest.optional(|rest| rest.array().map(KeyFingerprint::from_bytes))?,
        hint: rest.optional(|rest| rest.text().map(KeyHint::from_stored))?,
        client_ip: match rest.byte()? {
            4 => ClientIp::new(Ipv4Addr::from(rest.array::<4>()?).into()),
            6 => ClientIp::new(Ipv6Addr::from(rest.array::<16>()?).into()),
            _ => return None,
        },
        method: rest.text()?,
        path: rest.text()?,
        user_agent: rest.text()?,
        count: rest.number()?,
        profile: "".into(),
        replica: "".into(),
    })
}

fn text(out: &mut Vec<u8>, text: &str) {
    text_of(out, |out| out.extend_from_slice(text.as_bytes()));
}

/// The length in two bytes, and what `write` writes; nothing that is kept is longer.
fn text_of(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    write(out);
    let length = u16::try_from(out.len() - start - 2).unwrap_or(u16::MAX);
    out[start..start + 2].copy_from_slice(&length.to_le_bytes());
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        write(out, value);
    }
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.array().map(i64::from_le_bytes).map(Timestamp::from_unix_ms)
    }

    fn str(&mut self) -> Option<&'b str> {
        let length = u16::from_le_bytes(self.array()?);
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn text(&mut self) -> Option<String> {
        self.str().map(str::to_owned)
    }

    /// None when it cannot be read; `Some(None)` when there is none.
    #[expect(
        clippy::option_option,
        reason = "whether it can be read, and whether it is there"
    )]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::intercept;
    use super::*;

    fn full() -> Intercept {
        Intercept {
            binding: Some(BindingId(-3)),
            networks: ["192.0.2.0/24", "2001:db8::/64"]
                .map(|text| text.parse().expect("a network"))
                .into_iter()
                .collect(),
            fingerprint: Some(KeyFingerprint::from_bytes([7; 32])),
            hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
            client_ip: ClientIp::new("2001:db8::7".parse().expect("an address")),
            user_agent: "x".repeat(2_000),
            count: u32::MAX,
            ..intercept(RefusalReason::KeyIpMismatch)
        }
    }

    #[test]
    fn every_entry_comes_back_as_it_was() {
        let added = Added {
            slot: 9,
            count: u32::MAX,
            last_at: Timestamp::from_unix_ms(-1),
            is_mixed: true,
        };
        let session = Entry::Session {
            profile: "new-api".to_owned(),
            replica: String::new(),
        };
        for entry in [
            session,
            Entry::Whole(intercept(RefusalReason::KeyMissing)),
            Entry::Whole(full()),
            Entry::Opens(u32::MAX, full()),
            Entry::Adds(added),
            Entry::Ends,
        ] {
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            assert_eq!(Entry::read(&bytes), Some(entry.clone()));
            for end in 0..bytes.len() {
                assert_eq!(Entry::read(&bytes[..end]), None, "{entry:?} cut at {end}");
            }
            bytes.push(0);
            assert_eq!(Entry::read(&bytes), None, "{entry:?} with more behind it");
        }
    }

    #[test]
    fn what_no_version_wrote_is_no_entry() {
        assert_eq!(Entry::read(&[]), None);
        assert_eq!(Entry::read(&[99]), None);
    }
}
