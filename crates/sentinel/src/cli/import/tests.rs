use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use clap::Parser as _;
use sentinel_core::binding::BindingRecord;
use sentinel_core::event::Actor;
use sentinel_core::ports::{BindingFilter, SettingStore, SettingsChanged, StoreError, StoredSettings};
use sentinel_store::transfer::{LINE_BYTES_MAX, Line};
use sentinel_testkit::SettableClock;
use tempfile::TempDir;

use super::batches::{BATCH_MAX, SETTINGS_ATTEMPTS_MAX};
use super::lines::{FAULTS_SHOWN_MAX, SETTINGS_MAX};
use super::*;
use crate::cli::{Cli, Command, export};
use crate::config;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "sk-alphaalphaalphaalpha0123456789";

/// An installation with the embedded store.
struct Fixture {
    folder: TempDir,
    loaded: Loaded,
    authority: Authority,
    clock: SettableClock,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_secret(SECRET).await
    }

    async fn with_secret(secret: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let loaded = config::loaded_of_variables(&[
            ("SENTINEL_DATA_DIR", data.to_str().expect("UTF-8")),
            ("SENTINEL_HMAC_SECRET", secret),
        ]);
        let authority = Authority::open(&loaded.config).await.expect("a fresh store");
        Self {
            folder,
            loaded,
            authority,
            clock: SettableClock::default(),
        }
    }

    fn write(&self, text: &str) -> String {
        let path = self.folder.path().join("lines");
        fs::write(&path, text).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    }

    async fn run(&self, line: &str) -> (String, Result<(), CliError>) {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
        let mut out = anstream::StripStream::new(Vec::new());
        let outcome = match cli.command {
            Command::Import(arguments) => {
                run(arguments, &self.loaded, &self.authority, &self.clock, &mut out).await
            }
            Command::Export(arguments) => {
                let config = &self.loaded.config;
                export::run(arguments, config, &self.authority, &self.clock, &mut out).await
            }
            _ => panic!("{line}: another command"),
        };
        (String::from_utf8(out.into_inner()).expect("UTF-8"), outcome)
    }

    async fn done(&self, line: &str) -> String {
        let (text, outcome) = self.run(line).await;
        outcome.unwrap_or_else(|error| panic!("{line}: {error}"));
        text
    }

    /// Imports this text; gives the counts of bindings: new, replaced, kept, unchanged.
    async fn import(&self, text: &str, options: &str) -> [u64; 4] {
        let path = self.write(text);
        let told = self.done(&format!("sentinel import {options} {path}")).await;
        let row = told.lines().find(|line| line.starts_with("bindings"));
        let numbers = row.expect("a row").split_whitespace().skip(1);
        let numbers: Vec<u64> = numbers.map(|number| number.parse().expect("a number")).collect();
        numbers.try_into().expect("four of them")
    }

    async fn fault(&self, text: &str, options: &str) -> String {
        let path = self.write(text);
        let (told, outcome) = self.run(&format!("sentinel import {options} {path}")).await;
        assert_eq!(told, "");
        let error = outcome.expect_err("it is wrong").to_string();
        assert!(self.records().await.is_empty(), "something was imported");
        error
    }

    async fn records(&self) -> Vec<BindingRecord> {
        let filter = BindingFilter {
            limit: 1_000,
            ..BindingFilter::default()
        };
        let mut records = self.authority.admin.list(filter).await.expect("it works");
        records.reverse();
        records
    }

    async fn set(&self, name: &str, value: &str) {
        let settings = &self.authority.settings;
        let version = settings.settings().await.expect("it works").version;
        let changes = [(name.to_owned(), Some(value.to_owned()))];
        settings
            .change_settings(version, changes.into_iter().collect(), actor(&self.clock))
            .await
            .expect("it works");
    }
}

fn actor(clock: &dyn Clock) -> Actor {
    Actor {
        name: "root".to_owned(),
        client_ip: None,
        at: clock.now(),
    }
}

#[tokio::test]
async fn keys_are_bound_before_their_first_use() {
    let fixture = Fixture::new().await;
    let digits = "ab".repeat(32);
    let text = format!(
        "# our customers\n\n{KEY} 192.0.2.7\r\nsk-betabetabetabetabeta01234,203.0.113.0/24,2001:db8::/48\n\
         \"sk-gammagammagammagamma0123\";\"10.0.0.0/8\"\nfingerprint:{digits}\t10.0.0.1,10.0.0.1\n"
    );
    assert_eq!(fixture.import(&text, "--keys --dry-run").await, [4, 0, 0, 0]);
    assert!(fixture.records().await.is_empty());
    assert_eq!(fixture.import(&text, "--keys").await, [4, 0, 0, 0]);
    let records = fixture.records().await;
    let networks: Vec<Vec<String>> = records
        .iter()
        .map(|record| record.binding.networks.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(networks[0], ["192.0.2.7/32"]);
    assert_eq!(networks[1], ["203.0.113.0/24", "2001:db8::/48"]);
    assert_eq!(networks[3], ["10.0.0.1/32"]);
    assert_eq!(records[0].hint.as_str(), "sk-al…6789");
    assert_eq!(records[3].binding.fingerprint.as_bytes(), &[0xab; 32]);
    // The one that a request with this key has.
    let hasher = sentinel_core::fingerprint::FingerprintHasher::new(SECRET.as_bytes()).expect("long");
    let profile = &fixture.loaded.config.upstream.profile;
    let normalised = profile.normalisation.apply(KEY).expect("a key");
    assert_eq!(records[0].binding.fingerprint, hasher.fingerprint(&normalised));
    assert_eq!(fixture.import(&text, "--keys").await, [0, 0, 0, 4]);
}

#[tokio::test]
async fn a_key_that_is_bound_keeps_its_networks_unless_they_are_to_be_replaced_and_its_ban_always() {
    let fixture = Fixture::new().await;
    fixture.import(&format!("{KEY} 192.0.2.7"), "--keys").await;
    let id = fixture.records().await[0].binding.id;
    let admin = &fixture.authority.admin;
    let banned = admin.ban(id, "leaked".to_owned(), actor(&fixture.clock)).await;
    banned.expect("it works").expect("a record");
    let other = format!("{KEY} 10.0.0.0/8");
    assert_eq!(fixture.import(&other, "--keys").await, [0, 0, 1, 0]);
    let dry = "--keys --existing replace --dry-run";
    assert_eq!(fixture.import(&other, dry).await, [0, 1, 0, 0]);
    assert_eq!(
        fixture.records().await[0].binding.networks[0].to_string(),
        "192.0.2.7/32"
    );
    let replace = "--keys --existing replace";
    assert_eq!(fixture.import(&other, replace).await, [0, 1, 0, 0]);
    assert_eq!(fixture.import(&other, replace).await, [0, 0, 0, 1]);
    let record = &fixture.records().await[0];
    assert_eq!(record.binding.id, id);
    assert_eq!(record.binding.networks[0].to_string(), "10.0.0.0/8");
    assert_eq!(record.binding.status.as_str(), "banned");
}

#[tokio::test]
async fn wrong_lines_are_told_together_without_a_key_and_nothing_is_imported() {
    let fixture = Fixture::new().await;
    let text = format!(
        "{KEY} 192.0.2.7\n{KEY}\n{KEY} 192.0.2.7,{KEY}\nmidjourney-proxy 10.0.0.1\nfingerprint:{KEY} 10.0.0.1\n{KEY} ::ffff:10.0.0.1\n"
    );
    let error = fixture.fault(&text, "--keys").await;
    for part in [
        "nothing was imported, because 5 lines cannot be read:",
        "line 2 has 0 networks; wanted 1 to 64",
        "line 3 has something else than a network as its network number 2",
        "line 4 does not begin with a key that profile new-api takes",
        "line 5 has no 64 hexadecimal digits",
        "line 6 has something else than a network",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("alpha"), "{error}");
    let many = "x\n".repeat(FAULTS_SHOWN_MAX + 7);
    let error = fixture.fault(&many, "--keys").await;
    assert_eq!(error.lines().count(), 1 + FAULTS_SHOWN_MAX + 1);
    assert!(error.ends_with("and 7 more"), "{error}");
    let long = format!("{KEY} {}\n{KEY}\n", " ".repeat(LINE_BYTES_MAX));
    let error = fixture.fault(&long, "--keys").await;
    assert!(
        error.contains("line 1 is longer than") && error.contains("line 2 has 0"),
        "{error}"
    );
}

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
async fn a_dry_run_makes_no_secret() {
    let fixture = Fixture::with_secret("").await;
    let error = fixture
        .fault(&format!("{KEY} 192.0.2.7"), "--keys --dry-run")
        .await;
    assert!(error.contains("there is no HMAC secret yet"), "{error}");
    let secret = fixture.loaded.config.store.data_dir.join("secrets/hmac");
    assert!(!secret.exists());
    fixture.import(&format!("{KEY} 192.0.2.7"), "--keys").await;
    assert!(secret.exists());
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
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("it is there").permissions());
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
