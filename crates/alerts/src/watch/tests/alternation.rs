//! Whatever replicas see and whenever: alerts on one subject come one after the other, and no crossing goes untold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Refuse { replica: usize, key: i64, count: u32 },
    Pass { seconds: u64 },
    Restart { replica: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_usize, 0..3_i64, 1..12_u32).prop_map(|(replica, key, count)| Act::Refuse { replica, key, count }),
        6 => (1..90_u64).prop_map(|seconds| Act::Pass { seconds }),
        1 => (60..1_500_u64).prop_map(|seconds| Act::Pass { seconds }),
        1 => (0..3_usize).prop_map(|replica| Act::Restart { replica }),
    ]
}

/// When each key was refused, and how often.
type Refused = BTreeMap<i64, Vec<(Timestamp, u64)>>;

/// Whether the key's refusals in the window that ends now are as many as raise an alert.
fn has_crossed(refused: &Refused, key: i64, rule: &Rule, now: Timestamp) -> bool {
    let of_key = refused.get(&key).into_iter().flatten();
    let in_window = of_key.filter(|(at, _)| now.since(*at) < rule.window);
    in_window.map(|(_, count)| count).sum::<u64>() >= rule.threshold
}

async fn check(fleet: &Fleet, crossings: &[(i64, Timestamp)]) {
    let mut alerts = fleet.alerts().await;
    alerts.reverse();
    for key in 0..3 {
        let of_key = alerts
            .iter()
            .filter(|alert| alert.subject == Subject::Binding(BindingId(key)));
        let of_key: Vec<&Alert> = of_key.collect();
        for pair in of_key.windows(2) {
            assert!(!pair[0].state.is_open(), "two firing at once: {pair:?}");
            assert!(pair[0].at <= pair[1].raised_at);
        }
        for alert in &of_key {
            let history = fleet.history(&alert.id).await;
            assert_eq!(history[0].state, AlertState::Firing);
            for (place, transition) in history.iter().enumerate().skip(1) {
                assert_ne!(transition.state, AlertState::Firing);
                assert_eq!(transition.sequence as usize, place);
                let is_last = place == history.len() - 1;
                assert!(
                    is_last || transition.state == AlertState::Updated,
                    "nothing comes after calm"
                );
            }
        }
        for (_, at) in crossings.iter().filter(|(crossed, _)| *crossed == key) {
            let is_told = of_key
                .iter()
                .any(|alert| alert.raised_at >= *at || alert.state.is_open() || alert.at >= *at);
            assert!(is_told, "key {key} crossed at {at:?}, untold: {of_key:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn alerts_alternate_and_none_is_missed(acts in prop::collection::vec(act(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let rules = only(RuleKind::RefusalsPerBinding);
            let rule = rules.get(RuleKind::RefusalsPerBinding).clone();
            let mut fleet = Fleet::new(3, rules);
            let mut refused = Refused::new();
            let mut crossings = Vec::new();
            for act in acts {
                match act {
                    Act::Refuse { replica, key, count } => {
                        let now = fleet.clock.now();
                        refused.entry(key).or_default().push((now, u64::from(count)));
                        fleet.refuse(replica, key, "198.51.100.7", count).await;
                        if has_crossed(&refused, key, &rule, now) {
                            crossings.push((key, now));
                        }
                    }
                    Act::Pass { seconds } => {
                        fleet.pass(Duration::from_secs(seconds)).await;
                        if crossings.len() < 200 {
                            fleet.round().await;
                            check(&fleet, &crossings).await;
                        }
                    }
                    Act::Restart { replica } => {
                        // A replica that ends says what it saw.
                        fleet.round().await;
                        fleet.restart(replica);
                    }
                }
            }
            fleet.round().await;
            check(&fleet, &crossings).await;
        });
    }
}
