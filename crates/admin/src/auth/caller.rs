//! From what a request carries to who sends it: a session's token, or a program's.

use std::fmt;

use sentinel_core::account::session::SessionId;
use sentinel_core::account::{AdministratorId, ApiTokenId, Role, SecretDigest};
use sentinel_core::network::ClientIp;
use zeroize::Zeroizing;

use crate::extract::SignedIn;
use crate::parts::Admin;
use crate::problem::Problem;

/// How every token of a program begins, so that one that leaked is recognised.
pub(crate) const API_TOKEN_PREFIX: &str = "sentinel_";
/// How many random bytes such a token has.
const API_TOKEN_BYTES: usize = 32;
/// The most bytes of such a token that are looked at.
const API_TOKEN_BYTES_MAX: usize = 128;
/// How many characters of it are shown to recognise it by.
const API_TOKEN_HINT_CHARACTERS: usize = API_TOKEN_PREFIX.len() + 4;

/// As what somebody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// As the configured account.
    Configured {
        session: SessionId,
        /// Whether the session lives in its token alone.
        is_alone: bool,
    },
    /// As this administrator.
    Administrator { id: AdministratorId, session: SessionId },
    /// As a program with this token.
    Program(ApiTokenId),
}

impl Identity {
    /// A name that nobody else gets, not even who is later called the same.
    pub(crate) fn account(&self) -> String {
        match self {
            Self::Configured { .. } => "configured".to_owned(),
            Self::Administrator { id, .. } => format!("administrator:{}", id.0),
            Self::Program(id) => format!("token:{}", id.0),
        }
    }
}

/// A program's token that was just made. Does not print.
pub(crate) struct NewToken(Zeroizing<String>);

impl NewToken {
    /// A random one; none without randomness.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0_u8; API_TOKEN_BYTES]);
        getrandom::fill(&mut *bytes).ok()?;
        let mut text = Zeroizing::new(API_TOKEN_PREFIX.to_owned());
        data_encoding::BASE64URL_NOPAD.encode_append(&*bytes, &mut text);
        Some(Self(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub(crate) fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.as_bytes())
    }

    /// Its beginning.
    pub(crate) fn hint(&self) -> String {
        self.0
            .chars()
            .take(API_TOKEN_HINT_CHARACTERS)
            .chain(['…'])
            .collect()
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NewToken(redacted)")
    }
}

/// Who sends this token, as that account is now.
pub(crate) async fn recognise(admin: &Admin, token: &str, client_ip: ClientIp) -> Result<SignedIn, Problem> {
    if token.starts_with(API_TOKEN_PREFIX) {
        program(admin, token, client_ip).await
    } else {
        person(admin, token, client_ip).await
    }
}

async fn program(admin: &Admin, token: &str, client_ip: ClientIp) -> Result<SignedIn, Problem> {
    if token.len() > API_TOKEN_BYTES_MAX {
        return Err(Problem::sign_in_required());
    }
    let digest = SecretDigest::of(token.as_bytes());
    let found = admin.sessions.token(digest, admin.clock.now()).await?;
    let found = found.ok_or_else(Problem::sign_in_required)?;
    Ok(SignedIn {
        name: format!("token:{}", found.name),
        client_ip,
        role: found.role,
        identity: Identity::Program(found.id),
    })
}

async fn person(admin: &Admin, token: &str, client_ip: ClientIp) -> Result<SignedIn, Problem> {
    let now = admin.clock.now();
    let checked = admin
        .tokens
        .check(token, now)
        .map_err(|_| Problem::sign_in_required())?;
    let session = checked.session;
    let signed_in = |role: Role, identity| SignedIn {
        name: checked.name.clone(),
        client_ip,
        role: role.min(checked.role),
        identity,
    };
    let is_configured = admin.sign_in.is_configured(&checked.name);
    if checked.is_alone {
        let identity = Identity::Configured {
            session,
            is_alone: true,
        };
        return if is_configured && !admin.sessions.is_signed_out(session) {
            Ok(signed_in(Role::Owner, identity))
        } else {
            Err(Problem::sign_in_required())
        };
    }
    let found = admin.sessions.in_force(session, now).await?;
    let found = found.ok_or_else(Problem::sign_in_required)?;
    match &found.administrator {
        Some(administrator) if administrator.name.as_str() == checked.name => {
            let id = administrator.id;
            Ok(signed_in(
                administrator.role,
                Identity::Administrator { id, session },
            ))
        }
        None if is_configured && found.session.account == checked.name => {
            let identity = Identity::Configured {
                session,
                is_alone: false,
            };
            Ok(signed_in(Role::Owner, identity))
        }
        _ => Err(Problem::sign_in_required()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_token_is_long_recognisable_and_does_not_print() {
        let token = NewToken::random().expect("randomness");
        assert_eq!(token.expose().len(), API_TOKEN_PREFIX.len() + 43);
        assert!(token.expose().len() <= API_TOKEN_BYTES_MAX);
        assert!(token.expose().starts_with("sentinel_"));
        assert_eq!(token.hint().chars().count(), API_TOKEN_HINT_CHARACTERS + 1);
        assert_ne!(token.digest(), NewToken::random().expect("randomness").digest());
        assert_eq!(format!("{token:?}"), "NewToken(redacted)");
    }
}
