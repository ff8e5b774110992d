use http::{Method, StatusCode};
use sentinel_core::account::Role;
use sentinel_core::ports::StoreError;
use serde_json::{Map, Value, json};

use super::CHANGES_MAX;
use crate::settings::{SettingsRefused, WrongSetting};
use crate::testing::{Console, USERNAME};

const PATH: &str = "/admin/api/settings";
const HISTORY: &str = "/admin/api/settings/history";
const ROLLBACK: &str = "/admin/api/settings/rollback";

#[tokio::test]
async fn settings_say_where_they_come_from_and_whether_they_may_change() {
    let answer = Console::new().get(PATH).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        json!({"version": 0, "items": [{
            "name": "policy.slots", "value": 1, "source": "default", "live": true, "default": "1", "is_secret": false,
            "schema": {"type": "integer", "enum": null, "minimum": 1, "maximum": 64},
            "wanted": "a whole number", "help": "How many networks."
        }]})
    );
}

#[tokio::test]
async fn a_change_is_answered_with_all_settings_as_they_are_then() {
    let console = Console::new();
    let body = json!({"version": 0, "values": {"policy.slots": 3}});
    let answer = console.put(PATH, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["version"], 1);
    assert_eq!(answer.body["items"][0]["value"], 3);
    assert_eq!(answer.body["items"][0]["source"], "database");
    assert_eq!(console.settings.actors(), [USERNAME]);

    let back = json!({"version": 1, "values": {"policy.slots": null}});
    let answer = console.put(PATH, &back).await;
    assert_eq!(answer.body["items"][0]["value"], 1);
    assert_eq!(answer.body["items"][0]["source"], "default");
    let now = console.get(PATH).await.body;
    assert_eq!(
        (&now["version"], &now["items"]),
        (&answer.body["version"], &answer.body["items"])
    );
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_different_and_changes_nothing() {
    let console = Console::new();
    let before = console.get(PATH).await.body;
    let body = json!({"version": 0, "values": {"policy.slots": 3}, "dry_run": true});
    let answer = console.put(PATH, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let change = json!({"name": "policy.slots", "before": 1, "after": 3, "before_source": "default", "after_source": "database"});
    assert_eq!(answer.body["changes"], json!([change]));
    assert_eq!(console.get(PATH).await.body, before);
    assert_eq!(
        console.get(HISTORY).await.body,
        json!({"items": [], "next_before": null})
    );
    let stale = json!({"version": 1, "values": {"policy.slots": 3}, "dry_run": true});
    console
        .put(PATH, &stale)
        .await
        .is_problem(StatusCode::CONFLICT, "settings_outdated");
}

#[tokio::test]
async fn the_history_says_who_changed_what_from_where_page_by_page() {
    let console = Console::new();
    for version in 0..3 {
        let body = json!({"version": version, "values": {"policy.slots": version + 2}});
        assert_eq!(console.put(PATH, &body).await.status, StatusCode::OK);
    }
    let first = console.get(&format!("{HISTORY}?limit=2")).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(
        first.body["items"][0],
        json!({
            "id": 3, "version": 3, "at": "2027-01-15T08:00:00Z", "actor": USERNAME, "client_ip": "192.0.2.1",
            "changes": [{"name": "policy.slots", "before": "3", "after": "4", "is_hidden": false}],
        })
    );
    assert_eq!(first.body["next_before"], 2);
    let last = console.get(&format!("{HISTORY}?limit=2&before=2")).await.body;
    assert_eq!(
        (&last["items"][0]["version"], &last["next_before"]),
        (&json!(1), &Value::Null)
    );
    for (query, field) in [
        ("before=x", "before"),
        ("limit=201", "limit"),
        ("actor=x", "actor"),
    ] {
        console
            .get(&format!("{HISTORY}?{query}"))
            .await
            .names_field(field);
    }
}

#[tokio::test]
async fn there_is_a_way_back_to_an_earlier_version() {
    let console = Console::new();
    let body = json!({"version": 0, "values": {"policy.slots": 3}});
    assert_eq!(console.put(PATH, &body).await.status, StatusCode::OK);
    let rehearsal = console
        .post(ROLLBACK, &json!({"version": 1, "to": 0, "dry_run": true}))
        .await;
    assert_eq!(rehearsal.body["changes"][0]["after"], 1, "{rehearsal:?}");
    assert_eq!(rehearsal.body["items"][0]["value"], 3);
    let answer = console.post(ROLLBACK, &json!({"version": 1, "to": 0})).await;
    assert_eq!(
        (answer.status, &answer.body["items"][0]["value"]),
        (StatusCode::OK, &json!(1))
    );
    assert_eq!(answer.body["version"], 2);
    let history = console.get(HISTORY).await.body;
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2));

    let stale = console.post(ROLLBACK, &json!({"version": 1, "to": 0})).await;
    stale.is_problem(StatusCode::CONFLICT, "settings_outdated");
    let unknown = console.post(ROLLBACK, &json!({"version": 2, "to": 9})).await;
    unknown.is_problem(StatusCode::NOT_FOUND, "settings_version_not_found");
    for (body, field) in [
        (json!({"version": 2}), "to"),
        (json!({"version": 2, "to": "0"}), "to"),
        (json!({"version": 2, "to": 1e300}), "to"),
        (json!({"version": 2, "to": 0, "values": {}}), "values"),
        (json!({"version": 2, "to": 0, "dry_run": "yes"}), "dry_run"),
    ] {
        console.post(ROLLBACK, &body).await.names_field(field);
    }
}

#[tokio::test]
async fn an_operator_looks_at_the_history_and_changes_nothing() {
    let console = Console::new();
    for role in [Role::Viewer, Role::Operator] {
        let token = console.token_of(role).await;
        let history = console
            .call(Method::GET, HISTORY, Some(&token), &Value::Null)
            .await;
        assert_eq!(history.status, StatusCode::OK);
        for dry_run in [true, false] {
            let body = json!({"version": 0, "to": 0, "dry_run": dry_run});
            let answer = console.call(Method::POST, ROLLBACK, Some(&token), &body).await;
            answer.is_problem(StatusCode::FORBIDDEN, "permission_denied");
            let body = json!({"version": 0, "values": {"policy.slots": 3}, "dry_run": dry_run});
            let answer = console.call(Method::PUT, PATH, Some(&token), &body).await;
            answer.is_problem(StatusCode::FORBIDDEN, "permission_denied");
        }
    }
}

#[tokio::test]
async fn somebody_elses_change_in_between_is_a_conflict() {
    let console = Console::new();
    let body = json!({"version": 7, "values": {"policy.slots": 3}});
    let answer = console.put(PATH, &body).await;
    answer.is_problem(StatusCode::CONFLICT, "settings_outdated");
    assert_eq!(console.get(PATH).await.body["items"][0]["value"], 1);
}

#[tokio::test]
async fn every_wrong_setting_is_named() {
    let console = Console::new();
    let wrong = |name: &str, detail: &str| WrongSetting {
        name: name.to_owned(),
        detail: detail.to_owned(),
    };
    console.settings.refuse(SettingsRefused::Wrong(vec![
        wrong("policy.slots", "wanted a whole number"),
        wrong("policy.\u{1b}", "is no setting"),
    ]));
    let body = json!({"version": 0, "values": {"policy.slots": "many", "policy.\u{1b}": 1}});
    let answer = console.put(PATH, &body).await;
    answer.names_field("policy.slots");
    assert_eq!(
        answer.body["errors"],
        json!([
            {"field": "policy.slots", "detail": "wanted a whole number"},
            {"field": "policy.\\u{1b}", "detail": "is no setting"},
        ])
    );
}

#[tokio::test]
async fn a_store_that_is_away_is_said() {
    let console = Console::new();
    let away = StoreError::Unavailable("connect to 10.0.0.1".to_owned());
    console.settings.refuse(SettingsRefused::Store(away));
    let body = json!({"version": 0, "values": {"policy.slots": 2}});
    let answer = console.put(PATH, &body).await;
    answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable");
}

#[tokio::test]
async fn a_change_holds_something_and_not_too_much() {
    let console = Console::new();
    let with = |count: usize| {
        let values: Map<String, Value> = (0..count)
            .map(|number| (format!("a.{number}"), Value::Null))
            .collect();
        json!({"version": 0, "values": values})
    };
    assert_eq!(console.put(PATH, &with(CHANGES_MAX)).await.status, StatusCode::OK);
    for count in [0, CHANGES_MAX + 1] {
        console.put(PATH, &with(count)).await.names_field("values");
    }
    for body in [
        json!({"values": {"policy.slots": 1}}),
        json!({"version": 0, "values": {}, "force": true}),
        json!({"version": 0, "values": []}),
    ] {
        let answer = console.put(PATH, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    }
    let anonymous = console.call(Method::PUT, PATH, None, &with(1)).await;
    anonymous.is_problem(StatusCode::UNAUTHORIZED, "sign_in_required");
}
