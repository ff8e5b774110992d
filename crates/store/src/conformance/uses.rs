//! Promises about uses.

use sentinel_core::binding::BindingId;
use sentinel_core::usage::Uses;

use super::{AnyStore, at, claimed};

fn uses(binding: BindingId, count: u64, last: i64) -> Uses {
    Uses {
        binding,
        count,
        last_used_at: at(last),
    }
}

async fn used(store: &impl AnyStore, id: BindingId) -> (u64, Option<i64>) {
    let record = store.show(id).await.unwrap().expect("a record");
    let last = record.last_used_at.map(sentinel_core::time::Timestamp::unix_ms);
    (record.use_count, last)
}

pub(crate) async fn uses_add_up(store: impl AnyStore) {
    let one = claimed(&store, 1, "192.0.2.1").await;
    let two = claimed(&store, 2, "192.0.2.1").await.id;
    let batch = vec![uses(one.id, 2, 50), uses(two, 1, 40), uses(one.id, 3, 45)];
    store.add_uses(batch).await.unwrap();
    store.add_uses(vec![uses(two, 5, 30)]).await.unwrap();
    store.add_uses(Vec::new()).await.unwrap();
    assert_eq!(used(&store, one.id).await, (5, Some(50)));
    assert_eq!(used(&store, two).await, (6, Some(40)));
    // A use is no change of the binding: caches keep their copy.
    let record = store.show(one.id).await.unwrap().expect("a record");
    assert_eq!(
        (record.binding.version, record.updated_at),
        (one.version, one.bound_at)
    );
}

pub(crate) async fn bindings_that_are_gone_are_passed_over(store: impl AnyStore) {
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    let batch = vec![uses(BindingId(404), 9, 9), uses(id, 1, 10)];
    store.add_uses(batch).await.unwrap();
    assert_eq!(used(&store, id).await, (1, Some(10)));
}

pub(crate) async fn a_count_stops_at_its_largest(store: impl AnyStore) {
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    store.add_uses(vec![uses(id, u64::MAX, 1)]).await.unwrap();
    store.add_uses(vec![uses(id, u64::MAX, 2)]).await.unwrap();
    assert_eq!(used(&store, id).await, (i64::MAX.unsigned_abs(), Some(2)));
}
