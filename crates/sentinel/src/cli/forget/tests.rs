use clap::Parser as _;
use sentinel_core::binding::NewBinding;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::fingerprint::{ApiKey, KeyFingerprint};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{
    AuditStore as _, BindingStore as _, EventFilter, InterceptFilter, InterceptStore, verify,
};
use sentinel_store::SqliteStore;
use sentinel_testkit::SettableClock;

use super::*;
use crate::cli::{Cli, Command};

/// A store with a binding of 192.0.2.7, and a refusal of it.
async fn store() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("sentinel.db")).expect("a new store");
    let clock = SettableClock::default();
    let hint = ApiKey::new("sk-alpha-0123456789abcdef").hint();
    let new = NewBinding {
        previous: None,
        fingerprint: KeyFingerprint::from_bytes([1; 32]),
        hint: hint.clone(),
        network: "192.0.2.7".parse().expect("a network"),
        bound_at: clock.now(),
        profile: "".into(),
    };
    store.claim(new).await.expect("a fresh store");
    let refused = Intercept {
        reference: Reference::random(),
        at: clock.now(),
        last_at: clock.now(),
        reason: RefusalReason::KeyBanned,
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: sentinel_core::binding::Networks::default(),
        fingerprint: None,
        hint: Some(hint),
        client_ip: ClientIp::new("192.0.2.7".parse().expect("an address")),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    };
    InterceptStore::append(&store, vec![refused])
        .await
        .expect("taken");
    (store, folder)
}

async fn said(store: &SqliteStore, line: &str) -> String {
    let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
    let Command::Forget(arguments) = cli.command else {
        panic!("{line} is about forgetting");
    };
    let mut out = anstream::StripStream::new(Vec::new());
    run(arguments, (store, store), &SettableClock::default(), &mut out)
        .await
        .expect("the store works");
    String::from_utf8(out.into_inner()).expect("UTF-8")
}

async fn rows(store: &SqliteStore) -> usize {
    let filter = InterceptFilter {
        limit: 9,
        ..InterceptFilter::default()
    };
    InterceptStore::list(store, filter).await.expect("it reads").len()
}

#[tokio::test]
async fn a_rehearsal_says_what_would_go_and_what_would_stay() {
    let (store, _folder) = store().await;
    let said = said(&store, "sentinel forget 192.0.2.7").await;
    for part in [
        "Would be removed:\n  1  refused or observed requests\n",
        "Would stay:\n  1  bindings in force",
        "with --yes",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(rows(&store).await, 1);
}

#[tokio::test]
async fn it_is_done_and_written_down_without_the_name() {
    for what in ["192.0.2.7", "sk-al…cdef"] {
        let (store, _folder) = store().await;
        let text = said(&store, &format!("sentinel forget {what} --yes")).await;
        assert!(text.starts_with("Removed:\n"), "{text}");
        assert_eq!(rows(&store).await, 0);
        let filter = EventFilter {
            limit: 9,
            ..EventFilter::default()
        };
        let events = store.events(filter).await.expect("it reads");
        assert_eq!(events.len(), 1);
        let event = &events[0].event;
        assert_eq!((event.action.as_str(), event.actor.as_str()), ("forget", "cli"));
        assert!(
            event.detail.contains("\"intercepts\":1") && !event.detail.contains(what),
            "{event:?}"
        );
        assert_eq!(verify(&store).await.expect("it reads").first_broken, None);
        let again = said(&store, &format!("sentinel forget {what} --yes")).await;
        assert!(again.starts_with("Removed:\n  nothing\n"), "{again}");
    }
}
