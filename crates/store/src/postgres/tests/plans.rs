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
