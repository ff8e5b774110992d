//! Reads keys with the networks that they are to be bound to. A key leaves this file as a fingerprint and a hint, and in no other way.

use std::io::BufRead;

use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingStatus};
use sentinel_core::fingerprint::{ApiKey, FingerprintHasher, KeyFingerprint, KeyHint};
use sentinel_core::network::Network;
use sentinel_core::policy::PolicyOverride;
use sentinel_core::ports::{MovedBinding, TransferItem};
use sentinel_core::profile::Profile;
use sentinel_core::time::Timestamp;
use sentinel_store::transfer;

use super::lines::{self, Faults, Spool};
use crate::cli::CliError;
use crate::keys::{identify, identify_previous};

/// Stands before a fingerprint that is given in place of a key.
const FINGERPRINT: &str = "fingerprint:";
/// What may stand between the fields of a line.
const SEPARATORS: [char; 4] = [',', ';', ' ', '\t'];

/// Reads them as this installation knows keys.
pub(super) struct KeyReader<'k> {
    pub(super) hasher: &'k FingerprintHasher,
    pub(super) profile: &'k Profile,
    /// When they are bound.
    pub(super) now: Timestamp,
}

impl KeyReader<'_> {
    /// Reads and judges all lines; what they bind waits in the spool. Empty lines and those that begin with # say nothing.
    pub(super) fn read(&self, input: &mut dyn BufRead, spool: &mut Spool) -> Result<(), CliError> {
        let mut faults = Faults::default();
        lines::each(input, &mut faults, |_, text| {
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                return Ok(());
            }
            spool.keep(TransferItem::Binding(self.line(text)?))?;
            Ok(())
        })?;
        faults.none()
    }

    fn line(&self, text: &str) -> Result<MovedBinding, String> {
        let mut fields = text
            .split(SEPARATORS)
            .map(|field| field.trim_matches('"'))
            .filter(|field| !field.is_empty());
        let key = fields.next().unwrap_or_default();
        let (fingerprint, hint) = self.key(key)?;
        let networks = networks(fields)?;
        Ok(MovedBinding {
            fingerprint,
            previous: identify_previous(self.profile, self.hasher, &ApiKey::new(key)),
            secret: None,
            hint,
            status: BindingStatus::Active,
            networks,
            policy: PolicyOverride::default(),
            bound_at: self.now,
            updated_at: self.now,
            last_used_at: None,
            use_count: 0,
            ban_reason: String::new(),
            ban_expires_at: None,
            remarks: sentinel_core::binding::Remarks::default(),
            profile: String::new(),
        })
    }

    fn key(&self, text: &str) -> Result<(KeyFingerprint, KeyHint), String> {
        if let Some(digits) = text.strip_prefix(FINGERPRINT) {
            let fingerprint = transfer::fingerprint(digits)
                .ok_or_else(|| format!("has no 64 hexadecimal digits behind {FINGERPRINT}"))?;
            return Ok((fingerprint, KeyHint::from_stored("…".to_owned())));
        }
        identify(self.profile, self.hasher, &ApiKey::new(text)).ok_or_else(|| {
            format!(
                "does not begin with a key that profile {} takes",
                self.profile.name
            )
        })
    }
}

/// The networks behind a key; which one is wrong is told by its place.
fn networks<'f>(fields: impl Iterator<Item = &'f str>) -> Result<Vec<Network>, String> {
    let mut networks = Vec::new();
    for (place, field) in (1..).zip(fields) {
        let network = field
            .parse()
            .map_err(|_| format!("has something else than a network as its network number {place}; wanted one like 192.0.2.1 or 2001:db8::/64"))?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    if networks.is_empty() || networks.len() > BINDING_NETWORKS_MAX {
        return Err(format!(
            "has {} networks; wanted 1 to {BINDING_NETWORKS_MAX}",
            networks.len()
        ));
    }
    Ok(networks)
}
