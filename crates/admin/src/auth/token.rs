//! Tokens: JWTs signed with HMAC-SHA256 under the installation's secret, judged by the injected clock.
//!
//! The algorithm is pinned and every claim is required by type: a token without one does not parse. A token by itself opens nothing but what
//! [`super::caller`] finds its session good for.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use sentinel_core::account::Role;
use sentinel_core::account::session::SessionId;
use sentinel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::auth::sessions::ALONE_LIFE_MAX;
use crate::error::AdminError;

/// The least length of the secret, in bytes: as long as the hash it keys (RFC 7518, section 3.2).
pub const JWT_SECRET_BYTES_MIN: usize = 32;
/// The shortest life of a token.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_mins(1);
/// The longest life of a token.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_hours(24);
/// For how long a token is good unless set otherwise.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_hours(1);
/// By how much another replica's clock may be ahead, in seconds. Expiry has no leeway.
const CLOCK_SKEW_SECONDS_MAX: i64 = 30;

const ISSUER: &str = "sentinel";
const AUDIENCE: &str = "sentinel-admin";

/// The secret that signs tokens. Does not print; wiped when dropped.
pub struct JwtSecret(Zeroizing<Vec<u8>>);

impl JwtSecret {
    /// Takes the bytes over; refuses fewer than [`JWT_SECRET_BYTES_MIN`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, AdminError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < JWT_SECRET_BYTES_MIN {
            return Err(AdminError::JwtSecretTooShort(bytes.len()));
        }
        Ok(Self(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JwtSecret(redacted)")
    }
}

/// For how long a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLife(Duration);

impl TokenLife {
    /// Refuses what is outside [`TOKEN_LIFE_MIN`] to [`TOKEN_LIFE_MAX`].
    pub fn new(life: Duration) -> Result<Self, AdminError> {
        if (TOKEN_LIFE_MIN..=TOKEN_LIFE_MAX).contains(&life) {
            Ok(Self(life))
        } else {
            Err(AdminError::TokenLife)
        }
    }

    /// How long that is.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl Default for TokenLife {
    fn default() -> Self {
        Self(TOKEN_LIFE_DEFAULT)
    }
}

/// What a token says. All of it is required; times are seconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    /// The session's name.
    pub(crate) sid: String,
    /// The most that it may be used for; the account's own role holds besides.
    pub(crate) role: String,
    /// Whether the session lives in this token alone.
    pub(crate) alone: bool,
}

/// For whom a token is, or was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) session: SessionId,
    /// Whether the session lives in its token alone; then the token is short-lived.
    pub(crate) is_alone: bool,
}

/// A token that was just made. Does not print.
pub(crate) struct IssuedToken {
    pub(crate) token: Zeroizing<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) life_seconds: i64,
}

/// The token was not made by this installation, for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRefused;

/// Makes and checks tokens.
pub(crate) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    life: TokenLife,
}

impl Tokens {
    pub(crate) fn new(secret: &JwtSecret, life: TokenLife) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would ask the machine's clock; `check` asks the injected one.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            signing: EncodingKey::from_secret(&secret.0),
            checking: DecodingKey::from_secret(&secret.0),
            validation,
            life,
        }
    }

    /// A token, good from now on. None when signing fails.
    pub(crate) fn issue(&self, subject: &Subject, now: Timestamp) -> Option<IssuedToken> {
        let issued_at = seconds(now);
        let life = self.life_seconds(subject.is_alone);
        let expires = issued_at.saturating_add(life);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject.name.clone(),
            iat: issued_at,
            nbf: issued_at,
            exp: expires,
            sid: subject.session.to_string(),
            role: subject.role.as_str().to_owned(),
            alone: subject.is_alone,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()?;
        Some(IssuedToken {
            token: Zeroizing::new(token),
            expires_at: Timestamp::from_unix_ms(expires.saturating_mul(1000)),
            life_seconds: life,
        })
    }

    /// For whom the token was made.
    pub(crate) fn check(&self, token: &str, now: Timestamp) -> Result<Subject, TokenRefused> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation)
            .map_err(|_| TokenRefused)?
            .claims;
        let now = seconds(now);
        let latest_start = now.saturating_add(CLOCK_SKEW_SECONDS_MAX);
        let is_current = claims.nbf <= latest_start && claims.iat <= latest_start && now < claims.exp;
        // A shorter life in the configuration holds for tokens that were made before, too.
        let is_short_enough = claims.exp.saturating_sub(claims.iat) <= self.life_seconds(claims.alone);
        if !(is_current && is_short_enough) {
            return Err(TokenRefused);
        }
        Ok(Subject {
            role: Role::from_word(&claims.role).ok_or(TokenRefused)?,
            session: SessionId::parse(&claims.sid).ok_or(TokenRefused)?,
            name: claims.sub,
            is_alone: claims.alone,
        })
    }

    fn life_seconds(&self, is_alone: bool) -> i64 {
        let alone = TokenLife(ALONE_LIFE_MAX);
        if is_alone {
            self.life.seconds().min(alone.seconds())
        } else {
            self.life.seconds()
        }
    }
}

fn seconds(moment: Timestamp) -> i64 {
    moment.unix_ms().div_euclid(1000)
}

#[cfg(test)]
pub(crate) mod tests;
