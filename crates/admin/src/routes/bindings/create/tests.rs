use sentinel_core::binding::BINDING_NETWORKS_MAX;
use serde_json::json;

use super::*;
use crate::testing::{Console, START};

const KEY: &str = "sk-a-key-that-nobody-may-see-again";

#[tokio::test]
async fn a_key_is_bound_and_leaves_only_its_hint() {
    let console = Console::new();
    let body = json!({
        "key": KEY, "networks": ["192.0.2.0/24", "2001:db8::/48", "192.0.2.0/24"], "note": "for the batch",
        "labels": ["batch", "batch"]
    });
    let made = console.post("/admin/api/bindings", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.body["networks"], json!(["192.0.2.0/24", "2001:db8::/48"]));
    assert_eq!(
        (&made.body["labels"], &made.body["profile"]),
        (&json!(["batch"]), &json!("new-api"))
    );
    assert!(
        !made.text.contains(KEY) && !made.text.contains("cdcd"),
        "{made:?}"
    );
    let created = console.store.lock().created.pop().expect("made");
    assert_eq!(created.fingerprint, KeyFingerprint::from_bytes([0xcd; 32]));
    assert_eq!((created.bound_at, created.hint.as_str()), (START, "sk-a-…gain"));
    assert!(!format!("{created:?}").contains(KEY));
}

#[tokio::test]
async fn a_fingerprint_does_in_place_of_a_key() {
    let console = Console::new();
    let body = json!({"fingerprint": "0F".repeat(32), "networks": ["192.0.2.1"]});
    let made = console.post("/admin/api/bindings", &body).await;
    assert_eq!(
        (made.status, &made.body["hint"]),
        (StatusCode::CREATED, &json!("…"))
    );
    let created = console.store.lock().created.pop().expect("made");
    assert_eq!(created.fingerprint, KeyFingerprint::from_bytes([0x0f; 32]));
}

#[tokio::test]
async fn a_key_with_a_binding_keeps_it() {
    let console = Console::new();
    let body = json!({"fingerprint": "ab".repeat(32), "networks": ["192.0.2.1"]});
    console.store.lock().bindings.push(crate::testing::binding(1));
    let answer = console.post("/admin/api/bindings", &body).await;
    answer.is_problem(StatusCode::CONFLICT, "binding_exists");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_never_the_key() {
    let console = Console::new();
    let too_many: Vec<String> = (0..=BINDING_NETWORKS_MAX)
        .map(|number| format!("10.0.{number}.0/24"))
        .collect();
    for (body, field) in [
        (json!({"networks": ["192.0.2.1"]}), "key"),
        (json!({"key": "no-key-8f31", "networks": ["192.0.2.1"]}), "key"),
        (json!({"key": 7, "networks": ["192.0.2.1"]}), "key"),
        (
            json!({"key": KEY, "fingerprint": "ab", "networks": ["192.0.2.1"]}),
            "fingerprint",
        ),
        (
            json!({"fingerprint": "é".repeat(32), "networks": ["192.0.2.1"]}),
            "fingerprint",
        ),
        (json!({"key": KEY, "networks": []}), "networks"),
        (json!({"key": KEY, "networks": too_many}), "networks"),
        (json!({"key": KEY, "networks": ["home"]}), "networks[0]"),
        (
            json!({"key": KEY, "networks": ["192.0.2.1"], "labels": [""]}),
            "labels[0]",
        ),
        (json!({"key": KEY}), "networks"),
    ] {
        let answer = console.post("/admin/api/bindings", &body).await;
        answer.names_field(field);
        assert!(
            !answer.text.contains(KEY) && !answer.text.contains("8f31"),
            "{answer:?}"
        );
    }
    assert!(console.store.lock().created.is_empty());
}
