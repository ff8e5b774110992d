use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Intercept;

use super::super::tally::Sightings;
use super::*;
use crate::testing::intercept;

fn drafts_of(records: &[Intercept]) -> BTreeMap<Key, Draft> {
    let subjects = Sightings::of(records).into_subjects();
    let drafts = subjects.flat_map(|(subject, sighting)| {
        let meanings: Vec<_> = meanings(&subject, &sighting).collect();
        let draft = move |(kind, count)| ((kind, subject.clone()), of_sighting(&sighting, count));
        meanings.into_iter().map(draft)
    });
    drafts.collect()
}

fn kinds(record: Intercept) -> Vec<(RuleKind, String)> {
    drafts_of(&[record])
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
        let record = intercept(innocent, Some(7), Some(1), "198.51.100.7");
        assert_eq!(kinds(record), [], "{innocent:?}");
    }
}

#[test]
fn one_clients_ipv6_addresses_are_one_subject() {
    let records: Vec<Intercept> = (1..=100)
        .map(|host| {
            let from = format!("2001:db8:1:2::{host:x}");
            intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), &from)
        })
        .collect();
    let drafts = drafts_of(&records);
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
    let record = intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), "198.51.100.7");
    for ((kind, _), draft) in drafts_of(&[record]) {
        let is_about_key = matches!(kind, RuleKind::RefusalsPerBinding | RuleKind::ManyNetworksForKey);
        assert_eq!(draft.hint.is_some(), is_about_key, "{kind:?}");
        assert_eq!(draft.binding.is_some(), is_about_key, "{kind:?}");
        assert!(draft.seen.example.is_some());
    }
}
