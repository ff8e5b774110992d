//! Promises about the archive.

use sentinel_core::binding::BindingId;
use sentinel_core::ports::{ArchiveRun, Archived};
use sentinel_core::usage::Uses;

use super::{AnyStore, actor, at, claimed, fingerprint, network};
use crate::bounds::PAGE_ROWS_MAX;

/// At `now`, with everything unused that gave no sign since 100 000, and marks from up to 1 000 ms ago too fresh.
fn run(now: i64) -> ArchiveRun {
    ArchiveRun {
        unused_since: at(100_000),
        marked_until: at(now - 1_000),
        now: at(now),
        batch_max: 100,
    }
}

/// The numbers of the keys that a run moves, and how many it marks.
async fn archived(store: &impl AnyStore, run: ArchiveRun) -> (usize, u32) {
    match store.archive_unused(run).await {
        Ok(Archived::Here { moved, marked }) => (moved.len(), marked),
        other => panic!("nobody else is at it: {other:?}"),
    }
}

fn used(binding: BindingId, at_ms: i64) -> Vec<Uses> {
    vec![Uses {
        binding,
        count: 1,
        last_used_at: at(at_ms),
    }]
}

pub(crate) async fn what_is_unused_is_marked_first_and_moved_later(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    assert_eq!(archived(&store, run(200_000)).await, (0, 1));
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    let record = store.show(binding.id).await.unwrap().expect("a record");
    assert_eq!(record.binding.version, binding.version, "a mark is no change");
    assert_eq!(archived(&store, run(300_000)).await, (1, 0));
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    assert_eq!(archived(&store, run(400_000)).await, (0, 0));
}

pub(crate) async fn nothing_moves_before_its_mark_is_old_enough(store: impl AnyStore) {
    claimed(&store, 1, "192.0.2.1").await;
    assert_eq!(archived(&store, run(200_000)).await, (0, 1));
    assert_eq!(archived(&store, run(200_999)).await, (0, 0));
    assert_eq!(archived(&store, run(201_000)).await, (1, 0));
}

pub(crate) async fn a_use_in_between_takes_the_mark_away(store: impl AnyStore) {
    let one = claimed(&store, 1, "192.0.2.1").await.id;
    let two = claimed(&store, 2, "192.0.2.1").await.id;
    assert_eq!(archived(&store, run(200_000)).await, (0, 2));
    store.add_uses(used(one, 250_000)).await.unwrap();
    // Written late: long ago, and all the same a use that nobody knew of at the mark.
    store.add_uses(used(two, 90_000)).await.unwrap();
    assert_eq!(archived(&store, run(300_000)).await, (0, 1));
    assert_eq!(archived(&store, run(400_000)).await, (1, 0));
    assert!(store.show(one).await.unwrap().is_some());
    assert!(store.show(two).await.unwrap().is_none());
}

pub(crate) async fn a_change_in_between_takes_the_mark_away(store: impl AnyStore) {
    let one = claimed(&store, 1, "192.0.2.1").await.id;
    let two = claimed(&store, 2, "192.0.2.1").await.id;
    let three = claimed(&store, 3, "192.0.2.1").await.id;
    assert_eq!(archived(&store, run(200_000)).await, (0, 3));
    store
        .set_networks(one, vec![network("10.0.0.0/8")], actor(250_000))
        .await
        .unwrap();
    store
        .learn(two, network("10.0.0.0/8"), 2, at(250_000))
        .await
        .unwrap();
    store.ban(three, String::new(), actor(250_000)).await.unwrap();
    assert_eq!(archived(&store, run(300_000)).await, (0, 0));
    // Much later all of them are unused again: they are marked anew, the banned one excepted, and not moved at once.
    let later = ArchiveRun {
        unused_since: at(900_000),
        ..run(1_000_000)
    };
    assert_eq!(archived(&store, later).await, (0, 2));
}

pub(crate) async fn a_mark_goes_with_its_reason(store: impl AnyStore) {
    claimed(&store, 1, "192.0.2.1").await;
    assert_eq!(archived(&store, run(200_000)).await, (0, 1));
    // Somebody decides that bindings are kept for longer, and changes their mind again.
    let kept_longer = ArchiveRun {
        unused_since: at(0),
        ..run(300_000)
    };
    assert_eq!(archived(&store, kept_longer).await, (0, 0));
    assert_eq!(archived(&store, run(400_000)).await, (0, 1));
    assert_eq!(archived(&store, run(500_000)).await, (1, 0));
}

pub(crate) async fn what_was_bound_used_or_changed_since_is_not_unused(store: impl AnyStore) {
    // Bound at 1 001, 1 002 and 1 003.
    let bound = claimed(&store, 3, "192.0.2.1").await.id;
    let changed = claimed(&store, 1, "192.0.2.1").await.id;
    let in_use = claimed(&store, 2, "192.0.2.1").await.id;
    store.unban(changed, actor(1_003)).await.unwrap();
    store.add_uses(used(in_use, 1_003)).await.unwrap();
    let since = |since| ArchiveRun {
        unused_since: at(since),
        ..run(200_000)
    };
    assert_eq!(archived(&store, since(1_003)).await, (0, 0));
    assert_eq!(archived(&store, since(1_004)).await, (0, 3));
    for id in [bound, changed, in_use] {
        assert!(store.show(id).await.unwrap().is_some());
    }
}

pub(crate) async fn a_banned_binding_is_never_moved(store: impl AnyStore) {
    let banned = claimed(&store, 1, "192.0.2.1").await.id;
    store
        .ban(banned, "leaked".to_owned(), actor(2_000))
        .await
        .unwrap();
    for now in [200_000, 300_000, 400_000] {
        assert_eq!(archived(&store, run(now)).await, (0, 0));
    }
    assert!(store.show(banned).await.unwrap().is_some());
}

pub(crate) async fn a_batch_has_a_maximum(store: impl AnyStore) {
    for number in 0..5 {
        claimed(&store, number, "192.0.2.1").await;
    }
    let two = |now| ArchiveRun {
        batch_max: 2,
        ..run(now)
    };
    assert_eq!(archived(&store, two(200_000)).await, (0, 2));
    assert_eq!(archived(&store, two(200_001)).await, (0, 2));
    assert_eq!(archived(&store, two(200_002)).await, (0, 1));
    assert_eq!(archived(&store, two(300_000)).await, (2, 0));
    assert_eq!(archived(&store, two(300_000)).await, (2, 0));
    assert_eq!(archived(&store, two(300_000)).await, (1, 0));

    let mut claims = tokio::task::JoinSet::new();
    for number in 100..=100 + PAGE_ROWS_MAX {
        let store = store.clone();
        claims.spawn(async move { claimed(&store, number, "192.0.2.1").await });
    }
    claims.join_all().await;
    let all = |now| ArchiveRun {
        batch_max: u32::MAX,
        ..run(now)
    };
    assert_eq!(archived(&store, all(400_000)).await, (0, PAGE_ROWS_MAX));
    assert_eq!(archived(&store, all(500_000)).await, (PAGE_ROWS_MAX as usize, 1));
}

pub(crate) async fn a_moved_key_is_free_and_its_absence_is_no_newer_than_its_next_binding(
    store: impl AnyStore,
) {
    let old = claimed(&store, 1, "192.0.2.1").await;
    store.archive_unused(run(200_000)).await.unwrap();
    let moved = match store.archive_unused(run(300_000)).await {
        Ok(Archived::Here { moved, .. }) => moved,
        other => panic!("nobody else is at it: {other:?}"),
    };
    assert_eq!(moved, [(fingerprint(1), old.version.of_absence())]);
    let new = claimed(&store, 1, "192.0.2.9").await;
    assert!(moved[0].1 > old.version && moved[0].1 <= new.version);
    assert_ne!(new.id, old.id);
}

pub(crate) async fn a_batch_that_moves_leaves_one_event(store: impl AnyStore) {
    for number in 0..3 {
        claimed(&store, number, "192.0.2.1").await;
    }
    store.archive_unused(run(200_000)).await.unwrap();
    assert_eq!(store.newest(10).await, Ok(Vec::new()), "a mark is no event");
    store.archive_unused(run(300_000)).await.unwrap();
    store.archive_unused(run(400_000)).await.unwrap();
    let events = store.newest(10).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(
        (event.at, event.actor.as_str(), event.action.as_str()),
        (at(300_000), "system", "archive")
    );
    let detail: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(detail["moved"], 3);
    assert_eq!(detail["unused_since"], "1970-01-01T00:01:40Z");
}
