//! Changes made on this replica, and invalidations, against loads that are under way.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::binding::{
    BindingCounts, BindingEdit, BindingId, BindingRecord, BindingStatus, Edited, Version,
};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{
    ArchivedBinding, BindingAdmin, BindingFilter, BindingLookup, BindingPage, BindingStore, Claim,
    CountedBindings, MovedBinding, StoreError,
};

use super::super::{CachedLookup, InvalidatingAdmin};
use super::scripted::Scripted;
use super::{find, lookup};
use crate::conformance::{actor, at, claimed, fingerprint, network, new_binding};

fn admin(lookup: &Arc<CachedLookup>, store: &Scripted) -> InvalidatingAdmin {
    InvalidatingAdmin::new(Arc::new(store.memory.clone()), Arc::clone(lookup))
}

/// Begins a lookup of key 1.
fn ask(lookup: &Arc<CachedLookup>) -> tokio::task::JoinHandle<Option<BindingStatus>> {
    let lookup = Arc::clone(lookup);
    tokio::spawn(async move {
        let found = lookup.find(&fingerprint(1), at(0)).await.unwrap();
        found.map(|known| known.binding.status)
    })
}

#[tokio::test]
async fn the_cache_knows_a_change_before_it_is_answered() {
    let (lookup, store) = lookup();
    let admin = admin(&lookup, &store);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    find(&lookup, 1, 100).await;
    let cached = |now| {
        lookup
            .cached(&fingerprint(1), at(now))
            .map(|known| known.binding.clone())
    };

    admin.ban(id, String::new(), actor(101)).await.unwrap();
    assert_eq!(cached(101).expect("cached").status, BindingStatus::Banned);
    admin.unban(id, actor(102)).await.unwrap();
    assert_eq!(cached(102).expect("cached").status, BindingStatus::Active);
    let networks = vec![network("10.0.0.0/8")];
    admin
        .set_networks(id, networks.clone(), actor(103))
        .await
        .unwrap();
    assert_eq!(*cached(103).expect("cached").networks, networks);
    admin.unbind(id, actor(104)).await.unwrap();
    assert_eq!(cached(104), None);
    assert_eq!(store.calls(), 1);
    assert_eq!(admin.counts().await, Ok(BindingCounts::default()));
    assert_eq!(admin.show(id).await, Ok(None));
}

#[tokio::test]
async fn a_ban_wins_over_a_load_that_read_before_it() {
    let (lookup, store) = lookup();
    let admin = admin(&lookup, &store);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    let gate = store.hold();
    let before = ask(&lookup);
    gate.entered().await;
    admin.ban(id, String::new(), actor(1)).await.unwrap();

    // Who asks after the ban does not join the load that was under way.
    let after = ask(&lookup);
    gate.entered().await;
    store.hold_no_longer();
    gate.let_one_go();
    gate.let_one_go();
    assert_eq!(after.await.unwrap(), Some(BindingStatus::Banned));
    assert_eq!(before.await.unwrap(), Some(BindingStatus::Banned));
    assert_eq!(find(&lookup, 1, 0).await.binding.status, BindingStatus::Banned);
}

#[tokio::test]
async fn an_unbound_key_does_not_come_back_with_a_load_that_read_before() {
    let (lookup, store) = lookup();
    let admin = admin(&lookup, &store);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    let gate = store.hold();
    let before = ask(&lookup);
    gate.entered().await;
    admin.unbind(id, actor(1)).await.unwrap();
    store.hold_no_longer();
    gate.let_one_go();
    assert_eq!(before.await.unwrap(), None);
    assert_eq!(lookup.entries(), 0);
    assert_eq!(store.calls(), 2);
}

#[tokio::test]
async fn a_lesson_that_was_under_way_does_not_bring_an_unbound_key_back() {
    let (lookup, store) = lookup();
    let admin = admin(&lookup, &store);
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    let known = find(&lookup, 1, 0).await;
    let gate = store.hold();
    let learning = tokio::spawn({
        let lookup = Arc::clone(&lookup);
        async move { lookup.learn(&known, network("192.0.2.2"), 2, at(0)).await }
    });
    gate.entered().await;
    admin.unbind(id, actor(1)).await.unwrap();
    gate.let_one_go();
    assert!(learning.await.unwrap().unwrap().is_some());
    assert!(lookup.cached(&fingerprint(1), at(0)).is_none());
}

#[tokio::test]
async fn a_claim_that_was_banned_meanwhile_is_not_its_claimers_to_release() {
    let (lookup, store) = lookup();
    let admin = admin(&lookup, &store);
    let gate = store.hold();
    let claiming = tokio::spawn({
        let lookup = Arc::clone(&lookup);
        async move { lookup.claim(new_binding(1, "192.0.2.1")).await }
    });
    gate.entered().await;
    store.hold_no_longer();
    // Somebody sees the binding, an operator bans it, and only then does the claimer hear that it won.
    let id = find(&lookup, 1, 1_001).await.binding.id;
    admin.ban(id, String::new(), actor(1_001)).await.unwrap();
    gate.let_one_go();
    match claiming.await.unwrap() {
        Ok(Claim::Lost(known)) => assert_eq!(known.binding.status, BindingStatus::Banned),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_invalidation_passes_over_what_is_new_enough() {
    let (lookup, store) = lookup();
    let version = claimed(&store.memory, 1, "192.0.2.1").await.version;
    find(&lookup, 1, 0).await;
    lookup.invalidate(&fingerprint(1), Some(version));
    assert!(lookup.cached(&fingerprint(1), at(0)).is_some());
    lookup.invalidate(&fingerprint(1), Some(Version(version.0 + 1)));
    assert!(lookup.cached(&fingerprint(1), at(0)).is_none());
    find(&lookup, 1, 0).await;
    lookup.invalidate(&fingerprint(1), None);
    assert!(lookup.cached(&fingerprint(1), at(0)).is_none());
}

/// An admin whose changes are made, but whose answers wait or are lost.
struct Unreliable {
    store: Arc<Scripted>,
    answer: Option<StoreError>,
}

#[async_trait]
impl BindingAdmin for Unreliable {
    async fn list_ordered(
        &self,
        filter: BindingFilter,
        page: BindingPage,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        self.store.memory.list_ordered(filter, page).await
    }

    async fn show(&self, id: BindingId) -> Result<Option<BindingRecord>, StoreError> {
        self.store.memory.show(id).await
    }

    async fn counts(&self) -> Result<BindingCounts, StoreError> {
        self.store.memory.counts().await
    }

    async fn count_some(&self, filter: BindingFilter) -> Result<CountedBindings, StoreError> {
        self.store.memory.count_some(filter).await
    }

    async fn create(&self, new: MovedBinding, actor: Actor) -> Result<Option<BindingRecord>, StoreError> {
        self.store.memory.create(new, actor).await
    }

    async fn earlier(
        &self,
        fingerprint: KeyFingerprint,
        limit: u32,
    ) -> Result<Vec<ArchivedBinding>, StoreError> {
        self.store.memory.earlier(fingerprint, limit).await
    }

    async fn edit(
        &self,
        id: BindingId,
        edit: BindingEdit,
        known: Option<Version>,
        actor: Actor,
    ) -> Result<Edited, StoreError> {
        let edited = self.store.memory.edit(id, edit, known, actor).await?;
        // Waits where the scripted store waits.
        let _ = self.store.find(&fingerprint(u32::MAX)).await;
        self.answer.clone().map_or(Ok(edited), Err)
    }
}

#[tokio::test]
async fn the_cache_is_told_even_when_the_caller_goes_away() {
    let (lookup, store) = lookup();
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    find(&lookup, 1, 0).await;
    let unreliable = Unreliable {
        store: Arc::clone(&store),
        answer: None,
    };
    let admin = InvalidatingAdmin::new(Arc::new(unreliable), Arc::clone(&lookup));
    let gate = store.hold();
    let caller = tokio::spawn(async move { admin.ban(id, String::new(), actor(1)).await });
    gate.entered().await;
    caller.abort();
    assert!(caller.await.is_err());
    gate.let_one_go();
    while lookup
        .cached(&fingerprint(1), at(1))
        .expect("cached")
        .binding
        .status
        == BindingStatus::Active
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_change_that_may_have_been_made_ends_every_life() {
    let (lookup, store) = lookup();
    let id = claimed(&store.memory, 1, "192.0.2.1").await.id;
    find(&lookup, 1, 0).await;
    let with = |answer| {
        let unreliable = Unreliable {
            store: Arc::clone(&store),
            answer: Some(answer),
        };
        InvalidatingAdmin::new(Arc::new(unreliable), Arc::clone(&lookup))
    };
    let busy = with(StoreError::Busy).unban(id, actor(1)).await;
    assert_eq!(busy, Err(StoreError::Busy));
    assert!(lookup.cached(&fingerprint(1), at(1)).is_some());
    let lost = StoreError::Unavailable("the answer was lost".to_owned());
    assert_eq!(
        with(lost.clone()).ban(id, String::new(), actor(2)).await,
        Err(lost)
    );
    assert!(lookup.cached(&fingerprint(1), at(2)).is_none());
    assert_eq!(find(&lookup, 1, 2).await.binding.status, BindingStatus::Banned);
}
