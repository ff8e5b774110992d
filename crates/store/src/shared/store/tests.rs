mod doubles;

use std::sync::atomic::Ordering;

use sentinel_core::binding::BindingStatus;
use sentinel_core::ports::BindingAdmin;

use super::*;
use crate::conformance::{actor, claimed, fingerprint, network, new_binding};
use crate::shared::KEPT_MAX;
use doubles::{replica, replica_with};

#[tokio::test]
async fn one_question_to_the_authority_serves_all_for_a_while_and_its_age_is_told() {
    let replica = replica();
    let binding = claimed(&replica.authority.memory, 1, "192.0.2.1").await;
    assert_eq!(replica.find(1).await, Some(Found::from(binding.clone())));
    replica.settled().await;
    let mut age = Duration::from_secs(3);
    replica.clock.advance(age);
    let found = replica.find(1).await.expect("the binding");
    assert!(
        found.age >= age && found.age < age + Duration::from_millis(500),
        "{found:?}"
    );
    assert_eq!((found.binding, replica.asked()), (binding, 1));
    age = SharedBounds::default().fresh.saturating_sub(age);
    replica.clock.advance(age);
    assert_eq!(replica.find(1).await.expect("the binding").age, Duration::ZERO);
    assert_eq!(replica.asked(), 2);
    let counts = replica.store.counts();
    assert_eq!((counts.hits, counts.misses), (1, 2));
}

#[tokio::test]
async fn an_absence_is_shared_and_a_claim_ends_it() {
    let replica = replica();
    assert_eq!(replica.find(1).await, None);
    replica.settled().await;
    assert_eq!(replica.find(1).await, None);
    assert_eq!(replica.asked(), 1);
    let won = claimed(&replica.store, 1, "192.0.2.1").await;
    assert_eq!(
        replica.find(1).await.map(|found| found.binding),
        Some(won.clone())
    );
    let lost = replica.store.claim(new_binding(1, "192.0.2.2")).await;
    assert!(matches!(lost, Ok(Claim::Lost(binding)) if binding == won));
    assert!(replica.announced.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_the_authority_is_away_an_entry_of_any_age_is_given() {
    let replica = replica();
    let binding = claimed(&replica.store, 1, "192.0.2.1").await;
    let age = KEPT_MAX.saturating_sub(Duration::from_mins(1));
    replica.clock.advance(age);
    replica.authority.is_away.store(true, Ordering::SeqCst);
    let found = replica.find(1).await.expect("the binding");
    assert!(found.age >= age, "its age says why: {found:?}");
    assert_eq!(found.binding, binding);
    assert_eq!(replica.store.counts().given_past_life, 1);
    assert!(
        replica.store.find(&fingerprint(2)).await.is_err(),
        "a key that nobody knows"
    );
    assert!(replica.store.find_many(&[fingerprint(1)]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_never_answers_counts_as_away() {
    let replica = replica();
    claimed(&replica.store, 1, "192.0.2.1").await;
    replica.clock.advance(Duration::from_mins(1));
    replica.authority.is_silent.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert!(replica.find(1).await.is_some());
    assert_eq!(began.elapsed(), SharedBounds::default().authority_wait_max);
}

#[tokio::test]
async fn without_the_cache_every_question_goes_to_the_authority() {
    let replica = replica();
    replica.cache.is_away.store(true, Ordering::SeqCst);
    let binding = claimed(&replica.store, 1, "192.0.2.1").await;
    for _ in 0..3 {
        assert_eq!(replica.find(1).await, Some(Found::from(binding.clone())));
    }
    assert_eq!(replica.asked(), 4);
    let networks = network("192.0.2.2");
    let learned = replica
        .store
        .learn(binding.id, networks, 2, Timestamp::from_unix_ms(9))
        .await;
    assert_eq!(learned.unwrap().expect("the binding").networks.len(), 2);
    replica.settled().await;
    assert!(replica.store.counts().cache_failures >= 7);
}

#[tokio::test]
async fn a_change_made_elsewhere_in_the_authority_is_noticed_within_the_life() {
    let replica = replica();
    let binding = claimed(&replica.store, 1, "192.0.2.1").await;
    let unbound = replica.authority.memory.unbind(binding.id, actor(5_000)).await;
    unbound.unwrap().expect("the record");
    assert!(replica.find(1).await.is_some());
    replica.clock.advance(SharedBounds::default().fresh);
    assert_eq!(replica.find(1).await, None);
    replica.settled().await;
    assert_eq!(replica.holds(1).await, SharedEntry::Absent);
}

#[tokio::test]
async fn a_change_is_shared_first_and_announced_then() {
    let replica = replica();
    let binding = claimed(&replica.store, 1, "192.0.2.1").await;
    let banned = replica
        .authority
        .memory
        .ban(binding.id, String::new(), actor(5_000))
        .await;
    let banned = banned.unwrap().expect("the record").binding;
    replica.store.changed(&banned).await;
    let found = replica.find(1).await.expect("the binding").binding;
    assert_eq!(found.status, BindingStatus::Banned);
    replica
        .authority
        .memory
        .unbind(binding.id, actor(6_000))
        .await
        .unwrap();
    replica.announced.fails.store(true, Ordering::SeqCst);
    let absence = banned.version.of_absence();
    replica.store.removed(&fingerprint(1), absence).await;
    assert_eq!(
        replica.holds(1).await,
        SharedEntry::Missing(Standing::of_absence(absence))
    );
    assert_eq!(replica.find(1).await, None);
    let at = replica.clock.now();
    let change = |version| Change::Binding {
        fingerprint: fingerprint(1),
        version,
        at,
    };
    assert_eq!(
        *replica.announced.changes.lock().unwrap(),
        [change(banned.version), change(absence)]
    );
    assert_eq!(replica.store.counts().announcements_failed, 1);
}

#[tokio::test]
async fn a_released_claim_is_buried_and_announced() {
    let replica = replica();
    let claimed = claimed(&replica.store, 1, "192.0.2.1").await;
    let other = Version(claimed.version.0 + 1);
    assert_eq!(replica.store.release(BindingId(99), other).await, Ok(false));
    assert_eq!(replica.store.release(claimed.id, claimed.version).await, Ok(true));
    let absence = claimed.version.of_absence();
    assert_eq!(
        replica.holds(1).await,
        SharedEntry::Missing(Standing::of_absence(absence))
    );
    assert_eq!(replica.find(1).await, None);
    assert_eq!(replica.announced.changes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_knows_of_a_change_is_not_given_what_was_before_however_little_the_cache_took_in() {
    let replica = replica();
    let binding = claimed(&replica.store, 1, "192.0.2.1").await;
    let other = claimed(&replica.store, 2, "192.0.2.1").await;
    replica.cache.takes_nothing.store(true, Ordering::SeqCst);
    let banned = replica
        .authority
        .memory
        .ban(binding.id, String::new(), actor(5_000))
        .await;
    let banned = banned.unwrap().expect("the record").binding;
    replica.store.changed(&banned).await;
    assert_eq!(replica.find(1).await.expect("the binding").binding, banned);
    replica.authority.is_away.store(true, Ordering::SeqCst);
    assert!(
        replica.store.find(&fingerprint(1)).await.is_err(),
        "not the old one"
    );

    assert!(replica.find(2).await.is_some());
    replica
        .store
        .heard(&fingerprint(2), Version(other.version.0 + 10))
        .await;
    assert!(
        replica.store.find(&fingerprint(2)).await.is_err(),
        "nor of what it heard"
    );
}

#[tokio::test]
async fn an_absence_is_not_believed_by_who_made_the_claim() {
    let replica = replica();
    assert_eq!(replica.find(1).await, None);
    replica.settled().await;
    replica.cache.takes_nothing.store(true, Ordering::SeqCst);
    claimed(&replica.store, 1, "192.0.2.1").await;
    assert!(replica.find(1).await.is_some());
}

#[tokio::test]
async fn an_authority_that_went_back_is_believed_and_said() {
    let replica = replica();
    let binding = claimed(&replica.authority.memory, 1, "192.0.2.1").await;
    let later = Binding {
        version: Version(1_000),
        ..binding.clone()
    };
    let put = replica.cache.put(&Found::from(later), Standing::NOTHING).await;
    put.expect("works");
    replica.clock.advance(SharedBounds::default().fresh);
    assert_eq!(replica.find(1).await, Some(Found::from(binding.clone())));
    replica.settled().await;
    assert!(matches!(replica.holds(1).await, SharedEntry::Binding(held, _) if held == binding));
    assert_eq!(replica.store.counts().authority_went_back, 1);
}

#[tokio::test]
async fn what_does_not_fit_beside_the_requests_is_not_shared_and_counted() {
    let bounds = SharedBounds {
        puts_max: 2,
        ..SharedBounds::default()
    };
    let replica = replica_with(&bounds);
    for number in 0..3 {
        claimed(&replica.authority.memory, number, "192.0.2.1").await;
    }
    let held = replica.cache.holds_puts.acquire().await.expect("open");
    for number in 0..3 {
        assert!(replica.find(number).await.is_some(), "no request waits for it");
    }
    assert_eq!(replica.store.counts().puts_dropped, 1);
    drop(held);
    replica.settled().await;
    assert_eq!(replica.holds(2).await, SharedEntry::NOTHING);
}

#[tokio::test]
async fn many_keys_are_one_question_to_the_authority() {
    let replica = replica();
    let keys = u32::try_from(CALLS_AT_ONCE_MAX).expect("small") + 3;
    for number in 0..keys {
        claimed(&replica.authority.memory, number, "192.0.2.1").await;
    }
    assert!(replica.find(0).await.is_some());
    replica.settled().await;
    // One more than there are bindings.
    let fingerprints: Vec<_> = (0..=keys).map(fingerprint).collect();
    let found = replica.store.find_many(&fingerprints).await.expect("an answer");
    assert_eq!((found.len(), replica.asked()), (keys as usize, 2));
    assert_eq!(replica.holds(keys).await, SharedEntry::Absent);
    let found = replica.store.find_many(&fingerprints).await.expect("an answer");
    assert_eq!((found.len(), replica.asked()), (keys as usize, 2));
}

#[tokio::test]
async fn a_binding_that_is_moved_leaves_its_place_in_the_cache_and_both_places_are_told() {
    let replica = replica();
    let before = claimed(&replica.store, 1, "192.0.2.1").await;
    assert!(matches!(replica.holds(1).await, SharedEntry::Binding(..)));
    let adopt = async || replica.store.adopt(&fingerprint(2), &fingerprint(1)).await;
    let moved = adopt().await.expect("works").expect("the binding").binding;
    assert_eq!(moved.id, before.id);
    assert!(matches!(replica.holds(1).await, SharedEntry::Missing(_)));
    assert!(matches!(replica.holds(2).await, SharedEntry::Binding(held, _) if held == moved));
    let told: Vec<_> = replica.announced.changes.lock().unwrap().clone();
    let told = told.into_iter().map(|change| match change {
        Change::Binding { fingerprint, .. } => fingerprint,
        Change::Settings { .. } => panic!("no setting was changed"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [fingerprint(1), fingerprint(2)]);
    // While the authority is away, what is held under either counts.
    replica.authority.is_away.store(true, Ordering::SeqCst);
    assert_eq!(adopt().await.expect("held").expect("the binding").binding, moved);
    let unknown = replica.store.adopt(&fingerprint(4), &fingerprint(3)).await;
    assert!(unknown.is_err());
}
