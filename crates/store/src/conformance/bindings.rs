//! Promises about bindings as the data plane needs them.

use sentinel_core::binding::{BINDING_NETWORKS_MAX, BindingStatus, Version};
use sentinel_core::ports::Claim;

use super::{AnyStore, actor, at, claimed, fingerprint, network, new_binding};

pub(crate) async fn an_unknown_key_has_no_binding(store: impl AnyStore) {
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
}

pub(crate) async fn a_claim_is_found_again(store: impl AnyStore) {
    let won = claimed(&store, 7, "192.0.2.7").await;
    assert_eq!(won.status, BindingStatus::Active);
    assert_eq!(*won.networks, [network("192.0.2.7/32")]);
    assert_eq!(won.bound_at, at(1_007));
    assert_eq!(store.find(&fingerprint(7)).await, Ok(Some(won.clone().into())));
    let record = store.show(won.id).await.unwrap().expect("a record");
    assert_eq!(record.binding, won);
    assert_eq!(record.hint.as_str(), "sk-007…end");
    assert_eq!(record.updated_at, at(1_007));
    assert_eq!((record.last_used_at, record.use_count), (None, 0));
    assert_eq!(record.ban_reason, "");
}

pub(crate) async fn one_of_many_concurrent_claims_wins(store: impl AnyStore) {
    const CLAIMS: u32 = 200;
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..CLAIMS {
        let store = store.clone();
        claims.spawn(async move {
            let from = format!("10.0.{}.{}", number / 250, number % 250);
            store.claim(new_binding(1, &from)).await
        });
    }
    let mut won = Vec::new();
    let mut lost = Vec::new();
    while let Some(claim) = claims.join_next().await {
        match claim.unwrap().unwrap() {
            Claim::Won(binding) => won.push(binding),
            Claim::Lost(binding) => lost.push(binding),
        }
    }
    assert_eq!((won.len(), lost.len()), (1, CLAIMS as usize - 1));
    assert!(lost.iter().all(|binding| *binding == won[0]));
}

pub(crate) async fn a_claim_is_released_with_its_version_only(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let other = Version(binding.version.0 + 1);
    assert_eq!(store.release(binding.id, other).await, Ok(false));
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    assert_eq!(store.release(binding.id, binding.version).await, Ok(true));
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    assert_eq!(store.release(binding.id, binding.version).await, Ok(false));

    let binding = claimed(&store, 1, "192.0.2.1").await;
    store.ban(binding.id, String::new(), actor(5_000)).await.unwrap();
    assert_eq!(store.release(binding.id, binding.version).await, Ok(false));
}

pub(crate) async fn an_id_is_never_used_again(store: impl AnyStore) {
    let first = claimed(&store, 1, "192.0.2.1").await;
    store.release(first.id, first.version).await.unwrap();
    let second = claimed(&store, 1, "192.0.2.1").await;
    store.unbind(second.id, actor(5_000)).await.unwrap();
    let third = claimed(&store, 1, "192.0.2.1").await;
    assert!(first.id < second.id && second.id < third.id);
}

pub(crate) async fn networks_are_learned_up_to_the_maximum(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let learn = async |from: &str| {
        let learned = store.learn(binding.id, network(from), 3, at(9_000)).await;
        learned.unwrap().expect("the binding").networks.to_vec()
    };
    assert_eq!(learn("2001:db8::/64").await.len(), 2);
    let three = ["192.0.2.1", "2001:db8::/64", "192.0.2.3"].map(network);
    assert_eq!(learn("192.0.2.3").await, three);
    assert_eq!(learn("192.0.2.4").await, three);
    let record = store.show(binding.id).await.unwrap().expect("a record");
    assert_eq!(*record.binding.networks, three);
    assert_eq!(record.updated_at, at(9_000));
    store.unbind(binding.id, actor(9_500)).await.unwrap();
    let gone = store.learn(binding.id, network("192.0.2.5"), 9, at(9_900)).await;
    assert_eq!(gone, Ok(None));
}

pub(crate) async fn no_more_networks_than_a_binding_may_hold(store: impl AnyStore) {
    let binding = claimed(&store, 1, "10.0.0.0").await;
    for last in 1..=BINDING_NETWORKS_MAX {
        let from = network(&format!("10.0.0.{last}"));
        store.learn(binding.id, from, u16::MAX, at(9_000)).await.unwrap();
    }
    let found = store.find(&fingerprint(1)).await.unwrap().expect("the binding");
    assert_eq!(found.binding.networks.len(), BINDING_NETWORKS_MAX);
}

pub(crate) async fn what_is_known_is_not_learned_again(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let again = store.learn(binding.id, network("192.0.2.1"), 3, at(9_000)).await;
    assert_eq!(again, Ok(Some(binding)));
}

pub(crate) async fn a_banned_binding_learns_nothing(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let banned = store
        .ban(binding.id, String::new(), actor(5_000))
        .await
        .unwrap()
        .expect("a record");
    let learned = store.learn(binding.id, network("192.0.2.2"), 3, at(9_000)).await;
    assert_eq!(learned, Ok(Some(banned.binding)));
}

pub(crate) async fn every_change_takes_a_higher_version(store: impl AnyStore) {
    let mut versions = Vec::new();
    let one = claimed(&store, 1, "192.0.2.1").await;
    let two = claimed(&store, 2, "192.0.2.2").await;
    versions.extend([one.version, two.version]);
    let learned = store.learn(one.id, network("192.0.2.3"), 2, at(9_000)).await;
    versions.push(learned.unwrap().expect("the binding").version);
    let mut note = |record: Option<sentinel_core::binding::BindingRecord>| {
        versions.push(record.expect("a record").binding.version);
    };
    note(store.ban(two.id, String::new(), actor(1)).await.unwrap());
    note(store.unban(two.id, actor(2)).await.unwrap());
    let networks = vec![network("192.0.2.0/24")];
    note(store.set_networks(one.id, networks, actor(3)).await.unwrap());
    store.unbind(one.id, actor(4)).await.unwrap();
    versions.push(claimed(&store, 1, "192.0.2.1").await.version);
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

pub(crate) async fn every_width_of_network_comes_back_as_written(store: impl AnyStore) {
    let widths = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "192.0.2.128/25",
        "255.255.255.255/32",
        "::/0",
        "2001:db8::/64",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
    ];
    for (number, text) in (0..).zip(widths) {
        claimed(&store, number, text).await;
        let found = store.find(&fingerprint(number)).await.unwrap();
        assert_eq!(*found.expect("the binding").binding.networks, [network(text)]);
    }
}

pub(crate) async fn many_keys_are_found_together(store: impl AnyStore) {
    let one = claimed(&store, 1, "192.0.2.1").await;
    let two = claimed(&store, 2, "192.0.2.2").await;
    let found = store.find_many(&[2, 404, 1].map(fingerprint)).await.unwrap();
    let mut found: Vec<_> = found.into_iter().map(|found| found.binding).collect();
    found.sort_by_key(|binding| binding.id);
    assert_eq!(found, [one, two]);
    assert_eq!(store.find_many(&[]).await, Ok(Vec::new()));
}

pub(crate) async fn many_that_learn_at_once_learn_no_more_than_the_maximum(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let mut learning = tokio::task::JoinSet::new();
    for last in 0..40 {
        let store = store.clone();
        // Each network twice.
        let from = network(&format!("10.0.0.{}", last / 2));
        learning.spawn(async move { store.learn(binding.id, from, 6, at(9_000)).await });
    }
    for learned in learning.join_all().await {
        assert!(learned.unwrap().expect("the binding").networks.len() <= 6);
    }
    let networks = store
        .find(&fingerprint(1))
        .await
        .unwrap()
        .expect("the binding")
        .binding
        .networks;
    let different: std::collections::BTreeSet<_> = networks.iter().collect();
    assert_eq!((networks.len(), different.len()), (6, 6));
}

pub(crate) async fn a_hint_of_any_characters_is_taken(store: impl AnyStore) {
    let mut new = new_binding(1, "192.0.2.1");
    new.hint = sentinel_core::fingerprint::KeyHint::from_stored("sk\0\u{7}'\\…\u{10ffff}".to_owned());
    let claim = store.claim(new).await;
    assert!(matches!(claim, Ok(Claim::Won(_))), "{claim:?}");
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
}
