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

#[tokio::test]
async fn a_way_back_and_a_change_from_the_command_line_hold_on_all_replicas() {
    let cluster = Cluster::start(2).await;
    let (here, there) = (&cluster.replicas[0], &cluster.replicas[1]);
    assert_eq!(here.get(HOME, KEY).await.status(), 200);
    let console = here.console().await;
    let before = console.get(PATH).await.1["version"].clone();
    cluster.done(&["settings", "set", "policy.mode=observe"]);
    here.until_status(ELSEWHERE, KEY, 200).await;
    there.until_status(ELSEWHERE, KEY, 200).await;

    // A rehearsal says what would be; nobody follows it.
    let version = console.get(PATH).await.1["version"].clone();
    let rollback = format!("{PATH}/rollback");
    let back = json!({"version": version, "to": before, "dry_run": true});
    let (status, rehearsed) = console.post(&rollback, &back).await;
    assert_eq!(
        (status, &rehearsed["changes"][0]["after"]),
        (200, &json!("enforce"))
    );
    assert_eq!(here.get(ELSEWHERE, KEY).await.status(), 200);

    let elsewhere = console.on(there.admin);
    let back = json!({"version": version, "to": before});
    assert_eq!(elsewhere.post(&rollback, &back).await.0, 200);
    assert_eq!(there.get(ELSEWHERE, KEY).await.status(), 403);
    here.until_status(ELSEWHERE, KEY, 403).await;
    let (_, history) = console.get(&format!("{PATH}/history")).await;
    let actors: Vec<_> = history["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| &item["actor"])
        .collect();
    assert_eq!(actors[..2], [&json!("admin"), &json!("cli")]);
    assert!(!history.to_string().contains("internal"), "{history}");
}

#[tokio::test]
async fn a_refusal_is_explained_as_it_was_decided_and_the_key_is_nowhere() {
    let cluster = Cluster::builder().embedded().start(1).await;
    let replica = cluster.replica();
    assert_eq!(replica.get(HOME, KEY).await.status(), 200);
    let console = replica.console().await;
    let explain = "/admin/api/diagnostics/explain";
    for (from, outcome, status) in [(HOME, "permit", 200), (ELSEWHERE, "refuse", 403)] {
        let (_, told) = console
            .post(explain, &json!({"key": KEY, "address": from.to_string()}))
            .await;
        assert_eq!(told["outcome"], outcome, "{told}");
        assert_eq!(replica.get(from, KEY).await.status(), status);
        assert!(!told.to_string().contains(KEY), "{told}");
    }
    let by_hint = cluster.done(&[
        "explain",
        "--hint",
        "sk-",
        "--address",
        &ELSEWHERE.to_string(),
        "--output",
        "json",
    ]);
    assert!(
        by_hint.contains("key_ip_mismatch") && !by_hint.contains(KEY),
        "{by_hint}"
    );
    let (status, tried) = console
        .post("/admin/api/diagnostics/upstream", &json!(null))
        .await;
    assert_eq!((status, &tried["items"][0]["ok"]), (200, &json!(true)), "{tried}");
    let (status, seen) = console.get("/admin/api/diagnostics/address").await;
    assert_eq!(
        (status, &seen["hops"][0]["source"]),
        (200, &json!("connection")),
        "{seen}"
    );
    let (status, checks) = console.get("/admin/api/diagnostics/checks").await;
    let items = checks["items"].as_array().expect("a list").clone();
    assert!(
        status == 200
            && items
                .iter()
                .any(|item| item["name"] == "clock" && item["ok"] == true),
        "{checks}"
    );
    assert!(!replica.log().contains(KEY));
    // The same from the command line; what it finds may be worth a warning, and no more.
    let doctor = cluster.done(&["doctor", "--output", "json"]);
    assert!(doctor.contains("bound_addresses"), "{doctor}");
}
