//! The second factor as stores keep it: a sealed secret, the last code's step, and what is left of the recovery codes. What a code is,
//! and how a secret is sealed, nothing in here knows.

use std::fmt;

use super::{Administrator, SecretDigest};

/// How many recovery codes an administrator is given at most.
pub const RECOVERY_CODES_MAX: usize = 10;

/// The secret that codes are made from, sealed under a key that the store does not have. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// To store or to open it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedSecret(redacted)")
    }
}

/// What an administrator has to show besides the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// What codes are made from.
    pub secret: SealedSecret,
    /// The step of the last code that was taken: none up to it is taken again.
    pub last_step: i64,
    /// The recovery codes that were not used yet.
    pub recovery: Vec<SecretDigest>,
}

/// What was shown at a sign-in, and was found right as far as the store is not needed to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactorProof {
    /// A code of this step.
    Step(i64),
    /// A recovery code.
    Recovery(SecretDigest),
}

impl SecondFactorProof {
    /// Takes it, once: false when it was taken before, or is no recovery code of this administrator.
    pub fn spend(&self, administrator: &mut Administrator) -> bool {
        let Some(factor) = &mut administrator.second_factor else {
            return false;
        };
        match self {
            Self::Step(step) if *step > factor.last_step => {
                factor.last_step = *step;
                true
            }
            Self::Step(_) => false,
            Self::Recovery(digest) => {
                let before = factor.recovery.len();
                factor.recovery.retain(|known| known != digest);
                factor.recovery.len() < before
            }
        }
    }
}
