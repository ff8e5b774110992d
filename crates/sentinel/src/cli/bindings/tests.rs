use clap::Parser as _;
use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::{ApiKey, KeyFingerprint};
use sentinel_core::ports::{AdminEventStore as _, BindingStore as _};
use sentinel_store::MemoryStore;
use sentinel_testkit::SettableClock;

use super::*;
use crate::cli::{Cli, Command};

/// A store with bindings 1 to 3, and what commands print about them.
struct Fixture {
    store: MemoryStore,
    clock: SettableClock,
}

impl Fixture {
    async fn new() -> Self {
        let fixture = Self {
            store: MemoryStore::new(),
            clock: SettableClock::default(),
        };
        for (number, key) in (1..).zip([
            "sk-alpha-0123456789abcdef",
            "sk-beta-0123456789abcdef",
            "sk-gamma-0123456789abcdef",
        ]) {
            let new = NewBinding {
                fingerprint: KeyFingerprint::from_bytes([number; 32]),
                previous: None,
                hint: ApiKey::new(key).hint(),
                network: format!("192.0.2.{number}").parse().expect("a network"),
                bound_at: fixture.clock.now(),
                profile: "".into(),
            };
            fixture.store.claim(new).await.expect("a fresh store");
        }
        fixture
    }

    async fn run(&self, line: &str) -> (String, Result<(), CliError>) {
        let line = format!("sentinel bindings {line}");
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
        let Command::Bindings(arguments) = cli.command else {
            panic!("{line} is about bindings");
        };
        let mut out = anstream::StripStream::new(Vec::new());
        let outcome = run(arguments, &self.store, &self.clock, &mut out).await;
        (String::from_utf8(out.into_inner()).expect("UTF-8"), outcome)
    }

    async fn done(&self, line: &str) -> String {
        let (text, outcome) = self.run(line).await;
        outcome.unwrap_or_else(|error| panic!("{line}: {error}"));
        text
    }
}

#[tokio::test]
async fn bindings_are_listed_newest_first_by_filter_and_page() {
    let fixture = Fixture::new().await;
    let ids = |text: &str| -> Vec<String> {
        let rows = text.lines().skip(1).filter(|line| line.contains('…'));
        rows.filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect()
    };
    let all = fixture.done("list").await;
    assert!(all.starts_with("ID  KEY "), "{all}");
    assert_eq!(ids(&all), ["3", "2", "1"]);
    assert!(
        all.contains("never") && all.contains("2026-01-01T00:00:00Z") && all.contains("192.0.2.3/32"),
        "{all}"
    );
    assert_eq!(ids(&fixture.done("list --hint SK-BE").await), ["2"]);
    assert_eq!(ids(&fixture.done("list --address 192.0.2.1").await), ["1"]);
    let page = fixture.done("list --limit 2").await;
    assert_eq!(ids(&page), ["3", "2"]);
    assert!(page.ends_with("There may be more: --before 2\n"), "{page}");
    assert_eq!(ids(&fixture.done("list --before 2").await), ["1"]);
    assert_eq!(fixture.done("list --status banned").await, "No bindings.\n");
    assert_eq!(fixture.done("list --status banned --output json").await, "[]\n");
}

#[tokio::test]
async fn json_is_what_the_api_has() {
    let fixture = Fixture::new().await;
    let text = fixture.done("show 1 --output json").await;
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["hint"], "sk-al…cdef");
    assert_eq!(value["networks"], serde_json::json!(["192.0.2.1/32"]));
    assert_eq!(value["status"], "active");
    assert_eq!(value["last_used_at"], serde_json::Value::Null);
    assert!(value.get("fingerprint").is_none());
    let list: serde_json::Value =
        serde_json::from_str(&fixture.done("list --output json").await).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn changes_are_made_printed_and_recorded() {
    let fixture = Fixture::new().await;
    assert!(fixture.done("ban 1 2 --reason leaked").await.contains("banned"));
    let shown = fixture.done("show 1").await;
    assert!(
        shown.contains("status      banned") && shown.contains("ban reason  leaked"),
        "{shown}"
    );
    assert!(fixture.done("unban 1").await.contains("active"));
    let changed = fixture.done("set-ip 1 203.0.113.0/24 2001:db8::1").await;
    assert!(changed.contains("203.0.113.0/24, 2001:db8::1/128"), "{changed}");
    fixture.done("unbind 2").await;
    assert!(!fixture.done("list").await.contains("sk-be"));

    let events = fixture.store.newest(10).await.expect("the events");
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["unbind", "set_networks", "unban", "ban", "ban"]);
    assert!(
        events
            .iter()
            .all(|event| event.actor == ACTOR && event.client_ip.is_none())
    );
}

#[tokio::test]
async fn missing_bindings_are_told_after_the_others_are_done() {
    let fixture = Fixture::new().await;
    let (text, outcome) = fixture.run("ban 8 1 9").await;
    let error = outcome.expect_err("8 and 9 are missing");
    assert_eq!(
        error.to_string(),
        "no binding has the id 8, 9; see: sentinel bindings list"
    );
    assert_eq!(error.exit_code(), 1);
    assert!(text.contains("banned"), "{text}");
    for line in ["show 9", "set-ip 9 ::1", "unbind 9", "unban 9"] {
        assert!(
            matches!(fixture.run(line).await.1, Err(CliError::NoSuchBinding(_))),
            "{line}"
        );
    }
}

#[test]
fn lines_beyond_a_bound_are_usage_errors() {
    let is_taken = |line: String| Cli::try_parse_from(line.split_whitespace()).is_ok();
    for (largest, line) in [
        (
            LIMIT_MAX.unsigned_abs(),
            (|count| format!("sentinel bindings list --limit {count}")) as fn(u64) -> String,
        ),
        (IDS_MAX as u64, |count| {
            let ids: Vec<String> = (1..=count).map(|id| id.to_string()).collect();
            format!("sentinel bindings unbind {}", ids.join(" "))
        }),
        (REASON_CHARACTERS_MAX as u64, |count| {
            format!(
                "sentinel bindings ban 1 --reason {}",
                "x".repeat(usize::try_from(count).expect("small"))
            )
        }),
    ] {
        assert!(is_taken(line(largest)), "{largest}");
        assert!(!is_taken(line(largest + 1)), "{largest} + 1");
    }
}
