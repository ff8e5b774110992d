use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use sentinel_core::network::PeerAddr;
use sentinel_core::ports::StoreError;
use serde_json::{Value, json};

use super::{BEGIN_WAIT_MAX, OTP_BYTES_MAX};
use crate::auth::password::PASSWORD_BYTES_MAX;
use crate::auth::sign_in::LOOKUP_WAIT_MAX;
use crate::middleware::REQUEST_TIME_MAX;
use crate::testing::{Answer, Console, PASSWORD, START, USERNAME, ip};
use sentinel_core::attempts::FREE_FAILURES_PER_ACCOUNT_MAX;

fn actions(console: &Console) -> Vec<(String, String)> {
    let stored = console.store.lock();
    stored
        .events
        .iter()
        .map(|event| (event.action.clone(), event.actor.clone()))
        .collect()
}

async fn login_from(console: &Console, address: [u8; 4], username: &str, password: &str) -> Answer {
    let mut request = Request::post("/admin/api/login")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(
            json!({"username": username, "password": password}).to_string(),
        ))
        .expect("good");
    request
        .extensions_mut()
        .insert(PeerAddr(SocketAddr::from((address, 50_000))));
    console.send(request).await
}

#[tokio::test]
async fn the_right_password_gives_a_token_and_leaves_an_event() {
    let console = Console::new();
    let answer = console.login(USERNAME, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_at"], "2027-01-15T09:00:00Z");
    assert_eq!(answer.body["expires_in"], 3600);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let token = answer.body["token"].as_str().expect("a token");
    let opened = console
        .call(Method::GET, "/admin/api/settings", Some(token), &Value::Null)
        .await;
    assert_eq!(opened.status, StatusCode::OK);

    let stored = console.store.lock();
    let event = &stored.events[0];
    assert_eq!(
        (event.action.as_str(), event.actor.as_str(), event.at),
        ("login", USERNAME, START)
    );
    assert_eq!(event.client_ip, Some(ip("192.0.2.1")));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_told_alike() {
    let console = Console::new();
    let mut wrong_name = console.login("nobody", PASSWORD).await;
    let mut wrong_password = console.login(USERNAME, "wrong").await;
    for answer in [&mut wrong_name, &mut wrong_password] {
        answer.is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
        answer.headers.remove("x-request-id");
    }
    assert_eq!(wrong_name.text, wrong_password.text);
    assert_eq!(wrong_name.headers, wrong_password.headers);
}

#[tokio::test]
async fn a_password_in_the_name_field_is_written_nowhere() {
    let console = Console::new();
    console
        .login(PASSWORD, "x")
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    assert_eq!(
        actions(&console),
        [("login_failed".to_owned(), "unknown".to_owned())]
    );
    let events = format!("{:?}", console.store.lock().events);
    assert!(!events.contains(PASSWORD), "{events}");
}

#[tokio::test]
async fn failures_lock_the_pair_out_and_only_those_before_leave_events() {
    let console = Console::new();
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        console
            .login(USERNAME, "wrong")
            .await
            .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    }
    for _ in 0..3 {
        let locked = console.login(USERNAME, PASSWORD).await;
        locked.is_problem(StatusCode::TOO_MANY_REQUESTS, "login_locked");
        assert_eq!(locked.headers[header::RETRY_AFTER], "1");
    }
    let failures = usize::try_from(FREE_FAILURES_PER_ACCOUNT_MAX).expect("small");
    assert_eq!(
        actions(&console),
        vec![("login_failed".to_owned(), USERNAME.to_owned()); failures]
    );

    let elsewhere = login_from(&console, [192, 0, 2, 99], USERNAME, PASSWORD).await;
    assert_eq!(
        elsewhere.status,
        StatusCode::OK,
        "the account itself is not locked"
    );

    console.clock.advance(Duration::from_secs(1));
    console
        .login(USERNAME, "wrong")
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    let locked = console.login(USERNAME, PASSWORD).await;
    assert_eq!(locked.headers[header::RETRY_AFTER], "2", "the delay grows");
    console.clock.advance(Duration::from_secs(2));
    assert_eq!(console.login(USERNAME, PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_operator_gets_in_while_the_store_is_away() {
    let console = Console::new();
    console.store.lock().failure = Some(StoreError::Unavailable("down".to_owned()));
    let answer = console.login(USERNAME, PASSWORD).await;
    assert_eq!(
        (answer.status, &answer.body["expires_in"]),
        (StatusCode::OK, &json!(600))
    );
    assert_eq!(
        answer.cookie(),
        "sentinel_refresh=",
        "there is nothing to refresh"
    );
    console
        .login(USERNAME, "wrong")
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    console
        .login("ann", PASSWORD)
        .await
        .is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");

    let token = answer.body["token"].as_str().expect("a token");
    let settings = async || {
        let answer = console.call(Method::GET, "/admin/api/settings", Some(token), &Value::Null);
        answer.await.status
    };
    assert_eq!(settings().await, StatusCode::OK);
    let end = console.call(Method::POST, "/admin/api/session/end", Some(token), &Value::Null);
    assert_eq!(end.await.status, StatusCode::NO_CONTENT);
    assert_eq!(settings().await, StatusCode::UNAUTHORIZED, "it was signed out");
}

#[tokio::test]
async fn what_is_sent_is_bounded_and_never_repeated() {
    let console = Console::new();
    let post = async |body: Value| console.call(Method::POST, "/admin/api/login", None, &body).await;
    for (body, field) in [
        (json!({"username": USERNAME}), "password"),
        (json!({"password": PASSWORD}), "username"),
        (json!({"username": USERNAME, "password": [PASSWORD]}), "password"),
        (json!({"username": [PASSWORD], "password": PASSWORD}), "username"),
        (
            json!({"username": USERNAME, "password": PASSWORD, "otp": [PASSWORD]}),
            "otp",
        ),
        (
            json!({"username": USERNAME, "password": PASSWORD, "otp": "0".repeat(OTP_BYTES_MAX + 1)}),
            "otp",
        ),
        (
            json!({"username": USERNAME, "password": PASSWORD, "token": PASSWORD}),
            "token",
        ),
        (
            json!({"username": PASSWORD.repeat(10), "password": PASSWORD}),
            "username",
        ),
        (
            json!({"username": USERNAME, "password": PASSWORD.repeat(100)}),
            "password",
        ),
    ] {
        let answer = post(body).await;
        answer.names_field(field);
        assert!(!answer.text.contains(PASSWORD), "{}", answer.text);
    }
    let longest = "x".repeat(PASSWORD_BYTES_MAX);
    console
        .login(USERNAME, &longest)
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_the_operator_a_bounded_time() {
    assert!(LOOKUP_WAIT_MAX * 2 + BEGIN_WAIT_MAX < REQUEST_TIME_MAX);
    let console = Console::new();
    console.accounts.fall_silent();
    let begun = tokio::time::Instant::now();
    let answer = console.login(USERNAME, PASSWORD).await;
    assert_eq!(
        (answer.status, &answer.body["expires_in"]),
        (StatusCode::OK, &json!(600))
    );
    assert!(begun.elapsed() < REQUEST_TIME_MAX);
    console
        .login(USERNAME, "wrong")
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
}
