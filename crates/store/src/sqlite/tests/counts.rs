//! A filtered count looks at so many bindings and no more.

use sentinel_core::ports::{BINDINGS_COUNTED_MAX, BindingAdmin as _, BindingFilter};

use super::{new_path, outside};
use crate::SqliteStore;

#[tokio::test]
async fn a_count_stops_at_bindings_counted_max_and_says_so() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let insert = |count: u64| {
        let statement = format!(
            "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {count})
             INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at)
             SELECT randomblob(32), '', 'active', '{{}}', coalesce((SELECT max(version) FROM bindings), 0) + number, 1, 1
             FROM numbers"
        );
        outside(&path).execute_batch(&statement).unwrap();
    };
    let counted = async || {
        let counted = store.count_some(BindingFilter::default()).await.unwrap();
        (counted.counts.total(), counted.is_exact)
    };
    insert(BINDINGS_COUNTED_MAX);
    assert_eq!(counted().await, (BINDINGS_COUNTED_MAX, true));
    insert(2);
    assert_eq!(counted().await, (BINDINGS_COUNTED_MAX + 1, false));
}
