//! The plain life of a key: first use, use from elsewhere, ban, unbind; on every kind of installation.

use serde_json::json;

use crate::cluster::Cluster;
use crate::{ELSEWHERE, HOME, KEY};

#[tokio::test]
async fn a_first_use_makes_a_row_in_postgresql_and_an_entry_in_redis() {
    let cluster = Cluster::start(1).await;
    let replica = cluster.replica();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let rows = cluster
        .database()
        .await
        .query_one("SELECT count(*) FROM bindings", &[])
        .await
        .expect("our table");
    assert_eq!(rows.get::<_, i64>(0), 1);
    let redis = cluster.redis.as_ref().expect("it was started");
    replica
        .until("the binding to be shared", async || {
            let keys: Vec<String> = redis.command(&["KEYS", "sentinel:{??}:binding:*"]).await;
            keys.len() == 1
        })
        .await;
    let (status, body) = replica.readiness().await;
    assert_eq!(status, 200);
    let parts = json!([
        {"name": "store", "ok": true}, {"name": "server", "ok": true}, {"name": "redis", "ok": true}
    ]);
    assert_eq!(body["parts"], parts);
    let log = replica.log();
    assert!(!log.contains(KEY) && !log.contains("systemsystem"), "{log}");
}

/// First use, use from elsewhere, a ban and its end, and freedom again.
async fn live(cluster: &Cluster) {
    let replica = cluster.replica();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let mismatch = (403, "key_ip_mismatch".to_owned());
    assert_eq!(replica.verdict(ELSEWHERE, KEY).await, mismatch);

    let console = replica.console().await;
    let bindings = console.bindings().await;
    assert_eq!(bindings.len(), 1);
    assert_eq!(bindings[0]["networks"], json!([format!("{HOME}/32")]));
    let id = bindings[0]["id"].as_i64().expect("a number");
    console.ban(id).await;
    let banned = (403, "key_banned".to_owned());
    assert_eq!(replica.verdict(HOME, KEY).await, banned);
    console.unban(id).await;
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    console.unbind(id).await;
    // Whoever comes first has it now.
    assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 200);
    assert_eq!(replica.verdict(HOME, KEY).await, mismatch);

    replica
        .until("the refusals to be in the log", async || {
            let (_, logs) = console.get("/admin/api/logs").await;
            logs["items"].as_array().is_some_and(|items| items.len() == 3)
        })
        .await;
    let (_, dashboard) = console.get("/admin/api/dashboard").await;
    assert!(!dashboard.to_string().contains("systemsystem"), "{dashboard}");
}

#[tokio::test]
async fn a_key_lives_on_the_embedded_store() {
    live(&Cluster::builder().embedded().start(1).await).await;
}

#[tokio::test]
async fn a_key_lives_on_postgresql_alone() {
    live(&Cluster::builder().without_redis().start(1).await).await;
}

#[tokio::test]
async fn a_key_lives_on_postgresql_with_redis() {
    live(&Cluster::start(1).await).await;
}

#[tokio::test]
async fn a_change_on_one_replica_reaches_the_other_and_so_does_a_session() {
    let cluster = Cluster::start(2).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    assert_eq!(here.get(HOME, KEY).await.status(), 200);
    assert_eq!(there.get(HOME, KEY).await.status(), 200);
    let console = here.console().await;
    let id = console.bindings().await[0]["id"].as_i64().expect("a number");
    console.ban(id).await;
    there.until_status(HOME, KEY, 403).await;
    // Signed in here, known there.
    console.on(there.admin).unbind(id).await;
    here.until_status(ELSEWHERE, KEY, 200).await;
}

#[tokio::test]
async fn uses_are_written_at_the_end_and_a_restart_forgets_nothing() {
    let mut cluster = Cluster::start(1).await;
    for _ in 0..3 {
        assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);
    }
    let status = cluster.replicas[0].stop().await;
    assert!(status.success(), "{status}");
    let rows = cluster
        .database()
        .await
        .query_one("SELECT use_count FROM bindings", &[])
        .await
        .expect("our table");
    assert_eq!(rows.get::<_, i64>(0), 3);
    cluster.replicas[0].restart().await;
    let mismatch = (403, "key_ip_mismatch".to_owned());
    assert_eq!(cluster.replica().verdict(ELSEWHERE, KEY).await, mismatch);
    assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);
}

#[tokio::test]
async fn a_replica_with_another_secret_does_not_start() {
    let cluster = Cluster::builder().without_redis().start(1).await;
    for (secret, words) in [
        (
            "another-hmac-secret-0123456789",
            "set SENTINEL_HMAC_SECRET to the same value everywhere",
        ),
        ("", "this replica has no HMAC secret"),
    ] {
        let output = cluster.start_and_fail("SENTINEL_HMAC_SECRET", secret);
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(words), "{told}");
        assert!(!told.contains("another-hmac"), "{told}");
    }
}

#[tokio::test]
async fn without_redis_it_is_degraded_and_without_postgresql_not_ready_and_known_keys_go_on() {
    let cluster = Cluster::start(1).await;
    let replica = cluster.replica();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let status = async || {
        let (status, body) = replica.readiness().await;
        (status, body["status"].as_str().map(str::to_owned))
    };
    let redis = cluster.redis.as_ref().expect("it was started");
    redis.stop().await;
    replica
        .until("Redis to be missed", async || {
            status().await == (200, Some("degraded".to_owned()))
        })
        .await;
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let postgres = cluster.postgres.as_ref().expect("it was started");
    postgres.stop().await;
    replica
        .until("PostgreSQL to be missed", async || status().await.0 == 503)
        .await;
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
    let unknown = replica.get(HOME, "sk-unknownunknownunknown0123456789").await;
    assert_eq!(unknown.status(), 503);
    assert!(unknown.header("retry-after").is_some());
    postgres.restart().await;
    redis.restart().await;
    replica.until_ready().await;
    let seen = cluster.upstream.requests().len();
    assert_eq!(seen, 3, "what was refused never went on");
}

#[tokio::test]
async fn a_replica_that_stood_still_makes_up_for_what_it_missed() {
    let cluster = Cluster::start(2).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    for replica in [here, there] {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        for channel in ["postgresql", "redis"] {
            let metric = format!("sentinel_change_channel_up{{channel=\"{channel}\"}}");
            replica
                .until("the channels to work", async || {
                    replica.metric(&metric).await == Some(1.0)
                })
                .await;
        }
    }
    let console = here.console().await;
    let id = console.bindings().await[0]["id"].as_i64().expect("a number");
    there.freeze();
    console.ban(id).await;
    there.thaw();
    there.until_status(HOME, KEY, 403).await;
}
