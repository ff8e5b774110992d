use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use sentinel_core::account::Role;
use sentinel_core::account::session::{REFRESH_AGAIN_MAX, Whose};
use sentinel_core::ports::{AccountStore as _, StoreError};
use sentinel_core::time::Clock as _;
use serde_json::{Value, json};

use crate::auth::recent::RECENT_LIFE_MAX;
use crate::testing::{Answer, Console, PASSWORD, USERNAME};

async fn status(console: &Console, token: &str) -> StatusCode {
    let answer = console.call(Method::GET, "/admin/api/session", Some(token), &Value::Null);
    answer.await.status
}

fn token_of(answer: &Answer) -> String {
    answer.body["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_session_says_who_and_what_one_may_do() {
    let console = Console::new();
    let answer = console.get("/admin/api/session").await;
    assert_eq!(
        answer.body["account"],
        json!({"id": null, "name": USERNAME, "role": "owner", "has_second_factor": false, "is_configured": true,
            "is_external": false})
    );
    assert_eq!(answer.body["session"]["id"].as_str().map(str::len), Some(32));
    let id = console.add_administrator(Role::Viewer).await;
    let viewer = console.token_of(Role::Viewer).await;
    let answer = console
        .call(Method::GET, "/admin/api/session", Some(&viewer), &Value::Null)
        .await;
    assert_eq!(
        answer.body["account"],
        json!({"id": id, "name": "viewer", "role": "viewer", "has_second_factor": false, "is_configured": false,
            "is_external": false})
    );
    let permissions = answer.body["permissions"].as_array().expect("a list");
    assert!(
        permissions.contains(&json!("bindings.read")) && !permissions.contains(&json!("bindings.change"))
    );
}

#[tokio::test]
async fn a_refresh_takes_the_cookie_once_and_gives_the_next() {
    let console = Console::new();
    console.add_administrator(Role::Operator).await;
    let login = console.login("operator", PASSWORD).await;
    assert_eq!(
        login.body["account"],
        json!({"name": "operator", "role": "operator"})
    );
    let first = login.cookie();

    console.clock.advance(Duration::from_hours(2));
    assert_eq!(
        status(&console, &token_of(&login)).await,
        StatusCode::UNAUTHORIZED
    );
    let refreshed = console.refresh(&first).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let second = refreshed.cookie();
    assert_ne!(first, second);
    assert_eq!(status(&console, &token_of(&refreshed)).await, StatusCode::OK);

    let again = console.refresh(&first).await;
    assert_eq!(
        (again.status, again.cookie()),
        (StatusCode::OK, second.clone()),
        "two windows at once"
    );
    console.clock.advance(REFRESH_AGAIN_MAX + Duration::from_secs(1));
    let copied = console.refresh(&first).await;
    copied.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    assert_eq!(copied.cookie(), "sentinel_refresh=");
    assert_eq!(
        status(&console, &token_of(&refreshed)).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(console.refresh(&second).await.status, StatusCode::UNAUTHORIZED);
    let events = console.accounts.events();
    assert_eq!(
        events.last().map(|event| event.action.as_str()),
        Some("refresh_reused")
    );
}

#[tokio::test]
async fn a_refresh_needs_its_header_and_a_cookie_that_we_made() {
    let console = Console::new();
    let cookie = console.login(USERNAME, PASSWORD).await.cookie();
    for value in [None, Some("0"), Some("")] {
        let mut request = Request::post("/admin/api/session/refresh").header(header::COOKIE, &cookie);
        if let Some(value) = value {
            request = request.header("x-sentinel-console", value);
        }
        let answer = console.send(request.body(Body::empty()).expect("good")).await;
        answer.is_problem(StatusCode::FORBIDDEN, "console_header_required");
    }
    for forged in [
        "",
        "sentinel_refresh=",
        &cookie.replace(".1.", ".2."),
        &cookie[..cookie.len() - 2],
    ] {
        console
            .refresh(forged)
            .await
            .is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    }
    assert_eq!(console.refresh(&cookie).await.status, StatusCode::OK);
    console.store.lock().failure = Some(StoreError::Busy);
    let away = console.refresh(&cookie).await;
    away.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_busy");
    assert!(
        !away.headers.contains_key(header::SET_COOKIE),
        "the cookie may be good"
    );
}

#[tokio::test]
async fn a_session_that_is_signed_out_is_over_at_once() {
    let console = Console::new();
    for role in [None, Some(Role::Viewer)] {
        if let Some(role) = role {
            console.add_administrator(role).await;
        }
        let login = console.login(role.map_or(USERNAME, Role::as_str), PASSWORD).await;
        let token = token_of(&login);
        assert_eq!(status(&console, &token).await, StatusCode::OK);
        let end = console
            .call(Method::POST, "/admin/api/session/end", Some(&token), &Value::Null)
            .await;
        assert_eq!(
            (end.status, end.cookie()),
            (StatusCode::NO_CONTENT, "sentinel_refresh=".to_owned())
        );
        assert_eq!(status(&console, &token).await, StatusCode::UNAUTHORIZED);
        assert_eq!(
            console.refresh(&login.cookie()).await.status,
            StatusCode::UNAUTHORIZED
        );
        let events = console.accounts.events();
        assert_eq!(events.last().map(|event| event.action.as_str()), Some("logout"));
    }
}

#[tokio::test]
async fn what_another_replica_ended_is_over_within_seconds() {
    let console = Console::new();
    let token = console.token().await;
    assert_eq!(status(&console, &token).await, StatusCode::OK);
    // Past this replica's router, as another one would do it.
    let now = console.clock.now();
    let actor = sentinel_core::event::Actor {
        name: "elsewhere".to_owned(),
        client_ip: None,
        at: now,
    };
    let sessions = console
        .accounts
        .sessions(Whose::Everybodys, now)
        .await
        .expect("works");
    let ended = console
        .accounts
        .end_session(sessions[0].id, Whose::Everybodys, "end_session", actor);
    assert!(ended.await.expect("works").is_some());
    assert_eq!(status(&console, &token).await, StatusCode::OK, "not heard of yet");
    console.clock.advance(RECENT_LIFE_MAX);
    assert_eq!(status(&console, &token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_goes_on_with_a_session_that_cannot_be_asked_for() {
    let console = Console::new();
    let token = console.token().await;
    console.store.lock().failure = Some(StoreError::Unavailable("down".to_owned()));
    assert_eq!(status(&console, &token).await, StatusCode::SERVICE_UNAVAILABLE);
    console.store.lock().failure = None;
    assert_eq!(status(&console, &token).await, StatusCode::OK);
}
