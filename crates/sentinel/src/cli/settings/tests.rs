use std::sync::Arc;

use clap::Parser as _;
use sentinel_core::ports::SettingStore as _;
use sentinel_store::MemoryStore;
use sentinel_testkit::SettableClock;

use super::*;
use crate::cli::{Cli, Command};
use crate::config;

/// What the command says on this store, with the mode fixed by the environment.
async fn said(store: &MemoryStore, line: &str) -> Result<String, CliError> {
    let line = format!("sentinel settings {line}");
    let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
    let Command::Settings(arguments) = cli.command else {
        panic!("{line} is about settings");
    };
    let loaded = config::loaded_of_variables(&[
        ("SENTINEL_POLICY_KEYLESS", "deny"),
        ("ADMIN_PASSWORD", "hunter2-hunter2"),
    ]);
    let settings = LiveSettings::of(&loaded, Arc::new(store.clone()));
    settings.refresh().await?;
    let mut out = anstream::StripStream::new(Vec::new());
    run(arguments, &settings, &SettableClock::default(), &mut out).await?;
    Ok(String::from_utf8(out.into_inner()).expect("UTF-8"))
}

#[tokio::test]
async fn settings_are_shown_by_name_and_section_without_secrets() {
    let store = MemoryStore::new();
    let all = said(&store, "get").await.expect("shown");
    assert!(
        all.contains("policy.mode") && all.contains("admin.password") && !all.contains("hunter2"),
        "{all}"
    );
    let one = said(&store, "get policy.slots").await.expect("shown");
    let lines: Vec<Vec<&str>> = one
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["NAME", "VALUE", "SOURCE", "CHANGES"],
            vec!["policy.slots", "1", "default", "yes"]
        ]
    );
    let section: Value =
        serde_json::from_str(&said(&store, "get policy --output json").await.expect("shown")).expect("JSON");
    let items = section["items"].as_array().expect("a list");
    assert!(
        items.len() > 3
            && items.iter().all(|item| item["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("policy.")))
    );
    let unknown = said(&store, "get policy.slot").await.expect_err("none");
    assert_eq!(
        (unknown.to_string().as_str(), unknown.exit_code()),
        ("policy.slot is no setting; nothing was changed", 2)
    );
}

#[tokio::test]
async fn settings_are_set_taken_back_and_rehearsed() {
    let store = MemoryStore::new();
    let rehearsed = said(&store, "set policy.slots=3 --dry-run")
        .await
        .expect("a good one");
    assert!(
        rehearsed.contains("Nothing was changed. Version 0 holds."),
        "{rehearsed}"
    );
    assert_eq!(store.settings().await.expect("memory works").version, 0);
    let set = said(&store, "set policy.slots=3 policy.mode=observe")
        .await
        .expect("a good one");
    assert!(
        set.contains("1 (default)") && set.contains("3 (database)") && set.contains("Version 1 holds."),
        "{set}"
    );
    let back = said(&store, "set --unset policy.mode --output json --version 1")
        .await
        .expect("a good one");
    let back: Value = serde_json::from_str(&back).expect("JSON");
    assert_eq!(
        (&back["version"], &back["changes"][0]["after"]),
        (&json!(2), &json!("enforce"))
    );

    let history = said(&store, "history").await.expect("shown");
    assert!(
        history.contains("policy.mode observe → –") && history.contains("cli"),
        "{history}"
    );
    let page = said(&store, "history --before 2 --limit 1 --output json")
        .await
        .expect("shown");
    let page: Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!(page["items"][0]["version"], 1);
    let diff = said(&store, "diff --from 1").await.expect("shown");
    assert!(
        diff.contains("policy.mode") && !diff.contains("policy.slots"),
        "{diff}"
    );
    let first = said(&store, "diff --from 0 --to 0").await.expect("shown");
    assert_eq!(first, "No difference.\n");

    said(&store, "rollback 1").await.expect("there is one");
    assert_eq!(
        store.settings().await.expect("memory works").values["policy.mode"],
        "\"observe\""
    );
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_changes_nothing() {
    let store = MemoryStore::new();
    for (line, exit_code, text) in [
        ("set policy.slots=65", 2, "policy.slots cannot be '65'"),
        ("set policy.keyless=pass", 2, "fixed by the environment"),
        ("set proxy.listen=0.0.0.0:1", 2, "takes effect at a start only"),
        (
            "set policy.slots=2 --unset policy.slots",
            2,
            "policy.slots is there twice",
        ),
        ("set policy.slots=2 --version 7", 1, "changed meanwhile"),
        ("rollback 9", 1, "no such version"),
        ("diff --to 9", 1, "no such version"),
    ] {
        let error = said(&store, line).await.expect_err(line);
        assert_eq!(error.exit_code(), exit_code, "{line}");
        assert!(error.to_string().contains(text), "{line}: {error}");
    }
    assert_eq!(store.settings().await.expect("memory works").version, 0);
    for line in [
        "set",
        "set policy.slots",
        "set =3",
        "set policy.slots=",
        "history --limit 0",
        "rollback",
    ] {
        let line = format!("sentinel settings {line}");
        assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
    }
    let many: Vec<String> = (0..=CHANGES_MAX).map(|number| format!("a.{number}=1")).collect();
    let many = ["sentinel", "settings", "set"]
        .into_iter()
        .map(str::to_owned)
        .chain(many);
    assert!(Cli::try_parse_from(many).is_err());
    let page = format!("sentinel settings history --limit {}", HISTORY_MAX + 1);
    assert!(Cli::try_parse_from(page.split_whitespace()).is_err());
    assert_eq!(
        cell(&"x".repeat(CELL_CHARACTERS_MAX + 1)).chars().count(),
        CELL_CHARACTERS_MAX + 1,
        "cut, with …"
    );
}
