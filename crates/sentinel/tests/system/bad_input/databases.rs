//! A PostgreSQL that was restored, is read-only, or is of another version.

use super::{banned, is_bound, knowing, mismatch, says};
use crate::{ELSEWHERE, HOME, KEY};

#[tokio::test]
async fn a_database_from_an_older_backup_counts_and_is_said() {
    let (cluster, id) = knowing().await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    let console = here.console().await;
    // What the backup does not know of: the key was moved, and the caches of both replicas say so.
    for _ in 0..3 {
        console.set_networks(id, &["127.0.0.3"]).await;
    }
    for replica in [here, there] {
        replica.until_status(ELSEWHERE, KEY, 200).await;
    }
    let restore = "UPDATE bindings SET version = 1; UPDATE binding_networks SET network = '127.0.0.2/32'; \
                   SELECT setval('binding_version', 1)";
    cluster
        .database()
        .await
        .batch_execute(restore)
        .await
        .expect("the superuser may");
    cluster.postgres().restart().await;
    for replica in [here, there] {
        replica.until_ready().await;
        replica.until_status(ELSEWHERE, KEY, 403).await;
        assert_eq!(replica.verdict(ELSEWHERE, KEY).await, mismatch());
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    let said = here.log() + &there.log();
    assert!(said.contains("older version"), "{said}");
    // Changes hold at once, as ever.
    console.ban(id).await;
    assert_eq!(here.verdict(HOME, KEY).await, banned());
    there.until_status(HOME, KEY, 403).await;
}

#[tokio::test]
async fn a_row_with_a_version_from_the_future_is_changed_like_any_other() {
    let (cluster, id) = knowing().await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    // As after rows were restored without the sequence.
    let restore = "UPDATE bindings SET version = 1000000; SELECT setval('binding_version', 1)";
    cluster
        .database()
        .await
        .batch_execute(restore)
        .await
        .expect("the superuser may");
    // What Redis still has is of before.
    let () = cluster.redis().command(&["FLUSHALL"]).await;
    cluster.postgres().restart().await;
    for replica in [here, there] {
        replica.until_ready().await;
        is_bound(replica).await;
    }
    let console = here.console().await;
    for _ in 0..3 {
        console.ban(id).await;
        assert_eq!(here.verdict(HOME, KEY).await, banned());
        there.until_status(HOME, KEY, 403).await;
        console.unban(id).await;
        is_bound(here).await;
        there.until_status(HOME, KEY, 200).await;
    }
    assert!(cluster.number("SELECT version FROM bindings").await > 1_000_000);
    console.unbind(id).await;
    for replica in [here, there] {
        replica.until_status(ELSEWHERE, KEY, 200).await;
    }
    for replica in [here, there] {
        assert_eq!(replica.verdict(HOME, KEY).await, mismatch());
    }
}

#[tokio::test]
async fn a_read_only_database_binds_nothing_and_says_so_until_it_is_writable() {
    let (cluster, _) = knowing().await;
    cluster.postgres().read_only(true).await;
    for replica in &cluster.replicas {
        replica
            .until("the database to be missed", async || {
                replica.readiness().await.0 == 503
            })
            .await;
        let unknown = replica.verdict(HOME, "sk-unknownunknownunknown0123456789").await;
        assert_eq!(unknown, (503, "binding_store_unavailable".to_owned()));
        is_bound(replica).await;
    }
    let output = cluster.command(&["check"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("read-only"), "{told}");
    let failed = cluster.start_and_fail("SENTINEL_LOG_FORMAT", "human");
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && told.contains("read-only"), "{told}");
    cluster.postgres().read_only(false).await;
    for (number, replica) in cluster.replicas.iter().enumerate() {
        let key = format!("sk-writablewritable{number}0123456789");
        replica
            .until("a first use to be served", async || {
                replica.get(HOME, &key).await.status() == 200
            })
            .await;
        replica.until_ready().await;
    }
}

#[tokio::test]
async fn a_newer_schema_stops_no_running_replica_and_starts_none() {
    let (cluster, _) = knowing().await;
    let newer = "UPDATE refinery_schema_history SET version = 999 WHERE version = (SELECT max(version) FROM refinery_schema_history)";
    cluster
        .database()
        .await
        .batch_execute(newer)
        .await
        .expect("the superuser may");
    let failed = cluster.start_and_fail("SENTINEL_LOG_FORMAT", "human");
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && told.contains("999"), "{told}");
    let migrated = cluster.command(&["migrate"]);
    assert!(!migrated.status.success());
    for replica in &cluster.replicas {
        // Not ready, and the log says why; requests go on for as long as the tables serve.
        replica
            .until("the schema to be noticed", async || {
                replica.readiness().await.0 == 503
            })
            .await;
        says(replica, "the database has schema 999").await;
        is_bound(replica).await;
        assert_eq!(
            replica
                .get(HOME, "sk-newernewernewernewer0123456789")
                .await
                .status(),
            200
        );
    }
}
