//! Promises about what operators do.

use sentinel_core::binding::{BindingCounts, BindingId, BindingStatus};
use sentinel_core::event::AdminEvent;
use sentinel_core::fingerprint::KeyHint;
use sentinel_core::ports::{AdminEventStore, BindingAdmin, BindingFilter, Claim};

use super::{AnyStore, actor, address, at, claimed, fingerprint, ids, network, new_binding};
use crate::bounds::PAGE_ROWS_MAX;

fn all() -> BindingFilter {
    BindingFilter {
        limit: 100,
        ..BindingFilter::default()
    }
}

pub(crate) async fn a_ban_and_its_end(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let banned = store
        .ban(binding.id, "sold on a forum".to_owned(), actor(5_000))
        .await;
    let banned = banned.unwrap().expect("a record");
    assert_eq!(banned.binding.status, BindingStatus::Banned);
    assert_eq!(banned.ban_reason, "sold on a forum");
    assert_eq!(banned.updated_at, at(5_000));
    assert_eq!(store.show(binding.id).await.unwrap(), Some(banned.clone()));
    let found = store.find(&fingerprint(1)).await.unwrap();
    assert_eq!(found, Some(banned.binding.into()));
    assert!(matches!(
        store.claim(new_binding(1, "192.0.2.9")).await,
        Ok(Claim::Lost(stored)) if stored.status == BindingStatus::Banned
    ));

    let unbanned = store
        .unban(binding.id, actor(6_000))
        .await
        .unwrap()
        .expect("a record");
    assert_eq!(unbanned.binding.status, BindingStatus::Active);
    assert_eq!(unbanned.binding.networks, binding.networks);
    assert_eq!(unbanned.ban_reason, "");
    assert_eq!(unbanned.updated_at, at(6_000));
}

pub(crate) async fn networks_are_replaced_in_order_without_repetition(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let networks = ["203.0.113.0/24", "10.0.0.0/8", "203.0.113.0/24"].map(network);
    let changed = store
        .set_networks(binding.id, networks.to_vec(), actor(5_000))
        .await
        .unwrap()
        .expect("a record");
    assert_eq!(*changed.binding.networks, networks[..2]);
    assert_eq!(changed.updated_at, at(5_000));
    assert_eq!(store.show(binding.id).await.unwrap(), Some(changed));
}

pub(crate) async fn unbinding_frees_the_key(store: impl AnyStore) {
    let binding = claimed(&store, 1, "192.0.2.1").await;
    let banned = store.ban(binding.id, String::new(), actor(4_000)).await.unwrap();
    assert_eq!(store.unbind(binding.id, actor(5_000)).await.unwrap(), banned);
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
    assert_eq!(store.show(binding.id).await.unwrap(), None);
    let again = claimed(&store, 1, "192.0.2.9").await;
    assert_eq!(again.status, BindingStatus::Active);
    assert_eq!(*again.networks, [network("192.0.2.9")]);
}

pub(crate) async fn changes_of_nothing_leave_nothing(store: impl AnyStore) {
    let nobody = BindingId(404);
    assert_eq!(store.show(nobody).await, Ok(None));
    assert_eq!(store.ban(nobody, String::new(), actor(1)).await, Ok(None));
    assert_eq!(store.unban(nobody, actor(2)).await, Ok(None));
    assert_eq!(store.unbind(nobody, actor(3)).await, Ok(None));
    let networks = vec![network("10.0.0.0/8")];
    assert_eq!(store.set_networks(nobody, networks, actor(4)).await, Ok(None));
    assert_eq!(store.newest(10).await, Ok(Vec::new()));
}

pub(crate) async fn every_change_leaves_an_event_with_before_and_after(store: impl AnyStore) {
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    store.ban(id, "leaked".to_owned(), actor(1)).await.unwrap();
    store.unban(id, actor(2)).await.unwrap();
    let networks = vec![network("10.0.0.0/8")];
    store.set_networks(id, networks, actor(3)).await.unwrap();
    store.unbind(id, actor(4)).await.unwrap();

    let mut events = store.newest(10).await.unwrap();
    events.reverse();
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["ban", "unban", "set_networks", "unbind"]);
    for (event, time) in events.iter().zip(1..) {
        assert_eq!((event.at, event.actor.as_str()), (at(time), "root"));
        assert_eq!(event.client_ip, Some(address("192.0.2.250")));
    }
    let detail =
        |number: usize| -> serde_json::Value { serde_json::from_str(&events[number].detail).expect("JSON") };
    assert_eq!(detail(0)["binding"], id.0);
    assert_eq!(detail(0)["hint"], "sk-001…end");
    assert_eq!(detail(0)["before"]["status"], "active");
    assert_eq!(detail(0)["after"]["status"], "banned");
    assert_eq!(detail(0)["after"]["ban_reason"], "leaked");
    assert_eq!(detail(2)["before"]["networks"][0], "192.0.2.1/32");
    assert_eq!(detail(2)["after"]["networks"][0], "10.0.0.0/8");
    assert!(detail(3)["after"].is_null());
}

pub(crate) async fn events_come_newest_first(store: impl AnyStore) {
    let event = |number: i64| AdminEvent {
        at: at(number),
        actor: "cli".to_owned(),
        client_ip: None,
        action: "login".to_owned(),
        detail: format!("number {number}"),
    };
    for number in 1..=3 {
        AdminEventStore::append(&store, event(number)).await.unwrap();
    }
    assert_eq!(store.newest(2).await, Ok(vec![event(3), event(2)]));
    assert_eq!(store.newest(0).await, Ok(Vec::new()));
}

pub(crate) async fn bindings_come_page_by_page(store: impl AnyStore) {
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(claimed(&store, number, "192.0.2.1").await.id);
    }
    made.reverse();
    let page = async |before| {
        let filter = BindingFilter {
            before,
            limit: 2,
            ..BindingFilter::default()
        };
        ids(&BindingAdmin::list(&store, filter).await.unwrap())
    };
    assert_eq!(page(None).await, made[..2]);
    assert_eq!(page(Some(made[1])).await, made[2..4]);
    assert_eq!(page(Some(made[3])).await, made[4..]);
    assert_eq!(page(Some(made[4])).await, []);
}

pub(crate) async fn a_page_of_bindings_has_a_maximum(store: impl AnyStore) {
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..=PAGE_ROWS_MAX {
        let store = store.clone();
        claims.spawn(async move { claimed(&store, number, "192.0.2.1").await });
    }
    claims.join_all().await;
    let filter = BindingFilter {
        limit: u32::MAX,
        ..BindingFilter::default()
    };
    let page = BindingAdmin::list(&store, filter).await.unwrap();
    assert_eq!(page.len(), PAGE_ROWS_MAX as usize);
}

pub(crate) async fn bindings_are_filtered_by_status_and_counted(store: impl AnyStore) {
    let one = claimed(&store, 1, "192.0.2.1").await.id;
    let two = claimed(&store, 2, "192.0.2.1").await.id;
    let three = claimed(&store, 3, "192.0.2.1").await.id;
    store.ban(two, String::new(), actor(1)).await.unwrap();
    let with = async |status| {
        let filter = BindingFilter {
            status: Some(status),
            ..all()
        };
        ids(&BindingAdmin::list(&store, filter).await.unwrap())
    };
    assert_eq!(with(BindingStatus::Active).await, [three, one]);
    assert_eq!(with(BindingStatus::Banned).await, [two]);
    let counts = BindingCounts { active: 2, banned: 1 };
    assert_eq!(store.counts().await, Ok(counts));
}

pub(crate) async fn hints_are_searched_literally(store: impl AnyStore) {
    let hints = ["sk-a_c…wxyz", "sk-abc…wxyz", "SK-50%…\\end"];
    let mut made = Vec::new();
    for (number, hint) in (0..).zip(hints) {
        let mut new = new_binding(number, "192.0.2.1");
        new.hint = KeyHint::from_stored(hint.to_owned());
        match store.claim(new).await {
            Ok(Claim::Won(binding)) => made.push(binding.id),
            other => panic!("{other:?}"),
        }
    }
    let search = async |hint: &str| {
        let filter = BindingFilter {
            hint: Some(hint.to_owned()),
            ..all()
        };
        ids(&BindingAdmin::list(&store, filter).await.unwrap())
    };
    assert_eq!(search("a_c").await, [made[0]]);
    assert_eq!(search("%").await, [made[2]]);
    assert_eq!(search("\\").await, [made[2]]);
    assert_eq!(search("SK-ABC").await, [made[1]]);
    assert_eq!(search("…").await, [made[2], made[1], made[0]]);
    assert_eq!(search("nothing").await, []);
    assert_eq!(search("'").await, []);
}

pub(crate) async fn bindings_around_an_address_are_found(store: impl AnyStore) {
    let narrow = claimed(&store, 1, "192.0.2.77/32").await.id;
    let wide = claimed(&store, 2, "192.0.0.0/16").await.id;
    let everything = claimed(&store, 3, "0.0.0.0/0").await.id;
    let six = claimed(&store, 4, "2001:db8::/64").await.id;
    let all_six = claimed(&store, 5, "::/0").await.id;
    let two = claimed(&store, 6, "10.0.0.0/8").await.id;
    store
        .learn(two, network("192.0.2.64/26"), 2, at(1))
        .await
        .unwrap();
    let around = async |text: &str| {
        let filter = BindingFilter {
            address: Some(address(text)),
            ..all()
        };
        ids(&BindingAdmin::list(&store, filter).await.unwrap())
    };
    assert_eq!(around("192.0.2.77").await, [two, everything, wide, narrow]);
    assert_eq!(around("::ffff:192.0.2.78").await, [two, everything, wide]);
    assert_eq!(around("192.1.0.0").await, [everything]);
    assert_eq!(around("255.255.255.255").await, [everything]);
    assert_eq!(around("2001:db8::1").await, [all_six, six]);
    assert_eq!(around("2001:db8:0:1::").await, [all_six]);
    assert_eq!(around("::").await, [all_six]);
    // The last address of this network is the place of IPv4's last one among the IPv6 addresses.
    let up_to_ipv4 = claimed(&store, 7, "::/80").await.id;
    assert_eq!(around("::1:0:0").await, [up_to_ipv4, all_six]);
    assert_eq!(around("::1:0:0:0").await, [all_six]);
    assert_eq!(around("255.255.255.255").await, [everything]);
}
