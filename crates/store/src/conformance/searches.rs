//! Promises about finding bindings: by what they are bound to, what was written on them, when they were used, and in which order.

use sentinel_core::binding::{BindingCounts, BindingEdit, BindingId};
use sentinel_core::ports::{BindingAdmin, BindingFilter, BindingOrder, BindingPage, CountedBindings};
use sentinel_core::usage::Uses;

use super::{AnyStore, actor, at, claimed, ids, network};

fn all() -> BindingFilter {
    BindingFilter {
        limit: 100,
        ..BindingFilter::default()
    }
}

async fn found(store: &impl AnyStore, filter: BindingFilter) -> Vec<BindingId> {
    ids(&BindingAdmin::list(store, filter).await.unwrap())
}

async fn used(store: &impl AnyStore, binding: BindingId, count: u64, last: i64) {
    let uses = Uses {
        binding,
        count,
        last_used_at: at(last),
    };
    store.add_uses(vec![uses]).await.unwrap();
}

pub(crate) async fn bindings_that_share_addresses_with_a_network_are_found(store: impl AnyStore) {
    let mut made = Vec::new();
    for (number, from) in (0..).zip([
        "192.0.2.77/32",
        "192.0.2.0/24",
        "192.0.0.0/16",
        "198.51.100.0/24",
        "2001:db8:1::/48",
        "2001:db8::/32",
        "0.0.0.0/0",
        "::/0",
    ]) {
        made.push(claimed(&store, number, from).await.id);
    }
    let pick = |numbers: &[usize]| {
        numbers
            .iter()
            .rev()
            .map(|number| made[*number])
            .collect::<Vec<_>>()
    };
    for (asked, overlapping, inside) in [
        ("192.0.2.0/24", &[0, 1, 2, 6][..], &[0, 1][..]),
        ("192.0.2.64/26", &[0, 1, 2, 6], &[0]),
        ("192.0.2.128/25", &[1, 2, 6], &[]),
        ("192.0.0.0/8", &[0, 1, 2, 6], &[0, 1, 2]),
        ("0.0.0.0/0", &[0, 1, 2, 3, 6], &[0, 1, 2, 3, 6]),
        ("2001:db8:1:2::/64", &[4, 5, 7], &[]),
        ("2001:db8::/32", &[4, 5, 7], &[4, 5]),
        ("::/0", &[4, 5, 7], &[4, 5, 7]),
        ("203.0.113.7/32", &[6], &[]),
    ] {
        let overlap = BindingFilter {
            network: Some(network(asked)),
            ..all()
        };
        assert_eq!(found(&store, overlap).await, pick(overlapping), "{asked}");
        let within = BindingFilter {
            within: Some(network(asked)),
            ..all()
        };
        assert_eq!(found(&store, within).await, pick(inside), "{asked}");
    }
}

pub(crate) async fn bindings_are_found_by_what_was_written_on_them(store: impl AnyStore) {
    let (one, two) = (
        claimed(&store, 1, "192.0.2.1").await.id,
        claimed(&store, 2, "192.0.2.1").await.id,
    );
    for (id, note, labels) in [
        (one, "50% of the Batch", ["batch", "a"]),
        (two, "50 keys", ["batches", "A"]),
    ] {
        let edit = BindingEdit::Remarks {
            note: Some(note.to_owned()),
            labels: Some(labels.map(str::to_owned).to_vec()),
        };
        store.edit(id, edit, None, actor(1)).await.unwrap();
    }
    let noted = async |note: &str| {
        let filter = BindingFilter {
            note: Some(note.to_owned()),
            ..all()
        };
        found(&store, filter).await
    };
    assert_eq!(
        (noted("50").await, noted("50%").await),
        (vec![two, one], vec![one])
    );
    assert_eq!(noted("bATCH").await, [one]);
    let named = BindingFilter {
        ids: Some(vec![one, BindingId(404)]),
        ..all()
    };
    assert_eq!(found(&store, named).await, [one]);
    let none = BindingFilter {
        ids: Some(Vec::new()),
        ..all()
    };
    assert_eq!(found(&store, none).await, []);
    let labelled = async |label: &str| {
        let filter = BindingFilter {
            label: Some(label.to_owned()),
            ..all()
        };
        found(&store, filter).await
    };
    assert_eq!(
        (labelled("batch").await, labelled("A").await),
        (vec![one], vec![two])
    );
    assert_eq!(labelled("b").await, []);
}

pub(crate) async fn bindings_are_found_by_their_last_use(store: impl AnyStore) {
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(claimed(&store, number, "192.0.2.1").await.id);
    }
    used(&store, made[0], 1, 10_000).await;
    used(&store, made[1], 1, 20_000).await;
    let between = async |after: Option<i64>, before: Option<i64>| {
        let filter = BindingFilter {
            used_after: after.map(at),
            used_before: before.map(at),
            ..all()
        };
        found(&store, filter).await
    };
    assert_eq!(between(Some(20_000), None).await, [made[1]]);
    assert_eq!(between(None, Some(20_000)).await, [made[0]]);
    assert_eq!(between(Some(10_000), Some(20_001)).await, [made[1], made[0]]);
}

pub(crate) async fn bindings_come_in_every_order_page_by_page(store: impl AnyStore) {
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(claimed(&store, number, "192.0.2.1").await.id);
    }
    used(&store, made[0], 7, 30_000).await;
    used(&store, made[1], 9, 20_000).await;
    used(&store, made[2], 7, 40_000).await;
    for (order, wanted) in [
        (BindingOrder::Newest, [4, 3, 2, 1, 0]),
        (BindingOrder::Oldest, [0, 1, 2, 3, 4]),
        (BindingOrder::LastUsed, [2, 0, 1, 4, 3]),
        (BindingOrder::MostUsed, [1, 2, 0, 4, 3]),
    ] {
        let (mut seen, mut after) = (Vec::new(), None);
        for rows in [2, 2, 1, 0] {
            let filter = BindingFilter { limit: 2, ..all() };
            let page = store
                .list_ordered(filter, BindingPage { order, after })
                .await
                .unwrap();
            assert_eq!(page.len(), rows, "{order:?}");
            after = page.last().map(|record| order.place(record)).or(after);
            seen.extend(ids(&page));
        }
        assert_eq!(seen, wanted.map(|number| made[number]), "{order:?}");
    }
}

pub(crate) async fn bindings_are_counted_as_they_are_filtered(store: impl AnyStore) {
    for (number, from) in [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "198.51.100.1")] {
        let id = claimed(&store, number, from).await.id;
        if number == 2 {
            store.ban(id, String::new(), actor(1)).await.unwrap();
        }
    }
    let filter = BindingFilter {
        within: Some(network("192.0.2.0/24")),
        limit: 1,
        ..BindingFilter::default()
    };
    let counted = CountedBindings {
        counts: BindingCounts { active: 1, banned: 1 },
        is_exact: true,
    };
    assert_eq!(store.count_some(filter).await, Ok(counted));
}
