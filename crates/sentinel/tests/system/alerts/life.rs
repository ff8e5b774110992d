//! An alert's whole life, as its receiver sees it: one attack is one alert, told of when it begins, while it goes on, and when it is over.

use std::time::Duration;

use sentinel_testkit::ScriptedUpstream;
use serde_json::{Value, json};

use super::{ALERTS, DELIVERIES, items, receiver, sending_to, until, verified};
use crate::cluster::Cluster;
use crate::{ELSEWHERE, HOME, KEY};

/// Longer than until the first further notice, and than the quiet that calm takes.
const LONG: Duration = Duration::from_mins(15);

/// As if these moments of the open alert had been so long ago.
async fn age_open_alert(cluster: &Cluster, moments: &[&str]) {
    let past = format!(
        "to_jsonb(floor(extract(epoch FROM now()) * 1000)::bigint - {})",
        LONG.as_millis()
    );
    let mut record = "record::jsonb".to_owned();
    for moment in moments {
        record = format!("jsonb_set({record}, '{{{moment}}}', {past})");
    }
    let age = format!("UPDATE alerts SET record = ({record})::text WHERE state <> 'calmed'");
    let aged = cluster.database().await.execute(&age, &[]).await;
    assert_eq!(aged.expect("alerts can be written"), 1, "one alert is open");
}

/// The receiver's message with this number, once it is there.
async fn message(receiver: &ScriptedUpstream, number: usize) -> Value {
    until("a notice to be delivered", async || {
        receiver.requests().len() > number
    })
    .await;
    verified(&receiver.wait_for_body(number).await)
}

#[tokio::test]
async fn an_attack_is_told_of_when_it_begins_while_it_goes_on_and_once_when_it_is_over() {
    let receiver = receiver().await;
    let cluster = sending_to(Cluster::builder().without_redis(), receiver.address())
        .variable("ALERT_THRESHOLD_COUNT", "2")
        .variable("ALERT_THRESHOLD_SECONDS", "5")
        .start(2)
        .await;
    let console = cluster.replica().console().await;
    assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);
    let attack = async || {
        for replica in &cluster.replicas {
            assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
        }
    };
    let seen = async |count: u64| {
        until("both replicas to say what they saw", async || {
            let open = items(&console, &format!("{ALERTS}?state=open")).await;
            open.len() == 1 && open[0]["count"] == count
        })
        .await;
    };
    attack().await;
    let firing = message(&receiver, 0).await;
    assert_eq!(
        (&firing["type"], &firing["count"]),
        (&json!("alert.firing"), &json!(2))
    );

    // It goes on, and is the same alert.
    attack().await;
    attack().await;
    seen(6).await;
    age_open_alert(&cluster, &["at"]).await;
    let updated = message(&receiver, 1).await;
    assert_eq!(
        (&updated["type"], &updated["count"]),
        (&json!("alert.updated"), &json!(6))
    );

    // Nothing more comes. Both replicas look at it, and one of them tells of its end.
    age_open_alert(&cluster, &["raised_at", "seen,above_at"]).await;
    let calmed = message(&receiver, 2).await;
    assert_eq!(
        (&calmed["type"], &calmed["count"]),
        (&json!("alert.calmed"), &json!(6))
    );
    for (notice, sequence) in [(&firing, 0), (&updated, 1), (&calmed, 2)] {
        assert_eq!(
            (&notice["id"], &notice["sequence"]),
            (&firing["id"], &json!(sequence))
        );
        assert_eq!(notice["rule"], "refusals_per_binding");
    }

    // The next attack is an alert of its own: what was told of the first one was all.
    attack().await;
    let next = message(&receiver, 3).await;
    assert_eq!(
        (&next["type"], &next["count"]),
        (&json!("alert.firing"), &json!(2))
    );
    assert_ne!(next["id"], firing["id"]);
    let deliveries = items(&console, DELIVERIES).await;
    assert_eq!(deliveries.len(), 4, "{deliveries:?}");
    assert_eq!(receiver.requests().len(), 4);
}
