use std::time::Duration;

use http::{Method, StatusCode};
use sentinel_core::account::Role;
use sentinel_core::attempts::FREE_FAILURES_PER_ACCOUNT_MAX;
use sentinel_core::time::Clock as _;
use serde_json::{Value, json};

use crate::auth::second_factor::tests::code_at;
use crate::testing::{Answer, Console, PASSWORD};

const NEW_PASSWORD: &str = "another horse battery";

async fn call(console: &Console, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let path = format!("/admin/api/account/{path}");
    console.call(method, &path, Some(token), &body).await
}

async fn login(console: &Console, otp: &str) -> Answer {
    let body = json!({"username": "operator", "password": PASSWORD, "otp": otp});
    console.call(Method::POST, "/admin/api/login", None, &body).await
}

/// Sets a second factor up; gives the secret and the recovery codes.
async fn enrolled(console: &Console, token: &str) -> (String, Vec<String>) {
    let offered = call(console, token, Method::POST, "second-factor", json!({})).await;
    let secret = offered.body["secret"].as_str().expect("a secret").to_owned();
    let uri = offered.body["otpauth_uri"].as_str().expect("a URI");
    assert!(
        uri.starts_with("otpauth://totp/") && uri.contains(&secret),
        "{uri}"
    );
    let confirm = async |otp: &str| {
        call(
            console,
            token,
            Method::POST,
            "second-factor/confirm",
            json!({"otp": otp}),
        )
        .await
    };
    confirm("000000").await.names_field("otp");
    let confirmed = confirm(&code_at(&secret, console.clock.now())).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{confirmed:?}");
    let codes = confirmed.body["recovery_codes"].as_array().expect("codes");
    (
        secret,
        codes
            .iter()
            .filter_map(|code| code.as_str().map(str::to_owned))
            .collect(),
    )
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let console = Console::new();
    let (one, other) = (
        console.token_of(Role::Operator).await,
        console.token_of(Role::Operator).await,
    );
    let change = async |current: &str, new: &str| {
        call(
            &console,
            &one,
            Method::PUT,
            "password",
            json!({"current": current, "new": new}),
        )
        .await
    };
    change("wrong", NEW_PASSWORD)
        .await
        .is_problem(StatusCode::FORBIDDEN, "password_wrong");
    change(PASSWORD, "short").await.names_field("new");
    assert_eq!(
        change(PASSWORD, NEW_PASSWORD).await.status,
        StatusCode::NO_CONTENT
    );
    let opens = async |token: &str| {
        console
            .call(Method::GET, "/admin/api/session", Some(token), &Value::Null)
            .await
            .status
    };
    assert_eq!(
        (opens(&one).await, opens(&other).await),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    assert_eq!(
        console.login("operator", PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        console.login("operator", NEW_PASSWORD).await.status,
        StatusCode::OK
    );
    let written = format!("{:?}", console.accounts.events());
    assert!(
        written.contains("change_password") && !written.contains(NEW_PASSWORD),
        "{written}"
    );
}

#[tokio::test]
async fn a_token_in_wrong_hands_does_not_help_guessing_the_password() {
    let console = Console::new();
    let token = console.token_of(Role::Operator).await;
    let guess = json!({"current": "wrong", "new": NEW_PASSWORD});
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        let answer = call(&console, &token, Method::PUT, "password", guess.clone()).await;
        answer.is_problem(StatusCode::FORBIDDEN, "password_wrong");
    }
    let answer = call(&console, &token, Method::PUT, "password", guess).await;
    answer.is_problem(StatusCode::TOO_MANY_REQUESTS, "login_locked");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_taken_once() {
    let console = Console::new();
    let token = console.token_of(Role::Operator).await;
    let (secret, recovery) = enrolled(&console, &token).await;
    let required = console.login("operator", PASSWORD).await;
    required.is_problem(StatusCode::UNAUTHORIZED, "second_factor_required");
    console
        .login("operator", "wrong")
        .await
        .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");

    let used = code_at(&secret, console.clock.now());
    let again = login(&console, &used).await;
    again.is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    console.clock.advance(Duration::from_secs(30));
    let code = code_at(&secret, console.clock.now());
    assert_eq!(login(&console, &code).await.status, StatusCode::OK);
    assert_eq!(login(&console, &code).await.status, StatusCode::UNAUTHORIZED);

    assert_eq!(login(&console, &recovery[4]).await.status, StatusCode::OK);
    assert_eq!(
        login(&console, &recovery[4]).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        login(&console, &recovery[5].to_uppercase()).await.status,
        StatusCode::OK
    );

    let written = format!(
        "{:?} {:?}",
        console.accounts.events(),
        console.store.lock().events
    );
    assert!(written.contains("set_second_factor"), "{written}");
    let spent: Vec<String> = console
        .store
        .lock()
        .events
        .iter()
        .filter(|event| event.action == "recovery_code_used" && event.actor == "operator")
        .map(|event| event.detail.clone())
        .collect();
    let left = |fewer: usize| json!({"recovery_codes_left": recovery.len() - fewer}).to_string();
    assert_eq!(spent, [left(1), left(2)]);
    for secret in [&secret, &recovery[4], &code] {
        assert!(!written.contains(secret.as_str()), "{written}");
    }
}

#[tokio::test]
async fn codes_are_not_guessed_without_end() {
    let console = Console::new();
    let token = console.token_of(Role::Operator).await;
    enrolled(&console, &token).await;
    for _ in 0..FREE_FAILURES_PER_ACCOUNT_MAX {
        login(&console, "000000")
            .await
            .is_problem(StatusCode::UNAUTHORIZED, "credentials_invalid");
    }
    login(&console, "000000")
        .await
        .is_problem(StatusCode::TOO_MANY_REQUESTS, "login_locked");
}

#[tokio::test]
async fn a_second_factor_is_replaced_only_with_the_password() {
    let console = Console::new();
    let token = console.token_of(Role::Operator).await;
    let confirm = json!({"otp": "123456"});
    call(&console, &token, Method::POST, "second-factor/confirm", confirm)
        .await
        .names_field("otp");
    enrolled(&console, &token).await;
    let offered = call(&console, &token, Method::POST, "second-factor", json!({})).await;
    offered.is_problem(StatusCode::CONFLICT, "limit_reached");
    let remove = async |password: &str| {
        call(
            &console,
            &token,
            Method::DELETE,
            "second-factor",
            json!({"password": password}),
        )
        .await
    };
    remove("wrong")
        .await
        .is_problem(StatusCode::FORBIDDEN, "password_wrong");
    assert_eq!(remove(PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(console.login("operator", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_configured_account_is_not_changed_here() {
    let console = Console::new();
    let token = console.token().await;
    let body = json!({"current": PASSWORD, "new": NEW_PASSWORD});
    let answer = call(&console, &token, Method::PUT, "password", body).await;
    answer.is_problem(StatusCode::FORBIDDEN, "account_not_changeable");
    let answer = call(&console, &token, Method::POST, "second-factor", json!({})).await;
    answer.is_problem(StatusCode::FORBIDDEN, "account_not_changeable");
}
