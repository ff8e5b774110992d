//! How long a change takes from one replica to another, measured; and that the replicas measure it themselves.

use std::time::{Duration, Instant};

use super::hearing;
use crate::outages::measured;
use crate::{HOME, KEY};

/// How many changes are measured: half of them bans, half of them their ends.
const CHANGES: usize = 120;
/// What half of them take at most, on a machine that does much else; 100 ms is what is promised of one that is well.
const MEDIAN_MAX: Duration = Duration::from_millis(500);

async fn take(with_redis: bool) {
    let cluster = hearing(2, with_redis).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    for replica in [here, there] {
        assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    }
    let console = here.console().await;
    let id = console.newest().await;
    let mut took = Vec::with_capacity(CHANGES);
    let mut heard_by_the_metric = 0.0;
    for number in 0..CHANGES {
        let expected = if number.is_multiple_of(2) {
            console.ban(id).await;
            403
        } else {
            console.unban(id).await;
            200
        };
        // The first replica has just answered.
        let answered = Instant::now();
        there.until_status(HOME, KEY, expected).await;
        took.push(answered.elapsed());
    }
    for channel in ["postgresql", "redis"] {
        let metric = format!("sentinel_propagation_seconds_count{{channel=\"{channel}\"}}");
        heard_by_the_metric += there.metric(&metric).await.unwrap_or_default();
    }
    took.sort_unstable();
    let median = took[CHANGES / 2];
    measured(
        &format!("changes on another replica, with Redis: {with_redis}"),
        took,
    );
    assert!(median < MEDIAN_MAX, "{median:?}");
    assert!(heard_by_the_metric >= 100.0, "{heard_by_the_metric}");
}

#[tokio::test]
async fn a_change_takes_a_moment_with_redis() {
    take(true).await;
}

#[tokio::test]
async fn a_change_takes_a_moment_over_postgresql_alone() {
    take(false).await;
}
