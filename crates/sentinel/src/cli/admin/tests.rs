use clap::Parser as _;
use sentinel_core::account::memory::MemoryAccounts;
use sentinel_testkit::SettableClock;

use super::*;
use crate::cli::{Cli, Command};

const PASSWORD: &str = "correct horse battery";

#[derive(Default)]
struct Fixture {
    accounts: MemoryAccounts,
    clock: SettableClock,
}

impl Fixture {
    async fn run(&self, line: &str, password: &str) -> (String, Result<(), CliError>) {
        let line = format!("sentinel admin {line}");
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
        let Command::Admin(arguments) = cli.command else {
            panic!("{line} is about administrators");
        };
        let mut out = anstream::StripStream::new(Vec::new());
        let read = || Ok(Secret::new(password.to_owned()));
        let outcome = run(arguments, (&self.accounts, "root"), &self.clock, read, &mut out).await;
        (String::from_utf8(out.into_inner()).expect("UTF-8"), outcome)
    }

    async fn done(&self, line: &str) -> String {
        let (text, outcome) = self.run(line, PASSWORD).await;
        outcome.unwrap_or_else(|error| panic!("{line}: {error}"));
        text
    }

    async fn refused(&self, line: &str, password: &str) -> CliError {
        self.run(line, password).await.1.expect_err(line)
    }
}

#[tokio::test]
async fn administrators_are_added_and_listed() {
    let fixture = Fixture::default();
    assert_eq!(fixture.done("list").await, "No administrators.\n");
    let added = fixture.done("add ann --role owner").await;
    assert!(
        added.contains("ann") && added.contains("owner") && added.contains("never"),
        "{added}"
    );
    fixture.done("add bob --role viewer").await;
    let list: serde_json::Value =
        serde_json::from_str(&fixture.done("list --output json").await).expect("JSON");
    assert_eq!(
        (&list[0]["name"], &list[1]["role"]),
        (&json!("ann"), &json!("viewer"))
    );
    assert!(!list.to_string().contains("argon2"), "{list}");
    for taken in ["ann", "ANN", "root", "Root"] {
        let error = fixture
            .refused(&format!("add {taken} --role viewer"), PASSWORD)
            .await;
        assert!(matches!(error, CliError::AdministratorNameTaken(_)), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
    let short = "x".repeat(PASSWORD_CHARACTERS_MIN - 1);
    let error = fixture.refused("add eve --role viewer", &short).await;
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn there_are_so_many_at_most() {
    let fixture = Fixture::default();
    let actor = || Actor {
        name: ACTOR.to_owned(),
        client_ip: None,
        at: fixture.clock.now(),
    };
    for number in 0..ADMINISTRATORS_MAX {
        let new = NewAdministrator {
            name: AdministratorName::new(&format!("a{number}")).expect("a good name"),
            role: Role::Viewer,
            password: StoredPasswordHash::new(String::new()),
        };
        assert!(fixture.accounts.add_administrator(new, actor()).await.is_ok());
    }
    let error = fixture.refused("add more --role viewer", PASSWORD).await;
    assert!(matches!(error, CliError::TooManyAdministrators(_)), "{error}");
}

#[tokio::test]
async fn resets_are_made_and_recorded_and_hold_no_secret() {
    let fixture = Fixture::default();
    fixture.done("add ann --role owner").await;
    let before = fixture.accounts.administrators().await.expect("works").remove(0);
    fixture.done("reset-password ann").await;
    fixture.done("reset-second-factor ann").await;
    let after = fixture.accounts.administrators().await.expect("works").remove(0);
    assert_ne!(before.password, after.password, "under a fresh salt");
    for line in ["reset-password bob", "reset-second-factor bob"] {
        let error = fixture.refused(line, PASSWORD).await;
        assert!(matches!(error, CliError::NoSuchAdministrator(_)), "{error}");
    }
    let events = fixture.accounts.events();
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        ["add_administrator", "reset_password", "reset_second_factor"]
    );
    assert!(
        events
            .iter()
            .all(|event| event.actor == "cli" && event.client_ip.is_none())
    );
    let written = format!("{events:?}");
    assert!(
        !written.contains(PASSWORD) && !written.contains("argon2"),
        "{written}"
    );
}
