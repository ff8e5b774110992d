//! Promises about the settings that change while the server runs.

use std::collections::BTreeMap;

use sentinel_core::ports::{SETTING_CHANGES_MAX, SettingChange, SettingsChanged, StoredSettings};

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

pub(crate) async fn the_history_says_who_changed_what(store: impl AnyStore) {
    assert_eq!(store.setting_changes(None, 10).await, Ok(Vec::new()));
    let first = changes([("policy.mode", Some("\"observe\"")), ("policy.slots", Some("3"))]);
    store.change_settings(0, first, actor(1)).await.unwrap();
    let second = changes([("policy.mode", None), ("policy.note", Some("\"\u{e9} \\u0000\""))]);
    store.change_settings(1, second, actor(2)).await.unwrap();
    // Neither of these is a change.
    store.change_settings(1, changes([]), actor(3)).await.unwrap();
    store.change_settings(2, changes([]), actor(4)).await.unwrap();

    let history = store.setting_changes(None, 10).await.unwrap();
    let change = |version, before, after| SettingChange {
        version,
        at: at(version),
        actor: "root".to_owned(),
        client_ip: Some(address("192.0.2.250")),
        before,
        after,
    };
    let note = "\"\u{e9} \\u0000\"";
    let expected = [
        change(
            2,
            changes([("policy.mode", Some("\"observe\"")), ("policy.note", None)]),
            changes([("policy.mode", None), ("policy.note", Some(note))]),
        ),
        change(
            1,
            changes([("policy.mode", None), ("policy.slots", None)]),
            changes([("policy.mode", Some("\"observe\"")), ("policy.slots", Some("3"))]),
        ),
    ];
    assert_eq!(history, expected);
}

/// Makes so many versions, the number of each as the setting's value.
async fn versions(store: &impl AnyStore, count: i64) {
    for version in 0..count {
        let value = (version + 1).to_string();
        let change = changes([("policy.slots", Some(value.as_str()))]);
        store
            .change_settings(version, change, actor(version))
            .await
            .unwrap();
    }
}

pub(crate) async fn the_history_comes_page_by_page(store: impl AnyStore) {
    versions(&store, 5).await;
    let page = async |before, limit| -> Vec<i64> {
        let page = store.setting_changes(before, limit).await.unwrap();
        page.iter().map(|change| change.version).collect()
    };
    assert_eq!(page(None, 2).await, [5, 4]);
    assert_eq!(page(Some(4), 2).await, [3, 2]);
    assert_eq!(page(Some(2), u32::MAX).await, [1]);
    assert_eq!(page(Some(i64::MIN), 2).await, [0; 0]);
    assert_eq!(page(None, 0).await, [0; 0]);
}

pub(crate) async fn every_version_is_found_as_it_was(store: impl AnyStore) {
    versions(&store, 2).await;
    let mode = changes([("policy.slots", None), ("policy.mode", Some("\"observe\""))]);
    store.change_settings(2, mode, actor(3)).await.unwrap();
    for expected in [
        StoredSettings::default(),
        stored(1, [("policy.slots", "1")]),
        stored(2, [("policy.slots", "2")]),
        stored(3, [("policy.mode", "\"observe\"")]),
    ] {
        assert_eq!(store.settings_at(expected.version).await, Ok(Some(expected)));
    }
    for version in [4, -1, i64::MAX, i64::MIN] {
        assert_eq!(store.settings_at(version).await, Ok(None), "{version}");
    }
}

pub(crate) async fn what_is_sentinels_own_stays_out_of_the_history(store: impl AnyStore) {
    let own = ("internal.check", Some("\"never-in-the-history\""));
    store.change_settings(0, changes([own]), actor(1)).await.unwrap();
    let both = changes([
        ("policy.slots", Some("2")),
        ("internal.check", Some("\"nor-this\"")),
    ]);
    store.change_settings(1, both, actor(2)).await.unwrap();
    let history = store.setting_changes(None, 10).await.unwrap();
    let names: Vec<Vec<&str>> = history
        .iter()
        .map(|change| change.after.keys().map(String::as_str).collect())
        .collect();
    assert_eq!(names, [vec!["policy.slots"], vec![]]);
    assert_eq!(history[0].before, changes([("policy.slots", None)]));
    assert_eq!(store.settings_at(1).await, Ok(Some(stored(1, []))));
    assert_eq!(
        store.settings_at(2).await,
        Ok(Some(stored(2, [("policy.slots", "2")])))
    );
}

pub(crate) async fn the_history_is_bounded(store: impl AnyStore) {
    let over = i64::from(SETTING_CHANGES_MAX) + 2;
    versions(&store, over).await;
    let oldest = store.setting_changes(Some(5), 10).await.unwrap();
    assert_eq!(
        oldest.iter().map(|change| change.version).collect::<Vec<_>>(),
        [4, 3]
    );
    assert_eq!(store.settings_at(2).await, Ok(None));
    assert!(store.settings_at(3).await.unwrap().is_some());
    assert!(store.settings_at(over).await.unwrap().is_some());
}
