//! Who may use the admin API, and as what: roles, administrators, their sessions, and tokens for programs.
//!
//! What a store must not decide by itself (which refresh is good, which second factor is spent) is decided in here, so that every store
//! decides alike. Secrets are in here as digests, hashes or sealed, and none of them prints.

pub mod external;
pub mod second_factor;
pub mod session;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "conformance")]
pub mod memory;

use std::fmt;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::event::{Actor, AdminEvent};
use crate::time::Timestamp;
use external::ExternalIdentity;
use second_factor::{SealedSecret, SecondFactor};
use session::SessionId;

/// The most administrators beside the configured one.
pub const ADMINISTRATORS_MAX: usize = 200;
/// The most tokens for programs.
pub const API_TOKENS_MAX: usize = 100;
/// The most characters of an administrator's name.
pub const NAME_CHARACTERS_MAX: usize = 64;
/// The most characters of a token's name.
pub const TOKEN_NAME_CHARACTERS_MAX: usize = 64;

/// Names that admin events use for others than administrators.
const RESERVED_NAMES: [&str; 3] = ["cli", "system", "unknown"];

/// What an account may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks at everything but secrets.
    Viewer,
    /// Works with bindings and alerts, too.
    Operator,
    /// Changes settings and accounts, too.
    Owner,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Owner];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }

    /// The role that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// An administrator's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdministratorId(pub i64);

/// A token's number; not the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiTokenId(pub i64);

/// An administrator's name: letters and digits of ASCII and `.`, `_`, `@`, `-`, so that no two names look alike and none stands for
/// something else in the admin events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AdministratorName(String);

impl AdministratorName {
    /// The name, if it can be one.
    pub fn new(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
        let is_good = !name.is_empty()
            && name.len() <= NAME_CHARACTERS_MAX
            && name.bytes().all(is_allowed)
            && !RESERVED_NAMES
                .iter()
                .any(|reserved| reserved.eq_ignore_ascii_case(name));
        is_good.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of a secret with so much randomness that nobody finds it by trying. Does not print.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Of this secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// As it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To store it.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretDigest(redacted)")
    }
}

/// The argon2id hash of a password, as a PHC string. Does not print; whether it is a good one, who verifies it finds out.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPasswordHash(String);

impl StoredPasswordHash {
    /// Takes the text over.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// To store or to verify it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoredPasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoredPasswordHash(redacted)")
    }
}

/// An administrator, as the store has it. The configured account is none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// Its number.
    pub id: AdministratorId,
    /// What to sign in as; no other has it, whatever the case of its letters.
    pub name: AdministratorName,
    /// What it may do.
    pub role: Role,
    /// What its password is compared with; empty when a provider vouches for it, for then no password is it.
    pub password: StoredPasswordHash,
    /// Who it is at the provider that vouches for it; none when it was added here.
    pub external: Option<ExternalIdentity>,
    /// A disabled one cannot sign in, and its sessions are over.
    pub is_disabled: bool,
    /// What it has to show besides the password.
    pub second_factor: Option<SecondFactor>,
    /// What it was offered and has not confirmed yet.
    pub pending_second_factor: Option<SealedSecret>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// An administrator who is about to be.
#[derive(Clone, Debug)]
pub struct NewAdministrator {
    /// What to sign in as.
    pub name: AdministratorName,
    /// What it may do.
    pub role: Role,
    /// What its password is compared with.
    pub password: StoredPasswordHash,
}

/// What is changed about an administrator.
#[derive(Clone, Debug)]
pub enum AdministratorChange {
    /// What it may do, and whether at all. Disabling ends its sessions.
    Access {
        /// Another role.
        role: Option<Role>,
        /// Whether it is disabled.
        is_disabled: Option<bool>,
    },
    /// Another password, by itself; ends its other sessions.
    Password {
        /// What the new one is compared with.
        hash: StoredPasswordHash,
        /// The session that goes on.
        keeps: Option<SessionId>,
    },
    /// Another password, by somebody else; ends its sessions.
    ResetPassword(StoredPasswordHash),
    /// A second factor is offered.
    OfferSecondFactor(SealedSecret),
    /// The offered second factor is in use from now on.
    SetSecondFactor(SecondFactor),
    /// The second factor is sealed under another secret, and otherwise as it was.
    ResealSecondFactor(SealedSecret),
    /// No second factor any more, by itself.
    RemoveSecondFactor,
    /// No second factor any more, by somebody else; ends its sessions.
    ResetSecondFactor,
}

impl AdministratorChange {
    /// Makes the change.
    pub fn apply(&self, administrator: &mut Administrator) {
        match self {
            Self::Access { role, is_disabled } => {
                administrator.role = role.unwrap_or(administrator.role);
                administrator.is_disabled = is_disabled.unwrap_or(administrator.is_disabled);
            }
            Self::Password { hash, .. } | Self::ResetPassword(hash) => administrator.password = hash.clone(),
            Self::OfferSecondFactor(secret) => administrator.pending_second_factor = Some(secret.clone()),
            Self::SetSecondFactor(factor) => {
                administrator.second_factor = Some(factor.clone());
                administrator.pending_second_factor = None;
            }
            Self::ResealSecondFactor(secret) => {
                if let Some(factor) = &mut administrator.second_factor {
                    factor.secret = secret.clone();
                }
            }
            Self::RemoveSecondFactor | Self::ResetSecondFactor => {
                administrator.second_factor = None;
                administrator.pending_second_factor = None;
            }
        }
    }

    /// Whether the administrator's sessions end with it, and if so, which one does not.
    pub fn ends_sessions_but(&self) -> Option<Option<SessionId>> {
        match self {
            Self::Access {
                is_disabled: Some(true),
                ..
            }
            | Self::ResetPassword(_)
            | Self::ResetSecondFactor => Some(None),
            Self::Password { keeps, .. } => Some(*keeps),
            Self::Access { .. }
            | Self::OfferSecondFactor(_)
            | Self::SetSecondFactor(_)
            | Self::ResealSecondFactor(_)
            | Self::RemoveSecondFactor => None,
        }
    }

    /// The word for it in the admin events.
    const fn action(&self) -> &'static str {
        match self {
            Self::Access { .. } => "change_administrator",
            Self::Password { .. } => "change_password",
            Self::ResetPassword(_) => "reset_password",
            Self::OfferSecondFactor(_) => "offer_second_factor",
            Self::SetSecondFactor(_) => "set_second_factor",
            Self::ResealSecondFactor(_) => "reseal_second_factor",
            Self::RemoveSecondFactor => "remove_second_factor",
            Self::ResetSecondFactor => "reset_second_factor",
        }
    }

    /// The admin event of the change.
    pub fn event(&self, actor: &Actor, before: &Administrator, after: &Administrator) -> AdminEvent {
        administrator_event(self.action(), actor, Some(before), Some(after))
    }
}

/// The admin event of an administrator that was added, changed or removed.
pub fn administrator_event(
    action: &str,
    actor: &Actor,
    before: Option<&Administrator>,
    after: Option<&Administrator>,
) -> AdminEvent {
    let state = |administrator: &Administrator| {
        json!({
            "role": administrator.role.as_str(),
            "is_disabled": administrator.is_disabled,
            "has_second_factor": administrator.second_factor.is_some(),
        })
    };
    let subject = after.or(before);
    let mut detail = json!({
        "administrator": subject.map(|administrator| administrator.id.0),
        "name": subject.map(|administrator| administrator.name.as_str()),
        "before": before.map(state),
        "after": after.map(state),
    });
    if let Some(identity) = subject.and_then(|administrator| administrator.external.as_ref()) {
        detail["external"] = json!({"issuer": identity.issuer(), "subject": identity.subject()});
    }
    AdminEvent::by(actor, action, detail.to_string())
}

/// A token for a program. Not the secret: that is shown once and stored as a digest only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its beginning, to recognise it by.
    pub hint: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// From when on it is good no more.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token that is about to be.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its beginning, to recognise it by.
    pub hint: String,
    /// The digest of the secret.
    pub digest: SecretDigest,
    /// From when on it is good no more.
    pub expires_at: Option<Timestamp>,
}

/// The admin event of a token that was made or taken back.
pub fn token_event(action: &str, actor: &Actor, token: &ApiToken) -> AdminEvent {
    let detail = json!({
        "token": token.id.0,
        "name": token.name,
        "role": token.role.as_str(),
        "hint": token.hint,
        "expires_at": token.expires_at.map(Timestamp::rfc3339),
    });
    AdminEvent::by(actor, action, detail.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_have_words() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Owner);
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_word("root"), None);
    }

    #[test]
    fn names_are_bounded_plain_and_nobody_elses() {
        for name in [
            "a",
            "Zoë".trim_end_matches('ë'),
            "ann.b_c@example-1",
            &"a".repeat(NAME_CHARACTERS_MAX),
        ] {
            assert!(AdministratorName::new(name).is_some(), "{name}");
        }
        let long = "a".repeat(NAME_CHARACTERS_MAX + 1);
        for name in [
            "", " a", "a b", "Zoë", "token:x", "CLI", "system", "unknown", &long,
        ] {
            assert!(AdministratorName::new(name).is_none(), "{name}");
        }
    }

    #[test]
    fn no_secret_prints() {
        let shown = format!(
            "{:?} {:?}",
            SecretDigest::of(b"x"),
            StoredPasswordHash::new("$argon2id$".to_owned())
        );
        assert_eq!(shown, "SecretDigest(redacted) StoredPasswordHash(redacted)");
    }
}
