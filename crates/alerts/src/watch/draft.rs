//! What was seen means to each rule: the pure first half of the watch. Must never ask anybody.

use std::collections::BTreeMap;

use sentinel_core::alert::{Part, Rule, RuleKind, Rules, Seen, Subject};
use sentinel_core::binding::BindingId;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;

use super::Key;
use super::tally::Sighting;

/// Something that rules look at beside what is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A key was used from a network that is not its own, after it was silent for as long as the rule says. Who signals knows both.
    NewNetwork {
        /// The key's binding.
        binding: BindingId,
        /// What may be shown of the key.
        hint: KeyHint,
        /// The network.
        network: Network,
        /// When.
        at: Timestamp,
    },
    /// A part does not answer.
    Down {
        /// Which.
        part: Part,
        /// Since when.
        at: Timestamp,
    },
    /// It answers again.
    Up {
        /// Which.
        part: Part,
    },
    /// Audit records were lost.
    RecordsLost {
        /// So many.
        count: u64,
        /// When.
        at: Timestamp,
    },
}

/// What this replica has seen of a subject since it last said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) seen: Seen,
    pub(super) binding: Option<BindingId>,
    pub(super) hint: Option<KeyHint>,
}

impl Draft {
    pub(super) fn nothing(at: Timestamp) -> Self {
        Self {
            seen: Seen {
                // Nothing is known to be above anything yet.
                above_at: Timestamp::default(),
                ..Seen::nothing(at)
            },
            binding: None,
            hint: None,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.seen.merge(&other.seen);
        self.binding = self.binding.or(other.binding);
        self.hint = self.hint.take().or(other.hint);
    }

    /// Notes what all replicas together counted.
    pub(super) fn weigh(&mut self, count: u64, rule: &Rule, now: Timestamp) {
        self.seen.peak = self.seen.peak.max(count);
        if count >= rule.calm_below() {
            self.seen.above_at = now;
        }
    }
}

/// What signals mean to the enabled rules.
pub(super) fn of_signals(signals: &[Signal], rules: &Rules) -> BTreeMap<Key, Draft> {
    let mut drafts = BTreeMap::new();
    for signal in signals {
        match signal {
            Signal::NewNetwork {
                binding,
                hint,
                network,
                at,
            } => {
                let key = (RuleKind::NewNetwork, Subject::Binding(*binding));
                if let Some(draft) = entry(&mut drafts, rules, key, *at) {
                    draft.seen.count = draft.seen.count.saturating_add(1);
                    draft.seen.add_network(*network);
                    draft.binding = Some(*binding);
                    draft.hint = Some(hint.clone());
                }
            }
            Signal::RecordsLost { count, at } => {
                let key = (RuleKind::RecordsLost, Subject::Part(Part::Records));
                if let Some(draft) = entry(&mut drafts, rules, key, *at) {
                    draft.seen.count = draft.seen.count.saturating_add(*count);
                }
            }
            // An outage is no event that is counted: it lasts.
            Signal::Down { .. } | Signal::Up { .. } => {}
        }
    }
    drafts
}

fn entry<'d>(
    drafts: &'d mut BTreeMap<Key, Draft>,
    rules: &Rules,
    key: Key,
    at: Timestamp,
) -> Option<&'d mut Draft> {
    rules.enabled(key.0)?;
    let draft = drafts.entry(key).or_insert_with(|| Draft::nothing(at));
    draft.seen.first_at = draft.seen.first_at.min(at);
    draft.seen.last_at = draft.seen.last_at.max(at);
    Some(draft)
}

/// Which rules look at what was seen of a subject, and how often it happened for each.
pub(super) fn meanings(subject: &Subject, sighting: &Sighting) -> impl Iterator<Item = (RuleKind, u64)> {
    let count = sighting.seen.count;
    let meanings = match subject {
        Subject::Address(_) => [
            Some((RuleKind::RefusalsPerAddress, count)),
            (sighting.with_key > 0).then_some((RuleKind::ManyKeysFromAddress, sighting.with_key)),
            None,
        ],
        _ => [
            matches!(subject, Subject::Binding(_)).then_some((RuleKind::RefusalsPerBinding, count)),
            Some((RuleKind::ManyNetworksForKey, count)),
            (sighting.banned > 0).then_some((RuleKind::BannedKeyTried, sighting.banned)),
        ],
    };
    meanings.into_iter().flatten()
}

/// What was seen of a subject, for a rule that it means so much to.
pub(super) fn of_sighting(sighting: &Sighting, count: u64) -> Draft {
    Draft {
        seen: Seen {
            count,
            example: sighting.example.as_deref().cloned(),
            ..sighting.seen.clone()
        },
        binding: sighting.binding,
        hint: sighting.hint.clone(),
    }
}

#[cfg(test)]
mod tests;
