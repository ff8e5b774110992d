mod alternation;
mod fleet;
mod outages;
mod running;

use sentinel_core::alert::conformance::draft;
use sentinel_core::alert::ports::{AlertFilter, DeliveryFilter};
use sentinel_core::binding::BindingId;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_testkit::SettableClock;

use self::fleet::Fleet;
use super::*;
use crate::testing::{channel_id, intercept};
use sentinel_core::alert::ports::Transition;
use sentinel_core::alert::{Alert, AlertId, AlertState};

/// A refusal of the key with this binding, from this address.
fn refusal(binding: i64, from: &str, at: Timestamp, count: u32) -> Intercept {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&binding.to_be_bytes());
    Intercept {
        at,
        last_at: at,
        fingerprint: Some(KeyFingerprint::from_bytes(key)),
        hint: Some(KeyHint::from_stored(format!("sk-{binding}…wxyz"))),
        count,
        ..intercept(RefusalReason::KeyIpMismatch, Some(binding), None, from)
    }
}

/// Only this rule, with its usual numbers.
fn only(kind: RuleKind) -> Rules {
    let mut rules = Rules::default();
    for other in RuleKind::ALL {
        let mut rule = rules.get(other).clone();
        rule.is_enabled = other == kind;
        rules.set(rule).expect("good numbers");
    }
    rules
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_attack_is_one_alert_with_few_notices_and_one_end() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    // Two hours of an attack, and silence after it.
    for second in 0..7_200 {
        fleet.refuse(0, 7, "198.51.100.7", 1).await;
        fleet.pass(SECOND).await;
        if second == 8 {
            assert_eq!(fleet.alerts().await, [], "9 of 10");
        }
    }
    for _ in 0..1_200 {
        fleet.pass(SECOND).await;
    }
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    let history = fleet.history(&alerts[0].id).await;
    let states: Vec<&str> = history.iter().map(|alert| alert.state.as_str()).collect();
    // After 5, 10, 20, 40 minutes.
    assert_eq!(
        states,
        ["firing", "updated", "updated", "updated", "updated", "calmed"]
    );
    assert_eq!(history[0].seen.count, 10);
    let end = history.last().expect("calmed");
    assert_eq!((end.seen.count, end.seen.peak), (7_200, 60));
    assert_eq!(end.binding, Some(BindingId(7)));
    assert_eq!(end.hint.as_ref().map(KeyHint::as_str), Some("sk-7…wxyz"));
    assert!(end.seen.example.is_some());
    // Below half the threshold a little after the last refusal; then it has to be quiet.
    let quiet = end.at.since(end.seen.last_at);
    assert!(
        quiet >= Duration::from_mins(10) && quiet <= Duration::from_mins(12),
        "{quiet:?}"
    );
    assert_eq!(fleet.deliveries().await, history.len() * 2, "to both channels");
}

#[tokio::test]
async fn a_count_that_swings_around_the_threshold_is_one_alert() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    for _ in 0..20 {
        fleet.refuse(0, 7, "198.51.100.7", 12).await;
        for _ in 0..300 {
            fleet.pass(SECOND).await;
        }
    }
    assert_eq!(fleet.alerts().await.len(), 1);
}

#[tokio::test]
async fn three_replicas_with_a_third_each_raise_one_alert() {
    let mut fleet = Fleet::new(3, only(RuleKind::RefusalsPerBinding));
    for round in 0..30 {
        fleet.refuse(round % 3, 7, "198.51.100.7", 1).await;
        fleet.pass(SECOND).await;
    }
    for _ in 0..30 {
        fleet.pass(SECOND).await;
    }
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(fleet.history(&alerts[0].id).await.len(), 1);
    assert_eq!(alerts[0].seen.count, 30, "of all replicas");
}

#[tokio::test]
async fn one_address_that_tries_many_keys_is_told_of_once() {
    let mut fleet = Fleet::new(2, only(RuleKind::ManyKeysFromAddress));
    for key in 0..4 {
        for _ in 0..10 {
            fleet.refuse(0, key, "198.51.100.7", 3).await;
        }
    }
    assert_eq!(fleet.alerts().await, [], "four keys, however often");
    fleet.refuse(1, 4, "198.51.100.7", 1).await;
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        alerts[0].subject,
        Subject::Address("198.51.100.7".parse().expect("one"))
    );
    assert_eq!((alerts[0].seen.peak, alerts[0].binding), (5, None));
    assert_eq!(alerts[0].hint, None, "it is about the address");
    for key in 5..40 {
        fleet.refuse(1, key, "198.51.100.7", 1).await;
    }
    fleet.pass(ROUND).await;
    assert_eq!(fleet.alerts().await.len(), 1);
    assert_eq!(fleet.alerts().await[0].seen.peak, 40);
}

#[tokio::test]
async fn many_networks_that_try_one_key_are_a_leak_and_neighbours_are_not() {
    let mut fleet = Fleet::new(2, only(RuleKind::ManyNetworksForKey));
    for last in 1..=50 {
        fleet.refuse(0, 7, &format!("198.51.100.{last}"), 1).await;
        fleet.refuse(0, 7, &format!("2001:db8:1:{last:x}::1"), 1).await;
    }
    assert_eq!(fleet.alerts().await, [], "two networks");
    for network in 1..=2 {
        fleet.refuse(0, 7, &format!("203.0.{network}.9"), 1).await;
    }
    fleet.pass(Duration::from_mins(20)).await;
    fleet.refuse(1, 7, "192.0.2.9", 1).await;
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].subject, Subject::Binding(BindingId(7)));
    assert!(alerts[0].seen.peak >= 5);
}

#[tokio::test]
async fn different_things_count_while_they_are_in_the_window_and_not_long_after() {
    let mut fleet = Fleet::new(1, only(RuleKind::ManyKeysFromAddress));
    // Window 10 minutes, threshold 5. One new key every 4 minutes, each used once: never five at once.
    for key in 0..20 {
        fleet.refuse(0, key, "198.51.100.7", 1).await;
        fleet.pass(Duration::from_mins(4)).await;
    }
    assert_eq!(fleet.alerts().await, []);
    // The same, but each key goes on being used: soon there are five.
    for key in 20..26 {
        for _ in 0..4 {
            for used in 20..=key {
                fleet.refuse(0, used, "198.51.100.7", 1).await;
            }
            fleet.pass(Duration::from_mins(1)).await;
        }
    }
    assert_eq!(fleet.alerts().await.len(), 1);
}

#[tokio::test]
async fn a_banned_key_and_a_new_network_are_told_of() {
    let mut fleet = Fleet::new(1, Rules::default());
    let now = fleet.clock.now();
    let mut banned = refusal(7, "198.51.100.7", now, 1);
    banned.reason = RefusalReason::KeyBanned;
    let new_network = Signal::NewNetwork {
        binding: BindingId(8),
        hint: KeyHint::from_stored("sk-8…end".to_owned()),
        network: "203.0.113.0/24".parse().expect("a network"),
        at: now,
    };
    let lost = Signal::RecordsLost { count: 500, at: now };
    fleet.record(0, &[banned]).await;
    fleet.signal(0, &[new_network, lost]).await;
    let mut found: Vec<(RuleKind, u64)> = fleet
        .alerts()
        .await
        .iter()
        .map(|alert| (alert.rule, alert.seen.count))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            (RuleKind::NewNetwork, 1),
            (RuleKind::BannedKeyTried, 1),
            (RuleKind::RecordsLost, 500)
        ]
    );
    for _ in 0..90 {
        fleet.pass(Duration::from_mins(1)).await;
    }
    assert!(fleet.alerts().await.iter().all(|alert| !alert.state.is_open()));
}

#[tokio::test]
async fn a_crowd_is_told_of_together_and_ends_together() {
    let mut fleet = Fleet::new(2, only(RuleKind::RefusalsPerBinding));
    for key in 0..200 {
        let replica = usize::from(key % 2 == 0);
        fleet.refuse(replica, key, "198.51.100.7", 10).await;
    }
    let alerts = fleet.alerts().await;
    let crowd_max = usize::try_from(CROWD_MAX).expect("small");
    assert_eq!(alerts.len(), crowd_max + 1);
    let many = alerts.iter().find(|alert| alert.subject == Subject::Many);
    let many = many.expect("one for the others");
    assert_eq!((many.binding, &many.hint), (None, &None));
    fleet.pass(ROUND).await;
    let many = fleet.show(&many.id.clone()).await;
    assert_eq!(many.seen.count, (200 - CROWD_MAX) * 10);
    for _ in 0..60 {
        fleet.pass(Duration::from_mins(1)).await;
    }
    assert!(fleet.alerts().await.iter().all(|alert| !alert.state.is_open()));
    assert!(CROWD_WINDOW < Duration::from_hours(1));
}

#[tokio::test]
async fn a_rule_goes_where_it_says_and_everywhere_when_that_is_gone() {
    let mut rules = only(RuleKind::RefusalsPerBinding);
    let mut rule = rules.get(RuleKind::RefusalsPerBinding).clone();
    rule.channels = vec![channel_id("mail"), channel_id("gone")];
    rules.set(rule.clone()).expect("good numbers");
    let mut fleet = Fleet::new(1, rules.clone());
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    assert_eq!(fleet.deliveries().await, 1);
    rule.channels = vec![channel_id("gone")];
    rules.set(rule).expect("good numbers");
    fleet.change(rules);
    fleet.refuse(0, 8, "198.51.100.7", 10).await;
    assert_eq!(fleet.deliveries().await, 1 + 2);
}

#[tokio::test]
async fn a_rule_that_is_switched_off_ends_its_alerts() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    fleet.change(only(RuleKind::NewNetwork));
    fleet.pass(ROUND).await;
    assert_eq!(fleet.alerts().await[0].state, AlertState::Calmed);
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    assert_eq!(fleet.alerts().await.len(), 1);
}

#[tokio::test]
async fn a_replica_that_starts_later_takes_part() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    fleet.restart(0);
    fleet.refuse(0, 7, "198.51.100.7", 5).await;
    fleet.pass(ROUND).await;
    let alerts = fleet.alerts().await;
    assert_eq!((alerts.len(), alerts[0].seen.count), (1, 15));
    for _ in 0..20 {
        fleet.pass(Duration::from_mins(1)).await;
    }
    assert_eq!(fleet.alerts().await[0].state, AlertState::Calmed);
}

#[tokio::test]
async fn what_comes_after_a_calm_that_was_not_heard_of_is_a_new_alert() {
    let mut fleet = Fleet::new(2, only(RuleKind::RefusalsPerBinding));
    fleet.refuse(1, 7, "198.51.100.7", 10).await;
    fleet.clock.advance(Duration::from_mins(11));
    fleet.round_of(0).await;
    assert_eq!(fleet.alerts().await[0].state, AlertState::Calmed);
    // The other replica still takes the first one for open.
    fleet.refuse(1, 7, "198.51.100.7", 15).await;
    assert_eq!(fleet.alerts().await.len(), 1);
    fleet.round_of(1).await;
    let alerts = fleet.alerts().await;
    assert_eq!((alerts.len(), alerts[0].state), (2, AlertState::Firing));
    assert_eq!((alerts[0].seen.count, alerts[1].seen.count), (15, 10));
}

#[tokio::test]
async fn old_alerts_are_removed_and_strays_given_up() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    for _ in 0..30 {
        fleet.pass(Duration::from_mins(1)).await;
    }
    assert_eq!(fleet.alerts().await.len(), 1);
    fleet.leave_channels();
    fleet.pass(HOUSEKEEPING + STRAY_AGE).await;
    let mut dead = fleet.all_deliveries().await;
    dead.retain(|delivery| delivery.state == sentinel_core::alert::ports::DeliveryState::Dead);
    assert_eq!(dead.len(), 4, "raised and calmed, to two channels");
    fleet.pass(KEPT).await;
    assert_eq!(fleet.alerts().await, []);
}

#[tokio::test]
async fn so_many_old_alerts_are_removed_at_once() {
    let mut fleet = Fleet::new(1, only(RuleKind::NewNetwork));
    let at = fleet.clock.now();
    for number in 0..=i64::from(HOUSEKEEPING_ROWS_MAX) {
        let alert = draft(number, at.unix_ms());
        let calm = Transition::Advance {
            id: alert.id.clone(),
            sequence: 0,
            to: AlertState::Calmed,
            at,
            replica: String::new(),
        };
        for wanted in [Transition::Raise(Box::new(alert)), calm] {
            fleet.store.transition(wanted, &[]).await.expect("made");
        }
    }
    fleet.pass(KEPT + SECOND).await;
    assert_eq!(fleet.alerts().await.len(), 1);
    fleet.pass(HOUSEKEEPING).await;
    assert_eq!(fleet.alerts().await, []);
}

#[tokio::test]
async fn so_many_subjects_are_counted_at_once_and_a_crowd_asks_the_store_seldom() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    let now = fleet.clock.now();
    let keys = i64::try_from(BATCH_MAX * 2 + 1).expect("small");
    let records: Vec<Intercept> = (0..keys)
        .map(|key| refusal(key, "198.51.100.7", now, 10))
        .collect();
    fleet.record(0, &records).await;
    let crowd_max = i64::try_from(CROWD_MAX).expect("small");
    let alerts = fleet.alerts().await;
    assert_eq!(i64::try_from(alerts.len()), Ok(crowd_max + 1));
    fleet.pass(ROUND).await;
    let alerts = fleet.alerts().await;
    let all: u64 = alerts.iter().map(|alert| alert.seen.count).sum();
    assert_eq!(i64::try_from(all), Ok(keys * 10), "each is counted, once");
    // Sums, crowds and those who join: not a question for each key.
    assert!(fleet.counters.asked() < 100, "{}", fleet.counters.asked());
}
