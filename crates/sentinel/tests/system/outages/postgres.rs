//! PostgreSQL goes away, and comes back.

use std::time::Duration;

use super::{How, Installation, enforces, hardly_any_waited, refuses_unknown};

/// What a request for a known key may take while it is known that PostgreSQL is away, on a machine that does much else.
const KNOWN_WAIT_MAX: Duration = Duration::from_millis(500);

async fn goes(how: How) {
    let installation = Installation::start().await;
    let [here, there] = installation.replicas();
    enforces(here).await;
    installation.break_postgres(how).await;
    // What is known to Redis alone, on a replica that never saw it.
    enforces(there).await;
    let mut took = Vec::new();
    for replica in [here, there] {
        // In process, past their life.
        replica
            .until("bindings to be given past their life", async || {
                took.push(enforces(replica).await);
                replica.metric("sentinel_bindings_given_past_life_total").await > Some(2.0)
            })
            .await;
        refuses_unknown(replica).await;
        for _ in 0..20 {
            took.push(enforces(replica).await);
        }
    }
    hardly_any_waited(&format!("known keys, PostgreSQL {how:?}"), took, KNOWN_WAIT_MAX);
    for replica in [here, there] {
        assert_eq!(replica.readiness().await.0, 503);
    }
    installation.mend_postgres(how).await;
    installation.is_well().await;
}

#[tokio::test]
async fn a_replica_does_not_start_without_postgresql_and_says_why() {
    let installation = Installation::start().await;
    installation.break_postgres(How::Killed).await;
    let failed = installation
        .cluster
        .start_and_fail("SENTINEL_LOG_FORMAT", "human");
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && told.contains("PG_DSN"), "{told}");
}

#[tokio::test]
async fn postgresql_is_stopped() {
    goes(How::Stopped).await;
}

#[tokio::test]
async fn postgresql_is_killed() {
    goes(How::Killed).await;
}

#[tokio::test]
async fn postgresql_is_frozen() {
    goes(How::Frozen).await;
}

#[tokio::test]
async fn postgresql_is_silent() {
    goes(How::Silent).await;
}

#[tokio::test]
async fn postgresql_is_cut_off() {
    goes(How::CutOff).await;
}
