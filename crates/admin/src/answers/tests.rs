use http::{Method, StatusCode};
use sentinel_core::account::Role;
use sentinel_core::ports::StoreError;
use serde_json::{Value, json};

use super::key::KEY_CHARACTERS_MAX;
use super::*;
use crate::routes;
use crate::testing::{Answer, Console, binding};

fn console() -> Console {
    let console = Console::new();
    console.store.lock().bindings = vec![binding(1), binding(2)];
    console
}

async fn ask(console: &Console, (method, path): (Method, &str), key: &str, body: &Value) -> Answer {
    let token = console.token_of(Role::Operator).await;
    ask_as(console, &token, (method, path), key, body).await
}

async fn ask_as(
    console: &Console,
    token: &str,
    (method, path): (Method, &str),
    key: &str,
    body: &Value,
) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("idempotency-key", key);
    console
        .send(
            request
                .body(Body::from(body.to_string()))
                .expect("a good request"),
        )
        .await
}

const BAN: (Method, &str) = (Method::POST, "/admin/api/bindings/ban");

#[tokio::test]
async fn every_change_of_bindings_is_made_once() {
    for (method, path, body) in [
        (
            Method::POST,
            "/admin/api/bindings/ban",
            json!({"id": 1, "reason": "x"}),
        ),
        (Method::POST, "/admin/api/bindings/unban", json!({"id": 1})),
        (Method::POST, "/admin/api/bindings/unbind", json!({"id": 1})),
        (
            Method::PUT,
            "/admin/api/bindings/ip",
            json!({"id": 1, "bound_ip": "203.0.113.0/24"}),
        ),
        (Method::PATCH, "/admin/api/bindings/1", json!({"note": "x"})),
        (
            Method::POST,
            "/admin/api/bindings",
            json!({"key": "sk-new", "networks": ["203.0.113.0/24"]}),
        ),
        (
            Method::POST,
            "/admin/api/bindings/bulk",
            json!({"action": "ban", "ids": [1, 2], "dry_run": false}),
        ),
    ] {
        let console = console();
        let route = (method, path);
        let first = ask(&console, route.clone(), "a", &body).await;
        assert!(first.status.is_success(), "{path}: {first:?}");
        assert!(!first.headers.contains_key(REPLAYED));
        let changes = console.store.lock().actors.len();
        assert!(changes > 0, "{path}");
        let again = ask(&console, route.clone(), "a", &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        assert_eq!(again.headers[REPLAYED], "true");
        assert_eq!(
            again.headers[header::CONTENT_TYPE],
            first.headers[header::CONTENT_TYPE]
        );
        assert_eq!(console.store.lock().actors.len(), changes, "{path}: made twice");
        let mut other = body.clone();
        other["note"] = json!("something else");
        let reused = ask(&console, route, "a", &other).await;
        reused.is_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    }
}

#[test]
fn every_changing_route_of_bindings_takes_the_header() {
    for route in routes::all() {
        let is_change = route.path.starts_with("/admin/api/bindings") && route.method != "GET";
        assert_eq!(
            route.is_answered_once, is_change,
            "{} {}",
            route.method, route.path
        );
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_account_and_one_request() {
    let console = console();
    let body = json!({"id": 1});
    let first = ask(&console, BAN, "a", &body).await;
    let owner = console.token().await;
    let other = ask_as(&console, &owner, BAN, "a", &body).await;
    assert!(
        !other.headers.contains_key(REPLAYED),
        "another account's: {other:?}"
    );
    let unban = (Method::POST, "/admin/api/bindings/unban");
    let reused = ask(&console, unban, "a", &body).await;
    reused.is_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    let query = (Method::POST, "/admin/api/bindings/ban?x=1");
    let reused = ask(&console, query, "a", &body).await;
    reused.is_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
    let without = console.post("/admin/api/bindings/ban", &body).await;
    assert!(!without.headers.contains_key(REPLAYED));
    assert_eq!(first.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_was_not_read_is_not_remembered() {
    let console = console();
    let token = console.token_of(Role::Operator).await;
    let send = |kind: &'static str| {
        let request = Request::post("/admin/api/bindings/ban")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("idempotency-key", "a")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(r#"{"id": 1}"#))
            .expect("a good request");
        console.send(request)
    };
    let unread = send("text/plain").await;
    unread.is_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
    let mended = send("application/json").await;
    assert_eq!(mended.status, StatusCode::OK, "{mended:?}");
    assert!(!mended.headers.contains_key(REPLAYED));
}

#[tokio::test]
async fn while_the_first_is_under_way_the_second_waits() {
    let console = console();
    console.store.lock().is_under_way = true;
    let answer = ask(&console, BAN, "a", &json!({"id": 1})).await;
    answer.is_problem(StatusCode::CONFLICT, "request_under_way");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn a_refusal_is_remembered_and_a_failure_is_not() {
    let console = console();
    let missing = json!({"id": 99});
    let first = ask(&console, BAN, "a", &missing).await;
    first.is_problem(StatusCode::NOT_FOUND, "binding_not_found");
    let again = ask(&console, BAN, "a", &missing).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(again.headers[REPLAYED], "true");

    console.store.lock().edit_failure = Some(StoreError::Busy);
    let body = json!({"id": 1});
    let failed = ask(&console, BAN, "b", &body).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
    console.store.lock().edit_failure = None;
    let made = ask(&console, BAN, "b", &body).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    assert!(!made.headers.contains_key(REPLAYED));
}

#[tokio::test]
async fn a_name_has_key_characters_max_visible_characters() {
    let console = console();
    let longest = "k".repeat(KEY_CHARACTERS_MAX);
    assert_eq!(
        ask(&console, BAN, &longest, &json!({"id": 1})).await.status,
        StatusCode::OK
    );
    for bad in [format!("{longest}k"), String::new(), "a b".to_owned()] {
        let answer = ask(&console, BAN, &bad, &json!({"id": 1})).await;
        answer.names_field("Idempotency-Key");
    }
}

#[tokio::test]
async fn answer_bytes_max_bytes_are_kept() {
    let whole = Response::new(Body::from("x".repeat(ANSWER_BYTES_MAX)));
    let (_, answer) = keep(whole).await.expect("small enough");
    assert_eq!(answer.expect("kept").body.len(), ANSWER_BYTES_MAX);
    let larger = Response::new(Body::from("x".repeat(ANSWER_BYTES_MAX + 1)));
    assert!(keep(larger).await.is_err());
}

#[tokio::test]
async fn neither_a_key_nor_a_plain_hash_of_it_is_kept() {
    let console = console();
    let body = json!({"key": "sk-very-secret", "networks": ["203.0.113.0/24"]});
    ask(&console, (Method::POST, "/admin/api/bindings"), "a", &body).await;
    let kept = format!("{:?}", console.store.lock().answers);
    assert!(!kept.contains("very-secret"), "{kept}");
}
