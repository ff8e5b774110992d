//! How long it takes from the refusal that crosses the threshold until the receiver has read the message.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sentinel_testkit::ScriptedUpstream;

use super::{receiver, sending_to, verified};
use crate::HOME;
use crate::cluster::{Cluster, ClusterBuilder};

/// What operators are promised.
const LATENCY_TARGET: Duration = Duration::from_secs(2);
/// How much longer a machine may take that does a dozen other things.
const BUSY_MACHINE: u32 = 3;
/// One after the other.
const SINGLE: u8 = 6;
/// All at the same moment. Together with the others so many as are told of one by one.
const AT_ONCE: u8 = 14;

fn key(number: u8) -> String {
    format!("sk-latencylatencylatency01234567{number:02}")
}

/// Each key has a thief of its own, so that no other rule is crossed.
fn thief(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, number).into()
}

async fn message(receiver: &ScriptedUpstream, number: usize) {
    let message = verified(&receiver.wait_for_body(number).await);
    assert_eq!(message["type"], "alert.firing");
    assert_eq!(message["rule"], "refusals_per_binding");
}

#[expect(clippy::print_stdout, reason = "a measurement, for whoever runs this test")]
async fn latency(what: &str, builder: ClusterBuilder) {
    let receiver = receiver().await;
    let builder = sending_to(builder, receiver.address()).variable("ALERT_THRESHOLD_COUNT", "2");
    let cluster = builder.start(1).await;
    let replica = cluster.replica();
    let all = 1..=SINGLE + AT_ONCE;
    for number in all.clone() {
        assert_eq!(replica.get(HOME, &key(number)).await.status(), 200);
        assert_eq!(replica.get(thief(number), &key(number)).await.status(), 403);
    }
    let cross = async |number| {
        let refused = replica.get(thief(number), &key(number)).await;
        assert_eq!(refused.status(), 403);
    };
    let mut latencies = Vec::new();
    for number in 1..=SINGLE {
        let begun = Instant::now();
        cross(number).await;
        message(&receiver, latencies.len()).await;
        latencies.push(begun.elapsed());
    }
    let begun = Instant::now();
    join_all((SINGLE + 1..=SINGLE + AT_ONCE).map(cross)).await;
    for _ in 0..AT_ONCE {
        message(&receiver, latencies.len()).await;
        latencies.push(begun.elapsed());
    }
    latencies.sort_unstable();
    let millis: Vec<u128> = latencies.iter().map(Duration::as_millis).collect();
    println!("{what}: from the crossing refusal to the receiver, in ms: {millis:?}");
    let longest = latencies.last().expect("there are some");
    assert!(*longest <= LATENCY_TARGET * BUSY_MACHINE, "{what}: {longest:?}");
    assert_eq!(receiver.requests().len(), all.count());
}

#[tokio::test]
async fn an_alert_arrives_soon_on_the_embedded_store() {
    latency("embedded", Cluster::builder().embedded()).await;
}

#[tokio::test]
async fn an_alert_arrives_soon_on_postgresql() {
    latency("PostgreSQL", Cluster::builder().without_redis()).await;
}

#[tokio::test]
async fn an_alert_arrives_soon_on_postgresql_and_redis() {
    latency("PostgreSQL and Redis", Cluster::builder()).await;
}
