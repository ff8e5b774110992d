use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::Password;
use crate::extract::BODY_BYTES_MAX;
use crate::middleware::REQUEST_TIME_MAX;
use crate::testing::{Console, FakeHealth, PASSWORD, USERNAME};

mod access;
mod masking;

#[tokio::test]
async fn the_token_must_come_once_and_as_a_bearer() {
    let console = Console::new();
    let token = console.token().await;
    let send = async |values: Vec<String>| {
        let mut request = Request::get("/admin/api/settings")
            .body(Body::empty())
            .expect("good");
        for value in values {
            request
                .headers_mut()
                .append(header::AUTHORIZATION, value.parse().expect("a value"));
        }
        console.send(request).await.status
    };
    assert_eq!(send(vec![format!("bearer {token}")]).await, StatusCode::OK);
    assert_eq!(
        send(vec![format!("Basic {token}")]).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(send(vec![token.clone()]).await, StatusCode::UNAUTHORIZED);
    let twice = vec![format!("Bearer {token}"), format!("Bearer {token}")];
    assert_eq!(send(twice).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_paths_are_a_problem() {
    let console = Console::new();
    for path in [
        "/",
        "/admin/api/",
        "/admin/api/nothing",
        "/admin/api/bindings/1/2",
    ] {
        console
            .get_anonymously(path)
            .await
            .is_problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let console = Console::new();
    for (method, path, allow) in [
        (Method::DELETE, "/health", "GET,HEAD"),
        (Method::GET, "/admin/api/login", "POST"),
        (Method::GET, "/admin/api/bindings/unbind", "POST"),
        (Method::POST, "/admin/api/bindings/ip", "PUT"),
    ] {
        let answer = console.call(method, path, None, &Value::Null).await;
        answer.is_problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        assert_eq!(answer.headers[header::ALLOW], allow, "{path}");
    }
}

fn assert_secure(headers: &HeaderMap, what: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ] {
        assert_eq!(headers[name], value, "{what}");
    }
    assert!(headers.contains_key("x-request-id"), "{what}");
    assert!(
        !headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control-")),
        "{what}"
    );
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_none_opens_other_origins() {
    let console = Console::with_health(vec![("store", FakeHealth::Panics)]);
    for path in [
        "/health",
        "/metrics",
        "/readyz",
        "/nothing",
        "/admin/api/settings",
    ] {
        let request = Request::get(path).header(header::ORIGIN, "https://elsewhere.example");
        let answer = console.send(request.body(Body::empty()).expect("good")).await;
        assert_secure(&answer.headers, path);
    }
    let preflight = Request::options("/admin/api/login")
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let answer = console.send(preflight.body(Body::empty()).expect("good")).await;
    answer.is_problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    assert_secure(&answer.headers, "preflight");
}

#[tokio::test]
async fn request_ids_differ_and_are_ours() {
    let console = Console::new();
    let ask = async || {
        let request = Request::get("/health").header("x-request-id", "chosen");
        let answer = console.send(request.body(Body::empty()).expect("good")).await;
        answer.headers["x-request-id"].clone()
    };
    let (one, two) = (ask().await, ask().await);
    assert_ne!(one, two);
    assert_ne!(one, "chosen");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let console = Console::new();
    let send = async |bytes: usize| {
        let request = Request::post("/admin/api/login")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(" ".repeat(bytes)))
            .expect("good");
        console.send(request).await
    };
    send(BODY_BYTES_MAX)
        .await
        .is_problem(StatusCode::BAD_REQUEST, "malformed_json");
    send(BODY_BYTES_MAX + 1)
        .await
        .is_problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let request = Request::post("/admin/api/login")
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(
            json!({"username": USERNAME, "password": PASSWORD}).to_string(),
        ))
        .expect("good");
    let answer = Console::new().send(request).await;
    answer.is_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_at_its_time_bound() {
    let console = Console::new();
    // A body of which nothing ever arrives.
    let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
    >()));
    let request = Request::post("/admin/api/login")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .expect("good");
    let asked_at = tokio::time::Instant::now();
    let answer = console.send(request).await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "request_timeout");
    let waited = asked_at.elapsed();
    assert!(
        waited >= REQUEST_TIME_MAX && waited < REQUEST_TIME_MAX + Duration::from_secs(1),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_panic_is_a_problem_that_says_nothing_of_it() {
    let console = Console::with_health(vec![("store", FakeHealth::Panics)]);
    let answer = console.get_anonymously("/readyz").await;
    answer.is_problem(StatusCode::INTERNAL_SERVER_ERROR, "internal");
    assert!(!answer.text.contains("bug"), "{}", answer.text);
}

#[tokio::test]
async fn a_caller_whose_address_nobody_told_is_not_served() {
    use tower::ServiceExt as _;
    let console = Console::new();
    let request = Request::get("/admin/api/settings")
        .body(Body::empty())
        .expect("good");
    let response = console.router.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn account_names_are_bounded_and_printable() {
    let hash = || crate::auth::password::tests::cheap_hash("x");
    let is_good = |name: &str| crate::Account::new(name, hash()).is_ok();
    assert!(is_good("admin"));
    assert!(is_good(&"a".repeat(64)));
    for name in ["", " admin", "admin\n", "ad\u{1b}min", &"a".repeat(65)] {
        assert!(!is_good(name), "{name:?}");
    }
    let account = crate::Account::new("admin", hash()).expect("good");
    assert_eq!(format!("{account:?}"), "Account { username: \"admin\", .. }");
    assert_eq!(
        format!("{:?}", Password::new("x".to_owned())),
        "Password(redacted)"
    );
}
