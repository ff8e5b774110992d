//! Many orders of loads and changes of one key: whatever the order, what a change has told the cache is never undone by a load
//! that began before.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sentinel_core::binding::{Binding, Version};
use sentinel_core::ports::Found;

use super::{SharedFixture, binding, get};
use crate::conformance::fingerprint;
use crate::shared::{SharedCache, SharedEntry, Standing};

const CASES: usize = 150;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A load asks the cache.
    Ask,
    /// A load that has asked the cache asks the authority.
    Read(prop::sample::Index),
    /// A load that has asked the authority tells the cache.
    Tell(prop::sample::Index),
    /// The binding is made, or changed; the cache is told of it at once.
    Change,
    /// The binding is removed; the cache is told of it at once.
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Ask),
        any::<prop::sample::Index>().prop_map(Step::Read),
        any::<prop::sample::Index>().prop_map(Step::Tell),
        Just(Step::Change),
        Just(Step::Remove),
    ]
}

/// The authority, the loads under way, and the newest word that the cache has been told.
#[derive(Default)]
struct Run {
    last_version: i64,
    stored: Option<Binding>,
    told: Option<Version>,
    asked: Vec<Standing>,
    read: Vec<(Standing, Option<Binding>)>,
}

impl Run {
    async fn take(&mut self, step: Step, cache: &dyn SharedCache) {
        match step {
            Step::Ask => self.asked.push(get(cache).await.seen()),
            Step::Read(which) if !self.asked.is_empty() => {
                let seen = self.asked.remove(which.index(self.asked.len()));
                self.read.push((seen, self.stored.clone()));
            }
            Step::Tell(which) if !self.read.is_empty() => {
                let (seen, read) = self.read.remove(which.index(self.read.len()));
                let told = match read {
                    Some(binding) => cache.put(&Found::from(binding), seen).await,
                    None => cache.put_absent(&fingerprint(1), seen).await,
                };
                told.expect("a cache that works");
            }
            Step::Change => {
                self.last_version += 1;
                let changed = binding(self.last_version);
                self.told = Some(changed.version);
                self.stored = Some(changed.clone());
                let told = cache.put(&Found::from(changed), Standing::NOTHING).await;
                told.expect("a cache that works");
            }
            Step::Remove => {
                if let Some(removed) = self.stored.take() {
                    let absence = removed.version.of_absence();
                    self.told = Some(absence);
                    let told = cache.bury(&fingerprint(1), absence).await;
                    told.expect("a cache that works");
                }
            }
            Step::Read(_) | Step::Tell(_) => {}
        }
    }

    fn judge(&self, entry: &SharedEntry, steps: &[Step]) {
        match entry {
            SharedEntry::Binding(binding, _) => {
                assert!(Some(binding.version) >= self.told, "{binding:?} after {steps:?}");
            }
            SharedEntry::Absent => assert!(self.stored.is_none(), "absent after {steps:?}"),
            SharedEntry::Missing(_) => {}
        }
    }
}

pub(crate) async fn no_order_of_loads_brings_an_old_binding_back(fixture: &dyn SharedFixture) {
    let mut runner = TestRunner::deterministic();
    let cases = prop::collection::vec(step(), 4..24);
    for _ in 0..CASES {
        let case = cases.new_tree(&mut runner).expect("a case");
        let steps = case.current();
        fixture.clear().await;
        let mut run = Run::default();
        for (number, step) in steps.iter().enumerate() {
            run.take(*step, fixture.cache()).await;
            run.judge(&get(fixture.cache()).await, &steps[..=number]);
        }
    }
}
