//! `sentinel audit …`: whether the log of what operators did is as it was written.

use std::io::Write;

use clap::{Args, Subcommand};
use sentinel_core::ports::{AuditStore, verify};

use super::CliError;

/// What to do with the log.
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Find an event that was changed, moved or taken away; exit code 1 when there is one
    Verify,
}

/// Looks through the whole chain, and prints where it ends: kept elsewhere, that tells later whether all of it was made anew.
pub(super) async fn run(
    arguments: &AuditArguments,
    store: &dyn AuditStore,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let AuditCommand::Verify = arguments.command;
    let head = store.chain_head().await?;
    let verdict = verify(store).await?;
    if let Some(event) = verdict.first_broken {
        return Err(CliError::AuditBroken(event, verdict.checked));
    }
    writeln!(out, "{} events are as they were written", verdict.checked)?;
    if head.length > 0 {
        writeln!(out, "event {} has the hash {}", head.last_id, head.hash)?;
    }
    if head.began_after > 0 {
        writeln!(
            out,
            "events up to {} are older than the chain, and not in it",
            head.began_after
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sentinel_core::event::AdminEvent;
    use sentinel_core::ports::AdminEventStore as _;
    use sentinel_core::time::Timestamp;
    use sentinel_store::SqliteStore;

    use super::*;

    const VERIFY: AuditArguments = AuditArguments {
        command: AuditCommand::Verify,
    };

    /// What the command says of a log of five events after this statement, and whether it was content.
    async fn said_after(statement: &str) -> (bool, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sentinel.db");
        let store = SqliteStore::open(&path).expect("a new store");
        for number in 1..=5 {
            let event = AdminEvent {
                at: Timestamp::from_unix_ms(number),
                actor: "root".to_owned(),
                client_ip: None,
                action: "login".to_owned(),
                detail: format!("number {number}"),
            };
            store.append(event).await.expect("the store works");
        }
        let file = rusqlite::Connection::open(&path).expect("the file is there");
        file.execute_batch(statement).expect("a good statement");
        let mut out = Vec::new();
        match run(&VERIFY, &store, &mut out).await {
            Ok(()) => (true, String::from_utf8(out).expect("text")),
            Err(error) => (false, error.to_string()),
        }
    }

    #[tokio::test]
    async fn an_untouched_log_is_said_to_be_with_its_head() {
        let (ok, said) = said_after("").await;
        assert!(ok, "{said}");
        assert!(
            said.starts_with("5 events are as they were written\nevent 5 has the hash "),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_changed_removed_or_moved_event_is_named() {
        for (statement, event) in [
            ("UPDATE admin_events SET actor = 'toor' WHERE id = 3", 3),
            ("UPDATE admin_events SET at = at + 1 WHERE id = 1", 1),
            ("DELETE FROM admin_events WHERE id = 2", 3),
            ("DELETE FROM admin_events WHERE id = 5", 5),
            ("DELETE FROM admin_events", 1),
            (
                "UPDATE admin_events SET id = 9 WHERE id = 2; UPDATE admin_events SET id = 2 WHERE id = 4; \
                 UPDATE admin_events SET id = 4 WHERE id = 9",
                2,
            ),
            (
                "INSERT INTO admin_events (id, at, actor, action, detail) VALUES (6, 6, 'root', 'login', ''); \
                 UPDATE audit_chain SET length = 6, last_id = 6",
                6,
            ),
        ] {
            let (ok, said) = said_after(statement).await;
            assert!(
                !ok && said.starts_with(&format!("event {event} was")),
                "{statement}: {said}"
            );
        }
    }
}
