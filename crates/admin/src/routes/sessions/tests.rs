use std::time::Duration;

use http::{Method, StatusCode};
use sentinel_core::account::Role;
use sentinel_core::account::session::{SESSIONS_PER_ACCOUNT_MAX, SESSIONS_SHOWN_MAX, SessionId};
use serde_json::{Value, json};

use crate::auth::recent::RECENT_LIFE_MAX;
use crate::testing::{Console, PASSWORD};

#[tokio::test]
async fn everybody_sees_and_ends_their_own_and_an_owner_all() {
    let console = Console::new();
    let owner = console.token().await;
    let viewer = console.token_of(Role::Viewer).await;
    let operator = console.token_of(Role::Operator).await;
    let list = async |token: &str| {
        let answer = console
            .call(Method::GET, "/admin/api/sessions", Some(token), &Value::Null)
            .await;
        answer.body["items"].as_array().cloned().unwrap_or_default()
    };
    let end = async |token: &str, id: &str| {
        let path = format!("/admin/api/sessions/{id}");
        console
            .call(Method::DELETE, &path, Some(token), &Value::Null)
            .await
    };

    let own = list(&viewer).await;
    assert_eq!(own.len(), 1);
    assert_eq!(
        (&own[0]["account"], &own[0]["is_current"]),
        (&"viewer".into(), &true.into())
    );
    assert_eq!(own[0]["client_ip"], "192.0.2.1");
    let all = list(&owner).await;
    let accounts: Vec<&str> = all.iter().filter_map(|item| item["account"].as_str()).collect();
    assert_eq!(accounts, ["operator", "viewer", "admin"]);

    let viewers = own[0]["id"].as_str().expect("an id");
    for token in [&operator, &owner, &viewer] {
        let absent = end(token, &"0".repeat(32)).await;
        absent.is_problem(StatusCode::NOT_FOUND, "session_not_found");
        end(token, "nonsense")
            .await
            .is_problem(StatusCode::NOT_FOUND, "session_not_found");
    }
    end(&operator, viewers)
        .await
        .is_problem(StatusCode::NOT_FOUND, "session_not_found");
    assert_eq!(list(&viewer).await.len(), 1);
    assert_eq!(end(&owner, viewers).await.status, StatusCode::NO_CONTENT);
    let refused = console
        .call(Method::GET, "/admin/api/sessions", Some(&viewer), &Value::Null)
        .await;
    refused.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
    let event = console.accounts.events().pop().expect("written");
    assert_eq!(
        (event.action.as_str(), event.actor.as_str()),
        ("end_session", "admin")
    );
    assert!(event.detail.contains("viewer"), "{}", event.detail);
}

#[tokio::test]
async fn an_account_has_so_many_sessions_and_a_list_shows_so_many() {
    let console = Console::new();
    let first = console.token().await;
    for _ in 0..SESSIONS_PER_ACCOUNT_MAX {
        console.clock.advance(Duration::from_secs(1));
        console.token().await;
    }
    let shown = async |token: &str| {
        let answer = console
            .call(Method::GET, "/admin/api/sessions", Some(token), &Value::Null)
            .await;
        answer.body["items"].as_array().map(Vec::len)
    };
    console.clock.advance(RECENT_LIFE_MAX);
    assert_eq!(
        shown(&first).await,
        None,
        "the one that was seen longest ago is over"
    );
    let token = console.token().await;
    assert_eq!(shown(&token).await, Some(SESSIONS_PER_ACCOUNT_MAX));
    for number in 0..SESSIONS_SHOWN_MAX / SESSIONS_PER_ACCOUNT_MAX {
        let name = format!("a{number}");
        let body = json!({"name": name, "role": "viewer", "password": PASSWORD});
        let owner = console
            .call(Method::POST, "/admin/api/administrators", Some(&token), &body)
            .await;
        assert_eq!(owner.status, StatusCode::CREATED);
    }
    for number in 0..SESSIONS_SHOWN_MAX / SESSIONS_PER_ACCOUNT_MAX {
        for begun in 0..SESSIONS_PER_ACCOUNT_MAX {
            let id = SessionId::from_bytes(
                u128::try_from(number * 1_000 + begun)
                    .expect("small")
                    .to_be_bytes(),
            );
            console.begin_session_of(&format!("a{number}"), id).await;
        }
    }
    assert_eq!(shown(&token).await, Some(SESSIONS_SHOWN_MAX));
}
