//! Sessions as the listener sees them: begun, refreshed, ended, and whether one is in force just now.
//!
//! A session that ends here, and one of an account that is changed here, is over at once; elsewhere within
//! [`RECENT_LIFE_MAX`](super::recent::RECENT_LIFE_MAX). While the store is away nothing is known of a session, so nobody goes on with one:
//! the configured account signs in anew then, with a session that lives in its token alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::account::session::{
    AdminSession, EXTERNAL_SESSION_LIFE_MAX, Refresh, Refreshed, SESSION_LIFE_MAX, SessionId, SessionInForce,
    USE_NOTED_EVERY, USER_AGENT_CHARACTERS_MAX,
};
use sentinel_core::account::{ApiToken, SecretDigest};
use sentinel_core::event::printable;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{AccountStore, InUse, StoreError};
use sentinel_core::time::Timestamp;

use crate::auth::recent::Recent;
use crate::auth::refresh::RefreshRight;
use crate::auth::sign_in::Holder;

/// A session goes on without a refresh for so many lives of a token, so that the setting for those holds for it, too.
const IDLE_TOKEN_LIVES: u32 = 12;
/// For so long a token is good whose session no store knows.
pub(crate) const ALONE_LIFE_MAX: Duration = Duration::from_mins(10);
/// So many signed-out sessions that no store knows are remembered.
const SIGNED_OUT_MAX: usize = 256;

/// Begins, ends and looks at sessions and tokens of programs.
pub(crate) struct Sessions {
    accounts: Arc<dyn AccountStore>,
    idle: Duration,
    in_force: Recent<SessionId, Option<Arc<SessionInForce>>>,
    tokens: Recent<SecretDigest, Option<Arc<ApiToken>>>,
    /// Sessions that no store knows and that were signed out here, each until its token is good no more.
    signed_out: Mutex<HashMap<SessionId, Timestamp>>,
}

impl Sessions {
    pub(crate) fn new(accounts: Arc<dyn AccountStore>, token_life: Duration) -> Self {
        Self {
            accounts,
            idle: token_life.saturating_mul(IDLE_TOKEN_LIVES).min(SESSION_LIFE_MAX),
            in_force: Recent::default(),
            tokens: Recent::default(),
            signed_out: Mutex::default(),
        }
    }

    /// Begins a session; none when the account is disabled or gone meanwhile.
    pub(crate) async fn begin(
        &self,
        id: SessionId,
        (account, holder): (&str, &Holder),
        (client_ip, user_agent): (ClientIp, &[u8]),
        now: Timestamp,
    ) -> Result<Option<AdminSession>, StoreError> {
        let is_external = matches!(holder, Holder::Administrator(holder) if holder.external.is_some());
        let idle = if is_external {
            self.idle.min(EXTERNAL_SESSION_LIFE_MAX)
        } else {
            self.idle
        };
        let session = AdminSession {
            id,
            administrator: match holder {
                Holder::Configured => None,
                Holder::Administrator(administrator) => Some(administrator.id),
            },
            account: account.to_owned(),
            generation: 1,
            client_ip,
            user_agent: printable(user_agent, USER_AGENT_CHARACTERS_MAX),
            created_at: now,
            refreshed_at: now,
            last_seen_at: now,
            expires_at: now.plus(idle),
        };
        let is_begun = self.accounts.begin_session(session.clone()).await?;
        Ok(is_begun.then_some(session))
    }

    /// Refreshes a session; none when it is over, or is over now.
    pub(crate) async fn refresh(
        &self,
        right: RefreshRight,
        client_ip: ClientIp,
        now: Timestamp,
    ) -> Result<Option<SessionInForce>, StoreError> {
        let refresh = Refresh {
            id: right.session,
            generation: right.generation,
            client_ip,
            now,
            expires_at: now.plus(self.idle),
        };
        match self.accounts.refresh_session(refresh).await? {
            Refreshed::Done(session) => {
                let found = self.accounts.session(right.session, now).await?;
                Ok(found.map(|found| SessionInForce { session, ..found }))
            }
            Refreshed::Reused(session) => {
                self.forget();
                tracing::warn!(account = %session.account, session = %session.id, %client_ip,
                    "a refresh came twice: the session is over");
                Ok(None)
            }
            Refreshed::Gone => Ok(None),
        }
    }

    /// The session, if it is in force.
    pub(crate) async fn in_force(
        &self,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Arc<SessionInForce>>, StoreError> {
        let ask = async {
            let found = self.accounts.session(id, now).await?;
            if let Some(found) = &found {
                self.note_use(InUse::Session(id), Some(found.session.last_seen_at), now)
                    .await;
            }
            Ok(found.map(Arc::new))
        };
        let found = self.in_force.get_or_ask(id, now, ask).await?;
        Ok(found.filter(|found| !found.session.is_over(now)))
    }

    /// The token with this digest, if it is good.
    pub(crate) async fn token(
        &self,
        digest: SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<ApiToken>>, StoreError> {
        let is_good = |token: &ApiToken| token.expires_at.is_none_or(|expires_at| now < expires_at);
        let ask = async {
            let found = self.accounts.token(digest).await?;
            if let Some(token) = found.as_ref().filter(|token| is_good(token)) {
                self.note_use(InUse::Token(token.id), token.last_used_at, now)
                    .await;
            }
            Ok(found.map(Arc::new))
        };
        let found = self.tokens.get_or_ask(digest, now, ask).await?;
        Ok(found.filter(|token| is_good(token)))
    }

    /// Something about accounts has changed here: nothing that was known holds any more.
    pub(crate) fn forget(&self) {
        self.in_force.forget();
        self.tokens.forget();
    }

    /// Whether a session that no store knows was signed out here.
    pub(crate) fn is_signed_out(&self, id: SessionId) -> bool {
        let signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        signed_out.contains_key(&id)
    }

    /// Signs out a session that no store knows.
    pub(crate) fn sign_out_alone(&self, id: SessionId, now: Timestamp) {
        let mut signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        signed_out.retain(|_, until| now < *until);
        if signed_out.len() >= SIGNED_OUT_MAX
            && let Some(first) = signed_out
                .iter()
                .min_by_key(|(_, until)| **until)
                .map(|(id, _)| *id)
        {
            signed_out.remove(&first);
        }
        signed_out.insert(id, now.plus(ALONE_LIFE_MAX));
    }

    /// Notes a use when one is due. What cannot be noted is not: the caller is let on all the same.
    async fn note_use(&self, used: InUse, noted_at: Option<Timestamp>, now: Timestamp) {
        if noted_at.is_some_and(|noted_at| now.since(noted_at) < USE_NOTED_EVERY) {
            return;
        }
        if let Err(error) = self.accounts.note_use(used, now).await {
            tracing::debug!(%error, "a use could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::account::memory::MemoryAccounts;

    use super::*;

    #[test]
    fn a_session_goes_on_as_the_life_of_its_tokens_says() {
        let idle = |life| Sessions::new(Arc::new(MemoryAccounts::default()), life).idle;
        assert_eq!(idle(Duration::from_mins(1)), Duration::from_mins(12));
        assert_eq!(idle(Duration::from_hours(24)), SESSION_LIFE_MAX);
    }

    #[test]
    fn so_many_sign_outs_are_remembered() {
        let sessions = Sessions::new(Arc::new(MemoryAccounts::default()), ALONE_LIFE_MAX);
        let id = |number: usize| SessionId::from_bytes((number as u128).to_be_bytes());
        let at = |number: usize| Timestamp::from_unix_ms(i64::try_from(number).expect("small"));
        for number in 0..=SIGNED_OUT_MAX {
            sessions.sign_out_alone(id(number), at(number));
        }
        assert!(
            !sessions.is_signed_out(id(0)),
            "the one that is good for the shortest time goes"
        );
        assert!(sessions.is_signed_out(id(1)) && sessions.is_signed_out(id(SIGNED_OUT_MAX)));
        sessions.sign_out_alone(id(9_999), at(SIGNED_OUT_MAX).plus(ALONE_LIFE_MAX));
        assert!(!sessions.is_signed_out(id(1)), "its token is good no more");
    }
}
