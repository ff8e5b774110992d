//! Keys that lie under one of two fingerprints, and a secret that is not the current one any more. Key 1 lies under the secret before, key 2 is the
//! same under the current one.

use sentinel_core::known::Known;
use sentinel_core::ports::{BindingLookup, BindingStore, Claim, SecretStore, StoreError};

use super::{find, fresh_ms, lookup};
use crate::conformance::secrets::{check, make_current};
use crate::conformance::{at, claimed, fingerprint, new_binding};
use crate::lookup::CachedLookup;

async fn find_either(lookup: &CachedLookup, now: i64) -> Result<Option<Known>, StoreError> {
    lookup
        .find_either(&fingerprint(2), &fingerprint(1), at(now))
        .await
}

#[tokio::test]
async fn a_moved_binding_is_cached_where_it_lies_now_and_the_store_is_asked_no_more() {
    let (lookup, store) = lookup();
    let before = claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    let found = find_either(&lookup, 1).await.unwrap().expect("the binding");
    assert_eq!(found.binding.id, before.id);
    // Still fresh here, so that nobody was asked; with its life it ends, and the store moves it.
    assert_eq!(store.calls(), 1);
    let moved = find_either(&lookup, fresh_ms())
        .await
        .unwrap()
        .expect("the binding");
    assert_eq!(
        (moved.binding.id, moved.binding.fingerprint),
        (before.id, fingerprint(2))
    );
    assert!(lookup.cached(&fingerprint(1), at(fresh_ms())).is_none());
    let calls = store.calls();
    let cached = lookup.cached(&fingerprint(2), at(fresh_ms())).expect("fresh");
    assert!(Known::ptr_eq(&cached, &moved));
    find_either(&lookup, fresh_ms())
        .await
        .unwrap()
        .expect("the binding");
    assert_eq!(store.calls(), calls);
}

#[tokio::test]
async fn a_key_is_unknown_only_where_it_has_no_binding_under_either() {
    let (lookup, store) = lookup();
    assert!(matches!(find_either(&lookup, 0).await, Ok(None)));
    let before = claimed(&store.memory, 1, "192.0.2.1").await;
    let mut new = new_binding(2, "198.51.100.1");
    new.previous = Some(fingerprint(1));
    let claim = lookup.claim(new).await.unwrap();
    assert!(matches!(claim, Claim::Lost(known) if known.binding == before));
    assert!(lookup.cached(&fingerprint(2), at(1_002)).is_none());
    assert!(matches!(find_either(&lookup, 1_002).await, Ok(Some(known)) if known.binding.id == before.id));
}

#[tokio::test]
async fn while_the_store_is_away_what_is_known_under_either_is_given() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    store.go_away();
    for now in [0, fresh_ms(), 10 * fresh_ms()] {
        assert!(matches!(find_either(&lookup, now).await, Ok(Some(_))), "{now}");
    }
    let unknown = lookup.find_either(&fingerprint(4), &fingerprint(3), at(0)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn under_an_outdated_secret_nothing_is_unknown_and_nothing_is_given_past_its_life() {
    let (lookup, store) = lookup();
    store.memory.hash_under(check(1));
    make_current(&store.memory, check(1)).await;
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    let current = store.memory.another_replica();
    current.hash_under(check(2));
    make_current(&current, check(2)).await;
    current.adopt(&fingerprint(2), &fingerprint(1)).await.unwrap();
    for key in [1, 404] {
        let found = lookup.find(&fingerprint(key), at(fresh_ms())).await;
        assert!(matches!(found, Err(StoreError::SecretOutdated)), "{found:?}");
    }
    assert_eq!(lookup.entries(), 0);
    let claim = lookup.claim(new_binding(404, "192.0.2.9")).await;
    assert!(matches!(claim, Err(StoreError::SecretOutdated)));
    assert_eq!(lookup.counts().secret_outdated, 3);
    // Whoever knows the other secret, too, is given the binding, and moves nothing back.
    let known = lookup
        .find_either(&fingerprint(1), &fingerprint(2), at(fresh_ms()))
        .await;
    let known = known.unwrap().expect("the binding");
    assert_eq!(known.binding.fingerprint, fingerprint(2));
}
