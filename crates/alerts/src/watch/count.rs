//! The watch's questions to the counters: by which name each rule's subject is counted, and over which time. Must never put a key into a
//! name, nor a client's text.

use std::collections::BTreeMap;
use std::time::Duration;

use sentinel_core::alert::{Rule, RuleKind, Rules, Subject};
use sentinel_core::counting::{COUNT_BATCH_MAX, Count};

use super::different::{Moves, SIGHTING_COUNTS, Slots, TOTAL_COUNTS, total};
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

/// What is to be counted.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) key: Key,
    /// How often it happened.
    pub(super) times: u64,
    /// The different things that are yet to be said, by hash.
    pub(super) members: Vec<u64>,
}

/// How many of the first of these are asked together: as many as make about one batch of names. One subject's are never torn apart.
fn group_length(places: &[usize], questions: &[Question]) -> usize {
    let mut names = 0;
    let fits = places.iter().take_while(|place| {
        names += TOTAL_COUNTS.max(questions[**place].members.len() * SIGHTING_COUNTS);
        names <= COUNT_BATCH_MAX
    });
    fits.count().max(1)
}

impl Watch {
    /// Counts these and gives what all replicas have counted of each, in their order. The counters are asked once for each window, and
    /// twice for about each batch of different things.
    pub(super) async fn count(&self, rules: &Rules, questions: &[Question]) -> Vec<u64> {
        let mut counts = vec![0; questions.len()];
        let mut events: BTreeMap<Duration, Vec<(usize, Count)>> = BTreeMap::new();
        let mut different: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
        for (place, question) in questions.iter().enumerate() {
            let key = &question.key;
            let rule = rules.get(key.0);
            if key.0.counts_different() && key.1 != Subject::Many {
                different.entry(rule.window).or_default().push(place);
            } else {
                let count = Count {
                    name: name(key),
                    times: question.times,
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
        for (window, places) in different {
            let mut left = &places[..];
            while !left.is_empty() {
                let (group, rest) = left.split_at(group_length(left, questions));
                let group_questions = group.iter().map(|place| &questions[*place]).collect();
                let answers = self.count_different(window, group_questions).await;
                for (place, count) in group.iter().zip(answers) {
                    counts[*place] = count;
                }
                left = rest;
            }
        }
        counts
    }

    async fn count_different(&self, window: Duration, questions: Vec<&Question>) -> Vec<u64> {
        let slots = Slots::new(window, self.parts.clock.now());
        let names: Vec<String> = questions.iter().map(|question| name(&question.key)).collect();
        let each = names.iter().zip(&questions);
        let sightings = each.flat_map(|(name, question)| {
            let members = question.members.iter();
            members.flat_map(move |member| slots.sighting(name, *member))
        });
        let answers = self
            .counters
            .ask(slots.counter_window(), sightings.collect())
            .await;
        let mut answers = answers.chunks(SIGHTING_COUNTS);
        let mut totals = Vec::with_capacity(questions.len() * TOTAL_COUNTS);
        for (name, question) in names.iter().zip(&questions) {
            let mut moves = Moves::default();
            answers
                .by_ref()
                .take(question.members.len())
                .for_each(|sighting| moves.note(sighting));
            totals.extend(slots.totals(name, &moves));
        }
        let totals = self.counters.ask(slots.counter_window(), totals).await;
        totals.chunks(TOTAL_COUNTS).map(total).collect()
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

    /// How many more alerts of this rule are told of one by one; what comes on top is told of together.
    pub(super) async fn crowd_room(&self, rule: RuleKind) -> u64 {
        CROWD_MAX.saturating_sub(self.crowd(rule, 0).await)
    }

    /// Counts so many more that are told of together.
    pub(super) async fn count_many(&self, rule: RuleKind, times: u64) {
        let many = Count {
            name: name(&(rule, Subject::Many)),
            times,
        };
        self.counters.ask(CROWD_WINDOW, vec![many]).await;
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

#[cfg(test)]
mod tests {
    use sentinel_core::binding::BindingId;

    use super::*;

    #[test]
    fn about_one_batch_of_names_is_asked_together_and_no_subject_is_torn_apart() {
        let question = |members: usize| Question {
            key: (RuleKind::ManyNetworksForKey, Subject::Binding(BindingId(7))),
            times: 1,
            members: vec![0; members],
        };
        let questions: Vec<Question> = [1, 1, 196, 1, 256, 256].into_iter().map(question).collect();
        let mut left: &[usize] = &[0, 1, 2, 3, 4, 5];
        let mut lengths = Vec::new();
        while !left.is_empty() {
            let length = group_length(left, &questions);
            lengths.push(length);
            left = &left[length..];
        }
        assert_eq!(lengths, [3, 1, 1, 1]);
    }
}
