//! Administrators, sessions and tokens: the port, one call to a reader or to the writer each.

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

use super::SqliteStore;

#[async_trait]
impl AccountStore for SqliteStore {
    async fn administrators(&self) -> Result<Vec<Administrator>, StoreError> {
        self.read(administrators::all).await
    }

    async fn administrator_named(&self, name: &str) -> Result<Option<Administrator>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| administrators::named(connection, &name))
            .await
    }

    async fn administrator(&self, id: AdministratorId) -> Result<Option<Administrator>, StoreError> {
        self.read(move |connection| administrators::by_id(connection, id))
            .await
    }

    async fn add_administrator(
        &self,
        new: NewAdministrator,
        actor: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        self.write(move |connection| administrators::add(connection, &new, &actor))
            .await
    }

    async fn admit_external(
        &self,
        external: ExternalAdministrator,
        from: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        self.write(move |connection| administrators::admit_external(connection, &external, &from))
            .await
    }

    async fn change_administrator(
        &self,
        id: AdministratorId,
        change: AdministratorChange,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        self.write(move |connection| administrators::change(connection, id, &change, &actor))
            .await
    }

    async fn remove_administrator(
        &self,
        id: AdministratorId,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        self.write(move |connection| administrators::remove(connection, id, &actor))
            .await
    }

    async fn spend_second_factor(
        &self,
        id: AdministratorId,
        proof: SecondFactorProof,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| administrators::spend(connection, id, &proof))
            .await
    }

    async fn begin_session(&self, session: AdminSession) -> Result<bool, StoreError> {
        self.write(move |connection| sessions::begin(connection, &session))
            .await
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionInForce>, StoreError> {
        self.read(move |connection| sessions::in_force(connection, id, now))
            .await
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        self.write(move |connection| sessions::refresh(connection, &refresh))
            .await
    }

    async fn sessions(&self, whose: Whose, now: Timestamp) -> Result<Vec<AdminSession>, StoreError> {
        self.read(move |connection| sessions::list(connection, whose, now))
            .await
    }

    async fn end_session(
        &self,
        id: SessionId,
        whose: Whose,
        action: &'static str,
        actor: Actor,
    ) -> Result<Option<AdminSession>, StoreError> {
        self.write(move |connection| sessions::end(connection, id, whose, action, &actor))
            .await
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.read(tokens::all).await
    }

    async fn token(&self, digest: SecretDigest) -> Result<Option<ApiToken>, StoreError> {
        self.read(move |connection| tokens::with_digest(connection, &digest))
            .await
    }

    async fn add_token(&self, new: NewApiToken, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        self.write(move |connection| tokens::add(connection, &new, &actor))
            .await
    }

    async fn remove_token(&self, id: ApiTokenId, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        self.write(move |connection| tokens::remove(connection, id, &actor))
            .await
    }

    async fn note_use(&self, used: InUse, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| match used {
            InUse::Session(id) => sessions::note_use(connection, id, now),
            InUse::Token(id) => tokens::note_use(connection, id, now),
        })
        .await
    }
}
