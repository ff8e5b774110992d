//! Passwords and their argon2id hashes. A password is wiped after use and is never in an error or a log.

use std::fmt;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{ARGON2ID_IDENT, Argon2, Params};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::error::AdminError;

/// The longest password, in bytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;
/// The fewest characters of an administrator's password; the configured account's is the configuration's affair.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// The most memory that verifying may take, in KiB.
pub(crate) const HASH_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most passes that verifying may take.
pub(crate) const HASH_PASSES_MAX: u32 = 32;
/// The most lanes that verifying may take.
pub(crate) const HASH_LANES_MAX: u32 = 16;

/// A password in clear. Does not print; wiped when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text over, so that no second copy stays behind.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(redacted)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// An argon2id hash that can be verified within bounds. Does not print.
#[derive(Clone)]
pub struct PasswordHash(phc::PasswordHash);

impl PasswordHash {
    /// Reads a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
    pub fn parse(text: &str) -> Result<Self, AdminError> {
        let malformed = |error: &dyn fmt::Display| AdminError::PasswordHash(error.to_string());
        let hash = phc::PasswordHash::new(text.trim()).map_err(|error| malformed(&error))?;
        if hash.algorithm != ARGON2ID_IDENT {
            return Err(malformed(&"the algorithm is another one"));
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(malformed(&"the salt or the hash is missing"));
        }
        let params = Params::try_from(&hash).map_err(|error| malformed(&error))?;
        let affordable = params.m_cost() <= HASH_MEMORY_KIB_MAX
            && params.t_cost() <= HASH_PASSES_MAX
            && params.p_cost() <= HASH_LANES_MAX;
        if affordable {
            Ok(Self(hash))
        } else {
            Err(AdminError::PasswordHashCost)
        }
    }

    /// Whether it is the hash of `password`. Takes tens of milliseconds and megabytes: never on an asynchronous thread.
    pub(crate) fn verify(&self, password: &Password) -> bool {
        Argon2::default()
            .verify_password(password.expose(), &self.0)
            .is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(redacted)")
    }
}

/// The argon2id hash of a password, as a PHC string with a fresh salt. Takes tens of milliseconds: never on an asynchronous thread.
pub fn hash_password(plain: &Password) -> Result<String, AdminError> {
    hash_with(plain, Params::default())
}

/// Whether a configured password is meant as a hash and not as the password itself. Whether it is a good one,
/// [`PasswordHash::parse`] says; so a damaged hash is an error and never becomes a password.
pub fn is_password_hash(text: &str) -> bool {
    text.trim_start().starts_with("$argon2")
}

fn hash_with(plain: &Password, params: Params) -> Result<String, AdminError> {
    if plain.expose().is_empty() || plain.expose().len() > PASSWORD_BYTES_MAX {
        return Err(AdminError::PasswordLength);
    }
    Argon2::from(params)
        .hash_password(plain.expose())
        .map(|hash| hash.to_string())
        .map_err(|error| AdminError::Hashing(error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A hash that costs next to nothing, for tests of what is around it.
    pub(crate) fn cheap_hash(password: &str) -> PasswordHash {
        PasswordHash::parse(&cheap_text(password)).expect("our own hash")
    }

    /// The same as text.
    pub(crate) fn cheap_text(password: &str) -> String {
        let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("the least there is");
        hash_with(&Password::new(password.to_owned()), params).expect("hashes")
    }

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let text = hash_password(&Password::new("correct horse".to_owned())).expect("hashes");
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert!(is_password_hash(&text));
        let hash = PasswordHash::parse(&text).expect("our own hash");
        assert!(hash.verify(&Password::new("correct horse".to_owned())));
        assert!(!hash.verify(&Password::new("correct horse ".to_owned())));
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_never_a_password() {
        assert!(!is_password_hash("hunter2"));
        for damaged in [
            "$argon2id$v=19$m=19456,t=2",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            "$argon2",
        ] {
            assert!(is_password_hash(damaged));
            assert!(PasswordHash::parse(damaged).is_err(), "{damaged}");
        }
        let other = "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$bGRzc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Q";
        assert!(matches!(
            PasswordHash::parse(other),
            Err(AdminError::PasswordHash(_))
        ));
    }

    #[test]
    fn a_hash_that_costs_too_much_is_refused_at_the_bound() {
        let costing = |memory: u32, passes: u32, lanes: u32| {
            let tail = "c2FsdHNhbHQ$bGRzc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Rmc2Q";
            PasswordHash::parse(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${tail}")).err()
        };
        let too_much = Some(AdminError::PasswordHashCost);
        assert_eq!(
            costing(HASH_MEMORY_KIB_MAX, HASH_PASSES_MAX, HASH_LANES_MAX),
            None
        );
        assert_eq!(costing(HASH_MEMORY_KIB_MAX + 1, 2, 1), too_much);
        assert_eq!(costing(1024, HASH_PASSES_MAX + 1, 1), too_much);
        assert_eq!(costing(1024, 2, HASH_LANES_MAX + 1), too_much);
    }

    #[test]
    fn the_length_is_bounded() {
        let cheap = || Params::new(Params::MIN_M_COST, 1, 1, None).expect("the least there is");
        let of_length = |length: usize| hash_with(&Password::new("a".repeat(length)), cheap());
        assert_eq!(of_length(0), Err(AdminError::PasswordLength));
        assert!(of_length(PASSWORD_BYTES_MAX).is_ok());
        assert_eq!(of_length(PASSWORD_BYTES_MAX + 1), Err(AdminError::PasswordLength));
    }

    #[test]
    fn nothing_prints_a_password_or_its_hash() {
        let hash = cheap_hash("correct horse");
        let shown = format!("{:?} {hash:?}", Password::new("correct horse".to_owned()));
        assert_eq!(shown, "Password(redacted) PasswordHash(redacted)");
    }
}
