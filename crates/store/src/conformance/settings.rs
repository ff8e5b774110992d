//! Promises about the settings that change while the server runs.

use std::collections::BTreeMap;

use sentinel_core::ports::{SettingsChanged, StoredSettings};

use super::{AnyStore, actor, address, at};

fn changes<const COUNT: usize>(changes: [(&str, Option<&str>); COUNT]) -> BTreeMap<String, Option<String>> {
    let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
    changes.into_iter().map(owned).collect()
}

fn stored<const COUNT: usize>(version: i64, values: [(&str, &str); COUNT]) -> StoredSettings {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    StoredSettings {
        version,
        values: values.into_iter().map(owned).collect(),
    }
}

pub(crate) async fn nothing_was_ever_changed(store: impl AnyStore) {
    assert_eq!(store.settings().await, Ok(StoredSettings::default()));
    assert_eq!(store.settings().await.unwrap().version, 0);
}

pub(crate) async fn settings_are_set_and_taken_back_together(store: impl AnyStore) {
    let first = changes([("policy.mode", Some("\"observe\"")), ("policy.slots", Some("3"))]);
    let expected = stored(1, [("policy.mode", "\"observe\""), ("policy.slots", "3")]);
    assert_eq!(
        store.change_settings(0, first, actor(1)).await,
        Ok(SettingsChanged::Done(expected.clone()))
    );
    assert_eq!(store.settings().await, Ok(expected));

    let second = changes([
        ("policy.mode", None),
        ("policy.slots", Some("4")),
        ("store.archive_days", None),
    ]);
    let expected = stored(2, [("policy.slots", "4")]);
    assert_eq!(
        store.change_settings(1, second, actor(2)).await,
        Ok(SettingsChanged::Done(expected.clone()))
    );
    assert_eq!(store.settings().await, Ok(expected));
}

pub(crate) async fn a_change_needs_the_stored_version(store: impl AnyStore) {
    let slots = |value| changes([("policy.slots", Some(value))]);
    store.change_settings(0, slots("2"), actor(1)).await.unwrap();
    let expected = stored(1, [("policy.slots", "2")]);
    for version in [0, 2, -1, i64::MAX] {
        assert_eq!(
            store.change_settings(version, slots("9"), actor(2)).await,
            Ok(SettingsChanged::Outdated(expected.clone()))
        );
    }
    assert_eq!(store.settings().await, Ok(expected));
    assert_eq!(store.newest(10).await.unwrap().len(), 1);
}

pub(crate) async fn no_change_is_no_change(store: impl AnyStore) {
    let nothing = BTreeMap::new();
    assert_eq!(
        store.change_settings(0, nothing, actor(1)).await,
        Ok(SettingsChanged::Done(StoredSettings::default()))
    );
    assert_eq!(store.newest(10).await, Ok(Vec::new()));
}

pub(crate) async fn one_of_many_concurrent_changes_is_made(store: impl AnyStore) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let value = number.to_string();
            let change = changes([("policy.slots", Some(value.as_str()))]);
            match store.change_settings(0, change, actor(number)).await {
                Ok(SettingsChanged::Done(stored)) => Some(stored),
                Ok(SettingsChanged::Outdated(stored)) => {
                    assert_eq!(stored.version, 1);
                    None
                }
                Err(error) => panic!("the store works: {error}"),
            }
        });
    }
    let made: Vec<StoredSettings> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.settings().await.as_ref(), Ok(&made[0]));
}

pub(crate) async fn a_change_leaves_an_event_with_before_and_after(store: impl AnyStore) {
    let first = changes([("policy.mode", Some("\"observe\"")), ("policy.slots", Some("3"))]);
    store.change_settings(0, first, actor(1)).await.unwrap();
    let second = changes([("policy.mode", None), ("store.archive_days", Some("30"))]);
    store.change_settings(1, second, actor(2)).await.unwrap();

    let events = store.newest(10).await.unwrap();
    assert_eq!(events.len(), 2);
    let event = &events[0];
    assert_eq!(
        (event.at, event.actor.as_str(), event.action.as_str()),
        (at(2), "root", "change_settings")
    );
    assert_eq!(event.client_ip, Some(address("192.0.2.250")));
    let detail: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(
        detail,
        serde_json::json!({
            "version": 2,
            "before": {"policy.mode": "observe", "store.archive_days": null},
            "after": {"policy.mode": null, "store.archive_days": 30},
        })
    );
}
