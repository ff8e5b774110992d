//! Administrators, sessions and tokens: the port, one piece of work on one session each.

mod administrators;
mod sessions;
mod tokens;

use async_trait::async_trait;
use sentinel_core::account::external::ExternalAdministrator;
use sentinel_core::account::second_factor::SecondFactorProof;
use sentinel_core::account::session::{AdminSession, Refresh, Refreshed, SessionId, SessionInForce, Whose};
use sentinel_core::account::{
    Administrator, AdministratorChange, AdministratorId, ApiToken, ApiTokenId, NewAdministrator, NewApiToken,
    SecretDigest,
};
use sentinel_core::event::Actor;
use sentinel_core::ports::{AccountStore, AdministratorAdded, InUse, StoreError};
use sentinel_core::time::Timestamp;

use super::PostgresStore;
use super::ports::run;
use super::sessions::Scope;

#[async_trait]
impl AccountStore for PostgresStore {
    async fn administrators(&self) -> Result<Vec<Administrator>, StoreError> {
        run!(self, Scope::Question, |session| administrators::all(session))
    }

    async fn administrator_named(&self, name: &str) -> Result<Option<Administrator>, StoreError> {
        let name = name.to_owned();
        run!(self, Scope::Question, |session| administrators::named(
            session, &name
        ))
    }

    async fn administrator(&self, id: AdministratorId) -> Result<Option<Administrator>, StoreError> {
        run!(self, Scope::Question, |session| administrators::by_id(
            session, id
        ))
    }

    async fn add_administrator(
        &self,
        new: NewAdministrator,
        actor: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        run!(self, Scope::Change, |session| administrators::add(
            session, &new, &actor
        ))
    }

    async fn admit_external(
        &self,
        external: ExternalAdministrator,
        from: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        run!(self, Scope::Change, |session| administrators::admit_external(
            session, &external, &from
        ))
    }

    async fn change_administrator(
        &self,
        id: AdministratorId,
        change: AdministratorChange,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        run!(self, Scope::Change, |session| administrators::change(
            session, id, &change, &actor
        ))
    }

    async fn remove_administrator(
        &self,
        id: AdministratorId,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        run!(self, Scope::Change, |session| administrators::remove(
            session, id, &actor
        ))
    }

    async fn spend_second_factor(
        &self,
        id: AdministratorId,
        proof: SecondFactorProof,
    ) -> Result<bool, StoreError> {
        run!(self, Scope::Change, |session| administrators::spend(
            session, id, &proof
        ))
    }

    async fn begin_session(&self, new: AdminSession) -> Result<bool, StoreError> {
        run!(self, Scope::Change, |session| sessions::begin(session, &new))
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionInForce>, StoreError> {
        run!(self, Scope::Question, |session| sessions::in_force(
            session, id, now
        ))
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        run!(self, Scope::Change, |session| sessions::refresh(
            session, &refresh
        ))
    }

    async fn sessions(&self, whose: Whose, now: Timestamp) -> Result<Vec<AdminSession>, StoreError> {
        run!(self, Scope::Question, |session| sessions::list(
            session, whose, now
        ))
    }

    async fn end_session(
        &self,
        id: SessionId,
        whose: Whose,
        action: &'static str,
        actor: Actor,
    ) -> Result<Option<AdminSession>, StoreError> {
        run!(self, Scope::Change, |session| sessions::end(
            session, id, whose, action, &actor
        ))
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        run!(self, Scope::Question, |session| tokens::all(session))
    }

    async fn token(&self, digest: SecretDigest) -> Result<Option<ApiToken>, StoreError> {
        run!(self, Scope::Question, |session| tokens::with_digest(
            session, &digest
        ))
    }

    async fn add_token(&self, new: NewApiToken, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        run!(self, Scope::Change, |session| tokens::add(session, &new, &actor))
    }

    async fn remove_token(&self, id: ApiTokenId, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        run!(self, Scope::Change, |session| tokens::remove(session, id, &actor))
    }

    async fn note_use(&self, used: InUse, now: Timestamp) -> Result<(), StoreError> {
        match used {
            InUse::Session(id) => run!(self, Scope::Question, |session| sessions::note_use(
                session, id, now
            )),
            InUse::Token(id) => run!(self, Scope::Question, |session| tokens::note_use(
                session, id, now
            )),
        }
    }
}
