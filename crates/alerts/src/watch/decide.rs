//! What an open alert's next transition is, if any. Pure. Must never let an alert that goes on be silent for good, nor tell of it often.

use std::time::Duration;

use sentinel_core::alert::{Alert, AlertState, Rule};
use sentinel_core::time::Timestamp;

/// How long after it was raised an alert that goes on is told of again; each further time it is twice as long.
pub const UPDATE_FIRST: Duration = Duration::from_mins(5);
/// The longest pause between two notices of an alert that goes on.
pub const UPDATE_PAUSE_MAX: Duration = Duration::from_hours(6);

/// The next transition. `count` is what is in the window now; `calm_below` what is calm; the rule is none when it is switched off.
pub(super) fn next_state(
    alert: &Alert,
    count: u64,
    calm_below: u64,
    rule: Option<&Rule>,
    now: Timestamp,
) -> Option<AlertState> {
    let Some(rule) = rule else {
        return Some(AlertState::Calmed);
    };
    let above_at = alert.seen.above_at.max(alert.raised_at);
    if count < calm_below && now.since(above_at) >= rule.quiet {
        return Some(AlertState::Calmed);
    }
    let has_grown = alert.seen.count > alert.told;
    (has_grown && now.since(alert.at) >= update_pause(alert.sequence)).then_some(AlertState::Updated)
}

fn update_pause(sequence: u32) -> Duration {
    UPDATE_FIRST
        .saturating_mul(1_u32 << sequence.min(31))
        .min(UPDATE_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use sentinel_core::alert::RuleKind;
    use sentinel_core::alert::conformance::draft;

    use super::*;

    fn minute(number: u64) -> Timestamp {
        Timestamp::from_unix_ms(0).plus(Duration::from_mins(number))
    }

    #[test]
    fn it_is_calm_after_its_quiet_and_not_while_the_count_is_high() {
        let rule = Rule::new(RuleKind::RefusalsPerBinding);
        assert_eq!(rule.quiet, Duration::from_mins(10));
        let alert = draft(1, 0);
        let at = |count, now| next_state(&alert, count, 5, Some(&rule), minute(now));
        assert_eq!(at(4, 9), None);
        assert_eq!(at(4, 10), Some(AlertState::Calmed));
        assert_eq!(at(5, 10), None);
        let mut later = alert.clone();
        later.seen.above_at = minute(8);
        assert_eq!(next_state(&later, 0, 5, Some(&rule), minute(17)), None);
        assert_eq!(
            next_state(&later, 0, 5, Some(&rule), minute(18)),
            Some(AlertState::Calmed)
        );
        assert_eq!(
            next_state(&alert, 9, 5, None, minute(0)),
            Some(AlertState::Calmed)
        );
    }

    #[test]
    fn it_is_told_of_at_growing_intervals_while_it_grows() {
        let rule = Rule::new(RuleKind::RefusalsPerBinding);
        let mut alert = draft(1, 0);
        let next = |alert: &Alert, now| next_state(alert, 10, 5, Some(&rule), now);
        assert_eq!(next(&alert, minute(1_000)), None, "it has not grown");
        let mut pause = UPDATE_FIRST;
        for _ in 0..12 {
            alert.seen.count += 1;
            let due = alert.at.plus(pause);
            assert_eq!(next(&alert, Timestamp::from_unix_ms(due.unix_ms() - 1)), None);
            assert_eq!(next(&alert, due), Some(AlertState::Updated));
            alert = alert.advanced(AlertState::Updated, due, "a");
            pause = (pause * 2).min(UPDATE_PAUSE_MAX);
        }
        assert_eq!(pause, UPDATE_PAUSE_MAX);
    }
}
