//! Promises about moving content from one store into another.

use sentinel_core::binding::{BindingId, BindingStatus, Remarks};
use sentinel_core::event::AdminEvent;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::policy::{Mode, PolicyOverride};
use sentinel_core::ports::{
    ArchivedBinding, Existing, InterceptFilter, InterceptStore, MovedBinding, TakenIn, TransferItem,
    TransferKind, TransferStore,
};

use super::intercepts::intercept;
use super::{AnyStore, at, claimed, fingerprint, network};
use crate::bounds::PAGE_ROWS_MAX;

const KINDS: [TransferKind; 4] = [
    TransferKind::Bindings,
    TransferKind::Archived,
    TransferKind::Intercepts,
    TransferKind::Events,
];

pub(crate) fn binding(number: u32) -> MovedBinding {
    MovedBinding {
        fingerprint: fingerprint(number),
        previous: None,
        secret: None,
        hint: KeyHint::from_stored(format!("sk-{number:03}…end")),
        status: BindingStatus::Banned,
        networks: ["203.0.113.0/24", "2001:db8::/48"].map(network).to_vec(),
        policy: PolicyOverride {
            mode: Some(Mode::Observe),
            slots: Some(3),
            learning_window_seconds: None,
        },
        bound_at: at(1_700_000_000_001),
        updated_at: at(1_700_000_000_002),
        last_used_at: Some(at(1_700_000_000_003)),
        use_count: 12,
        ban_reason: "sold on a forum".to_owned(),
        ban_expires_at: Some(at(1_900_000_000_004)),
        remarks: Remarks {
            note: "ask the team".to_owned(),
            labels: vec!["batch".to_owned(), "team \"a\"".to_owned()],
        },
        profile: "new-api".to_owned(),
    }
}

pub(crate) fn archived(number: u32) -> ArchivedBinding {
    ArchivedBinding {
        fingerprint: fingerprint(number),
        record: format!(r#"{{"id":{number}}}"#),
        reason: "unused".to_owned(),
        archived_at: at(1_700_000_000_000 + i64::from(number)),
    }
}

/// Two bindings, and one of each other kind, by kind.
pub(crate) fn samples() -> Vec<TransferItem> {
    vec![
        TransferItem::Binding(binding(1)),
        TransferItem::Binding(MovedBinding {
            policy: PolicyOverride::default(),
            last_used_at: None,
            ..binding(2)
        }),
        TransferItem::Archived(archived(3)),
        TransferItem::Intercept(intercept(4)),
        TransferItem::Event(AdminEvent {
            at: at(5),
            actor: "root".to_owned(),
            client_ip: None,
            action: "ban".to_owned(),
            detail: r#"{"binding":7}"#.to_owned(),
        }),
    ]
}

/// Everything of the kind, by pages of two.
async fn all(store: &impl TransferStore, kind: TransferKind) -> Vec<TransferItem> {
    let (mut items, mut after) = (Vec::new(), 0);
    loop {
        let page = store.page(kind, after, 2).await.unwrap();
        let Some((last, _)) = page.last() else {
            return items;
        };
        assert!(*last > after && page.len() <= 2);
        after = *last;
        items.extend(page.into_iter().map(|(_, item)| comparable(item)));
    }
}

/// The archived record's JSON may come back in another spelling.
fn comparable(item: TransferItem) -> TransferItem {
    match item {
        TransferItem::Archived(archived) => {
            let record: serde_json::Value = serde_json::from_str(&archived.record).expect("JSON");
            TransferItem::Archived(ArchivedBinding {
                record: record.to_string(),
                ..archived
            })
        }
        other => other,
    }
}

async fn keep(store: &impl TransferStore, items: Vec<TransferItem>) -> TakenIn {
    store.take_in(items, Existing::Keep, false).await.unwrap()
}

pub(crate) async fn everything_comes_over_page_by_page(store: impl AnyStore) {
    let taken = keep(&store, samples()).await;
    assert_eq!((taken.added, taken.unchanged, taken.kept), (5, 0, 0));
    let mut here = Vec::new();
    for kind in KINDS {
        here.extend(all(&store, kind).await);
    }
    assert_eq!(here, samples());
    // It is a binding like any other.
    let found = store
        .find(&fingerprint(1))
        .await
        .unwrap()
        .expect("a binding")
        .binding;
    assert_eq!(found.status, BindingStatus::Banned);
    assert_eq!(*found.networks, ["203.0.113.0/24", "2001:db8::/48"].map(network));
    let next = claimed(&store, 7, "192.0.2.1").await;
    assert!(next.id > found.id && next.version > found.version);
}

pub(crate) async fn taking_the_same_again_changes_nothing(store: impl AnyStore) {
    keep(&store, samples()).await;
    let before = store.find(&fingerprint(1)).await.unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        let taken = store.take_in(samples(), existing, false).await.unwrap();
        let unchanged = TakenIn {
            unchanged: 5,
            ..TakenIn::default()
        };
        assert_eq!(taken, unchanged);
    }
    assert_eq!(store.find(&fingerprint(1)).await.unwrap(), before);
    for kind in KINDS {
        let count = if kind == TransferKind::Bindings { 2 } else { 1 };
        assert_eq!(all(&store, kind).await.len(), count, "{kind:?}");
    }
}

pub(crate) async fn a_binding_that_is_here_is_kept_or_replaced(store: impl AnyStore) {
    let stored = claimed(&store, 1, "192.0.2.1").await;
    let moved = || vec![TransferItem::Binding(binding(1))];
    let taken = keep(&store, moved()).await;
    assert_eq!((taken.kept, taken.added, taken.replaced), (1, 0, 0));
    assert_eq!(store.find(&fingerprint(1)).await.unwrap(), Some(stored.into()));
    let taken = store.take_in(moved(), Existing::Replace, false).await.unwrap();
    assert_eq!((taken.kept, taken.added, taken.replaced), (0, 0, 1));
    assert_eq!(all(&store, TransferKind::Bindings).await, moved());
}

pub(crate) async fn a_replaced_binding_is_newer_and_under_the_same_id(store: impl AnyStore) {
    let stored = claimed(&store, 1, "192.0.2.1").await;
    let moved = vec![TransferItem::Binding(binding(1))];
    store.take_in(moved, Existing::Replace, false).await.unwrap();
    let replaced = store
        .find(&fingerprint(1))
        .await
        .unwrap()
        .expect("a binding")
        .binding;
    assert_eq!(replaced.id, stored.id);
    assert!(replaced.version > stored.version);
}

pub(crate) async fn a_rehearsal_changes_nothing(store: impl AnyStore) {
    claimed(&store, 1, "192.0.2.1").await;
    let before = all(&store, TransferKind::Bindings).await;
    let taken = store.take_in(samples(), Existing::Replace, true).await.unwrap();
    assert_eq!((taken.added, taken.replaced), (4, 1));
    assert_eq!(all(&store, TransferKind::Bindings).await, before);
    for kind in &KINDS[1..] {
        assert_eq!(all(&store, *kind).await, [], "{kind:?}");
    }
}

pub(crate) async fn an_intercept_names_the_binding_of_its_key(store: impl AnyStore) {
    let bound = claimed(&store, 1, "192.0.2.1").await.id;
    let of_key = |number: u32| {
        let mut one = intercept(number);
        one.fingerprint = Some(fingerprint(number));
        one.binding = Some(BindingId(404));
        TransferItem::Intercept(one)
    };
    keep(&store, vec![of_key(1), of_key(2)]).await;
    let filter = InterceptFilter {
        limit: 10,
        ..InterceptFilter::default()
    };
    let page = InterceptStore::list(&store, filter).await.unwrap();
    let mut bindings: Vec<_> = page.iter().map(|stored| stored.intercept.binding).collect();
    bindings.sort();
    assert_eq!(bindings, [None, Some(bound)]);
}

pub(crate) async fn a_page_of_moved_items_has_a_maximum(store: impl AnyStore) {
    let many = (0..=PAGE_ROWS_MAX).map(|number| TransferItem::Archived(archived(number)));
    keep(&store, many.collect()).await;
    let page = store.page(TransferKind::Archived, 0, u32::MAX).await.unwrap();
    assert_eq!(page.len(), PAGE_ROWS_MAX as usize);
}
