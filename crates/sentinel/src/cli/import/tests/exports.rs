//! Exports, and what comes back of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::ports::{
    Existing, SettingChange, SettingStore, SettingsChanged, StoreError, StoredSettings,
};
use sentinel_store::transfer::Line;

use super::super::batches::{BATCH_MAX, Import, SETTINGS_ATTEMPTS_MAX};
use super::super::lines::SETTINGS_MAX;
use super::super::report::Report;
use super::{Fixture, KEY, SECRET, actor};
use crate::cli::CliError;

#[tokio::test]
async fn an_export_comes_back_the_same_into_another_store_and_changes_nothing_twice() {
    let here = Fixture::new().await;
    let many: String = (0..BATCH_MAX + 3).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "sk-{number:032} 192.0.2.7");
        text
    });
    here.import(&many, "--keys").await;
    let first = here.records().await[0].binding.id;
    let admin = &here.authority.admin;
    admin
        .ban(first, "leaked".to_owned(), actor(&here.clock))
        .await
        .expect("it works");
    admin
        .unbind(here.records().await[1].binding.id, actor(&here.clock))
        .await
        .expect("it works");
    here.set("policy.slots", "3").await;
    here.set("internal.hmac_check", "\"something\"").await;
    let export = here.done("sentinel export --with-logs").await;
    assert!(!export.contains("\"name\":\"internal."), "{export}");
    let lines = export.lines().count() as u64;
    assert_eq!(
        export.lines().last().map(Line::parse),
        Some(Ok(Line::End { lines: lines - 1 }))
    );

    let there = Fixture::new().await;
    let count = BATCH_MAX as u64 + 2;
    assert_eq!(there.import(&export, "--dry-run").await, [count, 0, 0, 0]);
    assert!(there.records().await.is_empty());
    assert_eq!(there.import(&export, "").await, [count, 0, 0, 0]);
    assert_eq!(
        there.import(&export, "--existing replace").await,
        [0, 0, 0, count]
    );
    let settings = there.authority.settings.settings().await.expect("it works");
    assert_eq!(settings.values["policy.slots"], "3");
    let events = there.authority.events.newest(1_000).await.expect("it works");
    assert_eq!(events[0].action, "import");
    assert_eq!(events.iter().filter(|event| event.action == "import").count(), 2);
    let again = there.done("sentinel export").await;
    let comparable = |text: &str| -> Vec<String> {
        let of_content = |line: &&str| line.contains("binding\"") || line.contains("\"setting\"");
        text.lines().filter(of_content).map(str::to_owned).collect()
    };
    assert_eq!(comparable(&again), comparable(&export));
}

#[tokio::test]
async fn an_export_of_another_secret_is_refused() {
    let here = Fixture::new().await;
    here.import(&format!("{KEY} 192.0.2.7"), "--keys").await;
    let export = here.done("sentinel export").await;
    let there = Fixture::with_secret("another secret of this installation").await;
    let error = there.fault(&export, "").await;
    assert!(error.contains("set SENTINEL_HMAC_SECRET"), "{error}");
    assert!(!export.contains(SECRET));
}

#[tokio::test]
async fn what_is_no_whole_export_is_refused() {
    let fixture = Fixture::new().await;
    let export = fixture.done("sentinel export").await;
    let mut lines: Vec<&str> = export.lines().collect();
    let wrong = [
        (String::new(), "it was cut short"),
        (lines[0].to_owned(), "line 1 is not the end of an export"),
        (lines[1].to_owned(), "line 1 is not the first line of an export"),
        (
            format!("{export}{export}"),
            "line 3 is the first line of another export",
        ),
        (
            export.replace("\"lines\":1", "\"lines\":7"),
            "line 2 does not come after",
        ),
        ("\u{0}\n".to_owned(), "line 1 is no JSON object"),
    ];
    for (text, part) in wrong {
        let error = fixture.fault(&text, "").await;
        assert!(error.contains(part), "{part}: {error}");
    }
    let setting = r#"{"kind":"setting","name":"policy.slots","value":65}"#;
    let other = r#"{"kind":"setting","name":"proxy.listen","value":"0.0.0.0:1"}"#;
    lines.insert(1, setting);
    lines.insert(2, other);
    let error = fixture.fault(&lines.join("\n"), "").await;
    assert!(
        error.contains("line 2 holds policy.slots, which cannot be '65'"),
        "{error}"
    );
    assert!(error.contains("line 3 names no setting"), "{error}");
    let setting = setting.replace("65", "3");
    let many = std::iter::repeat_n(setting.as_str(), SETTINGS_MAX + 1);
    let header = std::iter::once(lines[0]);
    let error = fixture
        .fault(&header.chain(many).collect::<Vec<_>>().join("\n"), "")
        .await;
    assert!(
        error.contains(&format!("line {} is one of more than", SETTINGS_MAX + 2)),
        "{error}"
    );
}

#[tokio::test]
async fn an_export_to_a_file_writes_over_none() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("export.jsonl");
    let line = format!("sentinel export --output {}", path.display());
    let told = fixture.done(&line).await;
    assert!(
        told.contains("0 settings, 0 bindings, 0 archived bindings"),
        "{told}"
    );
    let before = fs::read(&path).expect("it is there");
    let (_, outcome) = fixture.run(&line).await;
    assert!(matches!(outcome, Err(CliError::Export(..))), "{outcome:?}");
    assert_eq!(fs::read(&path).expect("it is there"), before);
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let missing = fixture.run("sentinel import /nonexistent/lines").await.1;
    assert!(matches!(missing, Err(CliError::Unreadable(..))), "{missing:?}");
}

#[tokio::test]
async fn settings_are_kept_or_replaced() {
    let fixture = Fixture::new().await;
    fixture.set("policy.slots", "2").await;
    let import = |existing| Import {
        authority: &fixture.authority,
        existing,
        is_rehearsal: false,
        clock: &fixture.clock,
    };
    let given = || {
        vec![
            ("policy.slots".to_owned(), "3".to_owned()),
            ("policy.ipv6_prefix".to_owned(), "56".to_owned()),
        ]
    };
    let mut report = Report::new(false);
    import(Existing::Keep)
        .settings(given(), &mut report)
        .await
        .expect("it works");
    let stored = async || {
        fixture
            .authority
            .settings
            .settings()
            .await
            .expect("it works")
            .values
    };
    assert_eq!(stored().await["policy.slots"], "2");
    assert_eq!(stored().await["policy.ipv6_prefix"], "56");
    import(Existing::Replace)
        .settings(given(), &mut report)
        .await
        .expect("it works");
    assert_eq!(stored().await["policy.slots"], "3");
}

/// Changes between every look and every change.
#[derive(Default)]
struct Restless(AtomicU32);

#[async_trait]
impl SettingStore for Restless {
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        Ok(StoredSettings::default())
    }

    async fn change_settings(
        &self,
        _version: i64,
        _changes: BTreeMap<String, Option<String>>,
        _actor: Actor,
    ) -> Result<SettingsChanged, StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(SettingsChanged::Outdated(StoredSettings::default()))
    }

    async fn setting_changes(
        &self,
        _before: Option<i64>,
        _limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError> {
        Err(StoreError::Busy)
    }

    async fn settings_at(&self, _version: i64) -> Result<Option<StoredSettings>, StoreError> {
        Err(StoreError::Busy)
    }
}

#[tokio::test]
async fn settings_that_others_change_all_the_time_are_given_up() {
    let mut fixture = Fixture::new().await;
    let restless = Arc::new(Restless::default());
    fixture.authority.settings = restless.clone();
    let import = Import {
        authority: &fixture.authority,
        existing: Existing::Keep,
        is_rehearsal: false,
        clock: &fixture.clock,
    };
    let given = vec![("policy.slots".to_owned(), "3".to_owned())];
    let outcome = import.settings(given, &mut Report::new(false)).await;
    assert!(
        matches!(outcome, Err(CliError::Store(StoreError::Busy))),
        "{outcome:?}"
    );
    assert_eq!(restless.0.load(Ordering::SeqCst), SETTINGS_ATTEMPTS_MAX);
}
