//! Which questions have to find their rows in an index.

use sentinel_core::ports::{InterceptFilter, InterceptStore};
use sentinel_core::time::Timestamp;

use super::super::intercepts::{BY_ID, BY_TIME, SHORT_TIME_ROWS_MAX};
use super::super::{SqliteStore, archive};
use super::{new_path, outside};

#[tokio::test]
async fn the_archive_finds_what_to_mark_and_to_move_in_indexes() {
    let (path, _folder) = new_path();
    let _store = SqliteStore::open(&path).unwrap();
    let plan = |statement: &str| -> String {
        let connection = outside(&path);
        let mut prepared = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let steps = prepared.query_map([7, 9], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let (to_mark, to_move) = (plan(archive::TO_MARK), plan(archive::TO_MOVE));
    assert!(
        to_mark.contains("bindings_by_last_sign (<expr><?)") && !to_mark.contains("TEMP B-TREE"),
        "{to_mark}"
    );
    assert!(
        to_move.contains("bindings_marked (archive_marked_at<?)"),
        "{to_move}"
    );
}

#[tokio::test]
async fn a_dashboard_looks_through_no_table() {
    let (path, _folder) = new_path();
    let _store = SqliteStore::open(&path).unwrap();
    let connection = outside(&path);
    for question in [
        "SELECT id FROM intercept_logs ORDER BY id DESC LIMIT 10",
        "SELECT at, measure, count FROM traffic WHERE span = 'hour' AND at >= 9 ORDER BY at DESC LIMIT 9",
        "SELECT subject, count FROM top_refused WHERE span = 'day' AND at = 9 AND kind = 'key' AND subject <> '' \
             ORDER BY count DESC, subject LIMIT 10",
        "SELECT run FROM replicas WHERE seen_at >= 9 ORDER BY seen_at DESC, run LIMIT 9",
    ] {
        let mut prepared = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .unwrap();
        let steps = prepared.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = steps.map(Result::unwrap).collect::<Vec<_>>().join("; ");
        let is_found = plan.contains("SEARCH ");
        // By its own number, from the newest on.
        let is_newest = plan == "SCAN intercept_logs";
        assert!(is_found || is_newest, "{question}: {plan}");
    }
}

#[tokio::test]
async fn every_list_is_led_to_its_rows_by_an_index() {
    let (path, _folder) = new_path();
    let _store = SqliteStore::open(&path).unwrap();
    let connection = outside(&path);
    for (table, condition, order, index) in [
        ("intercept_logs", "reference = 'x'", BY_ID, "intercept_logs_once"),
        (
            "intercept_logs",
            "binding_id = 1",
            BY_ID,
            "intercept_logs_by_binding",
        ),
        (
            "intercept_logs",
            "client_ip = 'x' AND at >= 1",
            BY_ID,
            "intercept_logs_by_client",
        ),
        ("intercept_logs", "at >= 1", BY_TIME, "intercept_logs_by_time"),
        (
            "intercept_logs",
            "at >= 1 AND at < 9 AND reason = 'x'",
            BY_TIME,
            "intercept_logs_by_time",
        ),
        (
            "intercept_logs",
            "id >= 5 AND (id BETWEEN 5 AND 6 OR id BETWEEN 9 AND 99)",
            "id",
            "INTEGER PRIMARY KEY",
        ),
        ("admin_events", "actor = 'x'", BY_ID, "admin_events_by_actor"),
        ("admin_events", "action = 'x'", BY_ID, "admin_events_by_action"),
        ("admin_events", "binding_id = 1", BY_ID, "admin_events_by_binding"),
        (
            "bindings",
            "status = 'banned' AND id < 9",
            BY_ID,
            "bindings_by_status",
        ),
        (
            "idempotency_keys",
            "begun_at <= 9",
            "begun_at",
            "idempotency_keys_by_time",
        ),
        (
            "idempotency_keys",
            "account = 'x'",
            "begun_at DESC",
            "idempotency_keys_by_account",
        ),
    ] {
        let question = format!("SELECT * FROM {table} WHERE {condition} ORDER BY {order} LIMIT 50");
        let mut prepared = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .unwrap();
        let steps = prepared.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = steps.map(Result::unwrap).collect::<Vec<_>>().join("; ");
        assert!(
            plan.contains("SEARCH ") && plan.contains(index),
            "{question}: {plan}"
        );
    }
}

#[tokio::test]
async fn a_short_time_is_one_with_short_time_rows_max_rows() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let insert = format!(
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number <= {SHORT_TIME_ROWS_MAX})
         INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, client_ip, method, path, user_agent, count)
         SELECT 'sr_' || number, number, number, 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1 FROM numbers"
    );
    outside(&path).execute_batch(&insert).unwrap();
    // One row more than that, and just so many: the page is the same.
    for since in [1, 2] {
        let filter = InterceptFilter {
            since: Some(Timestamp::from_unix_ms(since)),
            until: Some(Timestamp::from_unix_ms(SHORT_TIME_ROWS_MAX)),
            limit: 3,
            ..InterceptFilter::default()
        };
        let page = InterceptStore::list(&store, filter).await.unwrap();
        let ids: Vec<i64> = page.iter().map(|row| row.id).collect();
        assert_eq!(ids, [9_999, 9_998, 9_997]);
    }
}
