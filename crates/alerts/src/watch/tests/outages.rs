//! The watch while the store, the counters or both are away.

use super::*;
use crate::memory::MemoryAlertStore;
use crate::testing::FlakyOutbox;

fn flaky_fleet(rules: Rules) -> (Arc<FlakyOutbox>, Fleet) {
    let store = MemoryAlertStore::new();
    let flaky = Arc::new(FlakyOutbox::new(store.clone()));
    let fleet = Fleet::with(2, rules, store, flaky.clone());
    (flaky, fleet)
}

async fn local(fleet: &Fleet) -> Vec<Alert> {
    let rows = fleet.parts.local.alerts(AlertFilter {
        limit: 100,
        ..AlertFilter::default()
    });
    let rows = rows.await.expect("memory answers");
    rows.into_iter().map(|row| row.alert).collect()
}

#[tokio::test]
async fn an_outage_of_the_store_is_told_of_from_memory() {
    let (flaky, mut fleet) = flaky_fleet(only(RuleKind::StoreOutage));
    flaky.set_away(true);
    let at = fleet.clock.now();
    let part = Part::Store;
    fleet.signal(0, &[Signal::Down { part, at }]).await;
    fleet.pass(ROUND).await;
    assert_eq!(local(&fleet).await, [], "it has to last");
    for _ in 0..60 {
        fleet.pass(ROUND).await;
    }
    let told = local(&fleet).await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].rule, told[0].state),
        (RuleKind::StoreOutage, AlertState::Firing)
    );
    assert_eq!(told[0].seen.first_at, at);
    // It answers again, a moment before the signal says so.
    flaky.set_away(false);
    fleet.pass(ROUND).await;
    assert_eq!(fleet.alerts().await, [], "it is not told of twice");
    fleet.signal(0, &[Signal::Up { part }]).await;
    for _ in 0..30 {
        fleet.pass(ROUND).await;
    }
    let told = local(&fleet).await;
    assert_eq!((told.len(), told[0].state), (1, AlertState::Calmed));
}

#[tokio::test]
async fn an_outage_of_the_cache_is_one_alert_of_all_replicas() {
    let (_, mut fleet) = flaky_fleet(only(RuleKind::CacheOutage));
    let at = fleet.clock.now();
    let part = Part::Cache;
    for replica in 0..2 {
        fleet.signal(replica, &[Signal::Down { part, at }]).await;
    }
    for _ in 0..60 {
        fleet.pass(ROUND).await;
    }
    // One replica has it back; the other has not.
    fleet.signal(0, &[Signal::Up { part }]).await;
    for _ in 0..60 {
        fleet.pass(ROUND).await;
    }
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].state.is_open());
    fleet.signal(1, &[Signal::Up { part }]).await;
    for _ in 0..60 {
        fleet.pass(ROUND).await;
    }
    assert_eq!(fleet.show(&alerts[0].id).await.state, AlertState::Calmed);
}

#[tokio::test]
async fn what_cannot_be_raised_is_raised_when_the_store_is_back() {
    let (flaky, mut fleet) = flaky_fleet(only(RuleKind::RefusalsPerBinding));
    flaky.set_away(true);
    for key in 0..3 {
        fleet.refuse(0, key, "198.51.100.7", 10).await;
        fleet.refuse(1, key, "198.51.100.7", 10).await;
    }
    for _ in 0..60 {
        fleet.pass(ROUND).await;
    }
    assert_eq!(local(&fleet).await, []);
    flaky.set_away(false);
    fleet.pass(ROUND).await;
    let alerts = fleet.alerts().await;
    assert_eq!(alerts.len(), 3);
    assert!(alerts.iter().all(|alert| alert.seen.count >= 20), "{alerts:?}");
}

#[tokio::test]
async fn so_many_wait_for_the_store_one_by_one_and_the_others_together() {
    let (flaky, mut fleet) = flaky_fleet(only(RuleKind::RefusalsPerBinding));
    flaky.set_away(true);
    let at = fleet.clock.now();
    let keys = 1_500;
    let refusals = |keys: std::ops::Range<i64>| -> Vec<Intercept> {
        keys.map(|key| refusal(key, "198.51.100.7", at, 10)).collect()
    };
    fleet.record(0, &refusals(0..500)).await;
    fleet.record(0, &refusals(500..keys)).await;
    fleet.round().await;
    flaky.set_away(false);
    fleet.pass(ROUND).await;
    fleet.pass(ROUND).await;
    let alerts = fleet.alerts().await;
    let crowd_max = usize::try_from(CROWD_MAX).expect("small");
    assert_eq!(alerts.len(), crowd_max + 1);
    let told: u64 = alerts.iter().map(|alert| alert.seen.count).sum();
    assert_eq!(i64::try_from(told), Ok(keys * 10), "none is lost");
}

#[tokio::test]
async fn without_counters_a_batch_counts_for_itself() {
    let mut fleet = Fleet::new(1, only(RuleKind::RefusalsPerBinding));
    fleet.counters.set_away(true);
    fleet.refuse(0, 7, "198.51.100.7", 9).await;
    assert_eq!(fleet.alerts().await, []);
    fleet.refuse(0, 7, "198.51.100.7", 10).await;
    assert_eq!(fleet.alerts().await.len(), 1);
}
