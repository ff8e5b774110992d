//! Promises about what is forgotten of an address or a key, and about what stays. For stores that outlive their process.

use sentinel_core::alert::conformance::draft;
use sentinel_core::alert::ports::{AlertFilter, AlertStore, Transition};
use sentinel_core::alert::{ChannelId, Subject};
use sentinel_core::binding::BindingId;
use sentinel_core::event::Intercept;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{
    EventFilter, Forgettable, ForgettingStore, InterceptFilter, InterceptStore, Traces, TrafficSpan, verify,
};

use super::intercepts::intercept;
use super::{AnyStore, actor, address, at, claimed, network};

/// A store with all that can name somebody.
pub(crate) trait NamingStore: AnyStore + ForgettingStore + AlertStore {}
impl<S: AnyStore + ForgettingStore + AlertStore> NamingStore for S {}

fn refused(number: u32, from: &str, hint: &str, networks: &[&str]) -> Intercept {
    Intercept {
        client_ip: address(from),
        hint: Some(KeyHint::from_stored(hint.to_owned())),
        binding: Some(BindingId(i64::from(number))),
        networks: networks.iter().map(|text| network(text)).collect(),
        ..intercept(number)
    }
}

/// Refusals of two clients, a binding of each and one that was put away, and an alert.
async fn named(store: &impl NamingStore) {
    let batch = vec![
        refused(1, "192.0.2.7", "sk-001…end", &["198.51.100.1/32"]),
        refused(2, "192.0.2.7", "sk-002…end", &[]),
        refused(
            3,
            "198.51.100.1",
            "sk-001…end",
            &["192.0.2.7/32", "203.0.113.0/24"],
        ),
        refused(4, "198.51.100.1", "sk-004…end", &["192.0.2.0/24"]),
    ];
    InterceptStore::append(store, batch).await.unwrap();
    claimed(store, 1, "192.0.2.7").await;
    claimed(store, 2, "198.51.100.1").await;
    let gone = claimed(store, 3, "192.0.2.7").await.id;
    store.unbind(gone, actor(5)).await.unwrap();
    let mut alert = draft(1, 10);
    alert.subject = Subject::Address(network("192.0.2.7"));
    alert.hint = Some(KeyHint::from_stored("sk-001…end".to_owned()));
    let channel = ChannelId::new("ops").expect("a name");
    let raise = Transition::Raise(Box::new(alert));
    store.transition(raise, &[channel]).await.unwrap();
}

fn forgettable(text: &str) -> Forgettable {
    text.parse().expect("it can be forgotten")
}

async fn log(store: &impl NamingStore) -> Vec<Intercept> {
    let filter = InterceptFilter {
        limit: 100,
        ..InterceptFilter::default()
    };
    let page = InterceptStore::list(store, filter).await.unwrap();
    page.into_iter().map(|stored| stored.intercept).collect()
}

pub(crate) async fn an_address_is_forgotten_and_what_decides_stays(store: impl NamingStore) {
    named(&store).await;
    let (address, events) = (forgettable("192.0.2.7"), all_events(&store).await);
    let traces = store.traces(&address).await.unwrap();
    let wanted = Traces {
        intercepts: 2,
        mentions: 1,
        archived: 1,
        // Of the hour and of the day.
        top_places: 2,
        alerts: 1,
        bindings: 1,
        events: 1,
        sessions: 0,
    };
    assert_eq!(traces, wanted);
    assert_eq!(log(&store).await.len(), 4, "looking changes nothing");
    assert_eq!(store.forget_traces(&address).await, Ok(wanted));

    let left = log(&store).await;
    assert_eq!(left.len(), 2);
    assert!(
        left.iter()
            .all(|row| row.client_ip == super::address("198.51.100.1"))
    );
    let networks = left.iter().map(|row| row.networks.to_vec());
    let of_three = vec![network("203.0.113.0/24")];
    // A wider network names nobody.
    let of_four = vec![network("192.0.2.0/24")];
    assert_eq!(networks.collect::<Vec<_>>(), [of_four, of_three]);
    let alerts = store.alerts(AlertFilter {
        limit: 9,
        ..AlertFilter::default()
    });
    assert!(alerts.await.unwrap().is_empty());
    let day = TrafficSpan::Day;
    let top = store.top_refused(day, day.start_of(at(1_000)), 9).await.unwrap();
    assert_eq!((top.addresses.len(), top.other_addresses), (1, 2));
    assert_eq!(store.counts().await.unwrap().total(), 2, "bindings decide");
    assert_eq!(all_events(&store).await, events);
    let verdict = verify(&store).await.unwrap();
    assert_eq!(verdict.first_broken, None, "{verdict:?}");
    let stays = Traces {
        bindings: 1,
        events: 1,
        ..Traces::default()
    };
    assert_eq!(store.forget_traces(&address).await, Ok(stays), "twice is once");
}

async fn all_events(store: &impl NamingStore) -> Vec<String> {
    let filter = EventFilter {
        limit: 100,
        ..EventFilter::default()
    };
    let page = store.events(filter).await.unwrap();
    page.into_iter().map(|stored| stored.event.detail).collect()
}

pub(crate) async fn a_network_is_forgotten_with_all_in_it(store: impl NamingStore) {
    named(&store).await;
    let traces = store.forget_traces(&forgettable("192.0.2.0/24")).await.unwrap();
    assert_eq!((traces.intercepts, traces.mentions, traces.archived), (2, 2, 1));
    assert!(log(&store).await.iter().all(|row| row.networks.len() <= 1));
}

pub(crate) async fn a_key_is_forgotten_by_its_hint(store: impl NamingStore) {
    named(&store).await;
    let traces = store.forget_traces(&forgettable("sk-001…end")).await.unwrap();
    let wanted = Traces {
        intercepts: 2,
        top_places: 4,
        alerts: 1,
        bindings: 1,
        ..Traces::default()
    };
    assert_eq!(traces, wanted);
    let hints: Vec<_> = log(&store)
        .await
        .into_iter()
        .filter_map(|row| row.hint.map(|hint| hint.as_str().to_owned()))
        .collect();
    assert_eq!(hints, ["sk-004…end", "sk-002…end"]);
    let traces = store.forget_traces(&forgettable("sk-003…end")).await.unwrap();
    assert_eq!((traces.archived, traces.events), (1, 1));
}

/// Makes one test of each promise, on the store that `$fixture` makes; it may await.
macro_rules! forgetting_suite {
    ($fixture:expr) => {
        crate::conformance::forgetting::forgetting_suite! { @each $fixture;
            an_address_is_forgotten_and_what_decides_stays
            a_network_is_forgotten_with_all_in_it
            a_key_is_forgotten_by_its_hint
        }
    };
    (@each $fixture:expr; $($promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _kept) = $fixture;
                crate::conformance::forgetting::$promise(store).await;
            }
        )+
    };
}
pub(crate) use forgetting_suite;
