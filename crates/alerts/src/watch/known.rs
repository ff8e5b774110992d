//! The open alerts that this replica knows of, with what it saw of each since it last said so. Bounded; what does not fit is asked of the
//! store each time. Must never be believed over the store.

use std::collections::BTreeMap;

use sentinel_core::alert::AlertId;

use super::Key;
use super::draft::Draft;

/// The most open alerts that are known.
pub const KNOWN_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Key, Open>);

#[derive(Debug)]
struct Open {
    id: AlertId,
    unsaid: Option<Draft>,
}

impl Known {
    /// Adds to a known alert; gives back what is of none.
    pub(super) fn add(&mut self, key: &Key, draft: Draft) -> Option<Draft> {
        let Some(open) = self.0.get_mut(key) else {
            return Some(draft);
        };
        match &mut open.unsaid {
            Some(unsaid) => unsaid.merge(draft),
            none => *none = Some(draft),
        }
        None
    }

    /// Whether this is known to be open.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Notes an open alert, unless there is no room; gives back what could not be kept with it.
    pub(super) fn insert(&mut self, key: Key, id: AlertId, unsaid: Option<Draft>) -> Option<Draft> {
        if let Some(open) = self.0.get_mut(&key) {
            open.id = id;
            return unsaid.and_then(|unsaid| self.add(&key, unsaid));
        }
        if self.0.len() >= KNOWN_MAX {
            return unsaid;
        }
        self.0.insert(key, Open { id, unsaid });
        None
    }

    /// What is to be said, each with the alert that it is of.
    pub(super) fn take_unsaid(&mut self) -> Vec<(Key, AlertId, Draft)> {
        let with_unsaid = self.0.iter_mut().filter_map(|(key, open)| {
            let unsaid = open.unsaid.take()?;
            Some((key.clone(), open.id.clone(), unsaid))
        });
        with_unsaid.collect()
    }

    /// Forgets an alert that is over.
    pub(super) fn remove(&mut self, key: &Key, id: &AlertId) {
        if self.0.get(key).is_some_and(|open| open.id == *id) {
            self.0.remove(key);
        }
    }

    /// Forgets what is not `open`, if nothing of it is unsaid: that is said first, and then found out.
    pub(super) fn retain(&mut self, is_open: impl Fn(&AlertId) -> bool) {
        self.0
            .retain(|_, open| open.unsaid.is_some() || is_open(&open.id));
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::alert::{RuleKind, Subject};
    use sentinel_core::binding::BindingId;
    use sentinel_core::time::Timestamp;

    use super::*;

    fn key(number: usize) -> Key {
        let number = i64::try_from(number).expect("small");
        (RuleKind::RefusalsPerBinding, Subject::Binding(BindingId(number)))
    }

    #[test]
    fn so_many_are_known_and_what_does_not_fit_comes_back() {
        let mut known = Known::default();
        let draft = Draft::nothing(Timestamp::from_unix_ms(1));
        for number in 0..KNOWN_MAX {
            assert_eq!(known.insert(key(number), AlertId::random(), None), None);
        }
        let refused = known.insert(key(KNOWN_MAX), AlertId::random(), Some(draft.clone()));
        assert_eq!(refused, Some(draft.clone()));
        assert_eq!(known.add(&key(KNOWN_MAX), draft.clone()), Some(draft.clone()));
        assert_eq!(known.add(&key(0), draft.clone()), None);
        known.retain(|_| false);
        assert_eq!(known.0.len(), 1, "what is unsaid is kept");
        let unsaid = known.take_unsaid();
        assert_eq!(unsaid.len(), 1);
        known.remove(&key(0), &AlertId::random());
        assert_eq!(known.0.len(), 1, "it is another alert");
        known.remove(&key(0), &unsaid[0].1);
        assert!(known.0.is_empty());
    }
}
