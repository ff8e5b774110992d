//! The accounts in memory: for tests, and as the model that the conformance suite holds the others against.
//!
//! Nothing in it is kept; it must never serve an installation.

mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::external::ExternalAdministrator;
use super::second_factor::SecondFactorProof;
use super::session::{
    AdminSession, Refresh, Refreshed, SESSIONS_PER_ACCOUNT_MAX, SESSIONS_SHOWN_MAX, SessionId,
    SessionInForce, USE_NOTED_EVERY, Whose,
};
use super::{
    ADMINISTRATORS_MAX, API_TOKENS_MAX, Administrator, AdministratorChange, AdministratorId, ApiToken,
    ApiTokenId, NewAdministrator, NewApiToken, SecretDigest, administrator_event, token_event,
};
use crate::event::{Actor, AdminEvent};
use crate::ports::{AccountStore, AdminEventStore, AdministratorAdded, InUse, StoreError};
use crate::time::Timestamp;
use state::State;

type Outage = dyn Fn() -> Option<StoreError> + Send + Sync;

/// Accounts without a file. Clones share their content.
#[derive(Clone)]
pub struct MemoryAccounts {
    state: Arc<Mutex<State>>,
    outage: Arc<Outage>,
    is_silent: Arc<AtomicBool>,
}

impl Default for MemoryAccounts {
    fn default() -> Self {
        Self::failing_when(|| None)
    }
}

impl MemoryAccounts {
    /// Empty ones, which fail while `outage` says how.
    pub fn failing_when(outage: impl Fn() -> Option<StoreError> + Send + Sync + 'static) -> Self {
        Self {
            state: Arc::default(),
            outage: Arc::new(outage),
            is_silent: Arc::default(),
        }
    }

    /// From now on nobody who signs in gets an answer.
    pub fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// What was written down, the oldest first.
    pub fn events(&self) -> Vec<AdminEvent> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        match (self.outage)() {
            Some(error) => Err(error),
            None => Ok(self.lock()),
        }
    }
}

#[async_trait]
impl AccountStore for MemoryAccounts {
    async fn administrators(&self) -> Result<Vec<Administrator>, StoreError> {
        Ok(self.working()?.administrators.values().cloned().collect())
    }

    async fn administrator_named(&self, name: &str) -> Result<Option<Administrator>, StoreError> {
        if self.is_silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let state = self.working()?;
        let mut all = state.administrators.values();
        Ok(all
            .find(|administrator| administrator.name.as_str() == name)
            .cloned())
    }

    async fn administrator(&self, id: AdministratorId) -> Result<Option<Administrator>, StoreError> {
        Ok(self.working()?.administrators.get(&id).cloned())
    }

    async fn add_administrator(
        &self,
        new: NewAdministrator,
        actor: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        let mut state = self.working()?;
        if state.has(&new.name) {
            return Ok(AdministratorAdded::NameTaken);
        }
        if state.administrators.len() >= ADMINISTRATORS_MAX {
            return Ok(AdministratorAdded::Full);
        }
        let administrator = state.insert(new, None, actor.at);
        state.events.push(administrator_event(
            "add_administrator",
            &actor,
            None,
            Some(&administrator),
        ));
        Ok(AdministratorAdded::Done(Box::new(administrator)))
    }

    async fn admit_external(
        &self,
        external: ExternalAdministrator,
        from: Actor,
    ) -> Result<AdministratorAdded, StoreError> {
        Ok(self.working()?.admit(external, &from))
    }

    async fn change_administrator(
        &self,
        id: AdministratorId,
        change: AdministratorChange,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        let mut state = self.working()?;
        let Some(before) = state.administrators.get(&id).cloned() else {
            return Ok(None);
        };
        let mut after = before.clone();
        change.apply(&mut after);
        if let Some(kept) = change.ends_sessions_but() {
            state
                .sessions
                .retain(|session| session.administrator != Some(id) || Some(session.id) == kept);
        }
        state.events.push(change.event(&actor, &before, &after));
        state.administrators.insert(id, after.clone());
        Ok(Some(after))
    }

    async fn remove_administrator(
        &self,
        id: AdministratorId,
        actor: Actor,
    ) -> Result<Option<Administrator>, StoreError> {
        let mut state = self.working()?;
        let removed = state.administrators.remove(&id);
        if let Some(administrator) = &removed {
            state.sessions.retain(|session| session.administrator != Some(id));
            state.events.push(administrator_event(
                "remove_administrator",
                &actor,
                Some(administrator),
                None,
            ));
        }
        Ok(removed)
    }

    async fn spend_second_factor(
        &self,
        id: AdministratorId,
        proof: SecondFactorProof,
    ) -> Result<bool, StoreError> {
        let mut state = self.working()?;
        Ok(state
            .administrators
            .get_mut(&id)
            .is_some_and(|administrator| proof.spend(administrator)))
    }

    async fn begin_session(&self, session: AdminSession) -> Result<bool, StoreError> {
        if self.is_silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let mut state = self.working()?;
        let now = session.created_at;
        if state.in_force(&session, now).is_none() {
            return Ok(false);
        }
        state.sessions.retain(|session| !session.is_over(now));
        if let Some(id) = session.administrator
            && let Some(administrator) = state.administrators.get_mut(&id)
        {
            administrator.last_sign_in_at = Some(now);
        }
        let whose = Whose::Of(session.administrator);
        let mut own: Vec<(Timestamp, SessionId)> = state
            .sessions
            .iter()
            .filter(|other| whose.includes(other))
            .map(|other| (other.last_seen_at, other.id))
            .collect();
        own.sort_by_key(|(seen_at, _)| *seen_at);
        let surplus = (own.len() + 1).saturating_sub(SESSIONS_PER_ACCOUNT_MAX);
        for (_, id) in own.into_iter().take(surplus) {
            state.sessions.retain(|other| other.id != id);
        }
        state.sessions.push(session);
        Ok(true)
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<Option<SessionInForce>, StoreError> {
        let state = self.working()?;
        let found = state.sessions.iter().find(|session| session.id == id);
        Ok(found.and_then(|session| state.in_force(session, now)))
    }

    async fn refresh_session(&self, refresh: Refresh) -> Result<Refreshed, StoreError> {
        let mut state = self.working()?;
        let Some(place) = state.sessions.iter().position(|session| session.id == refresh.id) else {
            return Ok(Refreshed::Gone);
        };
        let Some(found) = state.in_force(&state.sessions[place], refresh.now) else {
            return Ok(Refreshed::Gone);
        };
        let refreshed = found.refresh(&refresh);
        match &refreshed {
            Refreshed::Done(session) => state.sessions[place] = session.clone(),
            Refreshed::Reused(session) => {
                let event = session.reuse_event(&refresh);
                state.events.push(event);
                state.sessions.remove(place);
            }
            Refreshed::Gone => {}
        }
        Ok(refreshed)
    }

    async fn sessions(&self, whose: Whose, now: Timestamp) -> Result<Vec<AdminSession>, StoreError> {
        let state = self.working()?;
        let in_force = state.sessions.iter().rev();
        Ok(in_force
            .filter(|session| whose.includes(session) && state.in_force(session, now).is_some())
            .take(SESSIONS_SHOWN_MAX)
            .cloned()
            .collect())
    }

    async fn end_session(
        &self,
        id: SessionId,
        whose: Whose,
        action: &'static str,
        actor: Actor,
    ) -> Result<Option<AdminSession>, StoreError> {
        let mut state = self.working()?;
        let mut all = state.sessions.iter();
        let Some(place) = all.position(|session| session.id == id && whose.includes(session)) else {
            return Ok(None);
        };
        let session = state.sessions.remove(place);
        state.events.push(session.end_event(action, &actor));
        Ok(Some(session))
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let state = self.working()?;
        Ok(state.tokens.values().map(|(_, token)| token.clone()).collect())
    }

    async fn token(&self, digest: SecretDigest) -> Result<Option<ApiToken>, StoreError> {
        let state = self.working()?;
        let mut all = state.tokens.values();
        Ok(all
            .find(|(known, _)| *known == digest)
            .map(|(_, token)| token.clone()))
    }

    async fn add_token(&self, new: NewApiToken, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        let mut state = self.working()?;
        if state.tokens.len() >= API_TOKENS_MAX {
            return Ok(None);
        }
        let token = ApiToken {
            id: ApiTokenId(state.next_id()),
            name: new.name,
            role: new.role,
            hint: new.hint,
            created_by: actor.name.clone(),
            created_at: actor.at,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        state.events.push(token_event("add_token", &actor, &token));
        state.tokens.insert(token.id, (new.digest, token.clone()));
        Ok(Some(token))
    }

    async fn remove_token(&self, id: ApiTokenId, actor: Actor) -> Result<Option<ApiToken>, StoreError> {
        let mut state = self.working()?;
        let removed = state.tokens.remove(&id).map(|(_, token)| token);
        if let Some(token) = &removed {
            state.events.push(token_event("remove_token", &actor, token));
        }
        Ok(removed)
    }

    async fn note_use(&self, used: InUse, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.working()?;
        let is_due = |before: Timestamp| now.since(before) >= USE_NOTED_EVERY;
        match used {
            InUse::Session(id) => {
                let due = state.sessions.iter_mut();
                due.filter(|session| session.id == id && is_due(session.last_seen_at))
                    .for_each(|session| session.last_seen_at = now);
            }
            InUse::Token(id) => {
                if let Some((_, token)) = state.tokens.get_mut(&id)
                    && token.last_used_at.is_none_or(is_due)
                {
                    token.last_used_at = Some(now);
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl AdminEventStore for MemoryAccounts {
    async fn append(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.working()?.events.push(event);
        Ok(())
    }

    async fn newest(&self, limit: u32) -> Result<Vec<AdminEvent>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.working()?.events.iter().rev().take(limit).cloned().collect())
    }
}
