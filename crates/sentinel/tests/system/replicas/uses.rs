//! Uses of a key, counted on every replica and written together: each is in PostgreSQL in the end, whatever happens in between.

use super::hearing;
use crate::cluster::Cluster;
use crate::{HOME, KEY};

const SUM: &str = "SELECT coalesce(sum(use_count), 0)::bigint FROM bindings";

/// Waits until so many uses are written.
async fn written(cluster: &Cluster, uses: i64) {
    cluster
        .replica()
        .until("all uses to be written", async || {
            cluster.number(SUM).await == uses
        })
        .await;
}

#[tokio::test]
async fn uses_on_all_replicas_are_written_while_they_run_and_when_they_stop() {
    let mut cluster = hearing(3, true).await;
    for replica in &cluster.replicas {
        for _ in 0..10 {
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
    }
    written(&cluster, 30).await;
    assert_eq!(
        cluster
            .number("SELECT count(*) FROM bindings WHERE last_used_at >= bound_at")
            .await,
        1
    );
    for replica in &cluster.replicas {
        for _ in 0..7 {
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
    }
    for replica in &mut cluster.replicas {
        assert!(replica.stop().await.success());
    }
    assert_eq!(cluster.number(SUM).await, 51);
}

#[tokio::test]
async fn uses_while_postgresql_is_away_are_written_when_it_is_back() {
    let cluster = hearing(2, true).await;
    for replica in &cluster.replicas {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    cluster.postgres().kill().await;
    let here = cluster.replica();
    // Longer than until the next time that uses are written.
    here.until("uses to be held back", async || {
        here.log().contains("uses could not be written yet")
    })
    .await;
    for replica in &cluster.replicas {
        for _ in 0..20 {
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
    }
    cluster.postgres().restart().await;
    written(&cluster, 42).await;
}

#[tokio::test]
async fn replicas_that_write_the_same_keys_at_once_never_wait_for_each_other_without_end() {
    const KEYS: usize = 150;
    let mut cluster = hearing(2, false).await;
    // In opposite orders, and often enough that batches meet.
    let mut clients = Vec::new();
    for replica in &cluster.replicas {
        clients.push(replica.client(HOME).await);
    }
    let key = |number: usize| format!("Bearer sk-usedusedused{number:05}0123456789");
    for _ in 0..2 {
        for number in 0..KEYS {
            let forwards = key(number);
            let backwards = key(KEYS - 1 - number);
            let [one, two] = &mut clients[..] else {
                panic!("two replicas")
            };
            let (forwards, backwards) = ([("authorization", &*forwards)], [("authorization", &*backwards)]);
            let (one, two) = tokio::join!(
                one.get("/v1/models", &forwards),
                two.get("/v1/models", &backwards)
            );
            assert_eq!((one.status(), two.status()), (200, 200));
        }
    }
    drop(clients);
    let [one, two] = &mut cluster.replicas[..] else {
        panic!("two replicas")
    };
    let (one, two) = tokio::join!(one.stop(), two.stop());
    assert!(one.success() && two.success());
    let uses = i64::try_from(4 * KEYS).expect("small");
    assert_eq!(cluster.number(SUM).await, uses);
    let deadlocks = "SELECT sum(deadlocks)::bigint FROM pg_stat_database";
    assert_eq!(cluster.number(deadlocks).await, 0);
}
