use std::time::Duration;

use http::HeaderName;

use super::*;
use crate::binding::{BindingId, BindingStatus, Version};
use crate::client_ip::ClientIpSource;
use crate::fingerprint::KeyFingerprint;
use crate::policy::{Mode, OwnPolicy, PolicyOverride};

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

fn address(text: &str) -> ClientIp {
    ClientIp::new(text.parse().expect("an address"))
}

fn binding() -> Binding {
    Binding {
        id: BindingId(7),
        fingerprint: KeyFingerprint::from_bytes([7; 32]),
        status: BindingStatus::Active,
        networks: "192.0.2.0/24".parse::<Network>().expect("a network").into(),
        policy: OwnPolicy::default(),
        version: Version(1),
        bound_at: Timestamp::from_unix_ms(0),
    }
}

fn asked(binding: Option<&Binding>, from: &str, is_claim_path: bool, rules: &Rules) -> Explanation {
    let trusted: Network = "198.51.100.0/24".parse().expect("a network");
    let source = ClientIpSource::from_header(HeaderName::from_static("x-real-ip"));
    explain(&Question {
        binding,
        address: address(from),
        is_claim_path,
        rules,
        client_ip: &ClientIpRules::new(vec![trusted], source),
        now: NOW,
    })
}

fn said(explanation: &Explanation) -> (Outcome, Option<RefusalReason>) {
    (explanation.outcome, explanation.reason)
}

#[test]
fn a_bound_key_is_judged_as_the_decision_judges_it() {
    let (rules, mut bound) = (Rules::default(), binding());
    assert_eq!(
        said(&asked(Some(&bound), "192.0.2.9", true, &rules)),
        (Outcome::Permit, None)
    );
    let mismatch = Some(RefusalReason::KeyIpMismatch);
    let refused = asked(Some(&bound), "203.0.113.9", false, &rules);
    assert_eq!(said(&refused), (Outcome::Refuse, mismatch));
    let names: Vec<_> = refused.steps.iter().map(|step| (step.name, step.ok)).collect();
    assert_eq!(
        names,
        [
            ("address", true),
            ("key", true),
            ("network", false),
            ("outcome", false)
        ]
    );

    let observe = Rules {
        mode: Mode::Observe,
        ..rules
    };
    assert_eq!(
        said(&asked(Some(&bound), "203.0.113.9", true, &observe)),
        (Outcome::Observe, mismatch)
    );
    bound.status = BindingStatus::Banned;
    let banned = asked(Some(&bound), "192.0.2.9", true, &observe);
    assert_eq!(said(&banned), (Outcome::Refuse, Some(RefusalReason::KeyBanned)));
    assert!(banned.steps.iter().any(|step| step.name == "key" && !step.ok));
}

#[test]
fn learning_is_told_and_done_only_in_thought() {
    let bound = binding();
    let rules = Rules {
        slots: 2,
        ..Rules::default()
    };
    let learned = asked(Some(&bound), "203.0.113.9", true, &rules);
    assert_eq!(said(&learned), (Outcome::Permit, None));
    assert!(
        learned
            .steps
            .iter()
            .any(|step| step.text.contains("learns 203.0.113.9/32")),
        "{learned:?}"
    );
    assert_eq!(bound, binding());
    // Never from a trusted proxy's own address, and not past the window.
    let mismatch = (Outcome::Refuse, Some(RefusalReason::KeyIpMismatch));
    assert_eq!(said(&asked(Some(&bound), "198.51.100.1", true, &rules)), mismatch);
    let over = Rules {
        learning_window: Some(Duration::from_secs(1)),
        ..rules
    };
    assert_eq!(said(&asked(Some(&bound), "203.0.113.9", true, &over)), mismatch);
    let observing = Binding {
        policy: PolicyOverride {
            mode: Some(Mode::Observe),
            slots: Some(1),
            ..PolicyOverride::NONE
        }
        .into(),
        ..binding()
    };
    let own = asked(Some(&observing), "203.0.113.9", true, &rules);
    assert_eq!(said(&own), (Outcome::Observe, Some(RefusalReason::KeyIpMismatch)));
}

#[test]
fn an_unknown_key_is_claimed_on_a_claim_path_from_a_clients_address() {
    let rules = Rules {
        ipv6_prefix: 56,
        ..Rules::default()
    };
    let claim = asked(None, "2001:db8::1", true, &rules);
    assert_eq!(said(&claim), (Outcome::Claim, None));
    assert!(
        claim.steps.iter().any(|step| step.text.contains("2001:db8::/56")),
        "{claim:?}"
    );
    assert_eq!(
        said(&asked(None, "203.0.113.9", false, &rules)),
        (Outcome::Permit, None)
    );
    let trusted = asked(None, "198.51.100.1", true, &rules);
    assert_eq!(
        said(&trusted),
        (Outcome::Refuse, Some(RefusalReason::ClientIpUnresolvable))
    );
    assert_eq!(
        said(&asked(None, "198.51.100.1", false, &rules)),
        (Outcome::Permit, None)
    );
}

#[test]
fn every_outcome_has_a_word_of_its_own() {
    let all = [Outcome::Permit, Outcome::Refuse, Outcome::Observe, Outcome::Claim];
    assert_eq!(all.map(Outcome::as_str), ["permit", "refuse", "observe", "claim"]);
}
