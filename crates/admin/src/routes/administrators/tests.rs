use http::{Method, StatusCode};
use sentinel_core::account::Role;
use serde_json::{Value, json};

use crate::auth::password::PASSWORD_CHARACTERS_MIN;
use crate::testing::{Answer, Console, PASSWORD, START, USERNAME};

const PATH: &str = "/admin/api/administrators";

async fn opens(console: &Console, token: &str, path: &str) -> StatusCode {
    console
        .call(Method::GET, path, Some(token), &Value::Null)
        .await
        .status
}

async fn patch(console: &Console, id: i64, body: Value) -> Answer {
    let owner = console.token().await;
    console
        .call(Method::PATCH, &format!("{PATH}/{id}"), Some(&owner), &body)
        .await
}

#[tokio::test]
async fn an_administrator_is_added_signs_in_and_is_listed_after_the_configured_account() {
    let console = Console::new();
    let body = json!({"name": "ann", "role": "operator", "password": PASSWORD});
    let added = console.post(PATH, &body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    assert_eq!(
        console.login("ann", PASSWORD).await.body["account"]["role"],
        "operator"
    );
    let items = console.get(PATH).await.body["items"].clone();
    assert_eq!(
        items[0],
        json!({"id": null, "name": USERNAME, "role": "owner", "is_configured": true, "has_second_factor": false,
            "is_disabled": false, "external": null, "created_at": null, "last_sign_in_at": null})
    );
    assert_eq!(
        items[1],
        json!({"id": added.body["id"], "name": "ann", "role": "operator", "is_configured": false,
            "has_second_factor": false, "is_disabled": false, "external": null, "created_at": START.rfc3339(),
            "last_sign_in_at": START.rfc3339()})
    );
    for name in ["ann", "ANN", USERNAME, "Admin"] {
        let again = json!({"name": name, "role": "viewer", "password": PASSWORD});
        console
            .post(PATH, &again)
            .await
            .is_problem(StatusCode::CONFLICT, "name_taken");
    }
    let event = console.accounts.events().remove(0);
    assert_eq!(
        (event.action.as_str(), event.actor.as_str()),
        ("add_administrator", USERNAME)
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_addition_is_named() {
    let console = Console::new();
    let short = "x".repeat(PASSWORD_CHARACTERS_MIN - 1);
    for (name, role, password, field) in [
        ("a b", "viewer", PASSWORD, "name"),
        ("cli", "viewer", PASSWORD, "name"),
        ("ann", "root", PASSWORD, "role"),
        ("ann", "viewer", short.as_str(), "password"),
    ] {
        let body = json!({"name": name, "role": role, "password": password});
        console.post(PATH, &body).await.names_field(field);
    }
}

#[tokio::test]
async fn a_lowered_or_disabled_account_is_refused_at_once() {
    let console = Console::new();
    let id = console.add_administrator(Role::Owner).await;
    let token = console.token_of(Role::Owner).await;
    assert_eq!(opens(&console, &token, PATH).await, StatusCode::OK);
    let lowered = patch(&console, id, json!({"role": "viewer"})).await;
    assert_eq!(lowered.body["role"], "viewer");
    assert_eq!(opens(&console, &token, PATH).await, StatusCode::FORBIDDEN);
    assert_eq!(
        opens(&console, &token, "/admin/api/settings").await,
        StatusCode::OK
    );
    let disabled = patch(&console, id, json!({"is_disabled": true})).await;
    assert_eq!(disabled.body["is_disabled"], true);
    assert_eq!(
        opens(&console, &token, "/admin/api/settings").await,
        StatusCode::UNAUTHORIZED
    );
    let refused = console.login("owner", PASSWORD).await;
    refused.is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    patch(&console, id, json!({"is_disabled": false})).await;
    assert_eq!(
        console.login("owner", PASSWORD).await.body["account"]["role"],
        "viewer"
    );
}

#[tokio::test]
async fn a_raised_role_holds_from_the_next_token_on() {
    let console = Console::new();
    let id = console.add_administrator(Role::Viewer).await;
    let login = console.login("viewer", PASSWORD).await;
    let token = login.body["token"].as_str().expect("a token");
    patch(&console, id, json!({"role": "owner"})).await;
    assert_eq!(opens(&console, token, PATH).await, StatusCode::FORBIDDEN);
    let refreshed = console.refresh(&login.cookie()).await;
    let token = refreshed.body["token"].as_str().expect("a token");
    assert_eq!(opens(&console, token, PATH).await, StatusCode::OK);
}

#[tokio::test]
async fn resets_and_removal_end_sessions() {
    let console = Console::new();
    let id = console.add_administrator(Role::Viewer).await;
    for (method, action, body) in [
        (Method::POST, "/reset-second-factor", json!({})),
        (Method::POST, "/reset-password", json!({"password": PASSWORD})),
        (Method::DELETE, "", Value::Null),
    ] {
        let token = console.token_of(Role::Viewer).await;
        let owner = console.token().await;
        let path = format!("{PATH}/{id}{action}");
        let done = console.call(method.clone(), &path, Some(&owner), &body).await;
        assert!(done.status.is_success(), "{done:?}");
        assert_eq!(
            opens(&console, &token, "/admin/api/settings").await,
            StatusCode::UNAUTHORIZED
        );
    }
    let gone = patch(&console, id, json!({"role": "viewer"})).await;
    gone.is_problem(StatusCode::NOT_FOUND, "administrator_not_found");
    let actions: Vec<String> = console
        .accounts
        .events()
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert_eq!(
        actions,
        [
            "add_administrator",
            "reset_second_factor",
            "reset_password",
            "remove_administrator"
        ]
    );
}
