//! What was refused since the watch last looked, added up by whom it is about: a flood of refusals is a few numbers here, however slow
//! those are who count for all replicas. Must never wait for anybody, nor grow with what is refused.
//!
//! Records are noted as they are kept, each once in the life of an installation: one that is read again after a restart is not noted
//! again, and what was noted and not yet counted when a process was killed, [`PACE`] at most, is not counted.

use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::alert::{Example, Seen, Subject};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::Network;
use sentinel_core::ports::InterceptWatch;
use sentinel_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

/// The shortest time from one look at the tally to the next: what comes in between is counted together. After a pause the first
/// refusal is looked at without delay.
pub const PACE: Duration = Duration::from_millis(500);
/// The most keys, and the most addresses, that are added up between two looks; refusals of others are counted as lost.
pub const SUBJECTS_MAX: usize = 16_384;
/// The most different networks of one key, or keys of one address, that are noted between two looks.
pub const MEMBERS_MAX: usize = 256;
/// So many of them are noted of each subject, however many others have.
pub const MEMBERS_SURE: usize = 8;
/// The most beyond [`MEMBERS_SURE`] that are noted of all subjects together.
pub const MEMBERS_SHARED_MAX: usize = 8_192;

/// What one client holds: an IPv4 address, or a /64.
const CLIENT_PREFIXES: (u8, u8) = (32, 64);
/// What counts as one network of many: neighbours with one provider are no sign of a leak.
const NETWORK_PREFIXES: (u8, u8) = (24, 48);

/// Between those who keep records and the watch.
#[derive(Default)]
pub struct Tally {
    waiting: Mutex<Sightings>,
    arrived: Notify,
}

impl Tally {
    /// All that was noted since the last call.
    pub(super) fn take(&self) -> Sightings {
        let mut waiting = self.lock();
        // As many as there were are likely to come again.
        let next = Sightings {
            of_keys: HashMap::with_capacity(waiting.of_keys.len()),
            of_addresses: HashMap::with_capacity(waiting.of_addresses.len()),
            spare: take(&mut waiting.spare),
            ..Sightings::default()
        };
        std::mem::replace(&mut *waiting, next)
    }

    /// Takes back the room of what was counted, for as many as there were. In a flood it would be allocated on one thread and freed on
    /// another, again and again.
    pub(super) fn take_back(&self, used: Used) {
        let most = used.0.len();
        let mut waiting = self.lock();
        waiting.spare.extend(used.0);
        let kept = most.min(waiting.spare.len());
        let beyond = waiting.spare.split_off(kept);
        drop(waiting);
        // Nobody waits for the lock while they are freed.
        drop(beyond);
    }

    /// Waits until something is noted that was not there at the end of the last call.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Sightings> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InterceptWatch for Tally {
    fn saw(&self, intercepts: &[Intercept]) {
        let mut waiting = self.lock();
        let was_empty = waiting.is_empty();
        for intercept in intercepts {
            waiting.note(intercept);
        }
        let is_first = was_empty && !waiting.is_empty();
        drop(waiting);
        if is_first {
            self.arrived.notify_one();
        }
    }
}

/// What was seen of each subject.
#[derive(Debug, Default)]
pub struct Sightings {
    /// Those about keys and those about addresses have room of their own: whoever has many addresses does not crowd out keys.
    of_keys: HashMap<Subject, Box<Sighting>>,
    of_addresses: HashMap<Subject, Box<Sighting>>,
    shared_members: usize,
    /// Requests whose subject had no room.
    lost: u64,
    /// Room for the next subjects.
    spare: Boxes,
}

/// As the maps have them, so that they go back as they are.
type Boxes = Vec<Box<Sighting>>;

/// Sightings that were counted: nothing but their room is of use.
#[derive(Debug, Default)]
pub struct Used(Boxes);

impl Used {
    pub(super) fn add(&mut self, sightings: impl IntoIterator<Item = Box<Sighting>>) {
        self.0.extend(sightings);
    }
}

impl Sightings {
    /// What these records show.
    pub fn of(intercepts: &[Intercept]) -> Self {
        let mut sightings = Self::default();
        for intercept in intercepts {
            sightings.note(intercept);
        }
        sightings
    }

    fn is_empty(&self) -> bool {
        self.of_keys.is_empty() && self.of_addresses.is_empty()
    }

    /// How many requests had no room.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Each subject with what was seen of it.
    pub(super) fn into_subjects(self) -> impl Iterator<Item = (Subject, Box<Sighting>)> {
        self.of_keys.into_iter().chain(self.of_addresses)
    }

    fn note(&mut self, intercept: &Intercept) {
        use RefusalReason::{ClaimRateLimited, CredentialAmbiguous, KeyBanned, KeyIpMismatch, KeyMissing};
        let is_about_key = matches!(intercept.reason, KeyIpMismatch | KeyBanned);
        // Of the others, none is the client's fault, or known to be from its address.
        let is_about_address = is_about_key
            || matches!(
                intercept.reason,
                ClaimRateLimited | CredentialAmbiguous | KeyMissing
            );
        let (ipv4, ipv6) = CLIENT_PREFIXES;
        let client = Network::widen(intercept.client_ip, ipv4, ipv6);
        let bound = intercept.binding.map(Subject::Binding);
        let key = bound
            .or_else(|| intercept.fingerprint.map(Subject::Key))
            .filter(|_| is_about_key);
        let mut example = None;
        let mut has_room = true;
        if let Some(key) = key {
            let (ipv4, ipv6) = NETWORK_PREFIXES;
            let network = Member::Network(Network::widen(intercept.client_ip, ipv4, ipv6));
            match with_room(&mut self.of_keys, &mut self.spare, key, intercept) {
                Some(sighting) => {
                    sighting.note(
                        intercept,
                        client,
                        Some(network),
                        &mut self.shared_members,
                        &mut example,
                    );
                    sighting.binding = intercept.binding;
                    if sighting.hint != intercept.hint {
                        sighting.hint.clone_from(&intercept.hint);
                    }
                }
                None => has_room = false,
            }
        }
        if is_about_address {
            let key = intercept.fingerprint.map(Member::Key);
            match with_room(
                &mut self.of_addresses,
                &mut self.spare,
                Subject::Address(client),
                intercept,
            ) {
                Some(sighting) => {
                    sighting.note(intercept, client, key, &mut self.shared_members, &mut example);
                }
                None => has_room = false,
            }
        }
        if !has_room {
            self.lost = self.lost.saturating_add(u64::from(intercept.count));
        }
    }
}

fn with_room<'s>(
    subjects: &'s mut HashMap<Subject, Box<Sighting>>,
    spare: &mut Boxes,
    subject: Subject,
    intercept: &Intercept,
) -> Option<&'s mut Sighting> {
    if subjects.len() >= SUBJECTS_MAX && !subjects.contains_key(&subject) {
        return None;
    }
    Some(subjects.entry(subject).or_insert_with(|| match spare.pop() {
        Some(mut sighting) => {
            sighting.begin_again(intercept.at);
            sighting
        }
        None => Box::new(Sighting::nothing(intercept.at)),
    }))
}

/// What was seen of one subject.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Without the example.
    pub(super) seen: Seen,
    /// How many of the requests brought a key.
    pub(super) with_key: u64,
    /// How many of them brought a banned one.
    pub(super) banned: u64,
    pub(super) members: Members,
    pub(super) binding: Option<BindingId>,
    pub(super) hint: Option<KeyHint>,
    pub(super) example: Option<Arc<Example>>,
}

impl Sighting {
    fn nothing(at: Timestamp) -> Self {
        Self {
            seen: Seen {
                // Nothing is known to be above anything yet.
                above_at: Timestamp::default(),
                ..Seen::nothing(at)
            },
            with_key: 0,
            banned: 0,
            members: Members::default(),
            binding: None,
            hint: None,
            example: None,
        }
    }

    /// As [`Sighting::nothing`], in the room that it has. What few subjects need is given back.
    fn begin_again(&mut self, at: Timestamp) {
        let (mut networks, mut sure) = (take(&mut self.seen.networks), take(&mut self.members.sure));
        networks.clear();
        sure.clear();
        *self = Self::nothing(at);
        (self.seen.networks, self.members.sure) = (networks, sure);
    }

    /// Adds a record. Its `example` is made once for all of its subjects, and only if one of them has none.
    fn note(
        &mut self,
        intercept: &Intercept,
        client: Network,
        member: Option<Member>,
        shared_members: &mut usize,
        example: &mut Option<Arc<Example>>,
    ) {
        let count = u64::from(intercept.count);
        self.seen.count = self.seen.count.saturating_add(count);
        self.seen.first_at = self.seen.first_at.min(intercept.at);
        self.seen.last_at = self.seen.last_at.max(intercept.last_at);
        self.seen.add_network(client);
        if intercept.fingerprint.is_some() {
            self.with_key = self.with_key.saturating_add(count);
        }
        if intercept.reason == RefusalReason::KeyBanned {
            self.banned = self.banned.saturating_add(count);
        }
        if let Some(member) = member {
            self.members.add(member, shared_members);
        }
        if self.example.is_none() {
            let example = example.get_or_insert_with(|| Arc::new(example_of(intercept)));
            self.example = Some(Arc::clone(example));
        }
    }
}

/// The different things that a subject shows. Nearly every subject has few, and each refusal shows one again: they are looked through, not
/// hashed.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// At most [`MEMBERS_SURE`].
    sure: Vec<Member>,
    others: HashSet<Member>,
}

impl Members {
    fn add(&mut self, member: Member, shared: &mut usize) {
        if self.sure.contains(&member) {
            return;
        }
        if self.sure.len() < MEMBERS_SURE {
            self.sure.push(member);
            return;
        }
        let has_room = self.len() < MEMBERS_MAX && *shared < MEMBERS_SHARED_MAX;
        if has_room && self.others.insert(member) {
            *shared += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sure.len() + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.sure.iter().chain(&self.others)
    }
}

/// A different thing that a subject shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Member {
    /// A key that an address brought.
    Key(KeyFingerprint),
    /// A network that a key came from.
    Network(Network),
}

impl Member {
    /// The same on every replica.
    pub(super) fn hash(&self) -> u64 {
        let digest = match self {
            Self::Key(key) => Sha256::digest(key.as_bytes()),
            Self::Network(network) => Sha256::digest(network.to_string().as_bytes()),
        };
        digest[..8]
            .iter()
            .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
    }
}

fn example_of(intercept: &Intercept) -> Example {
    Example {
        reference: intercept.reference.clone(),
        reason: intercept.reason,
        client_ip: intercept.client_ip,
        method: intercept.method.clone(),
        path: intercept.path.clone(),
        user_agent: intercept.user_agent.clone(),
    }
}

#[cfg(test)]
mod tests;
