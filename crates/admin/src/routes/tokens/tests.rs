use std::time::Duration;

use http::{Method, StatusCode};
use sentinel_core::account::{API_TOKENS_MAX, TOKEN_NAME_CHARACTERS_MAX};
use serde_json::{Value, json};

use crate::testing::{Answer, Console, START, USERNAME};

const PATH: &str = "/admin/api/tokens";

async fn made(console: &Console, role: &str, expires_at: Value) -> Answer {
    let body = json!({"name": "backup", "role": role, "expires_at": expires_at});
    console.post(PATH, &body).await
}

async fn get(console: &Console, token: &str, path: &str) -> Answer {
    console.call(Method::GET, path, Some(token), &Value::Null).await
}

#[tokio::test]
async fn a_token_is_shown_once_and_opens_what_its_role_may() {
    let console = Console::new();
    let answer = made(&console, "operator", Value::Null).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let token = answer.body["token"].as_str().expect("a token").to_owned();
    let whoami = get(&console, &token, "/admin/api/session").await;
    assert_eq!(
        (
            &whoami.body["account"]["name"],
            &whoami.body["account"]["role"],
            &whoami.body["session"]
        ),
        (&json!("token:backup"), &json!("operator"), &Value::Null)
    );
    assert_eq!(
        get(&console, &token, "/admin/api/bindings").await.status,
        StatusCode::OK
    );
    get(&console, &token, PATH)
        .await
        .is_problem(StatusCode::FORBIDDEN, "permission_denied");
    for (method, path) in [
        (Method::POST, "session/end"),
        (Method::POST, "account/second-factor"),
    ] {
        let path = format!("/admin/api/{path}");
        let answer = console.call(method, &path, Some(&token), &json!({})).await;
        answer.is_problem(StatusCode::FORBIDDEN, "account_not_changeable");
    }
    assert_eq!(
        get(&console, &token, "/admin/api/sessions").await.body["items"],
        json!([])
    );

    let list = console.get(PATH).await;
    assert_eq!(
        list.body["items"],
        json!([{"id": answer.body["id"], "name": "backup", "role": "operator", "hint": answer.body["hint"],
            "created_by": USERNAME, "created_at": START.rfc3339(), "expires_at": null, "last_used_at": START.rfc3339()}])
    );
    let written = format!("{} {:?}", list.text, console.accounts.events());
    assert!(
        written.contains("add_token") && !written.contains(&token),
        "{written}"
    );
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_or_is_taken_back() {
    let console = Console::new();
    let soon = START.plus(Duration::from_mins(10)).rfc3339();
    let expiring = made(&console, "viewer", json!(soon)).await.body["token"].clone();
    let other = made(&console, "viewer", Value::Null).await;
    let expiring = expiring.as_str().expect("a token");
    let lasting = other.body["token"].as_str().expect("a token");
    assert_eq!(
        get(&console, expiring, "/admin/api/settings").await.status,
        StatusCode::OK
    );
    console.clock.advance(Duration::from_mins(10));
    let answer = get(&console, expiring, "/admin/api/settings").await;
    answer.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    assert_eq!(
        get(&console, lasting, "/admin/api/settings").await.status,
        StatusCode::OK
    );

    let owner = console.token().await;
    let path = format!("{PATH}/{}", other.body["id"]);
    let taken = console
        .call(Method::DELETE, &path, Some(&owner), &Value::Null)
        .await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT);
    let answer = get(&console, lasting, "/admin/api/settings").await;
    answer.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    let again = console
        .call(Method::DELETE, &path, Some(&owner), &Value::Null)
        .await;
    again.is_problem(StatusCode::NOT_FOUND, "token_not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_named() {
    let console = Console::new();
    let long = "x".repeat(TOKEN_NAME_CHARACTERS_MAX + 1);
    for (name, role, expires_at, field) in [
        (" ", "viewer", None, "name"),
        (long.as_str(), "viewer", None, "name"),
        ("backup", "root", None, "role"),
        ("backup", "viewer", Some("tomorrow"), "expires_at"),
        ("backup", "viewer", Some("2027-01-15T08:00:00Z"), "expires_at"),
    ] {
        let body = json!({"name": name, "role": role, "expires_at": expires_at});
        console.post(PATH, &body).await.names_field(field);
    }
}

#[tokio::test]
async fn there_are_so_many_tokens_at_most() {
    let console = Console::new();
    let owner = console.token().await;
    let body = json!({"name": "backup", "role": "viewer"});
    for _ in 0..API_TOKENS_MAX {
        let added = console.call(Method::POST, PATH, Some(&owner), &body).await;
        assert_eq!(added.status, StatusCode::CREATED);
    }
    let more = console.call(Method::POST, PATH, Some(&owner), &body).await;
    more.is_problem(StatusCode::CONFLICT, "limit_reached");
}
