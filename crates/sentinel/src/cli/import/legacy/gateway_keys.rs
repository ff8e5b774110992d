//! The gateway's own keys, by the hashes that the older Sentinel may have of them. A key leaves here as a fingerprint and a hint, and in no other way.

use std::collections::HashMap;
use std::io::BufRead;

use sentinel_core::fingerprint::{ApiKey, FingerprintHasher, KeyFingerprint, KeyHint, NormalisedKey};
use sentinel_core::profile::Profile;

use super::super::lines::{self, Faults};
use crate::cli::CliError;
use crate::keys::identify;

/// The most keys of one list.
pub(super) const KEYS_MAX: usize = 1_000_000;
/// What New API and its kin put in front of a key when they show it, and leave away in their database.
const SHOWN_PREFIX: &str = "sk-";
/// What may stand in front of the text that was hashed: nothing, or what the header has there.
const SCHEMES: [&str; 3] = ["", "Bearer ", "bearer "];

/// Which key a hash of the older one means.
#[derive(Default)]
pub(super) struct GatewayKeys {
    ours: Vec<(KeyFingerprint, KeyHint)>,
    /// From a hash to the place in `ours`.
    places: HashMap<KeyFingerprint, usize>,
}

impl GatewayKeys {
    /// Reads at most so many keys, one a line; empty lines and those that begin with # say nothing.
    pub(super) fn read(
        input: &mut dyn BufRead,
        old_hasher: &FingerprintHasher,
        hasher: &FingerprintHasher,
        profile: &Profile,
        keys_max: usize,
    ) -> Result<Self, CliError> {
        let mut keys = Self::default();
        let mut faults = Faults::default();
        lines::each(input, &mut faults, |_, line| {
            let text = line.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                return Ok(());
            }
            if keys.ours.len() == keys_max {
                return Err(format!("is one of more than {keys_max} keys").into());
            }
            let stem = text.strip_prefix(SHOWN_PREFIX).unwrap_or(text);
            // A hint is of the key as people know it.
            let shown = ApiKey::new(format!("{SHOWN_PREFIX}{stem}"));
            let listed = ApiKey::new(text);
            let known = identify(profile, hasher, &listed)
                .ok_or_else(|| format!("is no key that profile {} takes", profile.name))?;
            let place = keys.ours.len();
            keys.ours.push(known);
            for spelling in [listed.expose(), shown.expose(), stem] {
                for scheme in SCHEMES {
                    let hashed = ApiKey::new(format!("{scheme}{spelling}"));
                    let hash = old_hasher.fingerprint(&NormalisedKey::Exact(hashed.expose()));
                    keys.places.entry(hash).or_insert(place);
                }
            }
            Ok(())
        })?;
        faults.none()?;
        Ok(keys)
    }

    /// Our fingerprint of the key that the older one knows by this hash, and what may be shown of it.
    pub(super) fn find(&self, hash: &KeyFingerprint) -> Option<(KeyFingerprint, KeyHint)> {
        self.places.get(hash).map(|place| self.ours[*place].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"the secret of the older one";

    fn keys(text: &str, profile: &str) -> Result<GatewayKeys, CliError> {
        at_most(KEYS_MAX, text, profile)
    }

    fn at_most(keys_max: usize, text: &str, profile: &str) -> Result<GatewayKeys, CliError> {
        let old = FingerprintHasher::new(OLD).expect("long enough");
        let new = FingerprintHasher::new(b"the secret of this one").expect("long enough");
        let profile = Profile::built_in(profile).expect("a profile");
        GatewayKeys::read(&mut text.as_bytes(), &old, &new, &profile, keys_max)
    }

    #[test]
    fn every_spelling_of_a_listed_key_means_it() {
        let keys = keys("# of the database\nAbCdEfGhIjKlMnOpQrSt0123\r\n\n", "new-api").expect("good lines");
        let old = FingerprintHasher::new(OLD).expect("long enough");
        let find = |text: &str| keys.find(&old.fingerprint(&NormalisedKey::Exact(text)));
        let known = find("AbCdEfGhIjKlMnOpQrSt0123").expect("it is listed");
        for text in [
            "sk-AbCdEfGhIjKlMnOpQrSt0123",
            "Bearer sk-AbCdEfGhIjKlMnOpQrSt0123",
            "bearer AbCdEfGhIjKlMnOpQrSt0123",
        ] {
            assert_eq!(find(text), Some(known.clone()), "{text}");
        }
        assert_eq!(find("sk-another"), None);
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line_alone() {
        let error = keys("sk-good0123456789\nsk-b\u{e4}d\n", "new-api")
            .err()
            .expect("it is wrong");
        let text = error.to_string();
        assert!(
            text.contains("line 2 is no key that profile new-api takes"),
            "{text}"
        );
        assert!(!text.contains("sk-"), "{text}");
    }
    #[test]
    fn a_list_has_a_bound() {
        assert!(at_most(2, "# two\nsk-one\nsk-two\n", "openai").is_ok());
        let error = at_most(2, "sk-one\nsk-two\nsk-three\n", "openai")
            .err()
            .expect("too many");
        assert!(
            error.to_string().contains("line 3 is one of more than 2 keys"),
            "{error}"
        );
    }
}
