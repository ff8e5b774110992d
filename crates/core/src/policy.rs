//! The rules that an operator sets: for all keys, and for one key where its binding departs from them.

mod live;

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use live::LiveRules;

/// What happens to a key that is used from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It goes on, and what would have been refused is recorded.
    Observe,
}

/// What happens to a request without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keyless {
    /// The gateway's own authentication answers it.
    #[default]
    Pass,
    /// It is refused with 401.
    Deny,
}

/// What happens to an unknown key while the store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failsafe {
    /// It is refused with 503.
    #[default]
    Closed,
    /// It goes on, counted and logged.
    Open,
}

/// The general rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Enforce or observe.
    pub mode: Mode,
    /// Requests without a key.
    pub keyless: Keyless,
    /// Unknown keys while the store is away.
    pub failsafe: Failsafe,
    /// How many networks a key may learn by itself, the first included.
    pub slots: u16,
    /// For how long after its claim a key may learn; without end when none.
    pub learning_window: Option<Duration>,
    /// How many bits of an IPv4 address are bound.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address are bound.
    pub ipv6_prefix: u8,
    /// Fresh claims per address and minute; above: 429. Zero for no bound.
    pub claims_per_minute: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            keyless: Keyless::default(),
            failsafe: Failsafe::default(),
            slots: 1,
            learning_window: None,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            claims_per_minute: 60,
        }
    }
}

/// Where one binding departs from the general rules. Stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyOverride {
    /// Enforce or observe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How many networks the key may learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u16>,
    /// For how many seconds after its claim it may learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_window_seconds: Option<u64>,
}

/// A binding's own policy; hardly any has one, so it takes room only where it says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPolicy(Option<Box<PolicyOverride>>);

impl From<PolicyOverride> for OwnPolicy {
    fn from(policy: PolicyOverride) -> Self {
        Self((policy != PolicyOverride::NONE).then(|| Box::new(policy)))
    }
}

impl Deref for OwnPolicy {
    type Target = PolicyOverride;

    fn deref(&self) -> &PolicyOverride {
        self.0.as_deref().unwrap_or(&PolicyOverride::NONE)
    }
}

impl PolicyOverride {
    /// No departure at all.
    pub const NONE: Self = Self {
        mode: None,
        slots: None,
        learning_window_seconds: None,
    };

    /// The mode for this key.
    pub fn mode(&self, rules: &Rules) -> Mode {
        self.mode.unwrap_or(rules.mode)
    }

    /// How many networks this key may learn.
    pub fn slots(&self, rules: &Rules) -> u16 {
        self.slots.unwrap_or(rules.slots)
    }

    /// For how long this key may learn.
    pub fn learning_window(&self, rules: &Rules) -> Option<Duration> {
        self.learning_window_seconds
            .map(Duration::from_secs)
            .or(rules.learning_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_says_nothing_takes_no_room() {
        assert_eq!(OwnPolicy::from(PolicyOverride::default()).0, None);
        assert_eq!(*OwnPolicy::default(), PolicyOverride::NONE);
        let observing = PolicyOverride {
            mode: Some(Mode::Observe),
            ..PolicyOverride::NONE
        };
        assert_eq!(*OwnPolicy::from(observing.clone()), observing);
    }
}
