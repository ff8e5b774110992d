//! What the accounts in memory are made of, under the lock of whoever has them. Must never be seen half changed.

use std::collections::BTreeMap;

use crate::account::external::{ExternalAdministrator, ExternalIdentity};
use crate::account::session::{AdminSession, SessionInForce};
use crate::account::{
    ADMINISTRATORS_MAX, Administrator, AdministratorId, AdministratorName, ApiToken, ApiTokenId,
    NewAdministrator, SecretDigest, StoredPasswordHash,
};
use crate::event::{Actor, AdminEvent};
use crate::ports::AdministratorAdded;
use crate::time::Timestamp;

#[derive(Default)]
pub(super) struct State {
    pub(super) administrators: BTreeMap<AdministratorId, Administrator>,
    /// In the order in which they were begun.
    pub(super) sessions: Vec<AdminSession>,
    pub(super) tokens: BTreeMap<ApiTokenId, (SecretDigest, ApiToken)>,
    pub(super) events: Vec<AdminEvent>,
    last_id: i64,
}

impl State {
    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn has(&self, name: &AdministratorName) -> bool {
        let mut all = self.administrators.values();
        all.any(|other| other.name.as_str().eq_ignore_ascii_case(name.as_str()))
    }

    pub(super) fn insert(
        &mut self,
        new: NewAdministrator,
        external: Option<ExternalIdentity>,
        at: Timestamp,
    ) -> Administrator {
        let administrator = Administrator {
            id: AdministratorId(self.next_id()),
            name: new.name,
            role: new.role,
            password: new.password,
            external,
            is_disabled: false,
            second_factor: None,
            pending_second_factor: None,
            created_at: at,
            last_sign_in_at: None,
        };
        self.administrators
            .insert(administrator.id, administrator.clone());
        administrator
    }

    pub(super) fn in_force(&self, session: &AdminSession, now: Timestamp) -> Option<SessionInForce> {
        let holder = session.administrator.and_then(|id| self.administrators.get(&id));
        session.clone().in_force(holder.cloned(), now)
    }

    /// As [`crate::ports::AccountStore::admit_external`].
    pub(super) fn admit(&mut self, external: ExternalAdministrator, from: &Actor) -> AdministratorAdded {
        let mut all = self.administrators.values();
        let before = all
            .find(|known| known.external.as_ref() == Some(&external.identity))
            .cloned();
        let after = if let Some(before) = &before {
            let Some(after) = external.renewed(before) else {
                return AdministratorAdded::Done(Box::new(before.clone()));
            };
            self.administrators.insert(after.id, after.clone());
            after
        } else if self.administrators.len() >= ADMINISTRATORS_MAX {
            return AdministratorAdded::Full;
        } else if let Some(name) = external.names().into_iter().find(|name| !self.has(name)) {
            let (role, password) = (external.role, StoredPasswordHash::new(String::new()));
            let new = NewAdministrator { name, role, password };
            self.insert(new, Some(external.identity), from.at)
        } else {
            return AdministratorAdded::NameTaken;
        };
        let event = ExternalAdministrator::event(from, before.as_ref(), &after);
        self.events.push(event);
        AdministratorAdded::Done(Box::new(after))
    }
}
