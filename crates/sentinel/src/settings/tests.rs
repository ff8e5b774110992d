use std::sync::atomic::{AtomicBool, Ordering};

use sentinel_admin::{Setting, SettingSource};
use sentinel_core::policy::Mode;
use sentinel_core::ports::{AdminEventStore as _, SettingChange};
use sentinel_core::time::Timestamp;
use sentinel_store::MemoryStore;
use serde_json::{Value, json};

use super::*;
use crate::config;

/// Keeps what was announced, and fails when it is told to.
#[derive(Default)]
struct Announced(Mutex<Vec<Change>>, AtomicBool);

#[async_trait]
impl ChangeAnnouncer for Announced {
    async fn announce(&self, change: Change) -> Result<(), StoreError> {
        self.0.lock().expect("no panic").push(change);
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::Busy);
        }
        Ok(())
    }
}

/// A replica's settings, where the environment fixes the mode.
fn replica(store: &MemoryStore, announced: &Arc<Announced>) -> LiveSettings {
    let loaded = config::loaded_of_variables(&[("SENTINEL_POLICY_KEYLESS", "deny")]);
    LiveSettings::new(
        loaded.written,
        loaded.config.live,
        loaded.settings,
        Arc::new(store.clone()),
        Some(announced.clone()),
    )
}

fn actor(at: i64) -> Actor {
    Actor {
        name: "root".to_owned(),
        client_ip: None,
        at: Timestamp::from_unix_ms(at),
    }
}

fn slots(value: &Value) -> BTreeMap<String, Option<Value>> {
    let value = Some(value.clone()).filter(|value| !value.is_null());
    [("policy.slots".to_owned(), value)].into_iter().collect()
}

/// A change of these, out of this version.
fn values(version: i64, values: BTreeMap<String, Option<Value>>) -> SettingsChange {
    SettingsChange {
        version,
        wanted: WantedSettings::Values(values),
        is_rehearsal: false,
    }
}

fn rollback(version: i64, to: i64) -> SettingsChange {
    SettingsChange {
        version,
        wanted: WantedSettings::AsInVersion(to),
        is_rehearsal: false,
    }
}

fn shown_slots(items: &[Setting]) -> (Value, SettingSource) {
    let setting = items.iter().find(|item| item.name == "policy.slots");
    let setting = setting.expect("every setting is there");
    (setting.value.clone(), setting.source)
}

#[tokio::test]
async fn a_change_holds_here_at_once_and_elsewhere_after_a_look() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let (here, elsewhere) = (replica(&store, &announced), replica(&store, &announced));
    let rules = elsewhere.rules();
    let settings = here
        .change(values(0, slots(&json!(3))), actor(7))
        .await
        .expect("a good one");
    assert_eq!(settings.version, 1);
    assert_eq!(
        shown_slots(&settings.items),
        (json!("3"), SettingSource::Database)
    );
    assert_eq!((here.rules().now().slots, here.now().rules.slots), (3, 3));
    let change = Change::Settings {
        version: 1,
        at: Timestamp::from_unix_ms(7),
    };
    assert_eq!(*announced.0.lock().expect("no panic"), [change]);

    assert_eq!(rules.now().slots, 1);
    elsewhere.heard().notify_one();
    elsewhere.changed_elsewhere().await;
    elsewhere.refresh().await.expect("the store works");
    assert_eq!(rules.now().slots, 3);
    assert_eq!(elsewhere.in_effect().items, settings.items);

    let back = elsewhere
        .change(values(1, slots(&Value::Null)), actor(8))
        .await
        .expect("a good one");
    assert_eq!(shown_slots(&back.items), (json!("1"), SettingSource::Default));
}

#[tokio::test]
async fn a_stale_version_changes_nothing_and_brings_the_news() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let (here, elsewhere) = (replica(&store, &announced), replica(&store, &announced));
    here.change(values(0, slots(&json!(3))), actor(1))
        .await
        .expect("a good one");
    let refused = elsewhere.change(values(0, slots(&json!(4))), actor(2)).await;
    assert_eq!(refused, Err(SettingsRefused::Outdated));
    assert_eq!(elsewhere.now().rules.slots, 3);
    assert_eq!(elsewhere.in_effect().version, 1);
}

#[tokio::test]
async fn nothing_is_stored_when_something_is_wrong() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    let changes: BTreeMap<String, Option<Value>> = [
        ("policy.slots", json!(65)),
        ("policy.mode", json!("watch")),
        ("policy.ipv4_prefix", json!(24)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Some(value)))
    .collect();
    let refused = here.change(values(0, changes), actor(1)).await;
    let Err(SettingsRefused::Wrong(wrong)) = refused else {
        panic!("two of them are wrong: {refused:?}");
    };
    let mut names: Vec<&str> = wrong.iter().map(|wrong| wrong.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["policy.mode", "policy.slots"]);
    let keyless = [("policy.keyless".to_owned(), Some(json!("pass")))]
        .into_iter()
        .collect();
    let refused = here.change(values(0, keyless), actor(1)).await;
    assert!(
        matches!(&refused, Err(SettingsRefused::Wrong(wrong)) if wrong[0].detail.contains("fixed by the environment")),
        "{refused:?}"
    );
    assert_eq!(store.settings().await, Ok(StoredSettings::default()));
    assert_eq!(store.newest(10).await, Ok(Vec::new()));
    assert!(announced.0.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn what_cannot_be_taken_leaves_what_held_before() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    let here = replica(&store, &announced);
    here.change(values(0, slots(&json!(3))), actor(1))
        .await
        .expect("a good one");
    // Past the checks of this version, as another one might.
    let elsewhere = [
        ("policy.slots".to_owned(), Some("4".to_owned())),
        ("policy.mode".to_owned(), Some("\"watch\"".to_owned())),
    ];
    store
        .change_settings(1, elsewhere.into_iter().collect(), actor(2))
        .await
        .expect("the store works");
    here.refresh().await.expect("the store works");
    assert_eq!(
        (here.now().rules.slots, here.now().rules.mode),
        (3, Mode::Enforce)
    );
    // With the version that it shows, an operator can put it right.
    assert_eq!(here.in_effect().version, 2);
    let changes = [("policy.mode".to_owned(), Some(json!("observe")))];
    here.change(values(2, changes.into_iter().collect()), actor(3))
        .await
        .expect("it is right now");
    assert_eq!(
        (here.now().rules.slots, here.now().rules.mode),
        (4, Mode::Observe)
    );
}

#[tokio::test]
async fn replicas_that_cannot_be_told_do_not_undo_a_change() {
    let (store, announced) = (MemoryStore::new(), Arc::<Announced>::default());
    announced.1.store(true, Ordering::SeqCst);
    let here = replica(&store, &announced);
    assert!(here.change(values(0, slots(&json!(3))), actor(1)).await.is_ok());
    assert_eq!(here.now().rules.slots, 3);
}

/// Never answers.
struct Stuck;

#[async_trait]
impl SettingStore for Stuck {
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        std::future::pending().await
    }

    async fn change_settings(
        &self,
        _version: i64,
        _changes: BTreeMap<String, Option<String>>,
        _actor: Actor,
    ) -> Result<SettingsChanged, StoreError> {
        std::future::pending().await
    }

    async fn setting_changes(
        &self,
        _before: Option<i64>,
        _limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError> {
        std::future::pending().await
    }

    async fn settings_at(&self, _version: i64) -> Result<Option<StoredSettings>, StoreError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_stuck_is_waited_for_so_long() {
    let loaded = config::loaded_of_variables(&[]);
    let settings = LiveSettings::new(
        loaded.written,
        loaded.config.live,
        loaded.settings,
        Arc::new(Stuck),
        None,
    );
    let began = tokio::time::Instant::now();
    assert!(settings.refresh().await.is_err());
    assert_eq!(began.elapsed(), STORE_WAIT_MAX);
    let refused = settings.change(values(0, slots(&json!(3))), actor(1)).await;
    assert!(matches!(refused, Err(SettingsRefused::Store(_))), "{refused:?}");
    assert!(settings.history(None, 1).await.is_err());
}

#[test]
fn a_schema_says_what_the_table_says() {
    let settings = replica(&MemoryStore::new(), &Arc::default()).in_effect();
    let of = |name: &str| {
        let item = settings.items.iter().find(|item| item.name == name);
        let item = item.expect("every setting is there");
        (item.is_secret, json!(item.schema))
    };
    let words = json!({"type": "string", "enum": ["enforce", "observe"], "minimum": null, "maximum": null});
    assert_eq!(of("policy.mode"), (false, words));
    let (_, slots) = of("policy.slots");
    assert_eq!(
        (&slots["type"], &slots["minimum"]),
        (&json!("integer"), &json!(1))
    );
    assert!(of("admin.password").0);
}

mod history;
