use http::{Method, StatusCode};
use sentinel_core::ports::StoreError;
use serde_json::{Map, Value, json};

use super::CHANGES_MAX;
use crate::settings::{SettingsRefused, WrongSetting};
use crate::testing::{Console, USERNAME};

const PATH: &str = "/admin/api/settings";

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
    assert_eq!(console.get(PATH).await.body, answer.body);
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
