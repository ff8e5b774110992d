use std::fs;

use sentinel_core::event::Intercept;
use sentinel_core::ports::TransferKind;
use sentinel_testkit::PostgresServer;

use super::super::tests::Fixture;
use super::*;

/// The older one's secret.
const OLD_SECRET: &str = "the secret of the older installation";
/// Another one.
const NEW_SECRET: &str = "the secret of the newer installation";
/// The tables as the older one made them.
const SCHEMA: &str = "CREATE TABLE token_bindings (id bigserial PRIMARY KEY, token_hash char(64) NOT NULL UNIQUE, bound_ip cidr NOT NULL, \
     status smallint NOT NULL DEFAULT 1, first_used_at timestamptz NOT NULL DEFAULT now(), last_used_at timestamptz, \
     created_at timestamptz NOT NULL DEFAULT now()); \
     CREATE TABLE intercept_logs (id bigserial PRIMARY KEY, token_hash char(64) NOT NULL, bound_ip cidr NOT NULL, attempt_ip inet NOT NULL, \
     alerted boolean NOT NULL DEFAULT false, intercepted_at timestamptz NOT NULL DEFAULT now());";

/// What the older one kept of this text.
fn old_hash(text: &str) -> String {
    let hasher = FingerprintHasher::new(OLD_SECRET.as_bytes()).expect("long enough");
    let hash = hasher.fingerprint(&NormalisedKey::Exact(text));
    hash.as_bytes()
        .iter()
        .fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// An installation of the older one.
struct Older {
    server: PostgresServer,
    dsn: String,
}

impl Older {
    async fn start(schema: &str) -> Self {
        let server = PostgresServer::start().await;
        server.execute(schema).await;
        let dsn = server.dsn().replacen("://", "+asyncpg://", 1);
        Self { server, dsn }
    }

    async fn bind(&self, text: &str, network: &str, status: u8, day: u8) {
        let hash = old_hash(text);
        let insert = format!(
            "INSERT INTO token_bindings (token_hash, bound_ip, status, first_used_at, last_used_at) VALUES \
             ('{hash}', '{network}', {status}, '2025-03-0{day} 12:00:00+00', '2025-04-0{day} 12:00:00.5+00')"
        );
        self.server.execute(&insert).await;
    }

    async fn refuse(&self, text: &str, from: &str) {
        let hash = old_hash(text);
        let insert = format!(
            "INSERT INTO intercept_logs (token_hash, bound_ip, attempt_ip, intercepted_at) VALUES \
             ('{hash}', '192.0.2.7/32', '{from}', '2025-05-01 00:00:00+00')"
        );
        self.server.execute(&insert).await;
    }

    /// The line that imports it, with its `.env` in the fixture's folder.
    fn line(&self, fixture: &Fixture, options: &str) -> String {
        let path = fixture.folder.path().join("old.env");
        let text = format!(
            "# older\nPG_DSN=\"{}\"\nSENTINEL_HMAC_SECRET={OLD_SECRET}\n",
            self.dsn
        );
        fs::write(&path, text).expect("it can be written");
        format!("sentinel import legacy --env {} {options}", path.display())
    }
}

fn listed(fixture: &Fixture, keys: &str) -> String {
    let path = fixture.folder.path().join("keys");
    fs::write(&path, keys).expect("it can be written");
    format!("--gateway-keys {}", path.display())
}

/// The counts of a kind: new, replaced, kept, unchanged.
fn counts(told: &str, kind: &str) -> Vec<u64> {
    let row = told
        .lines()
        .find_map(|line| line.strip_prefix(kind))
        .expect("a row");
    row.split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect()
}

async fn refusals(fixture: &Fixture) -> Vec<Intercept> {
    let page = fixture
        .authority
        .transfer
        .page(TransferKind::Intercepts, 0, 100)
        .await;
    let items = page.expect("it works").into_iter();
    items
        .filter_map(|(_, item)| match item {
            TransferItem::Intercept(intercept) => Some(intercept),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn where_every_byte_counts_all_is_taken_over_under_the_same_secret() {
    let older = Older::start(SCHEMA).await;
    older.bind("sk-first-of-all", "192.0.2.7", 1, 1).await;
    older.bind("sk-Banned-one", "2001:db8::/48", 2, 2).await;
    older.refuse("sk-first-of-all", "198.51.100.9").await;
    older.refuse("sk-first-of-all", "198.51.100.9").await;
    let here = Fixture::with(OLD_SECRET, "litellm").await;

    let told = here.done(&older.line(&here, "")).await;
    assert!(
        told.contains("0 name a listed key, 2 are taken by their hash alone"),
        "{told}"
    );
    assert!(
        told.contains("Nothing proves yet") && told.contains("--apply"),
        "{told}"
    );
    assert_eq!(counts(&told, "bindings"), [2, 0, 0, 0]);
    assert_eq!(counts(&told, "refused requests"), [2, 0, 0, 0]);
    assert!(here.records().await.is_empty());

    here.done(&older.line(&here, "--apply")).await;
    let records = here.records().await;
    let hasher = FingerprintHasher::new(OLD_SECRET.as_bytes()).expect("long enough");
    let first = &records[0];
    assert_eq!(
        first.binding.fingerprint,
        hasher.fingerprint(&NormalisedKey::Exact("sk-first-of-all"))
    );
    assert_eq!(first.binding.networks[0].to_string(), "192.0.2.7/32");
    assert_eq!(first.binding.bound_at.rfc3339(), "2025-03-01T12:00:00Z");
    assert_eq!(
        first.last_used_at.expect("used").rfc3339(),
        "2025-04-01T12:00:00.5Z"
    );
    assert_eq!(records[1].binding.status, BindingStatus::Banned);
    assert_eq!(records[1].ban_reason, "banned in the older installation");
    let refused = refusals(&here).await;
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0].client_ip.to_string(), "198.51.100.9");
    assert_eq!(refused[0].fingerprint, Some(first.binding.fingerprint));
    assert_eq!(refused[0].networks[0].to_string(), "192.0.2.7/32");

    let again = here.done(&older.line(&here, "--apply")).await;
    assert_eq!(counts(&again, "bindings"), [0, 0, 0, 2]);
    assert_eq!(counts(&again, "refused requests"), [0, 0, 0, 2]);
    assert_eq!(here.authority.events.newest(10).await.expect("it works").len(), 1);
    older.server.stop().await;
}

#[tokio::test]
async fn where_spellings_are_one_key_the_gateways_keys_tell_which_one_a_row_means() {
    let older = Older::start(SCHEMA).await;
    let key = "AbCdEfGhIjKlMnOpQrStUvWx";
    older.bind(&format!("sk-{key}"), "192.0.2.7", 1, 2).await;
    older.bind(key, "198.51.100.0/24", 1, 3).await;
    older.bind("sk-gone-from-the-gateway", "192.0.2.9", 2, 1).await;
    older.refuse(&format!("sk-{key}"), "198.51.100.9").await;
    older.refuse("sk-gone-from-the-gateway", "198.51.100.9").await;
    let here = Fixture::with(NEW_SECRET, "new-api").await;
    let (_, outcome) = here.run(&older.line(&here, "--apply")).await;
    let error = outcome.expect_err("nothing says which keys").to_string();
    assert!(
        error.contains("--gateway-keys") && error.contains("new-api"),
        "{error}"
    );

    let options = listed(&here, &format!("{key}\nsk-neverUsed0123456789\n"));
    let told = here.done(&older.line(&here, &format!("--apply {options}"))).await;
    assert!(told.contains("2 name a listed key, 0 are taken"), "{told}");
    assert!(told.contains("1 are another spelling"), "{told}");
    assert!(
        told.contains("so look at them: AbCdE…UvWx") && !told.contains(key),
        "{told}"
    );
    assert!(told.contains("1 cannot be kept, 1 of them bans"), "{told}");
    let records = here.records().await;
    assert_eq!(records.len(), 1);
    let hasher = FingerprintHasher::new(NEW_SECRET.as_bytes()).expect("long enough");
    let folded = NormalisedKey::CaseFolded(key);
    assert_eq!(records[0].binding.fingerprint, hasher.fingerprint(&folded));
    // The first use binds; the other spelling's network may be a thief's.
    let networks: Vec<String> = records[0]
        .binding
        .networks
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["192.0.2.7/32"]);
    assert_eq!(
        records[0].last_used_at.expect("used").rfc3339(),
        "2025-04-03T12:00:00.5Z"
    );
    let refused = refusals(&here).await;
    assert_eq!(refused[0].hint.as_ref().map(KeyHint::as_str), Some("AbCdE…UvWx"));
    assert_eq!((refused[1].fingerprint, refused.len()), (None, 2));
    older.server.stop().await;
}

#[tokio::test]
async fn a_ban_of_any_spelling_holds_and_so_many_differing_keys_are_named() {
    let older = Older::start(SCHEMA).await;
    let mut keys = String::new();
    for number in 0..=DIFFERING_SHOWN_MAX {
        let key = format!("{number:04}keykeykeykeykeykeykey{number:04}");
        older.bind(&key, "192.0.2.7", 1, 1).await;
        older.bind(&format!("sk-{key}"), "192.0.2.8", 2, 2).await;
        keys.push_str(&key);
        keys.push('\n');
    }
    let here = Fixture::with(NEW_SECRET, "new-api").await;
    let options = listed(&here, &keys);
    let told = here.done(&older.line(&here, &format!("--apply {options}"))).await;
    let named = told
        .lines()
        .find(|line| line.contains("look at them"))
        .expect("they are named");
    assert_eq!(named.matches('…').count(), DIFFERING_SHOWN_MAX);
    let records = here.records().await;
    assert_eq!(records.len(), DIFFERING_SHOWN_MAX + 1);
    for record in records {
        assert_eq!(record.binding.status, BindingStatus::Banned);
        assert_eq!(record.binding.networks[0].to_string(), "192.0.2.7/32");
    }
    older.server.stop().await;
}

#[tokio::test]
async fn other_forms_of_the_tables_are_read_and_what_is_not_understood_stops_all() {
    let schema = "CREATE TABLE token_bindings (id int, token_hash bytea, bound_ip inet[], created_at timestamp, status text);";
    let older = Older::start(schema).await;
    let insert = |status: &str| {
        format!(
            "INSERT INTO token_bindings VALUES (7, '\\x{}', '{{192.0.2.7,10.0.0.0/8}}', '2025-03-01 12:00:00', '{status}')",
            old_hash("sk-a")
        )
    };
    older.server.execute(&insert("active")).await;
    let here = Fixture::with(OLD_SECRET, "openai").await;
    let told = here.done(&older.line(&here, "--apply")).await;
    assert_eq!(counts(&told, "bindings"), [1, 0, 0, 0]);
    let record = &here.records().await[0];
    assert_eq!(record.binding.networks.len(), 2);
    assert_eq!(record.binding.bound_at.rfc3339(), "2025-03-01T12:00:00Z");

    older.server.execute(&insert("0")).await;
    let error = here
        .run(&older.line(&here, "--apply"))
        .await
        .1
        .expect_err("a status that nobody knows");
    assert!(
        error
            .to_string()
            .contains("1 rows cannot be read; the first: id 7: status is none of"),
        "{error}"
    );
    older
        .server
        .execute("ALTER TABLE token_bindings DROP COLUMN bound_ip")
        .await;
    let error = here
        .run(&older.line(&here, ""))
        .await
        .1
        .expect_err("another table");
    assert!(
        error
            .to_string()
            .contains("no table token_bindings with the columns"),
        "{error}"
    );
    older.server.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_told_and_no_secret_with_it() {
    let here = Fixture::with(NEW_SECRET, "openai").await;
    let env = here.folder.path().join(".env");
    let fails = async |text: &str| {
        fs::write(&env, text).expect("it can be written");
        let line = format!("sentinel import legacy --env {}", env.display());
        let error = here.run(&line).await.1.expect_err(text);
        let told = error.to_string();
        assert!(!told.contains("hunter2"), "{told}");
        told
    };
    let dsn = "PG_DSN=postgresql://sentinel:hunter2@127.0.0.1:1/sentinel";
    assert!(fails(dsn).await.contains("has no SENTINEL_HMAC_SECRET"));
    assert!(
        fails(&format!("{dsn}\nSENTINEL_HMAC_SECRET=hunter2"))
            .await
            .contains("fewer than 16 bytes")
    );
    let other = fails(&format!("{dsn}\nSENTINEL_HMAC_SECRET=hunter2hunter2hunter2")).await;
    assert!(other.contains("another one than this installation's"), "{other}");
    let same = format!("SENTINEL_HMAC_SECRET={NEW_SECRET}");
    assert!(
        fails(&format!("PG_DSN=hunter2\n{same}"))
            .await
            .contains("cannot be read")
    );
    let nobody = fails(&format!("{dsn}\n{same}")).await;
    assert!(nobody.contains("cannot be reached"), "{nobody}");
    let missing = here.run("sentinel import legacy --env /nonexistent/.env").await.1;
    assert!(matches!(missing, Err(CliError::Unreadable(..))), "{missing:?}");
}
