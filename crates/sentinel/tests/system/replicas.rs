//! Several replicas on one PostgreSQL, with Redis and without: one first use wins, and what is changed on one holds on all.

pub(crate) mod live;
mod propagation;
mod races;
mod uses;

use std::time::Duration;

use serde_json::json;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

/// With Redis and without.
const BOTH: [bool; 2] = [true, false];

/// So many replicas that hear each other; bindings live far longer than a test waits, so that nothing is noticed but what was heard.
async fn hearing(replicas: usize, with_redis: bool) -> Cluster {
    let mut builder = Cluster::builder()
        .variable("SENTINEL_STORE_CACHE_SECONDS", "60")
        .variable("SENTINEL_POLICY_CLAIMS_PER_MINUTE_PER_ADDRESS", "0");
    if !with_redis {
        builder = builder.without_redis();
    }
    let cluster = builder.start(replicas).await;
    for replica in &cluster.replicas {
        hears(replica, with_redis).await;
    }
    cluster
}

/// Waits until the replica hears of changes on every channel.
async fn hears(replica: &Replica, with_redis: bool) {
    for channel in ["postgresql", "redis"]
        .into_iter()
        .take(1 + usize::from(with_redis))
    {
        let metric = format!("sentinel_change_channel_up{{channel=\"{channel}\"}}");
        replica
            .until("a channel to work", async || {
                replica.metric(&metric).await == Some(1.0)
            })
            .await;
    }
}

#[tokio::test]
async fn every_change_made_on_one_holds_on_the_others() {
    for with_redis in BOTH {
        let cluster = hearing(3, with_redis).await;
        let console = cluster.replica().console().await;
        for replica in &cluster.replicas {
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
        let others = &cluster.replicas[1..];
        let id = console.newest().await;
        console.ban(id).await;
        for other in others {
            other.until_status(HOME, KEY, 403).await;
        }
        console.unban(id).await;
        for other in others {
            other.until_status(HOME, KEY, 200).await;
        }
        console.set_networks(id, &["127.0.0.3"]).await;
        for other in others {
            other.until_status(HOME, KEY, 403).await;
            assert_eq!(other.get(ELSEWHERE, KEY).await.status(), 200);
        }
        console.unbind(id).await;
        // The key is free, and bound anew by whoever comes first.
        others[0].until_status(HOME, KEY, 200).await;
        for replica in &cluster.replicas {
            replica.until_status(ELSEWHERE, KEY, 403).await;
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
    }
}

#[tokio::test]
async fn without_redis_settings_and_commands_reach_running_replicas() {
    let cluster = hearing(2, false).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    for replica in [here, there] {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    let console = here.console().await;
    let (_, before) = console.get("/admin/api/settings").await;
    let observe = json!({"version": before["version"], "values": {"policy.mode": "observe"}});
    let (status, after) = console.put("/admin/api/settings", &observe).await;
    assert_eq!(status, 200, "{after}");
    let begun = std::time::Instant::now();
    there.until_status(ELSEWHERE, KEY, 200).await;
    // A second, and what a busy machine adds to it.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let id = console.newest().await.to_string();
    cluster.done(&["bindings", "ban", &id, "--reason", "leaked"]);
    for replica in [here, there] {
        replica.until_status(HOME, KEY, 403).await;
    }
    cluster.done(&["bindings", "unban", &id]);
    for replica in [here, there] {
        replica.until_status(HOME, KEY, 200).await;
    }
    cluster.done(&["bindings", "set-ip", &id, "127.0.0.4"]);
    let back = json!({"version": after["version"], "values": {"policy.mode": null}});
    assert_eq!(console.put("/admin/api/settings", &back).await.0, 200);
    for replica in [here, there] {
        replica.until_status(HOME, KEY, 403).await;
    }
    cluster.done(&["bindings", "unbind", &id]);
    there.until_status(HOME, KEY, 200).await;
}

#[tokio::test]
async fn nothing_is_missed_while_listening_connections_are_ended() {
    let cluster = hearing(2, false).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    for replica in [here, there] {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    let console = here.console().await;
    let id = console.newest().await;
    let database = cluster.database().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = 'sentinel' AND pid <> pg_backend_pid() \
               AND (query LIKE 'LISTEN %' OR query = 'SELECT 1')";
    for _ in 0..10 {
        let ((), ended) = tokio::join!(console.ban(id), database.query(end, &[]));
        assert!(!ended.expect("the superuser may").is_empty());
        there.until_status(HOME, KEY, 403).await;
        let (ended, ()) = tokio::join!(database.query(end, &[]), console.unban(id));
        ended.expect("the superuser may");
        there.until_status(HOME, KEY, 200).await;
        hears(there, false).await;
    }
}
