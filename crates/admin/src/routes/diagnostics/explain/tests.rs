use http::StatusCode;
use sentinel_core::policy::{Mode, Rules};
use sentinel_core::ports::StoreError;
use serde_json::{Value, json};

use super::WORD_CHARACTERS_MAX;
use crate::testing::{Answer, Console, binding};

const PATH: &str = "/admin/api/diagnostics/explain";
/// Bound by no test: the fake keys give it a fingerprint of its own.
const KEY: &str = "sk-0123456789-never-in-an-answer";

async fn asked(console: &Console, body: Value) -> Answer {
    let answer = console.post(PATH, &body).await;
    assert!(!answer.text.contains("never-in-an-answer"), "{answer:?}");
    answer
}

fn outcome(answer: &Answer) -> (&str, Option<&str>) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    (
        answer.body["outcome"].as_str().expect("a word"),
        answer.body["code"].as_str(),
    )
}

#[tokio::test]
async fn a_stored_binding_is_judged() {
    let console = Console::new();
    console.store.lock().bindings.push(binding(1));
    let home = asked(&console, json!({"binding_id": 1, "address": "192.0.2.9"})).await;
    assert_eq!(outcome(&home), ("permit", None));
    let elsewhere = json!({"hint": "ab…wx", "address": "203.0.113.9", "path": "/v1/models", "method": "GET"});
    let refused = asked(&console, elsewhere.clone()).await;
    assert_eq!(outcome(&refused), ("refuse", Some("key_ip_mismatch")));
    assert_eq!(refused.body["steps"][2]["name"], "network");
    assert_eq!(refused.body["steps"][2]["ok"], false);
    console.rules.set(Rules {
        mode: Mode::Observe,
        ..Rules::default()
    });
    assert_eq!(
        outcome(&asked(&console, elsewhere).await),
        ("observe", Some("key_ip_mismatch"))
    );
    // Nobody is written down for having asked.
    assert!(
        console
            .store
            .lock()
            .events
            .iter()
            .all(|event| event.action == "login")
    );
}

#[tokio::test]
async fn an_unknown_key_would_be_claimed_where_the_profile_claims() {
    let console = Console::new();
    let with = |path: &str| json!({"key": KEY, "address": "203.0.113.9", "path": path});
    assert_eq!(
        outcome(&asked(&console, with("/v1/models?x=1")).await),
        ("claim", None)
    );
    assert_eq!(
        outcome(&asked(&console, with("/api/status?/v1/")).await),
        ("permit", None)
    );
    let default = asked(&console, json!({"key": KEY, "address": "203.0.113.9"})).await;
    assert_eq!(outcome(&default), ("claim", None));
    let mut bound = binding(1);
    bound.binding.fingerprint = sentinel_core::fingerprint::KeyFingerprint::from_bytes([0xcd; 32]);
    console.store.lock().bindings.push(bound);
    assert_eq!(
        outcome(&asked(&console, with("/v1/models")).await),
        ("refuse", Some("key_ip_mismatch"))
    );
    let stored = console.store.lock();
    let noted = stored
        .events
        .iter()
        .filter(|event| event.action == "key_explained");
    let noted: Vec<&str> = noted.map(|event| event.detail.as_str()).collect();
    assert_eq!(noted.len(), 4);
    assert_eq!(noted[2..], ["an unknown key", "the key of binding 1"]);
}

#[tokio::test]
async fn what_cannot_be_asked_names_its_field() {
    let console = Console::new();
    console.store.lock().bindings.extend([binding(1), binding(2)]);
    let long = "a".repeat(WORD_CHARACTERS_MAX + 1);
    let address = "203.0.113.9";
    for (body, field) in [
        (json!({"address": address}), "key"),
        (json!({"address": address, "key": KEY, "binding_id": 1}), "key"),
        (json!({"address": address, "key": "no key of the profile"}), "key"),
        (json!({"address": address, "key": [KEY]}), "key"),
        (json!({"key": KEY}), "address"),
        (json!({"key": KEY, "address": "here"}), "address"),
        (json!({"key": KEY, "address": address, "path": "v1"}), "path"),
        (
            json!({"key": KEY, "address": address, "path": format!("/{}", "a".repeat(256))}),
            "path",
        ),
        (json!({"key": KEY, "address": address, "method": long}), "method"),
        (json!({"hint": long, "address": address}), "hint"),
        (json!({"hint": "", "address": address}), "hint"),
        (json!({"hint": "sk-ab", "address": address}), "hint"),
        (
            json!({"binding_id": 1, "address": address, "store": true}),
            "store",
        ),
    ] {
        asked(&console, body).await.names_field(field);
    }
    let gone = asked(&console, json!({"binding_id": 9, "address": address})).await;
    gone.is_problem(StatusCode::NOT_FOUND, "binding_not_found");
    console.store.lock().bindings.clear();
    let none = asked(&console, json!({"hint": "sk", "address": address})).await;
    none.names_field("hint");
}

#[tokio::test]
async fn a_store_that_is_away_is_said() {
    let console = Console::new();
    let token = console.token().await;
    console.store.lock().failure = Some(StoreError::Unavailable("away".to_owned()));
    let body = json!({"key": KEY, "address": "203.0.113.9"});
    let answer = console.call(http::Method::POST, PATH, Some(&token), &body).await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
}
