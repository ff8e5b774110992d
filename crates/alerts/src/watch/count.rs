//! The watch's questions to the counters: by which name each rule's subject is counted, and over which time. Must never put a key into a
//! name, nor a client's text.

use std::collections::BTreeMap;
use std::time::Duration;

use sentinel_core::alert::{Rule, RuleKind, Rules, Subject};
use sentinel_core::counting::Count;

use super::different::{Moves, SIGHTING_COUNTS, Slots, TOTAL_COUNTS, total};
use super::draft::Draft;
use super::{CROWD_MAX, CROWD_WINDOW, Key, Watch};

/// A rule that waits for silence counts over this.
const NEW_NETWORK_WINDOW: Duration = Duration::from_mins(10);

fn name(key: &Key) -> String {
    format!("{}|{}", key.0.as_str(), key.1)
}

/// Over which time a rule's subject is counted.
fn window(rule: &Rule, subject: &Subject) -> Duration {
    match (rule.kind, subject) {
        (_, Subject::Many) => CROWD_WINDOW,
        (RuleKind::NewNetwork, _) => NEW_NETWORK_WINDOW,
        _ => rule.window,
    }
}

/// Below which count the subject is calm.
pub(super) fn calm_below(rule: &Rule, subject: &Subject) -> u64 {
    match subject {
        Subject::Many => CROWD_MAX.div_ceil(2),
        _ => rule.calm_below(),
    }
}

impl Watch {
    /// Counts the drafts and gives what all replicas have counted of each, in their order.
    pub(super) async fn count(&self, rules: &Rules, drafts: &BTreeMap<Key, Draft>) -> Vec<u64> {
        let mut counts = vec![0; drafts.len()];
        let mut events: BTreeMap<Duration, Vec<(usize, Count)>> = BTreeMap::new();
        for (place, (key, draft)) in drafts.iter().enumerate() {
            let rule = rules.get(key.0);
            if key.0.counts_different() && key.1 != Subject::Many {
                counts[place] = self.count_different(rule, key, draft).await;
            } else {
                let count = Count {
                    name: name(key),
                    times: draft.seen.count,
                };
                let window = window(rule, &key.1);
                events.entry(window).or_default().push((place, count));
            }
        }
        for (window, batch) in events {
            let (places, batch): (Vec<usize>, Vec<Count>) = batch.into_iter().unzip();
            let answers = self.counters.ask(window, batch).await;
            for (place, count) in places.into_iter().zip(answers) {
                counts[place] = count;
            }
        }
        counts
    }

    async fn count_different(&self, rule: &Rule, key: &Key, draft: &Draft) -> u64 {
        let slots = Slots::new(rule.window, self.parts.clock.now());
        let name = name(key);
        let sightings = draft.members.iter();
        let sightings: Vec<Count> = sightings
            .flat_map(|member| slots.sighting(&name, *member))
            .collect();
        let answers = self.counters.ask(slots.counter_window(), sightings).await;
        let mut moves = Moves::default();
        answers
            .chunks(SIGHTING_COUNTS)
            .for_each(|sighting| moves.note(sighting));
        let totals = slots.totals(&name, &moves).collect();
        total(&self.counters.ask(slots.counter_window(), totals).await)
    }

    /// What is counted now of each of these, in their order. Outages are not counted: they last.
    pub(super) async fn read_counts(&self, rules: &Rules, keys: &[Key]) -> Vec<u64> {
        let mut counts = vec![0; keys.len()];
        let mut questions: BTreeMap<Duration, Vec<(usize, usize, Vec<Count>)>> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            let rule = rules.get(key.0);
            if let (RuleKind::StoreOutage | RuleKind::CacheOutage, Subject::Part(part)) = key {
                counts[place] = u64::from(self.down.contains_key(part));
            } else if key.0.counts_different() && key.1 != Subject::Many {
                let slots = Slots::new(rule.window, self.parts.clock.now());
                let totals = slots.totals(&name(key), &Moves::default()).collect();
                let asked = questions.entry(slots.counter_window()).or_default();
                asked.push((place, TOTAL_COUNTS, totals));
            } else {
                let count = Count {
                    name: name(key),
                    times: 0,
                };
                let asked = questions.entry(window(rule, &key.1)).or_default();
                asked.push((place, 1, vec![count]));
            }
        }
        for (window, questions) in questions {
            let batch = questions.iter().flat_map(|(_, _, batch)| batch.clone()).collect();
            let answers = self.counters.ask(window, batch).await;
            let mut left = &answers[..];
            for (place, length, _) in questions {
                let (own, rest) = left.split_at(length);
                counts[place] = if length == 1 { own[0] } else { total(own) };
                left = rest;
            }
        }
        counts
    }

    /// Whether so many alerts of this rule were raised lately that the next ones are told of together. Counts one more for the crowd if so.
    pub(super) async fn is_crowd(&self, rule: RuleKind) -> bool {
        if self.crowd(rule, 0).await < CROWD_MAX {
            return false;
        }
        let many = Count {
            name: name(&(rule, Subject::Many)),
            times: 1,
        };
        self.counters.ask(CROWD_WINDOW, vec![many]).await;
        true
    }

    /// Counts one more alert of this rule.
    pub(super) async fn join_crowd(&self, rule: RuleKind) {
        self.crowd(rule, 1).await;
    }

    async fn crowd(&self, rule: RuleKind, times: u64) -> u64 {
        let name = format!("{}|crowd", rule.as_str());
        let answers = self.counters.ask(CROWD_WINDOW, vec![Count { name, times }]).await;
        answers.first().copied().unwrap_or(0)
    }
}
