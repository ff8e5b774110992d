//! Redis goes away, and comes back: no request fails for it.

use std::time::{Duration, Instant};

use super::{How, Installation, binds, channels, enforces, hardly_any_waited, mismatch};
use crate::{ELSEWHERE, HOME, KEY};

/// A key that is first used while Redis is away.
const NEW: &str = "sk-newnewnewnewnewnew0123456789";
/// What a request for a known key may take while it is known that Redis is away, on a machine that does much else.
const KNOWN_WAIT_MAX: Duration = Duration::from_millis(200);
/// For how long: longer than bindings live in memory.
const OUTAGE: Duration = Duration::from_secs(6);

async fn goes(how: How) {
    let installation = Installation::start().await;
    let [here, there] = installation.replicas();
    installation.break_redis(how).await;
    let begun = Instant::now();
    let mut took = Vec::new();
    // Not in memory there: PostgreSQL is asked.
    enforces(there).await;
    binds(there, NEW).await;
    while begun.elapsed() < OUTAGE {
        for replica in [here, there] {
            took.push(enforces(replica).await);
        }
    }
    hardly_any_waited(&format!("known keys, Redis {how:?}"), took, KNOWN_WAIT_MAX);
    for replica in [here, there] {
        let (status, body) = replica.readiness().await;
        assert_eq!((status, &body["status"]), (200, &"degraded".into()));
        channels::are(replica, &[("postgresql", true), ("redis", false)]).await;
    }
    // Changes are heard of all the same.
    let console = here.console().await;
    let id = console.newest().await;
    console.ban(id).await;
    there.until_status(HOME, NEW, 403).await;
    installation.mend_redis(how).await;
    installation.is_well().await;
    assert_eq!(here.get(HOME, KEY).await.status(), 200);
    assert_eq!(there.verdict(ELSEWHERE, KEY).await, mismatch());
}

#[tokio::test]
async fn a_replica_starts_without_redis_and_takes_to_it_later() {
    let mut installation = Installation::start().await;
    installation.break_redis(How::Killed).await;
    let replica = &mut installation.cluster.replicas[1];
    replica.relaunch().await;
    enforces(replica).await;
    binds(replica, NEW).await;
    channels::are(replica, &[("postgresql", true), ("redis", false)]).await;
    installation.mend_redis(How::Killed).await;
    installation.is_well().await;
}

#[tokio::test]
async fn redis_is_stopped() {
    goes(How::Stopped).await;
}

#[tokio::test]
async fn redis_is_killed() {
    goes(How::Killed).await;
}

#[tokio::test]
async fn redis_is_frozen() {
    goes(How::Frozen).await;
}

#[tokio::test]
async fn redis_is_silent() {
    goes(How::Silent).await;
}

#[tokio::test]
async fn redis_is_cut_off() {
    goes(How::CutOff).await;
}
