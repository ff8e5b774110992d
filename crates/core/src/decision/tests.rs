use std::time::Duration;

use super::*;
use crate::binding::Version;
use crate::fingerprint::KeyFingerprint;
use crate::policy::{OwnPolicy, PolicyOverride};

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

fn binding(networks: &[&str]) -> Binding {
    Binding {
        id: BindingId(7),
        fingerprint: KeyFingerprint::from_bytes([1; 32]),
        status: BindingStatus::Active,
        networks: networks
            .iter()
            .map(|text| text.parse().expect("a network"))
            .collect(),
        policy: OwnPolicy::default(),
        version: Version(1),
        bound_at: Timestamp::from_unix_ms(0),
    }
}

fn ip(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

/// The verdict in one word.
fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allowed(permit) => format!("allowed {:?}", permit.binding().map(|id| id.0)),
        Verdict::Observed(_, reason) => format!("observed {}", reason.code()),
        Verdict::Learnable => "learnable".to_owned(),
        Verdict::Refused(reason) => format!("refused {}", reason.code()),
    }
}

#[test]
fn a_bound_key_is_held_to_its_networks() {
    let rules = Rules::default();
    let bound = binding(&["203.0.113.7", "2001:db8::/64"]);
    let judged = |address: &str| word(decide(Subject::Bound(&bound), ip(address), &rules, NOW, true));
    assert_eq!(judged("203.0.113.7"), "allowed Some(7)");
    assert_eq!(judged("2001:db8::beef"), "allowed Some(7)");
    assert_eq!(judged("203.0.113.8"), "refused key_ip_mismatch");
    assert_eq!(judged("2001:db8:0:1::1"), "refused key_ip_mismatch");
}

#[test]
fn a_ban_holds_everywhere_even_when_only_observing() {
    let rules = Rules {
        mode: Mode::Observe,
        ..Rules::default()
    };
    let banned = Binding {
        status: BindingStatus::Banned,
        ..binding(&["203.0.113.7"])
    };
    let judged = word(decide(
        Subject::Bound(&banned),
        ip("203.0.113.7"),
        &rules,
        NOW,
        true,
    ));
    assert_eq!(judged, "refused key_banned");
}

#[test]
fn observing_lets_on_and_names_what_it_saw() {
    let rules = Rules {
        mode: Mode::Observe,
        ..Rules::default()
    };
    let bound = binding(&["203.0.113.7"]);
    assert_eq!(
        word(decide(
            Subject::Bound(&bound),
            ip("198.51.100.1"),
            &rules,
            NOW,
            true
        )),
        "observed key_ip_mismatch"
    );
    let strict = Binding {
        policy: PolicyOverride {
            mode: Some(Mode::Enforce),
            ..PolicyOverride::default()
        }
        .into(),
        ..bound
    };
    assert_eq!(
        word(decide(
            Subject::Bound(&strict),
            ip("198.51.100.1"),
            &rules,
            NOW,
            true
        )),
        "refused key_ip_mismatch",
        "a binding's own policy wins"
    );
}

#[test]
fn a_key_learns_while_it_has_slots_and_time() {
    let rules = Rules {
        slots: 2,
        learning_window: Some(Duration::from_secs(1_000)),
        ..Rules::default()
    };
    let elsewhere = ip("198.51.100.1");
    let one = binding(&["203.0.113.7"]);
    let two = binding(&["203.0.113.7", "203.0.113.8"]);
    assert_eq!(
        word(decide(Subject::Bound(&one), elsewhere, &rules, NOW, true)),
        "learnable"
    );
    assert_eq!(
        word(decide(Subject::Bound(&one), elsewhere, &rules, NOW, false)),
        "refused key_ip_mismatch"
    );
    assert_eq!(
        word(decide(Subject::Bound(&two), elsewhere, &rules, NOW, true)),
        "refused key_ip_mismatch"
    );
    let later = Timestamp::from_unix_ms(1_000_001);
    assert_eq!(
        word(decide(Subject::Bound(&one), elsewhere, &rules, later, true)),
        "refused key_ip_mismatch"
    );
}

#[test]
fn requests_without_a_binding_follow_the_rules() {
    let default = Rules::default();
    let strict = Rules {
        keyless: Keyless::Deny,
        ..Rules::default()
    };
    let open = Rules {
        failsafe: Failsafe::Open,
        ..Rules::default()
    };
    let judged = |subject, rules: &Rules| word(decide(subject, ip("203.0.113.7"), rules, NOW, true));
    assert_eq!(judged(Subject::Keyless, &default), "allowed None");
    assert_eq!(judged(Subject::Keyless, &strict), "refused key_missing");
    assert_eq!(judged(Subject::UnknownOffClaimPath, &default), "allowed None");
    assert_eq!(judged(Subject::ClaimHeld, &default), "allowed None");
    assert_eq!(
        judged(Subject::StoreUnavailable, &default),
        "refused binding_store_unavailable"
    );
    assert_eq!(
        judged(Subject::StoreUnavailable, &open),
        "observed binding_store_unavailable"
    );
}

#[test]
fn a_busy_store_opens_no_door() {
    for failsafe in [Failsafe::Closed, Failsafe::Open] {
        let rules = Rules {
            failsafe,
            mode: Mode::Observe,
            ..Rules::default()
        };
        for subject in [Subject::StoreBusy, Subject::SecretOutdated] {
            assert_eq!(
                word(decide(subject, ip("203.0.113.7"), &rules, NOW, true)),
                "refused binding_store_unavailable",
                "{failsafe:?}"
            );
        }
    }
}
