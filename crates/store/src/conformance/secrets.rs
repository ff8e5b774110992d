//! Promises about the secret under which keys are hashed, and about its change.
//!
//! Key 1 stands for a fingerprint under the secret before, key 2 for the same key's under the current one.

use std::collections::BTreeMap;

use sentinel_core::binding::{BindingCounts, BindingEdit, BindingStatus, NewBinding};
use sentinel_core::fingerprint::{FingerprintHasher, KeyFingerprint, SecretCheck};
use sentinel_core::ports::{
    BindingsUnder, Claim, Existing, HMAC_CHECK_SETTING, SettingStore, SettingsChanged, StoreError,
    TransferItem,
};

use super::transfer::binding as moved_binding;
use super::{AnyStore, actor, at, claimed, fingerprint, network, new_binding};

pub(crate) fn check(number: u8) -> SecretCheck {
    FingerprintHasher::new(&[number; 32])
        .expect("long enough")
        .check()
}

/// Makes it the current secret.
pub(crate) async fn make_current(store: &impl SettingStore, check: SecretCheck) {
    let changes = [(
        HMAC_CHECK_SETTING.to_owned(),
        Some(format!("\"{}\"", check.text())),
    )];
    let changes: BTreeMap<_, _> = changes.into_iter().collect();
    loop {
        let stored = store.settings().await.unwrap();
        let changed = store
            .change_settings(stored.version, changes.clone(), actor(1))
            .await;
        if matches!(changed.unwrap(), SettingsChanged::Done(_)) {
            return;
        }
    }
}

fn also_under(previous: u32, number: u32, from: &str) -> NewBinding {
    NewBinding {
        previous: Some(fingerprint(previous)),
        ..new_binding(number, from)
    }
}

pub(crate) async fn only_the_current_secret_binds(store: impl AnyStore) {
    make_current(&store, check(1)).await;
    let refused = store.claim(new_binding(1, "192.0.2.1")).await;
    assert_eq!(refused.unwrap_err(), StoreError::SecretOutdated, "none was said");
    store.hash_under(check(1));
    claimed(&store, 1, "192.0.2.1").await;
    make_current(&store, check(2)).await;
    let outdated = Err(StoreError::SecretOutdated);
    let claims = [
        new_binding(2, "192.0.2.1"),
        new_binding(1, "192.0.2.1"),
        also_under(1, 2, "192.0.2.1"),
    ];
    for new in claims {
        assert_eq!(store.claim(new).await.map(drop), outdated);
    }
    let create = store.create(moved_binding(3), actor(2)).await;
    assert_eq!(create.map(drop), outdated);
    let items = vec![TransferItem::Binding(moved_binding(3))];
    let take_in = store.take_in(items, Existing::Replace, false).await;
    assert_eq!(take_in.map(drop), outdated);
    assert_eq!(store.counts().await.unwrap().total(), 1);
}

pub(crate) async fn only_the_current_secret_finds_nothing(store: impl AnyStore) {
    store.hash_under(check(1));
    make_current(&store, check(1)).await;
    let one = claimed(&store, 1, "192.0.2.1").await;
    assert_eq!(store.find(&fingerprint(404)).await, Ok(None));
    make_current(&store, check(2)).await;
    let outdated = Err(StoreError::SecretOutdated);
    assert_eq!(store.find(&fingerprint(1)).await, Ok(Some(one.clone().into())));
    assert_eq!(store.find(&fingerprint(404)).await, outdated);
    assert_eq!(store.adopt(&fingerprint(404), &fingerprint(405)).await, outdated);
    assert_eq!(store.find_many(&[1].map(fingerprint)).await, Ok(vec![one.into()]));
    let many = store.find_many(&[1, 404].map(fingerprint)).await;
    assert_eq!(many, Err(StoreError::SecretOutdated));
}

pub(crate) async fn a_binding_moves_with_all_that_belongs_to_it(store: impl AnyStore) {
    let before = claimed(&store, 1, "192.0.2.1").await;
    store.unbind(before.id, actor(2)).await.unwrap();
    let before = claimed(&store, 1, "192.0.2.1").await;
    store
        .learn(before.id, network("2001:db8::/64"), 2, at(3))
        .await
        .unwrap();
    let note = BindingEdit::Remarks {
        note: Some("mine".to_owned()),
        labels: None,
    };
    store.edit(before.id, note, None, actor(4)).await.unwrap();
    store.ban(before.id, "leaked".to_owned(), actor(5)).await.unwrap();
    let stored = store.show(before.id).await.unwrap().expect("a record");

    let adopted = store.adopt(&fingerprint(2), &fingerprint(1)).await.unwrap();
    let adopted = adopted.expect("the binding").binding;
    let record = store.show(before.id).await.unwrap().expect("a record");
    assert_eq!(record.binding, adopted);
    assert!(adopted.version > stored.binding.version);
    assert_eq!(
        (adopted.fingerprint, adopted.status),
        (fingerprint(2), BindingStatus::Banned)
    );
    let mut as_before = record.clone();
    as_before.binding.fingerprint = fingerprint(1);
    as_before.binding.version = stored.binding.version;
    assert_eq!(as_before, stored);
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    assert_eq!(store.find(&fingerprint(2)).await, Ok(Some(adopted.into())));
    assert_eq!(store.earlier(fingerprint(1), 9).await, Ok(Vec::new()));
    assert_eq!(store.earlier(fingerprint(2), 9).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_moved_once_is_not_moved_again(store: impl AnyStore) {
    let adopt = async || store.adopt(&fingerprint(2), &fingerprint(1)).await;
    assert_eq!(adopt().await, Ok(None));
    claimed(&store, 1, "192.0.2.1").await;
    let adopted = adopt().await;
    assert!(matches!(adopted, Ok(Some(_))), "{adopted:?}");
    assert_eq!(adopt().await, adopted);
    // What lies under the current fingerprint comes first, and what lies under the other one stays out of its way.
    claimed(&store, 1, "192.0.2.9").await;
    assert_eq!(adopt().await, adopted);
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
}

pub(crate) async fn an_outdated_secret_moves_nothing_and_is_given_what_is_there(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    store.hash_under(check(1));
    make_current(&store, check(2)).await;
    let found = Ok(Some(binding.into()));
    assert_eq!(store.adopt(&fingerprint(2), &fingerprint(1)).await, found);
    assert_eq!(store.adopt(&fingerprint(1), &fingerprint(2)).await, found);
    assert_eq!(store.find(&fingerprint(1)).await, found);
}

pub(crate) async fn a_key_that_is_bound_under_its_previous_fingerprint_is_not_claimed(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let claim = store.claim(also_under(1, 2, "198.51.100.1")).await;
    assert!(
        matches!(&claim, Ok(Claim::Lost(lost)) if *lost == binding),
        "{claim:?}"
    );
    assert_eq!(store.find(&fingerprint(2)).await, Ok(None));
    store.adopt(&fingerprint(2), &fingerprint(1)).await.unwrap();
    let claim = store.claim(also_under(1, 2, "198.51.100.1")).await;
    assert!(
        matches!(&claim, Ok(Claim::Lost(lost)) if lost.id == binding.id),
        "{claim:?}"
    );
    let claim = store.claim(also_under(3, 4, "198.51.100.1")).await;
    assert!(matches!(claim, Ok(Claim::Won(_))), "{claim:?}");
}

pub(crate) async fn what_was_put_away_goes_with_a_new_claim(store: impl AnyStore) {
    let before = claimed(&store, 1, "192.0.2.1").await;
    store.unbind(before.id, actor(2)).await.unwrap();
    let claim = store.claim(also_under(1, 2, "198.51.100.1")).await;
    assert!(matches!(claim, Ok(Claim::Won(_))), "{claim:?}");
    assert_eq!(store.earlier(fingerprint(2), 9).await.unwrap().len(), 1);
}

pub(crate) async fn many_that_move_and_claim_at_once_end_with_one_binding(store: impl AnyStore) {
    let before = claimed(&store, 1, "192.0.2.1").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60 {
        let store = store.clone();
        tasks.spawn(async move {
            if number % 2 == 0 {
                let adopted = store.adopt(&fingerprint(2), &fingerprint(1)).await;
                return adopted.unwrap().expect("the binding").binding;
            }
            match store
                .claim(also_under(1, 2, &format!("198.51.100.{number}")))
                .await
                .unwrap()
            {
                Claim::Lost(binding) => binding,
                Claim::Won(binding) => panic!("it was bound before: {binding:?}"),
            }
        });
    }
    for binding in tasks.join_all().await {
        assert_eq!((binding.id, &binding.networks), (before.id, &before.networks));
    }
    assert_eq!(store.counts().await.unwrap().total(), 1);
    assert!(store.find(&fingerprint(2)).await.unwrap().is_some());
}

pub(crate) async fn a_key_is_bound_beforehand_only_where_it_has_no_binding_under_either(
    store: impl AnyStore,
) {
    let before = claimed(&store, 1, "192.0.2.1").await;
    let mut new = moved_binding(2);
    new.previous = Some(fingerprint(1));
    assert_eq!(store.create(new.clone(), actor(2)).await, Ok(None));
    let found = store.find(&fingerprint(2)).await.unwrap().expect("it was moved");
    assert_eq!(
        (found.binding.id, &found.binding.networks),
        (before.id, &before.networks)
    );
    new.previous = Some(fingerprint(5));
    new.fingerprint = fingerprint(6);
    assert!(store.create(new, actor(3)).await.unwrap().is_some());
}

pub(crate) async fn bindings_are_counted_by_secret(store: impl AnyStore) {
    for number in 1..=3 {
        claimed(&store, number, "192.0.2.1").await;
    }
    let banned = claimed(&store, 4, "192.0.2.4").await;
    store.ban(banned.id, String::new(), actor(1)).await.unwrap();
    store.hash_under(check(1));
    make_current(&store, check(1)).await;
    claimed(&store, 5, "192.0.2.5").await;
    store.adopt(&fingerprint(6), &fingerprint(4)).await.unwrap();
    let mut moved = moved_binding(7);
    moved.secret = Some(check(9).mark());
    store
        .take_in(vec![TransferItem::Binding(moved)], Existing::Keep, false)
        .await
        .unwrap();
    let mut under = store.bindings_by_secret().await.unwrap();
    under.sort_by_key(|under| under.secret);
    let counted = |secret, active, banned| BindingsUnder {
        secret,
        counts: BindingCounts { active, banned },
    };
    let seven = store
        .find(&fingerprint(7))
        .await
        .unwrap()
        .expect("it was taken in")
        .binding
        .status;
    let is_banned = u64::from(seven == BindingStatus::Banned);
    let mut expected = [
        counted(None, 3, 0),
        counted(Some(check(1).mark()), 1, 1),
        counted(Some(check(9).mark()), 1 - is_banned, is_banned),
    ];
    expected.sort_by_key(|under| under.secret);
    assert_eq!(under, expected);
}

/// Fingerprints of one key under the secret before and the current one.
fn both(key: u32) -> [KeyFingerprint; 2] {
    [1_000_000 + key, 2_000_000 + key].map(fingerprint)
}

/// Two processes on one store, of which the first never hears of the new secret: keys are used for the first time from two networks, one at
/// each, while the secret changes. Whatever the order, no key is ever let in from both.
pub(crate) async fn no_key_is_let_in_twice_while_the_secret_changes<S: AnyStore>(old: S, new: S) {
    const KEYS: u32 = 120;
    old.hash_under(check(1));
    new.hash_under(check(2));
    make_current(&old, check(1)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for key in 0..KEYS {
        let [before, _] = both(key);
        let old = old.clone();
        tasks.spawn(async move {
            let claim = NewBinding {
                fingerprint: before,
                ..new_binding(key, "192.0.2.1")
            };
            let networks = match old.claim(claim).await {
                Ok(Claim::Won(binding) | Claim::Lost(binding)) => Some(binding.networks),
                Err(StoreError::SecretOutdated) => None,
                Err(error) => panic!("{error}"),
            };
            (key, networks)
        });
    }
    make_current(&new, check(2)).await;
    for key in 0..KEYS {
        let [before, current] = both(key);
        let new = new.clone();
        tasks.spawn(async move {
            if let Some(found) = new.adopt(&current, &before).await.unwrap() {
                return (key, Some(found.binding.networks));
            }
            let claim = NewBinding {
                fingerprint: current,
                previous: Some(before),
                ..new_binding(key, "198.51.100.1")
            };
            let (Claim::Won(binding) | Claim::Lost(binding)) = new.claim(claim).await.unwrap();
            (key, Some(binding.networks))
        });
    }
    let mut let_in = BTreeMap::<u32, Vec<_>>::new();
    for (key, networks) in tasks.join_all().await {
        let_in.entry(key).or_default().extend(networks);
    }
    for (key, networks) in let_in {
        assert!(
            networks.windows(2).all(|two| two[0] == two[1]),
            "key {key}: {networks:?}"
        );
        let rows = new.find_many(&both(key)).await;
        let rows = rows.map_or_else(|error| panic!("{error}"), |rows| rows.len());
        assert_eq!(rows, 1, "key {key}");
    }
}
