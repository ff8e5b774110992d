//! One attempt at signing in, from lockout to verdict. The configured account can sign in while the store is away; nobody else can.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::account::external::EXTERNAL_NAME_PREFIX;
use sentinel_core::account::second_factor::{SecondFactor, SecondFactorProof};
use sentinel_core::account::{Administrator, Role};
use sentinel_core::attempts::{Attempt, AttemptLimiter, AttemptOutcome};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{AccountStore, StoreError};
use sentinel_core::time::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::auth::password::{Password, PasswordHash};
use crate::auth::second_factor::SecondFactors;
use crate::auth::verification::Verification;
use crate::parts::Account;

/// For so long the store is asked for an account.
pub(crate) const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(2);

/// A hash as administrators have it, of a password that nobody has: verified for names that are nobody's, so that those take as long.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5cyBzYWx0IQ$VN5Pv3Cp1jCWcKZc4lhbgGaIPh8TJAJjPPPBFdfnkTk";

/// What somebody shows who wants to sign in.
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: Password,
    /// A code or a recovery code.
    pub(crate) otp: Option<Password>,
}

/// Whose credentials they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The configured account's.
    Configured,
    /// This administrator's.
    Administrator(Box<Administrator>),
}

impl Holder {
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Configured => Role::Owner,
            Self::Administrator(administrator) => administrator.role,
        }
    }

    fn second_factor(&self) -> Option<(&Administrator, &SecondFactor)> {
        match self {
            Self::Configured => None,
            Self::Administrator(administrator) => administrator
                .second_factor
                .as_ref()
                .map(|factor| (&**administrator, factor)),
        }
    }
}

/// Somebody showed the right credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) holder: Holder,
    /// A recovery code was spent on it; so many are left.
    pub(crate) recovery_codes_left: Option<usize>,
}

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInRefused {
    /// The name, the password or the code is wrong; which one is not said.
    Wrong,
    /// The password is right, and a code is needed besides.
    SecondFactorRequired,
    /// Too many failures; wait for so long.
    LockedOut(Duration),
    /// Too many attempts at once.
    Busy,
    /// The store has to be asked and does not answer.
    Store(StoreError),
}

/// Signs operators in.
pub(crate) struct SignIn {
    configured: Account,
    nobody: PasswordHash,
    accounts: Arc<dyn AccountStore>,
    attempts: Arc<dyn AttemptLimiter>,
    verification: Arc<Verification>,
    factors: Arc<SecondFactors>,
}

impl SignIn {
    pub(crate) fn new(
        configured: Account,
        accounts: Arc<dyn AccountStore>,
        attempts: Arc<dyn AttemptLimiter>,
        verification: Arc<Verification>,
        factors: Arc<SecondFactors>,
    ) -> Self {
        Self {
            configured,
            nobody: PasswordHash::parse(NOBODYS_HASH).expect("a test reads it"),
            accounts,
            attempts,
            verification,
            factors,
        }
    }

    /// Whether this is the configured account's name, compared without a hint at where it differs.
    pub(crate) fn is_configured(&self, username: &str) -> bool {
        self.configured
            .username
            .as_bytes()
            .ct_eq(username.as_bytes())
            .into()
    }

    /// The configured account's name.
    pub(crate) fn configured_name(&self) -> &str {
        &self.configured.username
    }

    /// Whether an account has this name, as far as can be found out.
    pub(crate) async fn is_account(&self, username: &str) -> bool {
        matches!(self.holder(username).await, Ok(Some(_)))
    }

    /// Judges one attempt. An unknown name costs as much time as a wrong password.
    pub(crate) async fn attempt(
        &self,
        credentials: Credentials,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<SignedIn, SignInRefused> {
        let attempt = self
            .attempts
            .begin(&credentials.username, client_ip, now)
            .await
            .map_err(SignInRefused::LockedOut)?;
        let verdict = self.judge(credentials, now).await;
        let outcome = match &verdict {
            Ok(_) => AttemptOutcome::Succeeded,
            Err(SignInRefused::Wrong) => AttemptOutcome::Failed,
            Err(_) => AttemptOutcome::NotChecked,
        };
        self.attempts.settle(attempt, outcome).await;
        verdict
    }

    /// Counts an attempt to sign in by a provider, under the same limits; what comes of it has to be said by [`Self::settle`]. The name that it
    /// counts for is nobody's.
    pub(crate) async fn begin_external(
        &self,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        self.attempts.begin(EXTERNAL_NAME_PREFIX, client_ip, now).await
    }

    /// Says how such an attempt ended.
    pub(crate) async fn settle(&self, attempt: Attempt, outcome: AttemptOutcome) {
        self.attempts.settle(attempt, outcome).await;
    }

    /// Whether it is the administrator's password, under the same limits as a sign-in.
    pub(crate) async fn confirm(
        &self,
        administrator: &Administrator,
        password: Password,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<(), SignInRefused> {
        let name = administrator.name.as_str();
        let begun = self.attempts.begin(name, client_ip, now).await;
        let attempt = begun.map_err(SignInRefused::LockedOut)?;
        let verdict = match self.verification.verify(hash_of(administrator)?, password).await {
            Some(true) => Ok(()),
            Some(false) => Err(SignInRefused::Wrong),
            None => Err(SignInRefused::Busy),
        };
        let outcome = match &verdict {
            // A sign-in forgives; a confirmation by whoever holds a token does not.
            Ok(()) | Err(SignInRefused::Busy) => AttemptOutcome::NotChecked,
            Err(_) => AttemptOutcome::Failed,
        };
        self.attempts.settle(attempt, outcome).await;
        verdict
    }

    async fn judge(&self, credentials: Credentials, now: Timestamp) -> Result<SignedIn, SignInRefused> {
        let holder = self.holder(&credentials.username).await?;
        let hash = match &holder {
            Some(Holder::Configured) => self.configured.password.clone(),
            Some(Holder::Administrator(administrator)) => hash_of(administrator)?,
            None => self.nobody.clone(),
        };
        let verified = self.verification.verify(hash, credentials.password).await;
        let is_right = verified.ok_or(SignInRefused::Busy)?;
        let Some(holder) = holder.filter(|holder| is_right && !is_disabled(holder)) else {
            return Err(SignInRefused::Wrong);
        };
        let mut recovery_codes_left = None;
        if let Some((administrator, factor)) = holder.second_factor() {
            let otp = credentials.otp.ok_or(SignInRefused::SecondFactorRequired)?;
            let proof = self.factors.proof(administrator.id, factor, &otp, now);
            let proof = proof.ok_or(SignInRefused::Wrong)?;
            let spent = self.accounts.spend_second_factor(administrator.id, proof).await;
            if !spent.map_err(SignInRefused::Store)? {
                return Err(SignInRefused::Wrong);
            }
            if let SecondFactorProof::Recovery(digest) = proof {
                let others = factor.recovery.iter().filter(|known| **known != digest);
                recovery_codes_left = Some(others.count());
            }
        }
        Ok(SignedIn {
            holder,
            recovery_codes_left,
        })
    }

    /// Whose name it is, of those who have a password: whom a provider vouches for, it alone lets in. The store is asked for the configured account's name, too, so that it is not the one that is answered sooner;
    /// what the store says of it does not matter.
    async fn holder(&self, username: &str) -> Result<Option<Holder>, SignInRefused> {
        let asked = tokio::time::timeout(LOOKUP_WAIT_MAX, self.accounts.administrator_named(username)).await;
        if self.is_configured(username) {
            return Ok(Some(Holder::Configured));
        }
        let late = || {
            Err(StoreError::Unavailable(
                "no answer about an account in time".to_owned(),
            ))
        };
        let found = asked.unwrap_or_else(|_| late()).map_err(SignInRefused::Store)?;
        let local = found.filter(|administrator| administrator.external.is_none());
        Ok(local.map(|administrator| Holder::Administrator(Box::new(administrator))))
    }
}

fn is_disabled(holder: &Holder) -> bool {
    matches!(holder, Holder::Administrator(administrator) if administrator.is_disabled)
}

fn hash_of(administrator: &Administrator) -> Result<PasswordHash, SignInRefused> {
    PasswordHash::parse(administrator.password.expose()).map_err(|error| {
        let damaged = format!("administrators.password_hash: {error}");
        SignInRefused::Store(StoreError::Damaged(damaged))
    })
}

#[cfg(test)]
mod tests;
