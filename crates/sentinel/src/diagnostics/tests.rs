use sentinel_admin::Severity;
use sentinel_core::binding::NewBinding;
use sentinel_core::event::{Actor, AdminEvent};
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::policy::{Failsafe, Mode, Rules};
use sentinel_core::ports::{BindingStore as _, Claim};
use sentinel_core::time::SystemClock;
use sentinel_store::MemoryStore;

use super::*;
use crate::config;

const GOOD: &str = "zq8Jx0vT4mWc6RkY1hUe9LbN3sGd7PfA";

fn diagnostics(variables: &[(&str, &str)], store: &MemoryStore) -> InstallationDiagnostics {
    let config = config::of_variables(variables);
    let store = Arc::new(store.clone());
    InstallationDiagnostics::new(
        &config,
        (store.clone(), store.clone()),
        vec![("store", store)],
        LiveRules::new(config.live.rules),
        Arc::new(SystemClock),
    )
}

fn named<'f>(findings: &'f [Finding], name: &str) -> &'f Finding {
    let mut found = findings.iter().filter(|finding| finding.name == name);
    let finding = found.next().expect("every check says something");
    assert!(found.next().is_none(), "once");
    finding
}

async fn bound(store: &MemoryStore, count: u32, from: impl Fn(u32) -> String) {
    for number in 0..count {
        let new = NewBinding {
            previous: None,
            fingerprint: KeyFingerprint::from_bytes(std::array::from_fn(|index| {
                number.to_le_bytes()[index % 4]
            })),
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: from(number).parse().expect("a network"),
            bound_at: SystemClock.now(),
            profile: "new-api".into(),
        };
        assert!(matches!(store.claim(new).await, Ok(Claim::Won(_))));
    }
}

#[tokio::test]
async fn where_all_is_well_nothing_is_found() {
    let store = MemoryStore::new();
    bound(&store, 30, |number| format!("192.0.2.{number}")).await;
    let variables = [
        ("SENTINEL_HMAC_SECRET", GOOD),
        ("ADMIN_JWT_SECRET", GOOD),
        ("ADMIN_PASSWORD", GOOD),
        ("ALERT_WEBHOOK_URL", "https://hooks.example.com/x"),
        ("SENTINEL_ADMIN_PUBLIC_URL", "https://sentinel.example.com"),
        ("UPSTREAM_URL", "http://10.0.0.7:3000"),
    ];
    let findings = diagnostics(&variables, &store).checks().await;
    assert!(
        findings
            .iter()
            .all(|finding| finding.ok && finding.what_to_do.is_empty()),
        "{findings:#?}"
    );
    assert!(findings.len() >= 8);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let store = MemoryStore::new();
    // A proxy's address, and a few others.
    bound(&store, 25, |number| {
        if number < 20 {
            "10.0.0.2".to_owned()
        } else {
            format!("192.0.2.{number}")
        }
    })
    .await;
    let variables = [
        ("SENTINEL_HMAC_SECRET", "change-me-change-me-change-me"),
        ("ADMIN_JWT_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("ADMIN_PASSWORD", "sentinel-admin-1"),
        ("SENTINEL_MODE", "observe"),
        ("SENTINEL_ADMIN_LISTEN", "0.0.0.0:7001"),
        ("UPSTREAM_URL", "http://203.0.113.7:3000"),
    ];
    let findings = diagnostics(&variables, &store).checks().await;
    let expected = [
        ("bound_addresses", Severity::Problem, "10.0.0.2/32"),
        (
            "secrets",
            Severity::Problem,
            "SENTINEL_HMAC_SECRET, ADMIN_JWT_SECRET, ADMIN_PASSWORD",
        ),
        ("alerts", Severity::Warning, "No channel"),
        ("admin_listener", Severity::Warning, "in clear"),
        (
            "upstream_encryption",
            Severity::Problem,
            "http://203.0.113.7:3000",
        ),
        ("rules", Severity::Warning, "observe"),
    ];
    for (name, severity, text) in expected {
        let finding = named(&findings, name);
        assert!(!finding.ok && finding.severity == severity, "{finding:?}");
        assert!(
            finding.text.contains(text) && !finding.what_to_do.is_empty(),
            "{finding:?}"
        );
    }
    let all = format!("{findings:?}");
    assert!(
        !all.contains("change-me") && !all.contains("aaaa") && !all.contains("admin-1"),
        "{all}"
    );
}

#[test]
fn a_clock_that_jumps_is_noticed() {
    let at = Timestamp::from_unix_ms;
    let judged = |by_clock, newest| checks::clock(by_clock, Duration::from_mins(1), at(1_000_000), newest);
    assert!(judged(60_000, None).ok && judged(64_000, Some(at(1_004_000))).ok);
    assert!(judged(-3_540_000, None).text.contains("back by 3600 s"));
    assert!(judged(i64::MAX, None).text.contains("forward"));
    assert!(judged(60_000, Some(at(1_060_000))).text.contains("60 s from now"));
    assert!(judged(60_000, Some(at(i64::MAX))).text.contains("from now"));
}

#[test]
fn the_rules_are_looked_at_as_they_are_now() {
    let open = Rules {
        failsafe: Failsafe::Open,
        ..Rules::default()
    };
    let observe = Rules {
        mode: Mode::Observe,
        ..Rules::default()
    };
    assert!(checks::rules(&Rules::default()).ok);
    assert!(checks::rules(&open).text.contains("failsafe"));
    assert!(checks::rules(&observe).text.contains("observe"));
}

#[tokio::test]
async fn few_keys_say_nothing_about_their_addresses() {
    let store = MemoryStore::new();
    bound(&store, 19, |_| "10.0.0.2".to_owned()).await;
    assert!(diagnostics(&[], &store).bound_addresses().await.ok);
    store_event_from_the_future(&store).await;
    assert!(!diagnostics(&[], &store).clock().await.ok);
}

#[tokio::test]
async fn the_newest_bindings_are_looked_at_and_no_more() {
    let store = MemoryStore::new();
    let older = 200;
    let from = |number: u32| match number.checked_sub(older) {
        None => "10.0.0.2".to_owned(),
        Some(number) => format!("192.0.{}.{}", number / 256, number % 256),
    };
    bound(&store, older + BINDINGS_LOOKED_AT_MAX, from).await;
    let finding = diagnostics(&[], &store).bound_addresses().await;
    assert!(
        finding.ok && finding.text.contains("newest 1000 keys"),
        "{finding:?}"
    );
}

async fn store_event_from_the_future(store: &MemoryStore) {
    let actor = Actor {
        name: "root".to_owned(),
        client_ip: None,
        at: SystemClock.now().plus(Duration::from_hours(1)),
    };
    let event = AdminEvent::by(&actor, "login", String::new());
    AdminEventStore::append(store, event).await.expect("memory works");
}

/// Never answers.
struct Stuck;

#[async_trait]
impl Health for Stuck {
    async fn check(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_stuck_is_waited_for_so_long() {
    let mut diagnostics = diagnostics(&[], &MemoryStore::new());
    diagnostics.health = vec![("cache", Arc::new(Stuck))];
    let began = Instant::now();
    let parts = diagnostics.parts().await;
    assert_eq!(began.elapsed(), PART_TIME_MAX);
    assert!(!parts[0].ok && parts[0].text.contains("cache"), "{parts:?}");
}

#[tokio::test]
async fn every_address_of_the_upstream_is_tried_within_its_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let open = listener.local_addr().expect("bound").port();
    let closed = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        gone.local_addr().expect("bound").port()
    };
    let url = format!("http://127.0.0.1:{open},http://127.0.0.1:{closed}");
    let tried = diagnostics(&[("UPSTREAM_URL", &url)], &MemoryStore::new())
        .upstream()
        .await;
    let shown: Vec<_> = tried
        .iter()
        .map(|tried| (tried.address.clone(), tried.ok, tried.error.is_none()))
        .collect();
    assert_eq!(
        shown,
        [
            (format!("127.0.0.1:{open}"), true, true),
            (format!("127.0.0.1:{closed}"), false, false)
        ]
    );
    assert!(
        tried
            .iter()
            .all(|tried| u128::from(tried.latency_ms) <= ADDRESS_TIME_MAX.as_millis())
    );
    assert!(ADDRESS_TIME_MAX < PROBE_TIME_MAX);
    assert!(diagnostics(&[], &MemoryStore::new()).upstream().await.is_empty());
}
