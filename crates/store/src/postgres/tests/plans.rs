//! The questions that are asked often find their index when there are many rows.

use tokio_postgres::Client;

use super::super::archive;
use super::{fixture, outside};

/// Twenty thousand keys, in as many networks of both families.
const MANY: &str = "INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, archive_marked_at) \
         SELECT sha256(n::text::bytea), 'sk-…', 'active', '{}', n, '2026-01-01'::timestamptz + n * interval '1 hour', \
         '2026-01-01'::timestamptz + n * interval '1 hour', CASE WHEN n % 100 = 0 THEN now() END \
         FROM generate_series(1, 20000) n; \
     INSERT INTO binding_networks SELECT id, 0, \
         CASE WHEN id % 2 = 0 THEN set_masklen('10.0.0.0'::inet + id * 256, 24)::cidr \
         ELSE set_masklen('2001:db8::'::inet + id * 65536, 112)::cidr END FROM bindings; \
     ANALYZE bindings; ANALYZE binding_networks";

async fn plan(client: &Client, statement: &str) -> String {
    let rows = client.query(&format!("EXPLAIN {statement}"), &[]).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

#[tokio::test]
async fn networks_are_found_through_their_index() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    client.batch_execute(MANY).await.unwrap();
    for condition in [
        "network >>= inet '10.1.2.3'",
        "network <<= cidr '10.1.0.0/16'",
        "network && cidr '10.1.2.0/23'",
        "network >>= inet '2001:db8::1:2'",
    ] {
        let select = format!("SELECT binding_id FROM binding_networks WHERE {condition}");
        let plan = plan(&client, &select).await;
        assert!(
            plan.contains("binding_networks_by_network"),
            "{condition}:\n{plan}"
        );
        let count = format!("SELECT count(*) FROM ({select}) found");
        let found: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
        assert!((1..=256).contains(&found), "{condition}: {found}");
    }
    // As the page of bindings around an address asks.
    let page = "SELECT id FROM bindings WHERE id IN (SELECT binding_id FROM binding_networks \
         WHERE network >>= inet '10.1.2.3') ORDER BY id DESC LIMIT 50";
    let plan = plan(&client, page).await;
    assert!(plan.contains("binding_networks_by_network"), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
}

#[tokio::test]
async fn the_archive_finds_its_batch_through_an_index() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    client.batch_execute(MANY).await.unwrap();
    let due = archive::DUE
        .replace("$1", "timestamptz '2026-01-01'")
        .replace("$2", "timestamptz '2026-03-01'")
        .replace("$3", "100");
    let due = plan(&client, &due).await;
    assert!(due.contains("bindings_marked"), "{due}");
    let mark = archive::MARK
        .replace("$1", "now()")
        .replace("$2", "timestamptz '2026-02-01'")
        .replace("$3", "100");
    let mark = plan(&client, &mark).await;
    assert!(mark.contains("bindings_unmarked"), "{mark}");
}

#[tokio::test]
async fn a_use_leaves_the_indexes_alone() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    client.batch_execute(MANY).await.unwrap();
    let uses = "BEGIN; UPDATE bindings SET use_count = use_count + 1, last_used_at = updated_at + interval '1 second', \
         archive_marked_at = NULL WHERE id % 20 = 7";
    client.batch_execute(uses).await.unwrap();
    let count = "SELECT pg_stat_get_xact_tuples_updated('bindings'::regclass), \
         pg_stat_get_xact_tuples_hot_updated('bindings'::regclass)";
    let row = client.query_one(count, &[]).await.unwrap();
    let (updated, without_index): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!((updated, without_index), (1_000, 1_000));
}

#[tokio::test]
async fn a_dashboard_looks_through_no_table() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    let many = "INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, client_ip, method, path, user_agent, count) \
             SELECT 'sr_' || n, moment, moment, 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1 \
             FROM generate_series(1, 20000) n, LATERAL (SELECT now() - n * interval '1 minute' AS moment) moments; \
         INSERT INTO traffic SELECT 'hour', '2026-01-01'::timestamptz + n * interval '1 hour', measure, 1 \
             FROM generate_series(1, 2000) n, unnest(ARRAY['allowed', 'observed', 'bound', 'key_banned']) measure; \
         INSERT INTO top_refused SELECT 'day', '2026-01-01'::timestamptz + day * interval '1 day', 'key', 'binding ' || n, n, '', n, 0 \
             FROM generate_series(1, 20) day, generate_series(1, 1000) n; \
         ANALYZE intercept_logs, traffic, top_refused";
    client.batch_execute(many).await.unwrap();
    for question in [
        "SELECT id FROM intercept_logs ORDER BY id DESC LIMIT 10",
        "SELECT at, measure, count FROM traffic WHERE span = 'hour' AND at >= '2026-03-20' ORDER BY at DESC LIMIT 39013",
        "SELECT subject, count FROM top_refused WHERE span = 'day' AND at = '2026-01-09' AND kind = 'key' \
             AND subject <> '' ORDER BY count DESC, subject LIMIT 10",
    ] {
        let plan = plan(&client, question).await;
        assert!(
            !plan.contains("Seq Scan on intercept_logs_default"),
            "{question}:\n{plan}"
        );
        assert!(
            !plan.contains("Seq Scan on traffic") && !plan.contains("Seq Scan on top"),
            "{question}:\n{plan}"
        );
    }
}

#[tokio::test]
async fn whoever_follows_the_log_reads_its_end_by_id_alone() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    let many = "INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, client_ip, method, path, user_agent, count) \
             SELECT 'sr_' || n, now(), now(), 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1 \
             FROM generate_series(1, 20000) n; \
         ANALYZE intercept_logs";
    client.batch_execute(many).await.unwrap();
    for runs in [
        vec![20_001..=i64::MAX],
        vec![19_000..=19_010, 19_900..=19_901, 20_001..=i64::MAX],
    ] {
        let select = super::super::intercepts::select_by_ids(&runs, 500).expect("some runs");
        let plan = plan(&client, &select).await;
        // Days without rows are looked through at no cost.
        let looked_through = plan.lines().filter(|line| line.contains("Seq Scan"));
        let costs = looked_through.filter(|line| !line.contains("(cost=0.00..0.00"));
        assert_eq!(costs.count(), 0, "{runs:?}:\n{plan}");
        assert!(plan.contains("Index Scan"), "{runs:?}:\n{plan}");
    }
}

#[tokio::test]
async fn a_row_of_another_replica_can_appear_after_a_greater_id() {
    use sentinel_core::ports::InterceptStore as _;

    use crate::conformance::intercepts::intercept;
    let (store, server) = fixture().await;
    let client = outside(&server).await;
    // Another replica takes its id, and is not ready yet.
    let slow = "BEGIN; INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, client_ip, method, path, user_agent, count) \
         VALUES ('sr_slow', now(), now(), 'key_missing', 'refused', '192.0.2.1', 'GET', '/', '', 1)";
    client.batch_execute(slow).await.unwrap();
    store.append(vec![intercept(1)]).await.unwrap();
    let first = store.by_ids(vec![0..=i64::MAX], 9).await.unwrap();
    let [only] = first.as_slice() else {
        panic!("one row is there: {first:?}");
    };
    client.batch_execute("COMMIT").await.unwrap();
    let late = store
        .by_ids(vec![1..=only.id - 1, only.id + 1..=i64::MAX], 9)
        .await
        .unwrap();
    assert_eq!(late.len(), 1);
    assert!(late[0].id < only.id);
}

#[tokio::test]
async fn every_list_is_led_to_its_rows_by_an_index() {
    let (_store, server) = fixture().await;
    let client = outside(&server).await;
    client.batch_execute(MANY).await.unwrap();
    let many = "INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, binding_id, client_ip, method, path, user_agent, count) \
             SELECT 'sr_' || n, now() - n * interval '1 second', now(), 'key_missing', 'refused', n % 5000, \
             '10.0.0.0'::inet + n % 5000, 'GET', '/', '', 1 FROM generate_series(1, 20000) n; \
         INSERT INTO admin_events (at, actor, action, detail, binding_id) \
             SELECT now(), 'actor ' || n % 2000, 'action ' || n % 2000, '', n % 2000 FROM generate_series(1, 20000) n; \
         INSERT INTO idempotency_keys (account, key, digest, begun_at) \
             SELECT 'account ' || n % 100, n, decode(repeat('00', 32), 'hex'), now() - n * interval '1 second' \
             FROM generate_series(1, 20000) n; \
         UPDATE bindings SET status = 'banned' WHERE id % 1000 = 0; \
         ANALYZE bindings, intercept_logs, admin_events, idempotency_keys";
    client.batch_execute(many).await.unwrap();
    for (table, condition, order) in [
        ("intercept_logs", "reference = 'sr_7'", "id DESC"),
        ("intercept_logs", "binding_id = 7", "id DESC"),
        ("intercept_logs", "client_ip = '10.0.0.7'", "id DESC"),
        ("intercept_logs", "at >= now() - interval '1 minute'", "id DESC"),
        ("intercept_logs", "id < 9000", "id DESC"),
        ("admin_events", "actor = 'actor 7'", "id DESC"),
        ("admin_events", "action = 'action 7'", "id DESC"),
        ("admin_events", "binding_id = 7", "id DESC"),
        ("bindings", "status = 'banned' AND id < 9000", "id DESC"),
        ("bindings", "labels @> ARRAY['x']", "id DESC"),
        (
            "idempotency_keys",
            "begun_at <= now() - interval '5 hours'",
            "begun_at",
        ),
        ("idempotency_keys", "account = 'account 7'", "begun_at DESC"),
    ] {
        let question = format!("SELECT * FROM {table} WHERE {condition} ORDER BY {order} LIMIT 50");
        let plan = plan(&client, &question).await;
        let looked_through = plan.lines().filter(|line| line.contains("Seq Scan"));
        // Days without rows cost nothing.
        let costs = looked_through.filter(|line| !line.contains("(cost=0.00..0.0"));
        assert_eq!(costs.count(), 0, "{question}:\n{plan}");
    }
}
