//! Sessions of the admin API as stores keep them. Nothing in a stored session signs anybody in: what the caller holds is made from it
//! under a key that the store does not have.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::{Administrator, AdministratorId};
use crate::event::{Actor, AdminEvent};
use crate::network::ClientIp;
use crate::time::Timestamp;

/// The most sessions of one account; beyond, the one that was seen longest ago is over.
pub const SESSIONS_PER_ACCOUNT_MAX: usize = 32;
/// The most sessions that a list shows.
pub const SESSIONS_SHOWN_MAX: usize = 200;
/// The most characters of what a caller's browser says it is.
pub const USER_AGENT_CHARACTERS_MAX: usize = 256;
/// For how long the refresh before the last one is taken once more, from the same address: two windows of one browser refresh at the
/// same moment, and an answer may get lost.
pub const REFRESH_AGAIN_MAX: Duration = Duration::from_secs(10);
/// For how long a session goes on after its sign-in, however often it is refreshed.
pub const SESSION_LIFE_MAX: Duration = Duration::from_hours(7 * 24);
/// The same for somebody whom a provider vouches for: then it has to vouch anew.
pub const EXTERNAL_SESSION_LIFE_MAX: Duration = Duration::from_hours(12);
/// How often at most it is written down that a session or a token is in use.
pub const USE_NOTED_EVERY: Duration = Duration::from_mins(1);

/// A session's name: 16 random bytes. Not a secret: it is shown in lists.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u128);

impl SessionId {
    /// From random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// From its text: 32 digits, hexadecimal, small.
    pub fn parse(text: &str) -> Option<Self> {
        let is_written_so =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_written_so
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

/// A session that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSession {
    /// Its name.
    pub id: SessionId,
    /// Whose it is; none for the configured account.
    pub administrator: Option<AdministratorId>,
    /// The account's name when it signed in.
    pub account: String,
    /// Grows with every refresh.
    pub generation: i64,
    /// From where it was last refreshed, or begun.
    pub client_ip: ClientIp,
    /// What the browser said it was.
    pub user_agent: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last refreshed, or begun.
    pub refreshed_at: Timestamp,
    /// When it was last in use, to the minute.
    pub last_seen_at: Timestamp,
    /// When it is over unless refreshed before.
    pub expires_at: Timestamp,
}

/// A session, and whose it is as that account is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInForce {
    /// The session.
    pub session: AdminSession,
    /// Whose; none for the configured account.
    pub administrator: Option<Administrator>,
}

impl SessionInForce {
    /// Judges a refresh, and makes it. On [`Refreshed::Reused`] and [`Refreshed::Gone`] the store removes the session.
    pub fn refresh(self, refresh: &Refresh) -> Refreshed {
        let is_external = self.administrator.is_some_and(|holder| holder.external.is_some());
        let longest = self.session.created_at.plus(if is_external {
            EXTERNAL_SESSION_LIFE_MAX
        } else {
            SESSION_LIFE_MAX
        });
        let expires_at = refresh.expires_at.min(longest);
        self.session.refresh(&Refresh {
            expires_at,
            ..*refresh
        })
    }
}

/// Whose sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    Everybodys,
    /// Those of this administrator; none for the configured account.
    Of(Option<AdministratorId>),
}

impl Whose {
    /// Whether the session is among them.
    pub fn includes(self, session: &AdminSession) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Of(administrator) => session.administrator == administrator,
        }
    }
}

/// What a caller asks for who refreshes a session.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// Which session.
    pub id: SessionId,
    /// The generation that the caller has a right to.
    pub generation: i64,
    /// From where.
    pub client_ip: ClientIp,
    /// When.
    pub now: Timestamp,
    /// When the session is over after that; [`SESSION_LIFE_MAX`] holds all the same.
    pub expires_at: Timestamp,
}

/// How a refresh ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on as this one.
    Done(AdminSession),
    /// Somebody else has refreshed it: the right to refresh has been copied, and the session is over.
    Reused(AdminSession),
    /// There is no such session.
    Gone,
}

impl AdminSession {
    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// The session with the administrator whose it is, as the store has it now, if it is in force: it is not over, and its holder is there and not
    /// disabled. Of the configured account's sessions there is no holder.
    pub fn in_force(self, holder: Option<Administrator>, now: Timestamp) -> Option<SessionInForce> {
        let administrator = holder.filter(|holder| !holder.is_disabled);
        let has_holder = self.administrator.is_none() || administrator.is_some();
        (has_holder && !self.is_over(now)).then_some(SessionInForce {
            session: self,
            administrator,
        })
    }

    /// As [`SessionInForce::refresh`], whose it may be.
    fn refresh(mut self, refresh: &Refresh) -> Refreshed {
        if self.is_over(refresh.now) {
            return Refreshed::Gone;
        }
        if refresh.generation == self.generation {
            self.generation += 1;
            self.client_ip = refresh.client_ip;
            self.refreshed_at = refresh.now;
            self.last_seen_at = refresh.now;
            self.expires_at = refresh.expires_at;
            return Refreshed::Done(self);
        }
        let is_once_more = refresh.generation == self.generation - 1
            && refresh.client_ip == self.client_ip
            && refresh.now.since(self.refreshed_at) <= REFRESH_AGAIN_MAX;
        if is_once_more {
            Refreshed::Done(self)
        } else {
            Refreshed::Reused(self)
        }
    }

    /// The admin event of its end.
    pub fn end_event(&self, action: &str, actor: &Actor) -> AdminEvent {
        let detail = json!({"session": self.id.to_string(), "account": self.account});
        AdminEvent::by(actor, action, detail.to_string())
    }

    /// The admin event of a refresh that came twice.
    pub fn reuse_event(&self, refresh: &Refresh) -> AdminEvent {
        let actor = Actor {
            name: self.account.clone(),
            client_ip: Some(refresh.client_ip),
            at: refresh.now,
        };
        self.end_event("refresh_reused", &actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::external::ExternalIdentity;
    use crate::account::{AdministratorName, Role, StoredPasswordHash};

    #[test]
    fn a_session_s_name_has_one_text() {
        let id = SessionId::from_bytes([0xab; 16]);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.to_string(), "ab".repeat(16));
        for text in ["", "ab", &"AB".repeat(16), &"ab".repeat(17), &"+b".repeat(16)] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_refresh_leads_past_the_longest_life() {
        let start = Timestamp::from_unix_ms(1_000);
        let session = AdminSession {
            id: SessionId::from_bytes([1; 16]),
            administrator: None,
            account: "root".to_owned(),
            generation: 1,
            client_ip: ClientIp::new(std::net::IpAddr::from([192, 0, 2, 1])),
            user_agent: String::new(),
            created_at: start,
            refreshed_at: start,
            last_seen_at: start,
            expires_at: start.plus(Duration::from_hours(1)),
        };
        let refresh = Refresh {
            id: session.id,
            generation: 1,
            client_ip: session.client_ip,
            now: start,
            expires_at: start.plus(SESSION_LIFE_MAX * 2),
        };
        let mut vouched_for = Administrator {
            id: AdministratorId(1),
            name: AdministratorName::stored("oidc:ann").expect("a name"),
            role: Role::Viewer,
            password: StoredPasswordHash::new(String::new()),
            external: ExternalIdentity::new("https://id.example", "1"),
            is_disabled: false,
            second_factor: None,
            pending_second_factor: None,
            created_at: start,
            last_sign_in_at: None,
        };
        let end = |administrator: Option<Administrator>| {
            let session = session.clone();
            let in_force = SessionInForce {
                session,
                administrator,
            };
            match in_force.refresh(&refresh) {
                Refreshed::Done(after) => after.expires_at,
                other => panic!("it was to go on: {other:?}"),
            }
        };
        assert_eq!(end(None), start.plus(SESSION_LIFE_MAX));
        assert_eq!(
            end(Some(vouched_for.clone())),
            start.plus(EXTERNAL_SESSION_LIFE_MAX)
        );
        vouched_for.external = None;
        assert_eq!(end(Some(vouched_for)), start.plus(SESSION_LIFE_MAX));
    }
}
