//! The figures of the day: all replicas together, whatever was restarted in between.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::replica::Replica;
use crate::{ELSEWHERE, HOME, KEY};

/// What went through, as it is expected or shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    allowed: u64,
    refused: u64,
    bound: u64,
}

impl Sums {
    /// Sends so many requests from home, and so many from elsewhere.
    async fn send(&mut self, replica: &Replica, allowed: u64, refused: u64) {
        for _ in 0..allowed {
            assert_eq!(replica.get(HOME, KEY).await.status(), 200);
        }
        for _ in 0..refused {
            assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
        }
        self.allowed += allowed;
        self.refused += refused;
    }

    /// What the dashboard shows of the last days together: midnight may be in between.
    fn shown(dashboard: &Value) -> Self {
        let days = dashboard["days"].as_array().expect("a list");
        let sum = |name: &str| days.iter().filter_map(|day| day[name].as_u64()).sum();
        Self {
            allowed: sum("allowed"),
            refused: sum("refused"),
            bound: sum("bound"),
        }
    }
}

async fn dashboard(replica: &Replica) -> Value {
    let (status, body) = replica.console().await.get("/admin/api/dashboard").await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Waits until the dashboard shows exactly this.
async fn until_shown(replica: &Replica, expected: Sums) {
    let console = replica.console().await;
    let what = format!("the dashboard to show {expected:?}");
    replica
        .until(&what, async || {
            let (_, body) = console.get("/admin/api/dashboard").await;
            body["days"].is_array() && Sums::shown(&body) == expected
        })
        .await;
}

#[tokio::test]
async fn replicas_sum_up_and_no_restart_loses_anything() {
    let mut cluster = Cluster::start(3).await;
    let mut sums = Sums {
        bound: 1,
        ..Sums::default()
    };
    for (replica, requests) in cluster.replicas.iter().zip([3, 4, 5]) {
        sums.send(replica, requests, requests - 1).await;
    }
    for replica in &cluster.replicas {
        until_shown(replica, sums).await;
    }
    let shown = dashboard(cluster.replica()).await;
    assert_eq!(shown["replicas"].as_array().map(Vec::len), Some(3), "{shown}");
    for part in shown["parts"].as_array().expect("a list") {
        assert_eq!(part["ok"], true, "{part}");
    }

    // All that is in Redis goes with it.
    cluster.redis().kill().await;
    sums.send(cluster.replica(), 1, 1).await;
    cluster.redis().restart().await;
    until_shown(cluster.replica(), sums).await;

    // A replica that ends reports what it has not yet.
    sums.send(&cluster.replicas[1], 2, 2).await;
    assert!(cluster.replicas[1].stop().await.success());
    until_shown(cluster.replica(), sums).await;
    let shown = dashboard(cluster.replica()).await;
    assert_eq!(shown["replicas"].as_array().map(Vec::len), Some(2), "{shown}");
    cluster.replicas[1].restart().await;
    sums.send(&cluster.replicas[1], 1, 1).await;
    until_shown(&cluster.replicas[1], sums).await;

    // The lists come from the rows of the audit log, each of which counts once.
    let refused = i64::try_from(sums.refused).expect("small");
    for kind in ["key", "address"] {
        let select = format!(
            "SELECT coalesce(sum(count), 0)::bigint FROM top_refused WHERE span = 'day' AND kind = '{kind}'"
        );
        cluster
            .replica()
            .until("the lists to count every refusal", async || {
                cluster.number(&select).await == refused
            })
            .await;
    }
}

#[tokio::test]
async fn on_the_embedded_store_no_restart_loses_anything() {
    let mut cluster = Cluster::builder().embedded().start(1).await;
    let mut sums = Sums {
        bound: 1,
        ..Sums::default()
    };
    sums.send(cluster.replica(), 3, 2).await;
    assert!(cluster.replicas[0].stop().await.success());
    cluster.replicas[0].restart().await;
    until_shown(cluster.replica(), sums).await;
    sums.send(cluster.replica(), 1, 1).await;
    until_shown(cluster.replica(), sums).await;
    let shown = dashboard(cluster.replica()).await;
    assert_eq!(shown["replicas"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[tokio::test]
async fn what_is_counted_while_the_store_is_away_is_there_afterwards() {
    let cluster = Cluster::builder().without_redis().start(1).await;
    let mut sums = Sums {
        bound: 1,
        ..Sums::default()
    };
    sums.send(cluster.replica(), 1, 1).await;
    until_shown(cluster.replica(), sums).await;
    cluster.postgres().kill().await;
    sums.send(cluster.replica(), 2, 0).await;
    let replica = cluster.replica();
    replica
        .until("a report to fail", async || {
            replica
                .metric("sentinel_traffic_reports_failed_total")
                .await
                .is_some_and(|failed| failed >= 1.0)
        })
        .await;
    cluster.postgres().restart().await;
    replica.until_ready().await;
    until_shown(replica, sums).await;
    replica
        .until("nothing to wait any more", async || {
            replica.metric("sentinel_traffic_minutes_waiting").await == Some(0.0)
        })
        .await;
}
