//! PostgreSQL and Redis are slow: first uses wait, known keys do not, and nothing fails.

use std::time::Duration;

use sentinel_testkit::Fault;

use super::{Installation, binds, enforces, measured};

/// What each server's answers take longer, each way.
const LATER: Duration = Duration::from_millis(100);

async fn are(postgres: bool, redis: bool) {
    let installation = Installation::start().await;
    let late = Fault::Delay {
        to_server: LATER,
        to_client: LATER,
    };
    if postgres {
        installation.postgres_line.set(late).await;
    }
    if redis {
        installation.redis_line.set(late).await;
    }
    let [here, there] = installation.replicas();
    enforces(there).await;
    for number in 0..5 {
        binds(here, &format!("sk-slowslowslowslow{number}0123456789")).await;
    }
    let mut took = Vec::new();
    for _ in 0..50 {
        for replica in [here, there] {
            took.push(enforces(replica).await);
        }
    }
    took.sort_unstable();
    let median = took[took.len() / 2];
    measured("known keys, slow stores", took);
    // Whoever asks a store waits both ways.
    assert!(median < 2 * LATER, "known keys wait for nobody: {median:?}");
    installation.postgres_line.set(Fault::None).await;
    installation.redis_line.set(Fault::None).await;
    installation.is_well().await;
}

#[tokio::test]
async fn postgresql_is_slow() {
    are(true, false).await;
}

#[tokio::test]
async fn redis_is_slow() {
    are(false, true).await;
}

#[tokio::test]
async fn both_are_slow() {
    are(true, true).await;
}
