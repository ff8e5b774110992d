//! Lives: renewed before they end, as long as the answer's age leaves, shorter when nothing is heard from elsewhere, and never of an
//! authority's past.

use std::time::Duration;

use sentinel_core::binding::BindingStatus;
use sentinel_core::ports::{BindingAdmin, BindingLookup};

use super::super::CacheBounds;
use super::{find, fresh_ms, lookup, lookup_with, milliseconds};
use crate::conformance::{actor, at, claimed, fingerprint};
use crate::memory::MemoryStore;

#[tokio::test]
async fn what_is_in_use_is_renewed_before_its_end() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    let soon = fresh_ms() - fresh_ms() / 4;
    assert!(lookup.cached(&fingerprint(1), at(soon - 1)).is_some());
    assert_eq!(lookup.renew_due(at(soon - 1)).await, 0, "not yet");
    for _ in 0..3 {
        assert!(lookup.cached(&fingerprint(1), at(soon)).is_some());
    }
    assert_eq!(
        lookup.renew_due(at(soon)).await,
        1,
        "once, however often it is used"
    );
    assert_eq!(store.calls(), 2);
    assert!(
        lookup
            .cached(&fingerprint(1), at(soon + fresh_ms() - 1))
            .is_some()
    );
    assert!(lookup.cached(&fingerprint(1), at(soon + fresh_ms())).is_none());
}

#[tokio::test]
async fn what_is_not_used_is_not_renewed() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    assert_eq!(lookup.renew_due(at(fresh_ms() - 1)).await, 0);
    assert_eq!(store.calls(), 1);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_it_to_the_requests() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    find(&lookup, 1, 0).await;
    store.go_away();
    let soon = fresh_ms() - 1;
    assert!(lookup.cached(&fingerprint(1), at(soon)).is_some());
    assert_eq!(lookup.renew_due(at(soon)).await, 0);
    store.fail(None);
    assert!(find(&lookup, 1, soon + fresh_ms()).await.life.span().until > at(soon + fresh_ms()));
}

#[tokio::test]
async fn renewals_wait_up_to_their_bound() {
    let bounds = CacheBounds {
        renewals_queued_max: 2,
        ..CacheBounds::default()
    };
    let (lookup, store) = lookup_with(&bounds);
    for number in 0..3 {
        claimed(&store.memory, number, "192.0.2.1").await;
        find(&lookup, number, 0).await;
    }
    for number in 0..3 {
        assert!(lookup.cached(&fingerprint(number), at(fresh_ms() - 1)).is_some());
    }
    assert_eq!(lookup.renew_due(at(fresh_ms() - 1)).await, 2);
}

#[tokio::test]
async fn an_answer_that_was_old_already_lives_shorter() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    let age = Duration::from_secs(3);
    *store.age.lock().unwrap() = age;
    find(&lookup, 1, 0).await;
    let left = fresh_ms() - milliseconds(age);
    assert!(lookup.cached(&fingerprint(1), at(left - 1)).is_some());
    assert!(lookup.cached(&fingerprint(1), at(left)).is_none());

    // Older than a life: given because the authority is away, so it is asked again soon.
    *store.age.lock().unwrap() = Duration::from_hours(1);
    find(&lookup, 1, 10_000).await;
    let pause = milliseconds(CacheBounds::default().retry_pause);
    assert!(lookup.cached(&fingerprint(1), at(10_000 + pause - 1)).is_some());
    assert!(lookup.cached(&fingerprint(1), at(10_000 + pause)).is_none());
}

#[tokio::test]
async fn while_nothing_is_heard_lives_are_short() {
    let (lookup, store) = lookup();
    claimed(&store.memory, 1, "192.0.2.1").await;
    lookup.set_out_of_touch(true);
    find(&lookup, 1, 0).await;
    let short = milliseconds(CacheBounds::default().fresh_out_of_touch);
    assert!(lookup.cached(&fingerprint(1), at(short - 1)).is_some());
    assert!(lookup.cached(&fingerprint(1), at(short)).is_none());
    lookup.set_out_of_touch(false);
    find(&lookup, 1, short).await;
    assert!(
        lookup
            .cached(&fingerprint(1), at(short + fresh_ms() - 1))
            .is_some()
    );
}

#[tokio::test]
async fn a_store_that_went_back_is_believed() {
    let (lookup, store) = lookup();
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    for now in 0..5 {
        store.memory.ban(id, String::new(), actor(now)).await.unwrap();
        store.memory.unban(id, actor(now)).await.unwrap();
    }
    find(&lookup, 1, 0).await;
    // Restored from a backup, in which the key is banned and everything has lower versions.
    let backup = MemoryStore::new();
    let id = claimed(&backup, 1, "192.0.2.1").await.id;
    backup.ban(id, String::new(), actor(1)).await.unwrap();
    store.replace(&backup);
    let known = find(&lookup, 1, fresh_ms()).await;
    assert_eq!(known.binding.status, BindingStatus::Banned);
    assert_eq!(lookup.counts().store_went_back, 1);

    // An old copy of a cache in between is no reason to go back.
    backup.unban(id, actor(2)).await.unwrap();
    let newest = find(&lookup, 1, 2 * fresh_ms()).await;
    store.replace(&backup_of(&backup, id).await);
    *store.age.lock().unwrap() = Duration::from_secs(1);
    let known = find(&lookup, 1, 3 * fresh_ms()).await;
    assert_eq!(known.binding.version, newest.binding.version);
    assert_eq!(lookup.counts().store_went_back, 1);
}

/// A store whose row for the first key is older than the one in `other`.
async fn backup_of(other: &MemoryStore, id: sentinel_core::binding::BindingId) -> MemoryStore {
    let older = MemoryStore::new();
    let made = claimed(&older, 1, "192.0.2.1").await;
    let newer = other.show(id).await.unwrap().expect("a binding");
    assert!(made.version < newer.binding.version);
    older
}

#[tokio::test]
async fn many_are_renewed_with_one_question_each_batch() {
    let (lookup, store) = lookup();
    let keys = u32::try_from(super::super::RENEWALS_BATCH_MAX + 10).unwrap();
    for number in 0..keys {
        claimed(&store.memory, number, "192.0.2.1").await;
        find(&lookup, number, 0).await;
    }
    let before = store.calls();
    let soon = fresh_ms() - 1;
    for number in 0..keys {
        assert!(lookup.cached(&fingerprint(number), at(soon)).is_some());
    }
    // One of them is gone meanwhile.
    let gone = find(&lookup, 7, soon).await.binding.id;
    store.memory.unbind(gone, actor(1)).await.unwrap();
    assert_eq!(lookup.renew_due(at(soon)).await, keys as usize);
    assert_eq!(store.calls(), before + 2);
    for number in 0..keys {
        let cached = lookup.cached(&fingerprint(number), at(soon + fresh_ms() - 1));
        assert_eq!(cached.is_some(), number != 7, "{number}");
    }
}
