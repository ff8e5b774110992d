//! Settings that change while replicas run.

use serde_json::json;

use crate::cluster::Cluster;
use crate::{ELSEWHERE, HOME, KEY};

const PATH: &str = "/admin/api/settings";

#[tokio::test]
async fn a_rule_that_is_changed_on_one_replica_holds_on_all() {
    let cluster = Cluster::start(2).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    assert_eq!(here.get(HOME, KEY).await.status(), 200);
    assert_eq!(there.get(ELSEWHERE, KEY).await.status(), 403);
    let console = here.console().await;
    let (_, before) = console.get(PATH).await;
    let version = before["version"].as_i64().expect("a number");
    let observe = json!({"version": version, "values": {"policy.mode": "observe"}});
    let (status, after) = console.put(PATH, &observe).await;
    assert_eq!(status, 200, "{after}");
    let item = |body: &serde_json::Value| {
        let items = body["items"].as_array().expect("a list").clone();
        let mode = items.into_iter().find(|item| item["name"] == "policy.mode");
        mode.expect("every setting is there")
    };
    assert_eq!(item(&after)["value"], "observe");
    assert_eq!(item(&after)["source"], "database");
    assert_eq!(here.get(ELSEWHERE, KEY).await.status(), 200);
    there.until_status(ELSEWHERE, KEY, 200).await;
    // The other replica's console knows it too, and a stale version is a conflict there.
    let other = console.on(there.admin);
    assert_eq!(item(&other.get(PATH).await.1), item(&after));
    let (status, problem) = other.put(PATH, &observe).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:sentinel:problem:settings_outdated"))
    );

    let back = json!({"version": after["version"], "values": {"policy.mode": null}});
    assert_eq!(other.put(PATH, &back).await.0, 200);
    here.until_status(ELSEWHERE, KEY, 403).await;
}

#[tokio::test]
async fn what_may_not_change_is_refused_by_name_and_nothing_is_changed() {
    let cluster = Cluster::builder()
        .embedded()
        .variable("SENTINEL_POLICY_SLOTS", "2")
        .start(1)
        .await;
    let console = cluster.replica().console().await;
    let values = json!({"policy.slots": 3, "proxy.listen": "0.0.0.0:1", "policy.mode": "watch", "policy.keyless": "deny"});
    let (status, problem) = console.put(PATH, &json!({"version": 0, "values": values})).await;
    assert_eq!(status, 422);
    let errors = problem["errors"].as_array().expect("a list");
    let fields: Vec<_> = errors.iter().map(|error| error["field"].as_str()).collect();
    assert_eq!(fields, [Some("policy.slots"), Some("proxy.listen")]);
    let values = json!({"policy.mode": "watch", "policy.keyless": "deny"});
    let (status, problem) = console.put(PATH, &json!({"version": 0, "values": values})).await;
    assert_eq!((status, &problem["field"]), (422, &json!("policy.mode")));
    assert_eq!(console.get(PATH).await.1["version"], 0);
}
