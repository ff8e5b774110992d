//! How an entry of the shared cache is written, and read with suspicion: whatever is found under our key that this version did not
//! write whole is no entry.
//!
//! `1`, the encoding; a letter, `A`bsent, `B`inding or `T`ombstone; the standing in 20 digits, which the scripts compare as texts. Of a
//! binding there follow 16 hexadecimal digits of a SHA-256 over all the rest, and the binding as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use sentinel_core::binding::{Binding, BindingId, BindingStatus, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::shared::{ABSENT_LIFE, KEPT_MAX, SharedEntry, Standing};

/// The longest entry that is read: twice what a binding with all the networks that it may have needs.
pub(super) const ENTRY_BYTES_MAX: usize = 8_192;

const HEAD_BYTES: usize = 22;
const CHECK_BYTES: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'w> {
    id: i64,
    fingerprint: std::borrow::Cow<'w, str>,
    status: std::borrow::Cow<'w, str>,
    networks: Vec<String>,
    #[serde(default)]
    policy: PolicyOverride,
    version: i64,
    bound_at_ms: i64,
}

/// Why what was found is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is of an encoding that this version does not know")]
    Encoding,
    #[error("it is damaged")]
    Damaged,
    #[error("it is another key's")]
    OtherKey,
}

/// The fingerprint as 64 hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// As the scripts compare them.
pub(super) fn digits(standing: Standing) -> String {
    format!("{:020}", standing.number())
}

pub(super) fn absent(standing: Standing) -> String {
    format!("1A{}", digits(standing))
}

pub(super) fn tombstone(standing: Standing) -> String {
    format!("1T{}", digits(standing))
}

pub(super) fn of_binding(binding: &Binding) -> String {
    let written = Written {
        id: binding.id.0,
        fingerprint: hexadecimal(binding.fingerprint.as_bytes()).into(),
        status: binding.status.as_str().into(),
        networks: binding.networks.iter().map(Network::to_string).collect(),
        policy: (*binding.policy).clone(),
        version: binding.version.0,
        bound_at_ms: binding.bound_at.unix_ms(),
    };
    let json = serde_json::to_string(&written).expect("texts and numbers can be written");
    let head = format!("1B{}", digits(Standing::of_binding(binding.version)));
    format!("{head}{}{json}", check(&head, &json))
}

fn check(head: &str, json: &str) -> String {
    let sum = Sha256::new().chain_update(head).chain_update(json).finalize();
    hexadecimal(&sum[..CHECK_BYTES / 2])
}

/// The standing of what the scripts, too, take for an entry of ours.
fn standing(entry: &str) -> Option<u64> {
    let digits = entry.get(2..HEAD_BYTES)?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
    digits.parse().ok()
}

/// Reads what was found under the fingerprint's key, which is kept for another `kept_ms`. What is unreadable is given with the standing
/// that it claims, so that whoever asks the authority now may replace it.
pub(super) fn read(
    entry: &[u8],
    kept_ms: i64,
    fingerprint: &KeyFingerprint,
) -> Result<SharedEntry, (Unreadable, Standing)> {
    let damaged = |claimed: u64| (Unreadable::Damaged, Standing::from_number(claimed));
    if entry.first() != Some(&b'1') {
        return Err((Unreadable::Encoding, Standing::NOTHING));
    }
    // The head alone decides for the scripts, so it is read even when the rest is no text.
    let head = entry.get(..HEAD_BYTES).and_then(|head| str::from_utf8(head).ok());
    let claimed = head.and_then(standing).ok_or_else(|| damaged(0))?;
    let text = str::from_utf8(entry).map_err(|_| damaged(claimed))?;
    if text.len() > ENTRY_BYTES_MAX {
        return Err(damaged(claimed));
    }
    match (entry[1], text.len()) {
        (b'A', HEAD_BYTES) if absent_for(claimed, kept_ms) < ABSENT_LIFE => Ok(SharedEntry::Absent),
        (b'A' | b'T', HEAD_BYTES) => Ok(SharedEntry::Missing(Standing::from_number(claimed))),
        (b'B', _) => match read_binding(text, fingerprint) {
            Ok(binding) => Ok(SharedEntry::Binding(binding, age(kept_ms, KEPT_MAX))),
            Err(unreadable) => Err((unreadable, Standing::from_number(claimed))),
        },
        _ => Err(damaged(claimed)),
    }
}

fn read_binding(text: &str, fingerprint: &KeyFingerprint) -> Result<Binding, Unreadable> {
    let (head, rest) = text.split_at(HEAD_BYTES);
    let (sum, json) = rest.split_at_checked(CHECK_BYTES).ok_or(Unreadable::Damaged)?;
    if sum != check(head, json) {
        return Err(Unreadable::Damaged);
    }
    // What is whole and yet not understood was written by a later version.
    let written: Written<'_> = serde_json::from_str(json).map_err(|_| Unreadable::Encoding)?;
    if written.fingerprint != hexadecimal(fingerprint.as_bytes()) {
        return Err(Unreadable::OtherKey);
    }
    let networks = written.networks.iter().map(|network| network.parse());
    let networks: Vec<Network> = networks
        .collect::<Result<_, _>>()
        .map_err(|_| Unreadable::Encoding)?;
    let version = Version(written.version);
    if networks.is_empty() || head[2..] != digits(Standing::of_binding(version)) {
        return Err(Unreadable::Damaged);
    }
    Ok(Binding {
        id: BindingId(written.id),
        fingerprint: *fingerprint,
        status: BindingStatus::from_word(&written.status).ok_or(Unreadable::Encoding)?,
        networks: networks.into(),
        policy: written.policy.into(),
        version,
        bound_at: Timestamp::from_unix_ms(written.bound_at_ms),
    })
}

fn absent_for(claimed: u64, kept_ms: i64) -> Duration {
    age(kept_ms, Standing::from_number(claimed).absence_kept())
}

/// From how long it is kept still: the server counts that down by its own clock, so that no clocks are compared. What is kept for longer
/// than it could be is of unknown age, and so as old as can be.
fn age(kept_ms: i64, kept_max: Duration) -> Duration {
    let kept = u64::try_from(kept_ms).map(Duration::from_millis);
    kept.ok()
        .and_then(|kept| kept_max.checked_sub(kept))
        .unwrap_or(kept_max)
}

#[cfg(test)]
mod tests;
