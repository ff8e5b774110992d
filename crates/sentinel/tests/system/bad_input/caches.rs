//! Caches that hold what PostgreSQL does not, and a Redis that is of no use.

use sentinel_testkit::RedisServer;

use super::{banned, is_bound, knowing, mismatch, says};
use crate::cluster::Cluster;
use crate::{ELSEWHERE, HOME, KEY};

#[tokio::test]
async fn a_key_that_is_gone_from_postgresql_is_enforced_until_the_caches_know_and_then_free() {
    let (cluster, _) = knowing().await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    cluster
        .database()
        .await
        .batch_execute("DELETE FROM bindings")
        .await
        .expect("the superuser may");
    // Nobody told anybody: until a copy's life ends it is what the key is judged by, and never by nothing.
    here.until("the row's end to be noticed", async || {
        let first = here.verdict(ELSEWHERE, KEY).await;
        assert!(first.0 == 200 || first == mismatch(), "{first:?}");
        first.0 == 200
    })
    .await;
    // Bound anew, to whoever came first, for all.
    for replica in [here, there] {
        replica.until_status(HOME, KEY, 403).await;
        assert_eq!(replica.verdict(HOME, KEY).await, mismatch());
        assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 200);
    }
    assert_eq!(cluster.number("SELECT count(*) FROM bindings").await, 1);
}

#[tokio::test]
async fn garbage_in_redis_is_passed_over_and_replaced() {
    let cluster = Cluster::start(1).await;
    let first = cluster.replica();
    is_bound(first).await;
    let redis = cluster.redis();
    let entries: Vec<String> = redis.command(&["KEYS", "sentinel:*binding:*"]).await;
    let entry = entries.first().expect("it is shared");
    let whole: Vec<u8> = redis.command(&["GET", entry]).await;
    let whole = String::from_utf8(whole).expect("an entry is text");
    let elsewhere = whole.replace("127.0.0.2", "127.0.0.3");
    assert_ne!(elsewhere, whole);
    let mut cluster = cluster;
    for garbage in ["", "1", "garbage", &whole[..whole.len() / 2], &elsewhere] {
        let () = cluster.redis().command(&["SET", entry, garbage]).await;
        // One that knows nothing but what it finds.
        let replica = cluster.add_replica().await;
        is_bound(replica).await;
        says(replica, "is unreadable").await;
    }
    let _: i64 = cluster.redis().command(&["DEL", entry]).await;
    let _: i64 = cluster.redis().command(&["RPUSH", entry, "a", "list"]).await;
    let replica = cluster.add_replica().await;
    is_bound(replica).await;
    assert_eq!(replica.readiness().await.1["status"], "ready");
}

#[tokio::test]
async fn a_redis_that_is_a_replica_is_not_used_and_said() {
    let primary = RedisServer::start().await;
    let (mut cluster, id) = knowing().await;
    cluster.redis().replica_of(&primary).await;
    for replica in &cluster.replicas {
        says(replica, "this server is a read replica").await;
        replica
            .until("Redis to be missed", async || {
                replica.readiness().await.1["status"] == "degraded"
            })
            .await;
        is_bound(replica).await;
    }
    let console = cluster.replica().console().await;
    console.ban(id).await;
    let there = &cluster.replicas[1];
    there.until_status(HOME, KEY, 403).await;
    let () = cluster.redis().command(&["REPLICAOF", "NO", "ONE"]).await;
    for replica in &cluster.replicas {
        replica.until_ready().await;
    }
    // What it missed is not what the next one finds.
    let newcomer = cluster.add_replica().await;
    assert_eq!(newcomer.verdict(HOME, KEY).await, banned());
}
