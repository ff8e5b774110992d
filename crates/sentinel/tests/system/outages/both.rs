//! PostgreSQL and Redis are away together: what is known in process is all that there is.

use super::{How, Installation, enforces, refuses_unknown};
use crate::KEY;
use crate::replicas::live::stream;

async fn go(postgres: How, redis: How) {
    let installation = Installation::start().await;
    let [here, there] = installation.replicas();
    for replica in [here, there] {
        enforces(replica).await;
    }
    let (mut streaming, events) = stream(&installation.cluster, here, KEY).await;
    installation.break_redis(redis).await;
    installation.break_postgres(postgres).await;
    for replica in [here, there] {
        replica
            .until("bindings to be given past their life", async || {
                enforces(replica).await;
                replica.metric("sentinel_bindings_given_past_life_total").await > Some(2.0)
            })
            .await;
        refuses_unknown(replica).await;
        enforces(replica).await;
    }
    events.send("data: 2\n\n");
    assert!(
        streaming.read_chunk().await.is_some(),
        "what is under way goes on"
    );
    installation.mend_postgres(postgres).await;
    installation.mend_redis(redis).await;
    installation.is_well().await;
    events.send("data: 3\n\n");
    assert!(streaming.read_chunk().await.is_some(), "and on");
}

#[tokio::test]
async fn both_are_killed() {
    go(How::Killed, How::Killed).await;
}

#[tokio::test]
async fn both_are_frozen() {
    go(How::Frozen, How::Frozen).await;
}
