//! Whatever the order in which answers and changes arrive, an old binding never takes the place of a newer one.

use std::sync::Arc;

use proptest::prelude::*;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, Version};
use sentinel_core::policy::OwnPolicy;

use super::super::CacheBounds;
use super::super::cache::{KnownCache, Ticket};
use super::super::uses::UseQueue;
use crate::conformance::{at, fingerprint, network};

/// One thing that happens to one key.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The store's row changes; this replica made the change and will be told.
    Change,
    /// The row is taken away, the same.
    Unbind,
    /// The row changes or appears, by another process.
    ChangeElsewhere,
    /// The oldest or the newest change that was not told yet is told to the cache.
    Tell { oldest: bool },
    /// A load takes its ticket.
    Begin,
    /// A load that has begun reads the row.
    Read(prop::sample::Index),
    /// A load that has read hands its answer to the cache.
    Finish(prop::sample::Index),
    /// The cache throws the key out to make room.
    ThrowOut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Change),
        1 => Just(Step::Unbind),
        1 => Just(Step::ChangeElsewhere),
        3 => any::<bool>().prop_map(|oldest| Step::Tell { oldest }),
        3 => Just(Step::Begin),
        3 => any::<prop::sample::Index>().prop_map(Step::Read),
        4 => any::<prop::sample::Index>().prop_map(Step::Finish),
        1 => Just(Step::ThrowOut),
    ]
}

/// A change on its way to the cache: the binding as it was left, or none, and the version it took.
struct Untold {
    left: Option<Binding>,
    version: i64,
}

/// A load under way.
enum Load {
    Begun(Ticket),
    /// With the row as it was read.
    Read(Ticket, Option<Binding>),
}

struct Model {
    cache: KnownCache,
    version: i64,
    id: i64,
    row: Option<Binding>,
    untold: Vec<Untold>,
    loading: Vec<Load>,
    /// The newest change that the cache was told of: nothing older may be in it.
    told: i64,
}

impl Model {
    fn new() -> Self {
        let bounds = CacheBounds::default();
        Self {
            cache: KnownCache::new(&bounds, Arc::new(UseQueue::new(8))),
            version: 0,
            id: 0,
            row: None,
            untold: Vec::new(),
            loading: Vec::new(),
            told: 0,
        }
    }

    fn change_row(&mut self) -> Binding {
        self.version += 1;
        if self.row.is_none() {
            self.id += 1;
        }
        let binding = Binding {
            id: BindingId(self.id),
            fingerprint: fingerprint(1),
            status: BindingStatus::Active,
            networks: network("192.0.2.1").into(),
            policy: OwnPolicy::default(),
            version: Version(self.version),
            bound_at: at(0),
        };
        self.row = Some(binding.clone());
        binding
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Change => {
                let left = Some(self.change_row());
                let version = self.version;
                self.untold.push(Untold { left, version });
            }
            Step::Unbind if self.row.is_some() => {
                self.row = None;
                self.untold.push(Untold {
                    left: None,
                    version: self.version + 1,
                });
            }
            Step::ChangeElsewhere => {
                self.change_row();
            }
            Step::Tell { oldest } if !self.untold.is_empty() => {
                let place = if oldest { 0 } else { self.untold.len() - 1 };
                let Untold { left, version } = self.untold.remove(place);
                match left {
                    Some(binding) => self.cache.changed_here(binding, at(0)),
                    None => {
                        self.cache.invalidate(&fingerprint(1), None);
                    }
                }
                self.told = self.told.max(version);
            }
            Step::Begin if self.loading.len() < 4 => {
                self.loading.push(Load::Begun(self.cache.ticket(&fingerprint(1))));
            }
            Step::Read(which) if !self.loading.is_empty() => {
                let place = which.index(self.loading.len());
                let load = self.loading.remove(place);
                let (Load::Begun(ticket) | Load::Read(ticket, _)) = load;
                self.loading.insert(place, Load::Read(ticket, self.row.clone()));
            }
            Step::Finish(which) if !self.loading.is_empty() => {
                let place = which.index(self.loading.len());
                match self.loading.remove(place) {
                    Load::Begun(_) => {}
                    Load::Read(ticket, Some(binding)) => {
                        self.cache.install(&ticket, binding.into(), at(0));
                    }
                    Load::Read(ticket, None) => {
                        self.cache.absent(&ticket, &fingerprint(1));
                    }
                }
            }
            Step::ThrowOut => self.cache.throw_out(&fingerprint(1)),
            _ => {}
        }
    }

    fn cached_version(&self) -> Option<i64> {
        let known = self.cache.any_age(&fingerprint(1))?;
        Some(known.binding.version.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_older_than_a_told_change_is_ever_cached(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        for step in steps {
            let before = model.cached_version();
            model.take(step);
            let after = model.cached_version();
            if let Some(cached) = after {
                prop_assert!(cached >= model.told, "{step:?}: version {cached} after change {} was told", model.told);
            }
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!(after >= before, "{step:?}: version {before} gave way to {after}");
            }
        }
    }
}
