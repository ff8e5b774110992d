//! The rules: what makes an alert, with which numbers, how urgent, and where it goes. Must never decide about a request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ChannelId, Severity};

/// The highest threshold of a rule.
pub const THRESHOLD_MAX: u64 = 1_000_000;
/// The shortest stretch of time that is counted over.
pub const WINDOW_MIN: Duration = Duration::from_secs(1);
/// The longest stretch of time that is counted over.
pub const WINDOW_MAX: Duration = Duration::from_hours(24);
/// The longest silence after which a key's new network is told of.
pub const SILENCE_MAX: Duration = Duration::from_hours(365 * 24);
/// The longest quiet that calm takes.
pub const QUIET_MAX: Duration = Duration::from_hours(7 * 24);
/// The shortest one: replicas tell each other what they saw every few seconds.
const QUIET_MIN: Duration = Duration::from_mins(1);

/// What a rule watches for. `threshold` and `window` are the rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// `threshold` refusals of one bound key within `window`.
    RefusalsPerBinding,
    /// `threshold` refusals from one address within `window`.
    RefusalsPerAddress,
    /// A key is used from a network that is not its own after it was silent for `window`.
    NewNetwork,
    /// One address is refused with `threshold` different keys within `window`.
    ManyKeysFromAddress,
    /// One key is refused from `threshold` different networks within `window`: it has leaked.
    ManyNetworksForKey,
    /// A banned key is tried `threshold` times within `window`.
    BannedKeyTried,
    /// The store that decides is away for `window`.
    StoreOutage,
    /// What replicas share (cache, counters, messages) is away for `window`.
    CacheOutage,
    /// `threshold` audit records are lost within `window`.
    RecordsLost,
}

impl RuleKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RefusalsPerBinding,
        Self::RefusalsPerAddress,
        Self::NewNetwork,
        Self::ManyKeysFromAddress,
        Self::ManyNetworksForKey,
        Self::BannedKeyTried,
        Self::StoreOutage,
        Self::CacheOutage,
        Self::RecordsLost,
    ];

    /// The word that settings, stores and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusalsPerBinding => "refusals_per_binding",
            Self::RefusalsPerAddress => "refusals_per_address",
            Self::NewNetwork => "new_network",
            Self::ManyKeysFromAddress => "many_keys_from_address",
            Self::ManyNetworksForKey => "many_networks_for_key",
            Self::BannedKeyTried => "banned_key_tried",
            Self::StoreOutage => "store_outage",
            Self::CacheOutage => "cache_outage",
            Self::RecordsLost => "records_lost",
        }
    }

    /// The kind that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it counts different things (keys, networks) and not events.
    pub const fn counts_different(self) -> bool {
        matches!(self, Self::ManyKeysFromAddress | Self::ManyNetworksForKey)
    }

    const fn window_max(self) -> Duration {
        match self {
            Self::NewNetwork => SILENCE_MAX,
            _ => WINDOW_MAX,
        }
    }
}

/// One rule with its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it watches for.
    pub kind: RuleKind,
    /// Whether it does.
    pub is_enabled: bool,
    /// How urgent its alerts are.
    pub severity: Severity,
    /// Where its alerts go; to every channel when this is empty.
    pub channels: Vec<ChannelId>,
    /// How many raise an alert.
    pub threshold: u64,
    /// Within which time; see [`RuleKind`] for rules that count nothing.
    #[serde(with = "super::written::milliseconds")]
    pub window: Duration,
    /// How long it has to stay below half the threshold before the alert is over. What comes earlier belongs to the same alert.
    #[serde(with = "super::written::milliseconds")]
    pub quiet: Duration,
}

/// What is wrong with a rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleProblem {
    /// The threshold.
    #[error("the threshold has to be 1 to {THRESHOLD_MAX}")]
    Threshold,
    /// The window.
    #[error("the window has to be 1 to {} seconds", .0.as_secs())]
    Window(Duration),
    /// The quiet.
    #[error("the quiet has to be {} to {} seconds", QUIET_MIN.as_secs(), QUIET_MAX.as_secs())]
    Quiet,
}

impl Rule {
    /// The rule as it is when nobody changed it.
    pub fn new(kind: RuleKind) -> Self {
        let minutes = Duration::from_mins;
        let (severity, threshold, window, quiet) = match kind {
            RuleKind::RefusalsPerBinding => (Severity::Warning, 10, minutes(1), minutes(10)),
            RuleKind::RefusalsPerAddress => (Severity::Warning, 50, minutes(1), minutes(10)),
            RuleKind::NewNetwork => (Severity::Info, 1, Duration::from_hours(30 * 24), minutes(30)),
            RuleKind::ManyKeysFromAddress => (Severity::Critical, 5, minutes(10), minutes(30)),
            RuleKind::ManyNetworksForKey => (Severity::Critical, 5, minutes(60), minutes(60)),
            RuleKind::BannedKeyTried => (Severity::Info, 1, minutes(10), minutes(60)),
            RuleKind::StoreOutage => (Severity::Critical, 1, Duration::from_secs(15), minutes(2)),
            RuleKind::CacheOutage => (Severity::Warning, 1, Duration::from_secs(30), minutes(2)),
            RuleKind::RecordsLost => (Severity::Critical, 1, minutes(1), minutes(10)),
        };
        Self {
            kind,
            is_enabled: true,
            severity,
            channels: Vec::new(),
            threshold,
            window,
            quiet,
        }
    }

    /// Whether its numbers are within their bounds.
    pub fn check(&self) -> Result<(), RuleProblem> {
        if !(1..=THRESHOLD_MAX).contains(&self.threshold) {
            return Err(RuleProblem::Threshold);
        }
        let window_max = self.kind.window_max();
        if !(WINDOW_MIN..=window_max).contains(&self.window) {
            return Err(RuleProblem::Window(window_max));
        }
        if !(QUIET_MIN..=QUIET_MAX).contains(&self.quiet) {
            return Err(RuleProblem::Quiet);
        }
        Ok(())
    }

    /// A count below this is calm: half the threshold, so that a count which swings around the threshold raises one alert.
    pub fn calm_below(&self) -> u64 {
        self.threshold.div_ceil(2)
    }
}

/// All rules, one of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules([Rule; RuleKind::ALL.len()]);

impl Default for Rules {
    fn default() -> Self {
        Self(RuleKind::ALL.map(Rule::new))
    }
}

impl Rules {
    /// The rule of a kind.
    pub fn get(&self, kind: RuleKind) -> &Rule {
        &self.0[kind as usize]
    }

    /// The rule of a kind, when it is enabled.
    pub fn enabled(&self, kind: RuleKind) -> Option<&Rule> {
        Some(self.get(kind)).filter(|rule| rule.is_enabled)
    }

    /// Puts a rule in the place of the one of its kind, when its numbers are within their bounds.
    pub fn set(&mut self, rule: Rule) -> Result<(), RuleProblem> {
        rule.check()?;
        let place = rule.kind as usize;
        self.0[place] = rule;
        Ok(())
    }

    /// All of them, in the order of [`RuleKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_its_word_and_good_numbers() {
        let rules = Rules::default();
        for kind in RuleKind::ALL {
            let rule = rules.get(kind);
            assert_eq!(rule.kind, kind);
            assert_eq!(rule.check(), Ok(()), "{kind:?}");
            assert_eq!(RuleKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(rules.iter().count(), RuleKind::ALL.len());
        assert_eq!(RuleKind::from_word("x"), None);
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused() {
        let rule = Rule::new(RuleKind::RefusalsPerBinding);
        let with = |change: fn(&mut Rule)| {
            let mut rule = rule.clone();
            change(&mut rule);
            let mut rules = Rules::default();
            rules.set(rule)
        };
        assert_eq!(with(|rule| rule.threshold = THRESHOLD_MAX), Ok(()));
        assert_eq!(
            with(|rule| rule.threshold = THRESHOLD_MAX + 1),
            Err(RuleProblem::Threshold)
        );
        assert_eq!(with(|rule| rule.threshold = 0), Err(RuleProblem::Threshold));
        assert_eq!(with(|rule| rule.window = WINDOW_MAX), Ok(()));
        assert_eq!(
            with(|rule| rule.window = WINDOW_MAX + WINDOW_MIN),
            Err(RuleProblem::Window(WINDOW_MAX))
        );
        assert_eq!(
            with(|rule| rule.window = WINDOW_MIN / 2),
            Err(RuleProblem::Window(WINDOW_MAX))
        );
        assert_eq!(with(|rule| rule.quiet = QUIET_MAX), Ok(()));
        assert_eq!(with(|rule| rule.quiet = QUIET_MAX * 2), Err(RuleProblem::Quiet));
        assert_eq!(with(|rule| rule.quiet = QUIET_MIN / 2), Err(RuleProblem::Quiet));
        let mut silence = Rule::new(RuleKind::NewNetwork);
        silence.window = SILENCE_MAX;
        assert_eq!(silence.check(), Ok(()));
    }

    #[test]
    fn calm_is_below_half_the_threshold() {
        let mut rule = Rule::new(RuleKind::RefusalsPerBinding);
        for (threshold, calm_below) in [
            (1, 1),
            (2, 1),
            (3, 2),
            (10, 5),
            (THRESHOLD_MAX, THRESHOLD_MAX / 2),
        ] {
            rule.threshold = threshold;
            assert_eq!(rule.calm_below(), calm_below);
        }
    }

    #[test]
    fn a_disabled_rule_is_not_given() {
        let mut rules = Rules::default();
        let mut rule = Rule::new(RuleKind::NewNetwork);
        rule.is_enabled = false;
        rules.set(rule.clone()).expect("good numbers");
        assert_eq!(rules.enabled(RuleKind::NewNetwork), None);
        assert_eq!(rules.get(RuleKind::NewNetwork), &rule);
        assert!(rules.enabled(RuleKind::RecordsLost).is_some());
    }
}
