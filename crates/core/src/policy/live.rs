//! The general rules as they are now: read at every request, changed once in a while.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Rules;

/// The rules that hold now. Clones share them. Reading takes no lock and no memory; a request reads them where it is judged, so a
/// change counts for every request that is judged after it.
#[derive(Clone, Debug)]
pub struct LiveRules(Arc<ArcSwap<Rules>>);

impl LiveRules {
    /// These, until others are set.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(rules)))
    }

    /// A copy of the rules that hold now.
    pub fn now(&self) -> Rules {
        **self.0.load()
    }

    /// From here on these hold.
    pub fn set(&self, rules: Rules) {
        self.0.store(Arc::new(rules));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_holds_for_all_clones() {
        let rules = LiveRules::new(Rules::default());
        let other = rules.clone();
        let narrower = Rules {
            ipv6_prefix: 56,
            ..Rules::default()
        };
        assert_eq!(other.now(), Rules::default());
        rules.set(narrower);
        assert_eq!(other.now(), narrower);
    }
}
