//! Stores that hold what they should not: each is met with a clear word, nothing is let on wrongly, and nothing is lost.

mod caches;
mod clocks;
mod databases;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

fn mismatch() -> (u16, String) {
    (403, "key_ip_mismatch".to_owned())
}

fn banned() -> (u16, String) {
    (403, "key_banned".to_owned())
}

/// Two replicas that both know [`KEY`].
async fn knowing() -> (Cluster, i64) {
    let cluster = Cluster::start(2).await;
    for replica in &cluster.replicas {
        is_bound(replica).await;
    }
    let id = cluster.replica().console().await.newest().await;
    (cluster, id)
}

/// [`KEY`] is judged as it was bound.
async fn is_bound(replica: &Replica) {
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    assert_eq!(replica.verdict(ELSEWHERE, KEY).await, mismatch());
}

/// Waits until the replica's log has this in it.
async fn says(replica: &Replica, words: &str) {
    replica
        .until(&format!("the log to say {words:?}"), async || {
            replica.log().contains(words)
        })
        .await;
}
