//! Promises about the log of what operators did, and its chain.

use sentinel_core::audit::{ChainHash, ChainHead};
use sentinel_core::event::AdminEvent;
use sentinel_core::ports::{AdminEventStore, EventFilter, verify};

use super::{AnyStore, actor, at, claimed};

pub(crate) fn event(number: i64) -> AdminEvent {
    AdminEvent {
        at: at(number),
        actor: if number % 2 == 0 { "cli" } else { "root" }.to_owned(),
        client_ip: None,
        action: if number < 3 { "login" } else { "ban" }.to_owned(),
        detail: format!("number {number}, with a \0 and a ü"),
    }
}

pub(crate) async fn an_empty_chain_is_whole(store: impl AnyStore) {
    let head = ChainHead {
        began_after: 0,
        length: 0,
        last_id: 0,
        hash: ChainHash::BEGINNING,
    };
    assert_eq!(store.chain_head().await, Ok(head));
    let verdict = verify(&store).await.unwrap();
    assert_eq!((verdict.checked, verdict.first_broken), (0, None));
}

pub(crate) async fn every_event_is_chained_whoever_writes_it(store: impl AnyStore) {
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..12 {
        let store = store.clone();
        writers.spawn(async move {
            if number % 3 == 0 {
                store.ban(id, String::new(), actor(number)).await.map(drop)
            } else {
                AdminEventStore::append(&store, event(number)).await
            }
        });
    }
    for written in writers.join_all().await {
        written.unwrap();
    }
    let verdict = verify(&store).await.unwrap();
    assert_eq!((verdict.checked, verdict.first_broken), (12, None));
    let head = store.chain_head().await.unwrap();
    let last = store.chained(head.last_id - 1, 10).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].hashes.map(|(_, hash)| hash), Some(head.hash));
}

pub(crate) async fn events_are_filtered_page_by_page(store: impl AnyStore) {
    for number in 1..=5 {
        AdminEventStore::append(&store, event(number)).await.unwrap();
    }
    let found = async |filter: EventFilter| -> Vec<i64> {
        let page = store.events(filter).await.unwrap();
        page.iter().map(|stored| stored.event.at.unix_ms()).collect()
    };
    let all = || EventFilter {
        limit: 10,
        ..EventFilter::default()
    };
    let actor = Some("cli".to_owned());
    assert_eq!(found(EventFilter { actor, ..all() }).await, [4, 2]);
    let action = Some("ban".to_owned());
    assert_eq!(found(EventFilter { action, ..all() }).await, [5, 4, 3]);
    let (since, until) = (Some(at(2)), Some(at(4)));
    assert_eq!(
        found(EventFilter {
            since,
            until,
            ..all()
        })
        .await,
        [3, 2]
    );
    let first = store.events(EventFilter { limit: 2, ..all() }).await.unwrap();
    let before = first.last().map(|stored| stored.id);
    assert_eq!(found(EventFilter { before, ..all() }).await, [3, 2, 1]);
}
