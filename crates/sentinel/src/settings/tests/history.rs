//! Rehearsals, the history, and the way back.

use sentinel_admin::StoredDifference;

use super::*;

fn rehearsed(change: SettingsChange) -> SettingsChange {
    SettingsChange {
        is_rehearsal: true,
        ..change
    }
}

fn one(name: &str, value: &Value) -> BTreeMap<String, Option<Value>> {
    [(name.to_owned(), Some(value.clone()))].into_iter().collect()
}

/// Stores past the checks of this version, as another version might.
async fn stored_elsewhere(store: &MemoryStore, version: i64, name: &str, json: &str) {
    let values = [(name.to_owned(), Some(json.to_owned()))];
    let outcome = store
        .change_settings(version, values.into_iter().collect(), actor(0))
        .await;
    assert!(matches!(outcome, Ok(SettingsChanged::Done(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_rehearsal_is_judged_and_changes_nothing() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    let outcome = here
        .change(rehearsed(values(0, slots(&json!(3)))), actor(1))
        .await;
    let outcome = outcome.expect("a good one");
    let expected = SettingDifference {
        name: "policy.slots".to_owned(),
        before: json!("1"),
        after: json!("3"),
        before_source: SettingSource::Default,
        after_source: SettingSource::Database,
    };
    assert_eq!(outcome.changes, [expected]);
    assert_eq!(shown_slots(&outcome.items).0, json!("1"));
    for wrong in [json!(65), json!(1e300), json!("9".repeat(4_000)), json!({"a": 1})] {
        let refused = here.change(rehearsed(values(0, slots(&wrong))), actor(1)).await;
        assert!(matches!(refused, Err(SettingsRefused::Wrong(_))), "{refused:?}");
    }
    assert_eq!(here.now().rules.slots, 1);
    assert_eq!(store.settings().await, Ok(StoredSettings::default()));
    assert_eq!(store.newest(10).await, Ok(Vec::new()));
    assert!(announced.0.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_way_back_is_a_new_version_and_reaches_the_other_replicas() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let (here, elsewhere) = (replica(&store, &announced), replica(&store, &announced));
    here.change(values(0, slots(&json!(3))), actor(1))
        .await
        .expect("a good one");
    let both = [("policy.slots", json!(5)), ("policy.mode", json!("observe"))];
    let both = both.map(|(name, value)| (name.to_owned(), Some(value)));
    here.change(values(1, both.into_iter().collect()), actor(2))
        .await
        .expect("a good one");

    let back = elsewhere
        .change(rollback(2, 1), actor(3))
        .await
        .expect("there is one");
    let changed: Vec<&str> = back.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!((back.version, changed), (3, vec!["policy.mode", "policy.slots"]));
    assert_eq!(shown_slots(&back.items), (json!("3"), SettingSource::Database));
    here.refresh().await.expect("the store works");
    assert_eq!(
        (here.now().rules.slots, here.now().rules.mode),
        (3, Mode::Enforce)
    );
    assert_eq!(announced.0.lock().expect("no panic").len(), 3);

    // To what holds already: nothing is made of it.
    let same = here.change(rollback(3, 1), actor(4)).await.expect("there is one");
    assert_eq!((same.version, same.changes.len()), (3, 0));
    assert_eq!(announced.0.lock().expect("no panic").len(), 3);
    // To nothing at all, and to what never was.
    let first = here.change(rollback(3, 0), actor(5)).await.expect("always there");
    assert_eq!(shown_slots(&first.items), (json!("1"), SettingSource::Default));
    for never in [5, -1, i64::MAX] {
        let refused = here.change(rollback(4, never), actor(6)).await;
        assert_eq!(refused, Err(SettingsRefused::NoSuchVersion));
    }
    let history = here.history(None, 10).await.expect("the store works");
    let made: Vec<_> = history
        .iter()
        .map(|change| (change.version, change.at.unix_ms()))
        .collect();
    assert_eq!(made, [(4, 5), (3, 3), (2, 2), (1, 1)]);
}

#[tokio::test]
async fn a_version_that_this_one_refuses_is_no_way_back() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    stored_elsewhere(&store, 0, "policy.slots", "65").await;
    here.change(values(1, slots(&json!(3))), actor(1))
        .await
        .expect("a good one");
    let refused = here.change(rollback(2, 1), actor(2)).await;
    assert!(
        matches!(&refused, Err(SettingsRefused::Wrong(wrong)) if wrong[0].name == "policy.slots"),
        "{refused:?}"
    );
    assert_eq!((here.now().rules.slots, here.in_effect().version), (3, 2));
}

#[tokio::test]
async fn what_cannot_change_here_stays_as_it_is_on_the_way_back() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    // The environment fixes the second one here, this version does not know the third, and the fourth is Sentinel's own.
    for (version, (name, json)) in [
        ("policy.slots", "3"),
        ("policy.keyless", "\"pass\""),
        ("policy.colour", "\"blue\""),
        ("internal.check", "\"x\""),
    ]
    .into_iter()
    .enumerate()
    {
        stored_elsewhere(&store, i64::try_from(version).expect("few"), name, json).await;
    }
    here.change(rollback(4, 0), actor(1)).await.expect("there is one");
    let left = store.settings().await.expect("memory works").values;
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        ["internal.check", "policy.colour", "policy.keyless"]
    );
}

#[tokio::test]
async fn of_many_changes_out_of_one_version_one_is_made() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let replicas = [replica(&store, &announced), replica(&store, &announced)].map(Arc::new);
    replicas[0]
        .change(values(0, slots(&json!(2))), actor(0))
        .await
        .expect("a good one");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16_i64 {
        let here = Arc::clone(&replicas[usize::from(number % 2 == 0)]);
        let change = match number % 3 {
            0 => rollback(1, 0),
            _ => values(1, slots(&json!(number + 3))),
        };
        tasks.spawn(async move { here.change(change, actor(number)).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = outcomes.into_iter().filter_map(Result::err);
    assert!(
        refused
            .into_iter()
            .all(|refused| refused == SettingsRefused::Outdated)
    );
    assert_eq!(store.settings().await.expect("memory works").version, 2);
}

#[tokio::test]
async fn the_history_keeps_to_itself_what_may_be_secret() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    here.change(values(0, one("policy.mode", &json!("observe"))), actor(1))
        .await
        .expect("a good one");
    for (version, name) in [
        (1, "policy.colour"),
        (2, "admin.password"),
        (3, "internal.hmac_check"),
    ] {
        stored_elsewhere(&store, version, name, "\"hunter2-hunter2\"").await;
    }
    let history = here.history(None, 10).await.expect("the store works");
    assert!(!format!("{history:?}").contains("hunter2"));
    let shown: Vec<Vec<(&str, bool, Option<&str>)>> = history
        .iter()
        .map(|change| {
            let of = |change| {
                let StoredDifference {
                    name,
                    is_hidden,
                    after,
                    ..
                }: &StoredDifference = change;
                (name.as_str(), *is_hidden, after.as_deref())
            };
            change.changes.iter().map(of).collect()
        })
        .collect();
    let expected = [
        vec![],
        vec![("admin.password", true, None)],
        vec![("policy.colour", true, None)],
        vec![("policy.mode", false, Some("observe"))],
    ];
    assert_eq!(shown, expected);
    let page = here.history(Some(3), 1).await.expect("the store works");
    assert_eq!(page.iter().map(|change| change.version).collect::<Vec<_>>(), [2]);
}
