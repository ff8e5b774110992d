//! Writes what was read: each batch in one transaction, nothing of it when that fails.

use std::collections::BTreeMap;
use std::mem;

use sentinel_core::event::{Actor, AdminEvent};
use sentinel_core::fingerprint::FingerprintHasher;
use sentinel_core::ports::{
    Existing, MovedBinding, SettingsChanged, StoreError, Taken, TakenIn, TransferItem, TransferKind,
};
use sentinel_core::time::Clock;

use super::lines::Spool;
use super::report::Report;
use crate::cli::{ACTOR, CliError};
use crate::config::Config;
use crate::secrets;
use crate::stores::Authority;

/// The most items of one transaction.
pub(super) const BATCH_MAX: usize = 500;
/// How often settings are tried while others change them at the same moment.
pub(super) const SETTINGS_ATTEMPTS_MAX: u32 = 10;

/// Where to, and how.
pub(super) struct Import<'i> {
    pub(super) authority: &'i Authority,
    pub(super) existing: Existing,
    pub(super) is_rehearsal: bool,
    pub(super) clock: &'i dyn Clock,
}

impl Import<'_> {
    /// Makes fingerprints as this installation does. Makes its secret, too, if there is none yet, unless this is a rehearsal.
    pub(super) async fn hasher(&self, config: &Config) -> Result<FingerprintHasher, CliError> {
        let checked_by = self.authority.checked_by().await?;
        if self.is_rehearsal {
            let there = secrets::hasher_if_any(config, &checked_by)?;
            let (hasher, _) = there.ok_or(CliError::NoSecretYet)?;
            self.authority.secrets.hash_under(hasher.check());
            return Ok(hasher);
        }
        let hasher = secrets::prepare_hasher(config, &checked_by)?;
        secrets::agree_on(&hasher, config, self.authority, self.clock.now()).await?;
        Ok(hasher)
    }

    /// The items of an export.
    pub(super) async fn items(&mut self, spool: &mut Spool, report: &mut Report) -> Result<(), CliError> {
        let mut batch: Vec<TransferItem> = Vec::with_capacity(BATCH_MAX);
        for item in spool.items()? {
            let item = item?;
            let is_other = batch.last().is_some_and(|last| kind(last) != kind(&item));
            if is_other || batch.len() == BATCH_MAX {
                self.write(mem::take(&mut batch), report).await?;
            }
            batch.push(item);
        }
        self.write(batch, report).await
    }

    async fn write(&self, batch: Vec<TransferItem>, report: &mut Report) -> Result<(), CliError> {
        let Some(kind) = batch.first().map(kind) else {
            return Ok(());
        };
        let transfer = &self.authority.transfer;
        let taken = transfer.take_in(batch, self.existing, self.is_rehearsal).await?;
        report.add(super::super::export::kind_name(kind), taken);
        Ok(())
    }

    /// Keys with their networks. Of a key that is bound already only the networks are replaced: a ban stays a ban.
    pub(super) async fn keys(&mut self, spool: &mut Spool, report: &mut Report) -> Result<(), CliError> {
        let mut new = Vec::with_capacity(BATCH_MAX);
        let mut bound = TakenIn::default();
        for item in spool.items()? {
            let TransferItem::Binding(moved) = item? else {
                continue;
            };
            match self.existing_key(&moved).await? {
                Some(taken) => bound.count(taken),
                None => new.push(TransferItem::Binding(moved)),
            }
            if new.len() == BATCH_MAX {
                self.write(mem::take(&mut new), report).await?;
            }
        }
        self.write(new, report).await?;
        report.add(super::super::export::kind_name(TransferKind::Bindings), bound);
        Ok(())
    }

    /// What became of a key that is bound already; none for one that is not.
    async fn existing_key(&self, moved: &MovedBinding) -> Result<Option<Taken>, StoreError> {
        let store = &self.authority.bindings;
        let found = match (store.find(&moved.fingerprint).await?, &moved.previous) {
            (None, Some(previous)) if self.is_rehearsal => store.find(previous).await?,
            (None, Some(previous)) => store.adopt(&moved.fingerprint, previous).await?,
            (found, _) => found,
        };
        let Some(binding) = found.map(|found| found.binding) else {
            return Ok(None);
        };
        if *binding.networks == *moved.networks {
            return Ok(Some(Taken::Unchanged));
        }
        if self.existing == Existing::Keep {
            return Ok(Some(Taken::Kept));
        }
        if !self.is_rehearsal {
            let networks = moved.networks.clone();
            let changed = self
                .authority
                .admin
                .set_networks(binding.id, networks, self.actor())
                .await?;
            if changed.is_none() {
                // Unbound in this very moment.
                return Ok(None);
            }
        }
        Ok(Some(Taken::Replaced))
    }

    /// Settings, all together.
    pub(super) async fn settings(
        &self,
        settings: Vec<(String, String)>,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let store = &self.authority.settings;
        for _ in 0..SETTINGS_ATTEMPTS_MAX {
            let stored = store.settings().await?;
            let mut taken = TakenIn::default();
            let mut changes = BTreeMap::new();
            for (name, value) in &settings {
                let is = match (stored.values.get(name), self.existing) {
                    (None, _) => Taken::Added,
                    (Some(here), _) if here == value => Taken::Unchanged,
                    (Some(_), Existing::Keep) => Taken::Kept,
                    (Some(_), Existing::Replace) => Taken::Replaced,
                };
                taken.count(is);
                if matches!(is, Taken::Added | Taken::Replaced) {
                    changes.insert(name.clone(), Some(value.clone()));
                }
            }
            let is_done = self.is_rehearsal
                || changes.is_empty()
                || matches!(
                    store
                        .change_settings(stored.version, changes, self.actor())
                        .await?,
                    SettingsChanged::Done(_)
                );
            if is_done {
                report.add("settings", taken);
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Leaves an admin event, when anything was written.
    pub(super) async fn note(&self, report: &Report) -> Result<(), CliError> {
        if self.is_rehearsal || !report.changed_anything() {
            return Ok(());
        }
        let Actor { name, at, .. } = self.actor();
        let event = AdminEvent {
            at,
            actor: name,
            client_ip: None,
            action: "import".to_owned(),
            detail: report.detail(),
        };
        Ok(self.authority.events.append(event).await?)
    }

    fn actor(&self) -> Actor {
        Actor {
            name: ACTOR.to_owned(),
            client_ip: None,
            at: self.clock.now(),
        }
    }
}

fn kind(item: &TransferItem) -> TransferKind {
    match item {
        TransferItem::Binding(_) => TransferKind::Bindings,
        TransferItem::Archived(_) => TransferKind::Archived,
        TransferItem::Intercept(_) => TransferKind::Intercepts,
        TransferItem::Event(_) => TransferKind::Events,
    }
}
