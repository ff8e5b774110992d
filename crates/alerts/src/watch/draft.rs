//! What a batch of signals means to each rule: the pure first half of the watch. Must never ask anybody.

use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::alert::{Example, Part, Rule, RuleKind, Rules, Seen, Subject};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::network::Network;
use sentinel_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Key;

/// What one client holds: an IPv4 address, or a /64.
const CLIENT_PREFIXES: (u8, u8) = (32, 64);
/// What counts as one network of many: neighbours with one provider are no sign of a leak.
const NETWORK_PREFIXES: (u8, u8) = (24, 48);

/// Something that rules look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A request was refused, or would have been.
    Seen(Box<Intercept>),
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
    /// The different things, by hash.
    pub(super) members: BTreeSet<u64>,
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
            members: BTreeSet::new(),
            binding: None,
            hint: None,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.seen.merge(&other.seen);
        self.members.extend(other.members);
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

/// What the batch means to the enabled rules.
pub(super) fn drafts(signals: &[Signal], rules: &Rules) -> BTreeMap<Key, Draft> {
    let mut drafts = BTreeMap::new();
    for signal in signals {
        match signal {
            Signal::Seen(intercept) => of_intercept(intercept, rules, &mut drafts),
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

fn of_intercept(intercept: &Intercept, rules: &Rules, drafts: &mut BTreeMap<Key, Draft>) {
    let (ipv4, ipv6) = CLIENT_PREFIXES;
    let client = Network::widen(intercept.client_ip, ipv4, ipv6);
    let (ipv4, ipv6) = NETWORK_PREFIXES;
    let network = Network::widen(intercept.client_ip, ipv4, ipv6);
    for (kind, subject, member) in meanings(intercept, client, network) {
        let Some(draft) = entry(drafts, rules, (kind, subject), intercept.at) else {
            continue;
        };
        draft.seen.count = draft.seen.count.saturating_add(u64::from(intercept.count));
        draft.seen.add_network(client);
        draft.members.extend(member);
        if kind != RuleKind::ManyKeysFromAddress && kind != RuleKind::RefusalsPerAddress {
            draft.binding = intercept.binding;
            draft.hint.clone_from(&intercept.hint);
        }
        draft.seen.example.get_or_insert_with(|| Example {
            reference: intercept.reference.clone(),
            reason: intercept.reason,
            client_ip: intercept.client_ip,
            method: intercept.method.clone(),
            path: intercept.path.clone(),
            user_agent: intercept.user_agent.clone(),
        });
    }
}

/// Which rules look at an intercept, about whom, and which different thing it shows them.
fn meanings(
    intercept: &Intercept,
    client: Network,
    network: Network,
) -> impl Iterator<Item = (RuleKind, Subject, Option<u64>)> {
    let is_about_key = matches!(
        intercept.reason,
        RefusalReason::KeyIpMismatch | RefusalReason::KeyBanned
    );
    // Neither the client's fault, nor known to be from its address.
    let is_about_address = is_about_key
        || matches!(
            intercept.reason,
            RefusalReason::ClaimRateLimited | RefusalReason::CredentialAmbiguous | RefusalReason::KeyMissing
        );
    let of_key = intercept
        .binding
        .map(Subject::Binding)
        .or_else(|| intercept.fingerprint.map(Subject::Key))
        .filter(|_| is_about_key);
    let address = is_about_address.then_some(Subject::Address(client));
    let key_hash = intercept.fingerprint.map(|key| hash(key.as_bytes()));
    let network_hash = hash(network.to_string().as_bytes());
    let is_banned = intercept.reason == RefusalReason::KeyBanned;
    let bound = of_key
        .clone()
        .filter(|subject| matches!(subject, Subject::Binding(_)));
    [
        bound.map(|subject| (RuleKind::RefusalsPerBinding, subject, None)),
        address
            .clone()
            .map(|subject| (RuleKind::RefusalsPerAddress, subject, None)),
        address
            .filter(|_| key_hash.is_some())
            .map(|subject| (RuleKind::ManyKeysFromAddress, subject, key_hash)),
        of_key
            .clone()
            .map(|subject| (RuleKind::ManyNetworksForKey, subject, Some(network_hash))),
        of_key
            .filter(|_| is_banned)
            .map(|subject| (RuleKind::BannedKeyTried, subject, None)),
    ]
    .into_iter()
    .flatten()
}

/// The same on every replica.
fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest[..8]
        .iter()
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
