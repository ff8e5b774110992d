//! A filtered count looks at so many bindings and no more, a search at so many rows.

use sentinel_core::ports::{
    BINDINGS_COUNTED_MAX, BindingAdmin as _, BindingFilter, InterceptFilter, InterceptStore,
};

use super::{new_path, outside};
use crate::SqliteStore;
use crate::sqlite::intercepts;

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

#[tokio::test]
async fn a_search_looks_at_searched_rows_max_rows() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let newest = intercepts::SEARCHED_ROWS_MAX + 1;
    let insert = format!(
        "INSERT INTO intercept_logs (id, reference, at, last_at, reason, outcome, client_ip, method, path, user_agent, count)
         SELECT value, 'sr_' || value, 1, 1, 'key_missing', 'refused', '192.0.2.1', 'GET', '/wanted', '', 1
         FROM json_each('[1, 2, {newest}]')"
    );
    outside(&path).execute_batch(&insert).unwrap();
    let found = async |before| {
        let filter = InterceptFilter {
            path: Some("wanted".to_owned()),
            before,
            limit: 10,
            ..InterceptFilter::default()
        };
        let page = InterceptStore::list(&store, filter).await.unwrap();
        page.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(found(None).await, [newest, 2]);
    assert_eq!(found(Some(newest)).await, [2, 1]);
}
