//! Raising: the store's word decides which replica does, many alerts at once are told of together, and what the store cannot take waits. Must
//! never ask a store that is away once more for each of a flood.

use std::collections::BTreeMap;

use sentinel_core::alert::ports::{Transition, Transitioned};
use sentinel_core::alert::{Alert, AlertId, AlertState, Rule, RuleKind, Subject};

use super::draft::Draft;
use super::{Key, Watch, WatchSettings};

/// What became of a wish to raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    /// It was raised.
    Won,
    /// It was open already, or is told of elsewhere.
    Open,
    /// It waits for the next round.
    PutOff,
}

/// What a rule's subjects that cannot be told of one by one have in common.
#[derive(Debug)]
struct Crowd {
    /// How many may still be told of one by one.
    room: u64,
    /// How many may not, and what was seen of them.
    others: u64,
    seen: Option<Draft>,
}

/// A subject that may be one of many.
fn is_one_of_many(key: &Key) -> bool {
    !matches!(key.1, Subject::Part(_) | Subject::Many)
}

impl Watch {
    /// Raises an alert for each of these, unless one is open; for a crowd of one rule, one for those who are too many.
    pub(super) async fn raise_all(&mut self, settings: &WatchSettings, crossing: Vec<(Key, Draft)>) {
        let mut crowds: BTreeMap<RuleKind, Crowd> = BTreeMap::new();
        let mut is_away = false;
        for (key, draft) in crossing {
            let is_new = is_one_of_many(&key) && !self.unraised.contains_key(&key);
            if is_new && !crowds.contains_key(&key.0) {
                let crowd = self.crowd_of(key.0).await;
                crowds.insert(key.0, crowd);
            }
            if let Some(crowd) = crowds.get_mut(&key.0)
                && is_new
                && crowd.room == 0
            {
                crowd.add(draft);
                continue;
            }
            let kind = key.0;
            let raised = if is_away {
                self.put_off(key, draft);
                Raised::PutOff
            } else {
                self.raise(settings, key, draft).await
            };
            is_away |= raised == Raised::PutOff;
            if let Some(crowd) = crowds.get_mut(&kind)
                && is_new
                && raised != Raised::Open
            {
                crowd.room -= 1;
            }
        }
        for (kind, crowd) in crowds {
            let Some(draft) = crowd.seen else { continue };
            self.count_many(kind, crowd.others).await;
            let key = (kind, Subject::Many);
            if is_away {
                self.put_off(key, draft);
            } else if let Some(draft) = self.known.add(&key, draft) {
                self.raise(settings, key, draft).await;
            }
        }
    }

    /// Those that wait for the store are told of one by one, too, in the end.
    async fn crowd_of(&self, kind: RuleKind) -> Crowd {
        let waiting = self
            .unraised
            .keys()
            .filter(|key| key.0 == kind && is_one_of_many(key));
        let waiting = u64::try_from(waiting.count()).unwrap_or(u64::MAX);
        Crowd {
            room: self.crowd_room(kind).await.saturating_sub(waiting),
            others: 0,
            seen: None,
        }
    }

    /// Raises one.
    async fn raise(&mut self, settings: &WatchSettings, key: Key, draft: Draft) -> Raised {
        if key.0 == RuleKind::StoreOutage && self.is_told_locally(&key).await {
            return Raised::Open;
        }
        let rule = settings.rules.get(key.0);
        let alert = self.alert(rule, &key.1, &draft);
        let channels = settings.channels(rule);
        let wanted = Transition::Raise(Box::new(alert));
        match self.parts.store.transition(wanted.clone(), &channels).await {
            Ok(Transitioned::Won(alert)) => {
                self.parts.bell.notify_waiters();
                self.known.insert(key.clone(), alert.id.clone(), None);
                if is_one_of_many(&key) {
                    self.join_crowd(key.0).await;
                }
                Raised::Won
            }
            Ok(Transitioned::Lost(Some(open))) => {
                self.adopt(key, open.id.clone(), draft).await;
                Raised::Open
            }
            Ok(Transitioned::Lost(None)) => {
                self.put_off(key, draft);
                Raised::PutOff
            }
            Err(error) if key.0 == RuleKind::StoreOutage => {
                tracing::warn!(%error, "the store is away: that is told of from memory");
                if let Ok(Transitioned::Won(_)) = self.parts.local.transition(wanted, &channels).await {
                    self.parts.bell.notify_waiters();
                }
                Raised::Open
            }
            Err(error) => {
                tracing::warn!(%error, rule = key.0.as_str(), "an alert could not be raised yet");
                self.put_off(key, draft);
                Raised::PutOff
            }
        }
    }

    /// Whether this outage was told of from memory, when the store did not answer.
    async fn is_told_locally(&self, key: &Key) -> bool {
        let open = self.parts.local.open().await.unwrap_or_default();
        open.iter()
            .any(|alert| (alert.rule, &alert.subject) == (key.0, &key.1))
    }

    /// Another replica has raised it: what was seen here is added to it.
    async fn adopt(&mut self, key: Key, id: AlertId, draft: Draft) {
        let left = self.known.insert(key, id.clone(), Some(draft));
        if let Some(draft) = left
            && let Err(error) = self.parts.store.observe(&id, &draft.seen).await
        {
            tracing::warn!(%error, "what was seen of an alert could not be added to it");
        }
    }

    /// Keeps what could not be raised for the next round.
    fn put_off(&mut self, key: Key, draft: Draft) {
        match self.unraised.get_mut(&key) {
            Some(waiting) => waiting.merge(draft),
            None => drop(self.unraised.insert(key, draft)),
        }
    }

    fn alert(&self, rule: &Rule, subject: &Subject, draft: &Draft) -> Alert {
        let now = self.parts.clock.now();
        let is_many = *subject == Subject::Many;
        let mut seen = draft.seen.clone();
        if !rule.kind.counts_different() {
            // All replicas' share, not only this one's.
            seen.count = seen.count.max(seen.peak);
        }
        Alert {
            id: AlertId::random(),
            sequence: 0,
            state: AlertState::Firing,
            rule: rule.kind,
            severity: rule.severity,
            subject: subject.clone(),
            binding: draft.binding.filter(|_| !is_many),
            hint: draft.hint.clone().filter(|_| !is_many),
            told: seen.count,
            seen,
            threshold: rule.threshold,
            window: rule.window,
            raised_at: now,
            at: now,
            replica: self.parts.replica.clone(),
        }
    }
}

impl Crowd {
    fn add(&mut self, draft: Draft) {
        self.others += 1;
        match &mut self.seen {
            Some(seen) => seen.merge(draft),
            none => *none = Some(draft),
        }
    }
}
