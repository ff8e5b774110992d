//! Where administrators, their sessions and the tokens of programs are kept.

use async_trait::async_trait;

use super::StoreError;
use crate::account::external::ExternalAdministrator;
use crate::account::second_factor::SecondFactorProof;
use crate::account::session::{AdminSession, Refresh, Refreshed, SessionId, SessionInForce, Whose};
use crate::account::{
    Administrator, AdministratorChange, AdministratorId, ApiToken, ApiTokenId, NewAdministrator, NewApiToken,
    SecretDigest,
};
use crate::event::Actor;
use crate::time::Timestamp;

/// How adding an administrator ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdministratorAdded {
    /// There it is.
    Done(Box<Administrator>),
    /// Another one has this name, perhaps in other case.
    NameTaken,
    /// There are [`crate::account::ADMINISTRATORS_MAX`] already.
    Full,
}

/// What is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// A session.
    Session(SessionId),
    /// A token.
    Token(ApiTokenId),
}

/// Everything about accounts but the configured one. Every change that takes an [`Actor`] leaves an admin event in the same transaction.
/// A session that is over, and one of an administrator who is disabled or gone, is never given.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// All of them, the oldest first.
    async fn administrators(&self) -> Result<Vec<Administrator>, StoreError>;

    /// The one with this name, exactly as written.
    async fn administrator_named(&self, name: &str) -> Result<Option<Administrator>, StoreError>;

    /// The one with this number.
    async fn administrator(&self, id: AdministratorId) -> Result<Option<Administrator>, StoreError>;

    /// Adds one.
    async fn add_administrator(
        &self,
        new: NewAdministrator,
        actor: Actor,
    ) -> Result<AdministratorAdded, StoreError>;

    /// The administrator whom a provider has just vouched for, with the role that it gives now: found by identity alone, and added when there is
    /// none. One who is disabled is given as it is. The name of `from` does not count: it is the administrator's own doing.
    async fn admit_external(
        &self,
        external: ExternalAdministrator,
        from: Actor,
    ) -> Result<AdministratorAdded, StoreError>;

    /// Changes one, and gives it as it is afterwards; none when there is no such administrator.
    async fn change_administrator(
        &self,
        id: AdministratorId,
        change: AdministratorChange,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError>;

    /// Removes one with its sessions, and gives it as it was.
    async fn remove_administrator(
        &self,
        id: AdministratorId,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError>;

    /// Takes what was shown as a second factor, once: of many at the same time one is told that it is good.
    async fn spend_second_factor(
        &self,
        id: AdministratorId,
        proof: SecondFactorProof,
    ) -> Result<bool, StoreError>;

    /// Begins a session, and notes the sign-in. False when the administrator is disabled or gone. Removes sessions that are over.
    async fn begin_session(&self, session: AdminSession) -> Result<bool, StoreError>;

    /// The session, if it is in force.
    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionInForce>, StoreError>;

    /// Refreshes a session; one whose refresh comes twice ends, and leaves an admin event.
    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError>;

    /// The sessions in force, the newest first, at most [`crate::account::session::SESSIONS_SHOWN_MAX`].
    async fn sessions(&self, whose: Whose, now: Timestamp) -> Result<Vec<AdminSession>, StoreError>;

    /// Ends a session, if it is among those; `action` is the word for it in the admin events. Gives it as it was.
    async fn end_session(
        &self,
        id: SessionId,
        whose: Whose,
        action: &'static str,
        actor: Actor,
    ) -> Result<Option<AdminSession>, StoreError>;

    /// All tokens, the oldest first; those that are good no more, too.
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// The token with this digest.
    async fn token(&self, digest: SecretDigest) -> Result<Option<ApiToken>, StoreError>;

    /// Adds a token; none when there are [`crate::account::API_TOKENS_MAX`] already.
    async fn add_token(&self, new: NewApiToken, actor: Actor) -> Result<Option<ApiToken>, StoreError>;

    /// Takes a token back, and gives it as it was.
    async fn remove_token(&self, id: ApiTokenId, actor: Actor) -> Result<Option<ApiToken>, StoreError>;

    /// Notes a use, unless one was noted within [`crate::account::session::USE_NOTED_EVERY`].
    async fn note_use(&self, used: InUse, now: Timestamp) -> Result<(), StoreError>;
}
