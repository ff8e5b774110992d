//! The watch: from what is refused to alerts that are raised, told of again, and calmed.
//!
//! Counts are shared by all replicas and so is the outbox, whose word decides: of all replicas that want to raise an alert one does. What a
//! replica keeps itself is bounded and only saves questions; it may be lost at any moment. The store's own outage is told of from memory.
//! Must never be waited for by a request.

mod count;
mod counters;
mod decide;
mod different;
mod draft;
mod known;
mod queue;
mod raise;
mod settle;
mod sighted;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::alert::ports::AlertStore;
use sentinel_core::alert::{ChannelId, Part, Rule, RuleKind, Rules, Subject};
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use count::Question;
use counters::CountersByWindow;
use different::Slots;
use draft::Draft;
use known::Known;
use tally::{Member, Sighting};

pub use counters::{MakeCounters, WINDOWS_MAX};
pub use decide::{UPDATE_FIRST, UPDATE_PAUSE_MAX};
pub use different::SLOTS;
pub use draft::Signal;
pub use known::KNOWN_MAX;
pub use queue::{SIGNALS_MAX, SignalQueue};
pub use settle::{HOUSEKEEPING, HOUSEKEEPING_ROWS_MAX, KEPT, STRAY_AGE};
pub use sighted::SIGHTED_MAX;
pub use tally::{MEMBERS_MAX, MEMBERS_SHARED_MAX, MEMBERS_SURE, PACE, SUBJECTS_MAX, Sightings, Tally, Used};

/// The most subjects that are counted together.
pub const BATCH_MAX: usize = 1_000;
/// How often replicas say what they saw, and open alerts are looked at.
pub const ROUND: Duration = Duration::from_secs(10);
/// So many alerts of one rule within [`CROWD_WINDOW`] are told of one by one; what comes on top is one alert.
pub const CROWD_MAX: u64 = 20;
/// The stretch of time that a crowd is counted over.
pub const CROWD_WINDOW: Duration = Duration::from_mins(10);

/// What is watched: a rule, about a subject.
type Key = (RuleKind, Subject);

/// A subject with what was seen of it.
type Sighted = (Subject, Box<Sighting>);

/// What the watch works with.
#[derive(Clone)]
pub struct WatchParts {
    /// Makes counters, shared by the replicas: one for each window.
    pub make_counters: MakeCounters,
    /// The outbox, shared by the replicas.
    pub store: Arc<dyn AlertStore>,
    /// The outbox of this replica, for the alert that says the store is away.
    pub local: Arc<dyn AlertStore>,
    /// When it is.
    pub clock: Arc<dyn Clock>,
    /// Rung when something was put into an outbox.
    pub bell: Arc<Notify>,
    /// The name of this replica.
    pub replica: String,
}

/// What operators may change while the watch runs.
#[derive(Clone, Debug, Default)]
pub struct WatchSettings {
    /// The rules.
    pub rules: Rules,
    /// All channels that there are.
    pub channels: Vec<ChannelId>,
}

impl WatchSettings {
    /// Where a rule's alerts go. A rule whose channels are all gone goes everywhere: silence would be worse.
    fn channels(&self, rule: &Rule) -> Vec<ChannelId> {
        let named = rule.channels.iter().filter(|name| self.channels.contains(name));
        let named: Vec<ChannelId> = named.cloned().collect();
        if named.is_empty() {
            self.channels.clone()
        } else {
            named
        }
    }
}

/// Counts, raises, advances and calms.
pub struct Watch {
    parts: WatchParts,
    settings: watch::Receiver<Arc<WatchSettings>>,
    counters: CountersByWindow,
    known: Known,
    sighted: sighted::Sighted,
    /// What waits for a store that is away: of each rule [`CROWD_MAX`] at most, and one for all others.
    unraised: BTreeMap<Key, Draft>,
    down: BTreeMap<Part, Timestamp>,
    housekeeping_at: Timestamp,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub fn new(parts: WatchParts, settings: watch::Receiver<Arc<WatchSettings>>) -> Self {
        let housekeeping_at = parts.clock.now().plus(HOUSEKEEPING);
        let counters = CountersByWindow::new(Arc::clone(&parts.make_counters));
        Self {
            parts,
            settings,
            counters,
            known: Known::default(),
            sighted: sighted::Sighted::default(),
            unraised: BTreeMap::new(),
            down: BTreeMap::new(),
            housekeeping_at,
        }
    }

    /// Runs until `stopping` says so, and counts what is there then. Whoever refuses has ended before.
    pub async fn run(
        mut self,
        tally: Arc<Tally>,
        queue: Arc<SignalQueue>,
        mut signals: mpsc::Receiver<Signal>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut rounds = interval_at(Instant::now() + ROUND, ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let mut next_look = Instant::now();
        loop {
            let mut is_round = false;
            let refusals = async {
                sleep_until(next_look).await;
                tally.arrived().await;
            };
            tokio::select! {
                count = signals.recv_many(&mut batch, BATCH_MAX) => if count == 0 { break },
                () = refusals => next_look = Instant::now() + PACE,
                _ = rounds.tick() => is_round = true,
                _ = stopping.wait_for(|stop| *stop), if !signals.is_closed() => signals.close(),
            }
            let sightings = tally.take();
            let lost = sightings.lost().saturating_add(self.counters.take_lost());
            let lost = queue.take_lost(self.parts.clock.now(), lost);
            batch.extend(lost);
            let used = self.take(&std::mem::take(&mut batch), sightings).await;
            tally.take_back(used);
            if is_round {
                self.round().await;
            }
        }
        self.take(&[], tally.take()).await;
        self.round().await;
    }

    fn settings(&self) -> Arc<WatchSettings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Counts what was seen, at most [`BATCH_MAX`] subjects at once, and raises what crossed its threshold. Gives back what was counted.
    pub async fn take(&mut self, signals: &[Signal], sightings: Sightings) -> Used {
        let mut used = Used::default();
        let settings = self.settings();
        self.note_outages(signals);
        self.take_signals(&settings, signals).await;
        let mut subjects: Vec<Sighted> = sightings.into_subjects().collect();
        while !subjects.is_empty() {
            let rest = subjects.split_off(subjects.len().min(BATCH_MAX));
            self.take_sightings(&settings, &subjects).await;
            // A flood is no reason to keep others from this thread.
            tokio::task::yield_now().await;
            used.add(subjects.into_iter().map(|(_, sighting)| sighting));
            subjects = rest;
        }
        used
    }

    async fn take_signals(&mut self, settings: &WatchSettings, signals: &[Signal]) {
        let drafts = draft::of_signals(signals, &settings.rules);
        let question = |(key, draft): (&Key, &Draft)| Question {
            key: key.clone(),
            times: draft.seen.count,
            members: Vec::new(),
        };
        let questions: Vec<Question> = drafts.iter().map(question).collect();
        let counts = self.count(&settings.rules, &questions).await;
        let weighed = drafts.into_iter().zip(counts);
        let crossing = weighed.filter_map(|((key, draft), count)| self.weigh(settings, key, draft, count));
        let crossing = crossing.collect();
        self.raise_all(settings, crossing).await;
    }

    async fn take_sightings(&mut self, settings: &WatchSettings, subjects: &[Sighted]) {
        let mut questions = Vec::new();
        let mut of = Vec::new();
        for (place, (subject, sighting)) in subjects.iter().enumerate() {
            for (kind, times) in draft::meanings(subject, sighting) {
                if let Some(question) = self.question(settings, (kind, subject), sighting, times) {
                    questions.push(question);
                    of.push(place);
                }
            }
        }
        let counts = self.count(&settings.rules, &questions).await;
        let mut crossing = Vec::new();
        for ((question, place), count) in questions.into_iter().zip(of).zip(counts) {
            let Question { key, times, .. } = question;
            // What nobody is told of is not put together.
            if count >= settings.rules.get(key.0).threshold || self.known.contains(&key) {
                let draft = draft::of_sighting(&subjects[place].1, times);
                crossing.extend(self.weigh(settings, key, draft, count));
            }
        }
        self.raise_all(settings, crossing).await;
    }

    /// What is to be counted of a subject for a rule, if anything.
    fn question(
        &mut self,
        settings: &WatchSettings,
        (kind, subject): (RuleKind, &Subject),
        sighting: &Sighting,
        times: u64,
    ) -> Option<Question> {
        let rule = settings.rules.enabled(kind)?;
        let key = (kind, subject.clone());
        let mut members = Vec::new();
        if kind.counts_different() {
            let slots = Slots::new(rule.window, self.parts.clock.now());
            let new = sighting.members.iter();
            let new = new.filter(|member| self.sighted.is_new(kind, slots, subject, member));
            members.extend(new.map(Member::hash));
            if members.is_empty() && !self.known.contains(&key) {
                return None;
            }
        }
        Some(Question { key, times, members })
    }

    fn note_outages(&mut self, signals: &[Signal]) {
        for signal in signals {
            match signal {
                Signal::Down { part, at } => {
                    self.down.entry(*part).or_insert(*at);
                }
                Signal::Up { part } => {
                    self.down.remove(part);
                }
                _ => {}
            }
        }
    }

    /// Adds to an open alert, or gives back what has to be raised.
    fn weigh(
        &mut self,
        settings: &WatchSettings,
        key: Key,
        mut draft: Draft,
        count: u64,
    ) -> Option<(Key, Draft)> {
        let rule = settings.rules.get(key.0);
        draft.weigh(count, rule, self.parts.clock.now());
        let draft = self.known.add(&key, draft)?;
        (count >= rule.threshold).then_some((key, draft))
    }
}

#[cfg(test)]
mod tests;
