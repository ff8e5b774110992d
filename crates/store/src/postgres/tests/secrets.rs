//! Two replicas, of which one does not know the current secret.

use sentinel_core::ports::{BindingStore as _, SecretStore as _, StoreError};
use sentinel_testkit::bounded;

use super::super::secrets::SECRET_LOCK;
use super::{fixture, lock_waiters, outside, replica};
use crate::changes::{Change, ChangeFeed as _, Heard};
use crate::conformance::secrets::{check, make_current, no_key_is_let_in_twice_while_the_secret_changes};
use crate::conformance::{claimed, fingerprint, new_binding};

#[tokio::test]
async fn no_key_is_let_in_twice_by_two_replicas_while_the_secret_changes() {
    let (old, server) = fixture().await;
    let new = replica(&server).await;
    no_key_is_let_in_twice_while_the_secret_changes(old, new).await;
}

#[tokio::test]
async fn a_claim_waits_for_a_change_of_the_secret_and_is_refused_after_it() {
    let (store, server) = fixture().await;
    store.hash_under(check(1));
    make_current(&store, check(1)).await;
    let mut outside = outside(&server).await;
    let change = outside.transaction().await.unwrap();
    change
        .execute("SELECT pg_advisory_xact_lock($1)", &[&SECRET_LOCK])
        .await
        .unwrap();
    let update = "UPDATE settings SET value = to_json($1::text) WHERE name = 'internal.hmac_check'";
    change.execute(update, &[&check(2).text()]).await.unwrap();
    let claiming = tokio::spawn({
        let store = store.clone();
        async move { store.claim(new_binding(1, "192.0.2.1")).await }
    });
    lock_waiters(&self::outside(&server).await, 1).await;
    change.commit().await.unwrap();
    let refused = bounded("the claim to be refused", claiming).await.unwrap();
    assert_eq!(refused.unwrap_err(), StoreError::SecretOutdated);
}

#[tokio::test]
async fn whoever_moves_a_binding_tells_of_both_fingerprints() {
    let (store, server) = fixture().await;
    let mut feed = replica(&server).await.changes();
    assert_eq!(bounded("the channel", feed.next()).await, Heard::Connected);
    let before = claimed(&store, 1, "192.0.2.1").await;
    let moved = store.adopt(&fingerprint(2), &fingerprint(1)).await.unwrap();
    let moved = moved.expect("the binding").binding;
    let expected = [
        (fingerprint(1), before.version.of_absence()),
        (fingerprint(2), moved.version),
    ];
    for expected in expected {
        match bounded("a change", feed.next()).await {
            Heard::Change(Change::Binding {
                fingerprint, version, ..
            }) => assert_eq!((fingerprint, version), expected),
            other => panic!("a change of the binding was to be heard: {other:?}"),
        }
    }
}
