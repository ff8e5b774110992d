use sentinel_core::event::{InterceptOutcome, Reference};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::ClientIp;

use super::*;

fn intercept(reason: RefusalReason, binding: Option<i64>, key: Option<u8>, from: &str) -> Signal {
    Signal::Seen(Box::new(Intercept {
        reference: Reference::random(),
        at: Timestamp::from_unix_ms(5_000),
        last_at: Timestamp::from_unix_ms(5_000),
        reason,
        outcome: InterceptOutcome::Refused,
        binding: binding.map(BindingId),
        networks: Vec::new().into(),
        fingerprint: key.map(|fill| KeyFingerprint::from_bytes([fill; 32])),
        hint: key.map(|_| KeyHint::from_stored("sk-…".to_owned())),
        client_ip: ClientIp::new(from.parse().expect("an address")),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 3,
        profile: "".into(),
        replica: "".into(),
    }))
}

fn kinds(signal: Signal) -> Vec<(RuleKind, String)> {
    drafts(&[signal], &Rules::default())
        .into_keys()
        .map(|(kind, subject)| (kind, subject.to_string()))
        .collect()
}

#[test]
fn each_reason_means_something_to_the_rules_that_it_concerns() {
    use RuleKind::{
        BannedKeyTried, ManyKeysFromAddress, ManyNetworksForKey, RefusalsPerAddress, RefusalsPerBinding,
    };
    let address = "address:198.51.100.7/32".to_owned();
    let binding = "binding:7".to_owned();
    let mismatch = intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), "198.51.100.7");
    assert_eq!(
        kinds(mismatch),
        [
            (RefusalsPerBinding, binding.clone()),
            (RefusalsPerAddress, address.clone()),
            (ManyKeysFromAddress, address.clone()),
            (ManyNetworksForKey, binding.clone()),
        ]
    );
    let banned = intercept(RefusalReason::KeyBanned, Some(7), Some(1), "198.51.100.7");
    assert_eq!(kinds(banned).last(), Some(&(BannedKeyTried, binding)));
    let key = format!("key:{}", "01".repeat(32));
    let unbound = intercept(RefusalReason::KeyBanned, None, Some(1), "198.51.100.7");
    assert_eq!(
        kinds(unbound),
        [
            (RefusalsPerAddress, address.clone()),
            (ManyKeysFromAddress, address.clone()),
            (ManyNetworksForKey, key.clone()),
            (BannedKeyTried, key),
        ]
    );
    let throttled = intercept(RefusalReason::ClaimRateLimited, None, Some(1), "198.51.100.7");
    assert_eq!(
        kinds(throttled),
        [
            (RefusalsPerAddress, address.clone()),
            (ManyKeysFromAddress, address.clone())
        ]
    );
    let missing = intercept(RefusalReason::KeyMissing, None, None, "198.51.100.7");
    assert_eq!(kinds(missing), [(RefusalsPerAddress, address)]);
    for innocent in [
        RefusalReason::BindingStoreUnavailable,
        RefusalReason::UpstreamUnreachable,
        RefusalReason::UpstreamTimeout,
        RefusalReason::ClientIpUnresolvable,
    ] {
        let signal = intercept(innocent, Some(7), Some(1), "198.51.100.7");
        assert_eq!(kinds(signal), [], "{innocent:?}");
    }
}

#[test]
fn one_clients_ipv6_addresses_are_one_subject() {
    let signals: Vec<Signal> = (1..=100)
        .map(|host| {
            let from = format!("2001:db8:1:2::{host:x}");
            intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), &from)
        })
        .collect();
    let drafts = drafts(&signals, &Rules::default());
    let key = (
        RuleKind::RefusalsPerAddress,
        Subject::Address("2001:db8:1:2::/64".parse().expect("a network")),
    );
    assert_eq!(drafts[&key].seen.count, 300);
    assert_eq!(drafts[&key].seen.networks.len(), 1);
    assert_eq!(drafts.len(), 4);
}

#[test]
fn an_address_has_no_hint_and_a_key_has() {
    let signal = intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), "198.51.100.7");
    for ((kind, _), draft) in drafts(&[signal], &Rules::default()) {
        let is_about_key = matches!(kind, RuleKind::RefusalsPerBinding | RuleKind::ManyNetworksForKey);
        assert_eq!(draft.hint.is_some(), is_about_key, "{kind:?}");
        assert_eq!(draft.binding.is_some(), is_about_key, "{kind:?}");
        assert!(draft.seen.example.is_some());
        let different = usize::from(kind.counts_different());
        assert_eq!(draft.members.len(), different, "{kind:?}");
    }
}
