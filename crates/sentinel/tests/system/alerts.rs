//! Alerts, from the refusals that raise them to a receiver that checks who sent them.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sentinel_testkit::{Answer, Fault, FaultProxy, ScriptedUpstream, SeenRequest};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cluster::{Cluster, ClusterBuilder};
use crate::console::Console;
use crate::{ELSEWHERE, HOME, KEY};

mod latency;
mod life;

const ALERTS: &str = "/admin/api/alerts";
const DELIVERIES: &str = "/admin/api/alerts/deliveries";
/// The secret that the receiver knows.
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The longest wait for what happens at the next round, or at the next attempt.
const ROUND_MAX: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An installation that sends its alerts to this address on loopback.
pub(crate) fn sending_to(builder: ClusterBuilder, receiver: std::net::SocketAddr) -> ClusterBuilder {
    builder
        .variable(
            "ALERT_WEBHOOK_URL",
            format!("http://{receiver}/hook?token=hunter2"),
        )
        .variable("ALERT_WEBHOOK_SECRET", format!("whsec_{SECRET}"))
        .variable("SENTINEL_ALERT_ALLOWED_NETWORKS", "127.0.0.0/8")
        .variable("SENTINEL_ALERT_PLAIN_HTTP", "allow")
        .variable("SENTINEL_ADMIN_PUBLIC_URL", "https://sentinel.example.com")
}

pub(crate) async fn receiver() -> ScriptedUpstream {
    ScriptedUpstream::start(Answer::new(204, "")).await
}

/// Waits until `holds` does, for as long as rounds and attempts take.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let waited = tokio::time::timeout(ROUND_MAX, waiting).await;
    assert!(waited.is_ok(), "waited in vain for {what}");
}

/// The message, if its signature is what the Standard Webhooks say.
pub(crate) fn verified(request: &SeenRequest) -> Value {
    let header = |name| request.header(name).unwrap_or_else(|| panic!("no {name}"));
    let secret = BASE64_STANDARD.decode(SECRET).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&request.body);
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{signature}"));
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/hook?token=hunter2")
    );
    let message: Value = serde_json::from_slice(&request.body).expect("JSON");
    let id = message["id"].as_str().expect("an id");
    assert_eq!(header("webhook-id"), format!("{id}.{}", message["sequence"]));
    message
}

pub(crate) async fn items(console: &Console, path: &str) -> Vec<Value> {
    let (status, body) = console.get(path).await;
    assert_eq!(status, 200, "{body}");
    body["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn refusals_on_three_replicas_make_one_alert_that_is_delivered_once() {
    one_alert_of_three_replicas(Cluster::builder()).await;
}

#[tokio::test]
async fn without_redis_refusals_on_three_replicas_make_one_alert_too() {
    one_alert_of_three_replicas(Cluster::builder().without_redis()).await;
}

/// No replica alone sees as much as the threshold.
#[expect(clippy::print_stdout, reason = "a measurement, for whoever runs this test")]
async fn one_alert_of_three_replicas(builder: ClusterBuilder) {
    let receiver = receiver().await;
    let builder = sending_to(builder, receiver.address())
        .variable("ALERT_THRESHOLD_COUNT", "6")
        .variable("ALERT_THRESHOLD_SECONDS", "120");
    let cluster = builder.start(3).await;
    assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);
    for replica in &cluster.replicas {
        assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
    }
    for replica in &cluster.replicas[..2] {
        assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
    }
    // A third of the refusals on each replica; this one crosses the threshold.
    let crossing = Instant::now();
    assert_eq!(cluster.replicas[2].get(ELSEWHERE, KEY).await.status(), 403);
    let first = receiver.wait_for_body(0).await;
    println!(
        "from the crossing refusal to the receiver: {:?}",
        crossing.elapsed()
    );
    let message = verified(&first);
    assert_eq!(message["type"], "alert.firing");
    assert_eq!(message["rule"], "refusals_per_binding");
    assert_eq!((&message["count"], &message["threshold"]), (&json!(6), &json!(6)));
    assert_eq!(message["networks"], json!([format!("{ELSEWHERE}/32")]));
    let link = message["console_url"].as_str().expect("a link");
    assert!(
        link.starts_with("https://sentinel.example.com/admin/ui/alerts/al_"),
        "{link}"
    );
    assert!(!String::from_utf8_lossy(&first.body).contains(KEY));

    // It goes on everywhere: the same alert, with a growing count.
    for replica in &cluster.replicas {
        for _ in 0..3 {
            assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
        }
    }
    let console = cluster.replica().console().await;
    until("all replicas to say what they saw", async || {
        let open = items(&console, &format!("{ALERTS}?state=open")).await;
        open.len() == 1 && open[0]["count"] == 15
    })
    .await;
    for replica in &cluster.replicas {
        let here = items(&console.on(replica.admin), ALERTS).await;
        assert_eq!((here.len(), &here[0]["id"]), (1, &message["id"]));
    }
    let deliveries = items(&console, DELIVERIES).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(
        (&deliveries[0]["state"], &deliveries[0]["attempts"]),
        (&json!("delivered"), &json!(1))
    );
    assert_eq!(receiver.requests().len(), 1);
    let mut raised = 0.0;
    for replica in &cluster.replicas {
        let metric = "sentinel_alerts_raised_total{rule=\"refusals_per_binding\"}";
        raised += replica.metric(metric).await.unwrap_or(0.0);
        assert!(!replica.log().contains("hunter2"), "a secret is in the log");
    }
    assert!((raised - 1.0).abs() < f64::EPSILON, "{raised} raised it");
}

/// With a receiver that is away when the alert is raised, and a threshold that was changed while the server runs.
async fn outlasts_its_receiver(builder: ClusterBuilder) {
    let receiver = receiver().await;
    let way = FaultProxy::in_front_of(receiver.address()).await;
    way.set(Fault::Refuse).await;
    let cluster = sending_to(builder, way.address()).start(1).await;
    let replica = cluster.replica();
    let console = replica.console().await;
    let (_, settings) = console.get("/admin/api/settings").await;
    let change = json!({"version": settings["version"], "values": {"alert.threshold_count": 2}});
    let (status, body) = console.put("/admin/api/settings", &change).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    for _ in 0..2 {
        assert_eq!(replica.get(ELSEWHERE, KEY).await.status(), 403);
    }
    let mut delivery = Value::Null;
    until("an attempt to fail", async || {
        let made = items(&console, &format!("{DELIVERIES}?state=pending")).await;
        delivery = made.into_iter().next().unwrap_or_default();
        delivery["last_error"].is_string()
    })
    .await;
    let error = delivery["last_error"].as_str().expect("text");
    assert!(!error.contains("hunter2"), "{error}");
    assert!(
        items(&console, &format!("{DELIVERIES}?state=dead"))
            .await
            .is_empty()
    );
    let (status, problem) = console
        .post(&format!("{DELIVERIES}/retry"), &json!({"id": delivery["id"]}))
        .await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:sentinel:problem:delivery_not_dead"))
    );

    way.set(Fault::None).await;
    until("the alert to be delivered", async || {
        let made = items(&console, &format!("{DELIVERIES}?state=delivered")).await;
        made.len() == 1
    })
    .await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(verified(&receiver.wait_for_body(0).await)["type"], "alert.firing");

    // The channel can be tried at any time.
    let (status, body) = console
        .post("/admin/api/alerts/test", &json!({"channel": "webhook"}))
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        verified(&receiver.wait_for_body(1).await)["path"],
        "/this-is-a-test"
    );
    let metric = "sentinel_alert_deliveries_total{channel=\"webhook\",outcome=\"delivered\"}";
    assert_eq!(replica.metric(metric).await, Some(1.0));
}

#[tokio::test]
async fn an_alert_outlasts_its_receiver_on_the_embedded_store() {
    outlasts_its_receiver(Cluster::builder().embedded()).await;
}

#[tokio::test]
async fn an_alert_outlasts_its_receiver_on_postgresql() {
    outlasts_its_receiver(Cluster::builder()).await;
}

#[tokio::test]
async fn an_alert_that_waits_outlasts_a_restart() {
    let receiver = receiver().await;
    let way = FaultProxy::in_front_of(receiver.address()).await;
    way.set(Fault::Refuse).await;
    let builder =
        sending_to(Cluster::builder().embedded(), way.address()).variable("ALERT_THRESHOLD_COUNT", "1");
    let mut cluster = builder.start(1).await;
    assert_eq!(cluster.replica().get(HOME, KEY).await.status(), 200);
    assert_eq!(cluster.replica().get(ELSEWHERE, KEY).await.status(), 403);
    let console = cluster.replica().console().await;
    until("the alert to wait for its receiver", async || {
        items(&console, &format!("{DELIVERIES}?state=pending"))
            .await
            .len()
            == 1
    })
    .await;
    let status = cluster.replicas[0].stop().await;
    assert!(status.success(), "{status}");
    way.set(Fault::None).await;
    cluster.replicas[0].restart().await;
    until("the alert to be delivered", async || {
        !receiver.requests().is_empty()
    })
    .await;
    assert_eq!(verified(&receiver.wait_for_body(0).await)["type"], "alert.firing");
}
