//! Finding: fresh, past its life, with the store away or slow, and by many at once.

use sentinel_core::binding::BindingStatus;
use sentinel_core::known::Known;
use sentinel_core::ports::{BindingAdmin, BindingLookup, BindingStore, Claim, StoreError};

use super::super::{CacheBounds, LOAD_ATTEMPTS_MAX};
use super::{find, fresh_ms, lookup, lookup_with, milliseconds};
use crate::conformance::{actor, at, claimed, fingerprint, network, new_binding};

#[tokio::test]
async fn a_binding_is_loaded_once_and_given_while_it_is_fresh() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let key = fingerprint(1);
    assert!(lookup.cached(&key, at(10)).is_none());
    let known = find(&lookup, 1, 10).await;
    for now in [10, 11, 10 + fresh_ms() - 1] {
        let cached = lookup.cached(&key, at(now)).expect("fresh");
        assert!(Known::ptr_eq(&cached, &known));
        find(&lookup, 1, now).await;
    }
    assert_eq!(store.calls(), 1);
    assert!(lookup.cached(&key, at(10 + fresh_ms())).is_none());
}

#[tokio::test]
async fn a_change_by_another_process_is_noticed_within_the_life() {
    let (lookup, store) = lookup();
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    find(&lookup, 1, 0).await;
    store.memory.ban(id, String::new(), actor(1)).await.unwrap();
    assert_eq!(
        find(&lookup, 1, fresh_ms() - 1).await.binding.status,
        BindingStatus::Active
    );
    assert_eq!(
        find(&lookup, 1, fresh_ms()).await.binding.status,
        BindingStatus::Banned
    );
    store.memory.unbind(id, actor(2)).await.unwrap();
    let gone = lookup.find(&fingerprint(1), at(2 * fresh_ms())).await;
    assert!(matches!(gone, Ok(None)));
    assert_eq!(lookup.entries(), 0);
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_the_life() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 1_000_000).await;
    assert!(lookup.cached(&fingerprint(1), at(999_999)).is_none());
    find(&lookup, 1, 999_999).await;
    assert_eq!(store.calls(), 2);
}

#[tokio::test]
async fn that_a_key_has_no_binding_is_not_kept() {
    let (lookup, store) = lookup();
    for _ in 0..2 {
        assert!(lookup.find(&fingerprint(1), at(0)).await.unwrap().is_none());
    }
    assert_eq!(store.calls(), 2);
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
}

#[tokio::test]
async fn while_the_store_is_away_what_was_known_is_given_however_old() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let known = find(&lookup, 1, 0).await;
    store.go_away();
    let year = 365 * 24 * 3_600 * 1_000;
    for now in [fresh_ms(), year] {
        let given = find(&lookup, 1, now).await;
        assert_eq!(given.binding, known.binding);
    }
    assert_eq!(lookup.counts().given_past_life, 2);
    let unknown = lookup.find(&fingerprint(2), at(year)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))));

    store.fail(None);
    let calls = store.calls();
    find(&lookup, 1, 2 * year).await;
    assert_eq!(store.calls(), calls + 1);
    assert_eq!(lookup.counts().given_past_life, 2);
}

#[tokio::test]
async fn a_store_that_is_away_is_asked_again_after_a_pause() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    store.go_away();
    let pause = milliseconds(CacheBounds::default().retry_pause);
    let failed = fresh_ms();
    find(&lookup, 1, failed).await;
    assert!(lookup.cached(&fingerprint(1), at(failed + pause - 1)).is_some());
    find(&lookup, 1, failed + pause - 1).await;
    assert_eq!(store.calls(), 2);
    find(&lookup, 1, failed + pause).await;
    assert_eq!(store.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_counts_as_away_after_a_while() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    let _gate = store.hold();
    let begun = tokio::time::Instant::now();
    find(&lookup, 1, fresh_ms()).await;
    assert_eq!(begun.elapsed(), CacheBounds::default().store_wait_max);
    let unknown = lookup.find(&fingerprint(2), at(0)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))));
    let claim = lookup.claim(new_binding(2, "192.0.2.2")).await;
    assert!(matches!(claim, Err(StoreError::Unavailable(_))));

    store.hold_no_longer();
    assert!(matches!(
        lookup.claim(new_binding(2, "192.0.2.2")).await,
        Ok(Claim::Lost(_))
    ));
}

#[tokio::test]
async fn many_who_ask_for_one_key_make_one_load() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let gate = store.hold();
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let lookup = std::sync::Arc::clone(&lookup);
        askers.spawn(async move { find(&lookup, 1, 0).await.binding.clone() });
    }
    gate.entered().await;
    gate.let_one_go();
    assert_eq!(askers.join_all().await.len(), 100);
    assert_eq!(store.calls(), 1);
    assert_eq!(lookup.flights.len(), 0);
}

#[tokio::test]
async fn an_error_is_everybodys_who_waited_for_it() {
    let (lookup, store) = lookup();
    store.go_away();
    let gate = store.hold();
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let lookup = std::sync::Arc::clone(&lookup);
        askers.spawn(async move { lookup.find(&fingerprint(1), at(0)).await.is_err() });
    }
    gate.entered().await;
    gate.let_one_go();
    assert!(askers.join_all().await.into_iter().all(|failed| failed));
    assert_eq!(store.calls(), 1);
}

#[tokio::test]
async fn when_the_one_who_loads_leaves_the_next_takes_over() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let gate = store.hold();
    let ask = || {
        let lookup = std::sync::Arc::clone(&lookup);
        tokio::spawn(async move { find(&lookup, 1, 0).await })
    };
    let leaver = ask();
    gate.entered().await;
    let heir = ask();
    tokio::task::yield_now().await;
    leaver.abort();
    gate.entered().await;
    gate.let_one_go();
    heir.await.unwrap();
    assert_eq!(store.calls(), 2);
    assert_eq!(lookup.flights.len(), 0);

    // When all leave, nothing of the load stays.
    let last = ask();
    last.await.unwrap();
    let alone = tokio::spawn({
        let lookup = std::sync::Arc::clone(&lookup);
        async move { find(&lookup, 1, fresh_ms()).await }
    });
    gate.entered().await;
    alone.abort();
    assert!(alone.await.is_err());
    assert_eq!(lookup.flights.len(), 0);
}

#[tokio::test]
async fn loads_at_the_same_time_have_a_maximum() {
    let (lookup, store) = lookup_with(&CacheBounds {
        loads_max: 2,
        ..CacheBounds::default()
    });
    for number in 1..=3 {
        claimed(&store.memory, number, "192.0.2.1").await;
    }
    find(&lookup, 3, 0).await;
    let gate = store.hold();
    let mut askers = tokio::task::JoinSet::new();
    for number in 1..=2 {
        let lookup = std::sync::Arc::clone(&lookup);
        askers.spawn(async move { find(&lookup, number, 0).await.binding.id });
        gate.entered().await;
    }
    assert!(matches!(
        lookup.find(&fingerprint(4), at(0)).await,
        Err(StoreError::Busy)
    ));
    // What was known is given all the same.
    find(&lookup, 3, fresh_ms()).await;
    gate.let_one_go();
    gate.let_one_go();
    assert_eq!(askers.join_all().await.len(), 2);
    store.hold_no_longer();
    assert!(matches!(lookup.find(&fingerprint(4), at(0)).await, Ok(None)));
}

#[tokio::test]
async fn entries_have_a_maximum() {
    let (lookup, store) = lookup_with(&CacheBounds {
        entries_max: 64,
        ..CacheBounds::default()
    });
    for number in 0..500 {
        claimed(&store.memory, number, "192.0.2.1").await;
        find(&lookup, number, 0).await;
        assert!(lookup.entries() <= 64);
    }
    assert!(lookup.entries() > 32, "{}", lookup.entries());
}

#[tokio::test]
async fn expiring_ends_every_life_and_forgets_nothing() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    lookup.expire_all();
    assert!(lookup.cached(&fingerprint(1), at(1)).is_none());
    store.go_away();
    find(&lookup, 1, 1).await;
    store.fail(None);
    find(&lookup, 1, fresh_ms()).await;
    assert!(lookup.cached(&fingerprint(1), at(fresh_ms())).is_some());

    // A load that was under way when all expired gives its answer, and is not taken for fresh.
    lookup.expire_all();
    let gate = store.hold();
    let asker = tokio::spawn({
        let lookup = std::sync::Arc::clone(&lookup);
        async move { find(&lookup, 1, fresh_ms()).await }
    });
    gate.entered().await;
    lookup.expire_all();
    gate.let_one_go();
    asker.await.unwrap();
    assert!(lookup.cached(&fingerprint(1), at(fresh_ms())).is_none());
}

#[tokio::test]
async fn a_lookup_that_is_overtaken_every_time_ends() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let gate = store.hold();
    let asker = tokio::spawn({
        let lookup = std::sync::Arc::clone(&lookup);
        async move { find(&lookup, 1, 0).await }
    });
    for _ in 0..LOAD_ATTEMPTS_MAX {
        gate.entered().await;
        lookup.invalidate(&fingerprint(1), None);
        gate.let_one_go();
    }
    asker.await.unwrap();
    assert_eq!(store.calls(), LOAD_ATTEMPTS_MAX as usize);
    assert!(lookup.cached(&fingerprint(1), at(0)).is_none());
}

#[tokio::test]
async fn claims_and_lessons_are_known_at_once() {
    let (lookup, store) = lookup();
    let new = new_binding(1, "192.0.2.1");
    let now = new.bound_at;
    let Ok(Claim::Won(won)) = lookup.claim(new).await else {
        panic!("the first claim wins");
    };
    let cached = lookup.cached(&fingerprint(1), now).expect("cached");
    assert!(Known::ptr_eq(&cached, &won));
    let Ok(Claim::Lost(stored)) = lookup.claim(new_binding(1, "192.0.2.9")).await else {
        panic!("the second claim loses");
    };
    assert_eq!(stored.binding, won.binding);

    let learned = lookup.learn(&won, network("192.0.2.2"), 2, now).await;
    let learned = learned.unwrap().expect("the binding");
    assert_eq!(learned.binding.networks.len(), 2);
    let cached = lookup.cached(&fingerprint(1), now).expect("cached");
    assert_eq!(cached.binding, learned.binding);

    // The claim's version is no longer the stored one.
    lookup.release(&won).await.unwrap();
    let known = find(&lookup, 1, 2_000).await;
    assert_eq!(known.binding, learned.binding);
    lookup.release(&known).await.unwrap();
    assert!(lookup.cached(&fingerprint(1), now).is_none());
    assert!(lookup.find(&fingerprint(1), now).await.unwrap().is_none());
    let gone = lookup.learn(&known, network("192.0.2.3"), 9, now).await;
    assert!(gone.unwrap().is_none());
    assert_eq!(store.calls(), 8);
}

#[tokio::test]
async fn a_binding_that_the_upstream_accepted_is_not_released() {
    let (lookup, store) = lookup();
    let Ok(Claim::Won(won)) = lookup.claim(new_binding(1, "192.0.2.1")).await else {
        panic!("the first claim wins");
    };
    // Somebody else's request, later, with a copy that was loaded anew.
    let reloaded = find(&lookup, 1, fresh_ms() * 2).await;
    reloaded.uses.confirm();
    assert!(won.uses.is_confirmed(), "it is the same copy, with a new life");
    let asked = store.calls();
    assert_eq!(lookup.release(&won).await, Ok(()));
    assert_eq!(store.calls(), asked);
    assert!(store.memory.find(&fingerprint(1)).await.unwrap().is_some());
    assert!(lookup.cached(&fingerprint(1), at(fresh_ms() * 2)).is_some());
}

#[tokio::test]
async fn what_was_accepted_is_remembered_by_the_copy_that_is_no_longer_cached() {
    let (lookup, store) = lookup();
    let Ok(Claim::Won(won)) = lookup.claim(new_binding(1, "192.0.2.1")).await else {
        panic!("the first claim wins");
    };
    won.uses.confirm();
    lookup.invalidate(&fingerprint(1), None);
    assert_eq!(lookup.release(&won).await, Ok(()));
    assert!(store.memory.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_copy_that_counts_apart_releases_nothing_either() {
    let (lookup, store) = lookup();
    let Ok(Claim::Won(won)) = lookup.claim(new_binding(1, "192.0.2.1")).await else {
        panic!("the first claim wins");
    };
    lookup.invalidate(&fingerprint(1), None);
    let reloaded = find(&lookup, 1, 2_000).await;
    reloaded.uses.confirm();
    assert!(!won.uses.is_confirmed());
    assert_eq!(lookup.release(&won).await, Ok(()));
    assert!(store.memory.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_release_that_fails_forgets_its_copy() {
    let (lookup, store) = lookup();
    let new = new_binding(1, "192.0.2.1");
    let now = new.bound_at;
    let Ok(Claim::Won(won)) = lookup.claim(new).await else {
        panic!("the first claim wins");
    };
    store.go_away();
    assert!(lookup.release(&won).await.is_err());
    assert!(lookup.cached(&fingerprint(1), now).is_none());
}

#[tokio::test]
async fn a_release_whose_caller_goes_away_forgets_its_copy() {
    let (lookup, store) = lookup();
    let new = new_binding(1, "192.0.2.1");
    let now = new.bound_at;
    let Ok(Claim::Won(won)) = lookup.claim(new).await else {
        panic!("the first claim wins");
    };
    let gate = store.hold();
    let releasing = tokio::spawn({
        let lookup = std::sync::Arc::clone(&lookup);
        async move { lookup.release(&won).await }
    });
    gate.entered().await;
    releasing.abort();
    assert!(releasing.await.is_err());
    assert!(lookup.cached(&fingerprint(1), now).is_none());
}
