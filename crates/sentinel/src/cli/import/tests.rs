//! Keys; exports have a file of their own.

mod exports;

use std::fs;

use clap::Parser as _;
use sentinel_core::binding::BindingRecord;
use sentinel_core::event::Actor;
use sentinel_core::ports::BindingFilter;
use sentinel_store::transfer::LINE_BYTES_MAX;
use sentinel_testkit::SettableClock;
use tempfile::TempDir;

use super::lines::FAULTS_SHOWN_MAX;
use super::*;
use crate::cli::{Cli, Command, export};
use crate::config;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "sk-alphaalphaalphaalpha0123456789";

/// An installation with the embedded store.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    loaded: Loaded,
    pub(super) authority: Authority,
    clock: SettableClock,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_secret(SECRET).await
    }

    async fn with_secret(secret: &str) -> Self {
        Self::with(secret, "new-api").await
    }

    pub(super) async fn with(secret: &str, profile: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let loaded = config::loaded_of_variables(&[
            ("SENTINEL_DATA_DIR", data.to_str().expect("UTF-8")),
            ("SENTINEL_HMAC_SECRET", secret),
            ("SENTINEL_PROFILE", profile),
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

    pub(super) async fn run(&self, line: &str) -> (String, Result<(), CliError>) {
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

    pub(super) async fn done(&self, line: &str) -> String {
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

    pub(super) async fn records(&self) -> Vec<BindingRecord> {
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
