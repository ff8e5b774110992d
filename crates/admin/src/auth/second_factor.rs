//! The second factor: codes by time (RFC 6238: HMAC-SHA-1, six digits, thirty seconds, as authenticator programs have them), recovery codes,
//! and the seal under which secrets are stored.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use data_encoding::{BASE32, BASE32_NOPAD};
use sentinel_core::account::second_factor::{
    RECOVERY_CODES_MAX, SealedSecret, SecondFactor, SecondFactorProof,
};
use sentinel_core::account::{AdministratorChange, AdministratorId, SecretDigest};
use sentinel_core::event::Actor;
use sentinel_core::ports::{AccountStore, StoreError};
use sentinel_core::time::Timestamp;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::auth::password::Password;
use crate::auth::token::JWT_SECRET_BYTES_MIN;
use crate::error::AdminError;

/// By how many steps a code may be early or late.
const STEPS_MAX: i64 = 1;
const STEP_MS: i64 = 30_000;
const DIGITS: usize = 6;
/// How many random bytes a secret has, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// How many random bytes a recovery code has: 80 bits, which nobody tries out.
const RECOVERY_BYTES: usize = 10;
/// What the seal's key is made for.
const SEAL_TEXT: &[u8] = b"sentinel: second factors of administrators";
/// What authenticator programs show.
const ISSUER: &str = "Key-IP%20Sentinel";

/// The secret under which second factors are sealed; the same on all replicas, and for as long as there are any. Does not print.
pub struct SealingSecret(Zeroizing<Vec<u8>>);

impl SealingSecret {
    /// Takes the bytes over; refuses fewer than [`JWT_SECRET_BYTES_MIN`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, AdminError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < JWT_SECRET_BYTES_MIN {
            return Err(AdminError::SealingSecretTooShort(bytes.len()));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingSecret(redacted)")
    }
}

/// Seals every second factor anew that was sealed under the secret before: after that nobody needs that one. What neither opens is left.
pub async fn reseal_second_factors(
    accounts: &dyn AccountStore,
    (current, previous): (&SealingSecret, &SealingSecret),
    now: Timestamp,
) -> Result<(), StoreError> {
    let [current, previous] = [current, previous].map(SecondFactors::new);
    for administrator in accounts.administrators().await? {
        let Some(factor) = &administrator.second_factor else {
            continue;
        };
        if current.open(administrator.id, &factor.secret).is_some() {
            continue;
        }
        let secret = previous.open(administrator.id, &factor.secret);
        let Some(sealed) = secret.and_then(|secret| current.seal(administrator.id, &secret)) else {
            tracing::warn!(
                administrator = administrator.name.as_str(),
                "a second factor cannot be sealed anew"
            );
            continue;
        };
        let actor = Actor {
            name: "system".to_owned(),
            client_ip: None,
            at: now,
        };
        let change = AdministratorChange::ResealSecondFactor(sealed);
        accounts
            .change_administrator(administrator.id, change, actor)
            .await?;
    }
    Ok(())
}

/// A secret that was just made: sealed, and as the administrator's program takes it. Does not print.
pub(crate) struct Offer {
    pub(crate) sealed: SealedSecret,
    /// In Base32.
    pub(crate) secret: Zeroizing<String>,
}

/// Makes and checks second factors.
pub(crate) struct SecondFactors(LessSafeKey);

impl SecondFactors {
    pub(crate) fn new(secret: &SealingSecret) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0), SEAL_TEXT);
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("an HMAC-SHA-256 is as long as the key");
        Self(LessSafeKey::new(key))
    }

    /// A new secret for this administrator; none without randomness.
    pub(crate) fn offer(&self, administrator: AdministratorId) -> Option<Offer> {
        let secret = random::<SECRET_BYTES>()?;
        Some(Offer {
            sealed: self.seal(administrator, &*secret)?,
            secret: Zeroizing::new(BASE32.encode(&*secret)),
        })
    }

    /// Sealed for this administrator; none without randomness.
    fn seal(&self, administrator: AdministratorId, secret: &[u8]) -> Option<SealedSecret> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(*nonce),
                bound_to(administrator),
                &mut sealed,
            )
            .ok()?;
        sealed.splice(0..0, nonce.iter().copied());
        Some(SealedSecret::new(sealed))
    }

    /// The step of the code, if it is one of now for this secret.
    pub(crate) fn step(
        &self,
        administrator: AdministratorId,
        sealed: &SealedSecret,
        code: &Password,
        now: Timestamp,
    ) -> Option<i64> {
        let Some(secret) = self.open(administrator, sealed) else {
            tracing::error!(
                "a second factor cannot be opened: the secret is another one, or the store is damaged"
            );
            return None;
        };
        let step = now.unix_ms().div_euclid(STEP_MS);
        let is_right =
            |step: &i64| -> bool { code_of(&secret, *step).as_bytes().ct_eq(code.expose()).into() };
        (step - STEPS_MAX..=step + STEPS_MAX).rfind(is_right)
    }

    /// What was shown for this factor: a code of now, or what may be a recovery code.
    pub(crate) fn proof(
        &self,
        administrator: AdministratorId,
        factor: &SecondFactor,
        shown: &Password,
        now: Timestamp,
    ) -> Option<SecondFactorProof> {
        if shown.expose().len() == DIGITS {
            let step = self.step(administrator, &factor.secret, shown, now);
            return step.map(SecondFactorProof::Step);
        }
        let recovery = normalised(shown)?;
        Some(SecondFactorProof::Recovery(SecretDigest::of(recovery.as_bytes())))
    }

    fn open(&self, administrator: AdministratorId, sealed: &SealedSecret) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.as_bytes().split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .0
            .open_in_place(nonce, bound_to(administrator), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// Recovery codes as they are shown, once; none without randomness.
pub(crate) fn recovery_codes() -> Option<Vec<Zeroizing<String>>> {
    let code = || {
        let text = Zeroizing::new(
            BASE32_NOPAD
                .encode(&*random::<RECOVERY_BYTES>()?)
                .to_ascii_lowercase(),
        );
        let groups: Vec<&str> = (0..text.len())
            .step_by(4)
            .filter_map(|start| text.get(start..start + 4))
            .collect();
        Some(Zeroizing::new(groups.join("-")))
    };
    (0..RECOVERY_CODES_MAX).map(|_| code()).collect()
}

/// What of a recovery code is stored.
pub(crate) fn recovery_digest(code: &str) -> SecretDigest {
    SecretDigest::of(code.replace('-', "").as_bytes())
}

/// What authenticator programs read from a QR code.
pub(crate) fn otpauth_uri(name: &str, secret: &str) -> String {
    // Of a name's characters only `@` is written otherwise in a URI's path.
    let name = name.replace('@', "%40");
    format!(
        "otpauth://totp/{ISSUER}:{name}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30"
    )
}

/// A recovery code however it was typed.
fn normalised(shown: &Password) -> Option<Zeroizing<String>> {
    let text = std::str::from_utf8(shown.expose()).ok()?;
    let is_between = |character: char| matches!(character, '-' | ' ');
    Some(Zeroizing::new(text.replace(is_between, "").to_ascii_lowercase()))
}

fn code_of(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let start = usize::from(tag[tag.len() - 1] & 0xf);
    let number = u32::from_be_bytes([tag[start] & 0x7f, tag[start + 1], tag[start + 2], tag[start + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// A sealed secret opens for its administrator only.
fn bound_to(administrator: AdministratorId) -> Aad<[u8; 8]> {
    Aad::from(administrator.0.to_be_bytes())
}

fn random<const COUNT: usize>() -> Option<Zeroizing<[u8; COUNT]>> {
    let mut bytes = Zeroizing::new([0; COUNT]);
    getrandom::fill(&mut *bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use sentinel_core::account::memory::MemoryAccounts;
    use sentinel_core::account::{AdministratorName, NewAdministrator, Role, StoredPasswordHash};
    use sentinel_core::ports::AdministratorAdded;

    use super::*;

    const ANN: AdministratorId = AdministratorId(1);
    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn factors(byte: u8) -> SecondFactors {
        SecondFactors::new(&SealingSecret::new(vec![byte; 32]).expect("long enough"))
    }

    /// The code that an authenticator program shows.
    pub(crate) fn code_at(secret: &str, now: Timestamp) -> String {
        let secret = BASE32.decode(secret.as_bytes()).expect("Base32");
        code_of(&secret, now.unix_ms().div_euclid(STEP_MS))
    }

    fn shown(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn after_the_secret_was_changed_the_same_codes_are_good() {
        let accounts = MemoryAccounts::default();
        let actor = || Actor {
            name: "root".to_owned(),
            client_ip: None,
            at: NOW,
        };
        let new = NewAdministrator {
            name: AdministratorName::new("ann").expect("a name"),
            role: Role::Owner,
            password: StoredPasswordHash::new("$argon2id$x".to_owned()),
        };
        let AdministratorAdded::Done(ann) = accounts
            .add_administrator(new, actor())
            .await
            .expect("memory works")
        else {
            panic!("she was to be added");
        };
        let offer = factors(1).offer(ann.id).expect("randomness");
        let factor = SecondFactor {
            secret: offer.sealed,
            last_step: 7,
            recovery: Vec::new(),
        };
        let change = AdministratorChange::SetSecondFactor(factor);
        accounts
            .change_administrator(ann.id, change, actor())
            .await
            .expect("memory works");
        let [before, current] = [1, 2].map(|byte| SealingSecret::new(vec![byte; 32]).expect("long enough"));
        for _ in 0..2 {
            reseal_second_factors(&accounts, (&current, &before), NOW)
                .await
                .expect("memory works");
            let stored = accounts.administrator(ann.id).await.expect("memory works");
            let factor = stored.and_then(|ann| ann.second_factor).expect("she has one");
            assert_eq!(factor.last_step, 7);
            let code = shown(&code_at(&offer.secret, NOW));
            assert!(factors(2).step(ann.id, &factor.secret, &code, NOW).is_some());
            assert!(factors(1).step(ann.id, &factor.secret, &code, NOW).is_none());
        }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(b"12345678901234567890", seconds / 30), code);
        }
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after() {
        let factors = factors(1);
        let offer = factors.offer(ANN).expect("randomness");
        let code = shown(&code_at(&offer.secret, NOW));
        let at = |steps: i64| Timestamp::from_unix_ms(NOW.unix_ms() + steps * STEP_MS);
        let step = NOW.unix_ms().div_euclid(STEP_MS);
        for (steps, is_good) in [
            (-2, false),
            (-STEPS_MAX, true),
            (0, true),
            (STEPS_MAX, true),
            (2, false),
        ] {
            let found = factors.step(ANN, &offer.sealed, &code, at(steps));
            assert_eq!(found, is_good.then_some(step), "{steps}");
        }
        for wrong in ["", "00000", "0000000", "abcdef"] {
            assert_eq!(factors.step(ANN, &offer.sealed, &shown(wrong), NOW), None);
        }
    }

    #[test]
    fn a_seal_opens_under_its_key_for_its_administrator_and_unchanged() {
        let offer = factors(1).offer(ANN).expect("randomness");
        assert!(factors(1).open(ANN, &offer.sealed).is_some());
        assert!(factors(2).open(ANN, &offer.sealed).is_none());
        assert!(factors(1).open(AdministratorId(2), &offer.sealed).is_none());
        let mut bytes = offer.sealed.as_bytes().to_vec();
        bytes[NONCE_LEN] ^= 1;
        assert!(factors(1).open(ANN, &SealedSecret::new(bytes)).is_none());
        assert!(factors(1).open(ANN, &SealedSecret::new(vec![0; 5])).is_none());
        let plain = BASE32.decode(offer.secret.as_bytes()).expect("Base32");
        assert!(
            !offer
                .sealed
                .as_bytes()
                .windows(plain.len())
                .any(|part| part == plain)
        );
    }

    #[test]
    fn recovery_codes_are_taken_however_they_are_typed() {
        let codes = recovery_codes().expect("randomness");
        assert_eq!(codes.len(), RECOVERY_CODES_MAX);
        let code = codes[0].as_str();
        assert_eq!((code.len(), code.matches('-').count()), (19, 3));
        let factor = SecondFactor {
            secret: SealedSecret::new(Vec::new()),
            last_step: 0,
            recovery: Vec::new(),
        };
        for typed in [code.to_owned(), code.to_uppercase(), code.replace('-', " ")] {
            let proof = factors(1).proof(ANN, &factor, &shown(&typed), NOW);
            assert_eq!(
                proof,
                Some(SecondFactorProof::Recovery(recovery_digest(code))),
                "{typed}"
            );
        }
    }

    #[test]
    fn the_secret_is_long_enough_and_does_not_print() {
        assert_eq!(
            SealingSecret::new(vec![0; 31]).err(),
            Some(AdminError::SealingSecretTooShort(31))
        );
        let secret = SealingSecret::new(vec![0; 32]).expect("long enough");
        assert_eq!(format!("{secret:?}"), "SealingSecret(redacted)");
        assert_eq!(
            otpauth_uri("ann@example", "ABC"),
            "otpauth://totp/Key-IP%20Sentinel:ann%40example?secret=ABC&issuer=Key-IP%20Sentinel&algorithm=SHA1&digits=6&period=30"
        );
    }
}
