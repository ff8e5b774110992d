use std::collections::HashMap;

use proptest::prelude::*;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::ClientIp;

use super::super::tests::intercept;
use super::*;

fn key(number: u8) -> (Option<KeyFingerprint>, Option<KeyHint>) {
    let hint = KeyHint::from_stored(format!("sk-{number}"));
    (Some(KeyFingerprint::from_bytes([number; 32])), Some(hint))
}

fn from(address: [u8; 4], reason: RefusalReason) -> Intercept {
    let mut record = intercept(reason);
    record.client_ip = ClientIp::new(address.into());
    record
}

/// Puts all in; gives all rows, and how many were given back.
fn folded(records: impl IntoIterator<Item = Intercept>) -> (Vec<Intercept>, usize) {
    let (mut fold, mut rows) = (Fold::default(), Vec::new());
    let given_back = records
        .into_iter()
        .filter_map(|record| fold.take(record, &mut rows))
        .count();
    fold.end(&mut rows);
    (rows, given_back)
}

#[test]
fn the_first_are_whole_and_one_stands_for_the_rest() {
    let records: Vec<_> = (0..50_000)
        .map(|_| intercept(RefusalReason::KeyMissing))
        .collect();
    let (rows, given_back) = folded(records.clone());
    let whole = FOLD_WHOLE_MAX as usize;
    assert_eq!((rows.len(), given_back), (whole + 1, 0));
    assert_eq!(rows[..whole], records[..whole]);
    assert_eq!(rows[whole].reference, records[whole].reference);
    assert_eq!(rows[whole].count, 50_000 - FOLD_WHOLE_MAX);
}

#[test]
fn exactly_the_first_ones_need_no_row_for_the_rest() {
    let records = (0..FOLD_WHOLE_MAX).map(|_| intercept(RefusalReason::KeyMissing));
    let (rows, _) = folded(records);
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize);
    assert!(rows.iter().all(|row| row.count == 1));
}

#[test]
fn different_records_are_not_folded_together() {
    let plain = intercept(RefusalReason::KeyIpMismatch);
    let mut kinds = vec![plain.clone(); 6];
    kinds[1].reason = RefusalReason::KeyBanned;
    kinds[2].outcome = InterceptOutcome::Observed;
    kinds[3].binding = Some(BindingId(1));
    kinds[4].client_ip = ClientIp::new([192, 0, 2, 2].into());
    kinds[5].at = Timestamp::from_unix_ms(5_000);
    let records = kinds.iter().flat_map(|kind| vec![kind.clone(); 100]);
    let (rows, _) = folded(records);
    assert_eq!(rows.len(), kinds.len() * (FOLD_WHOLE_MAX as usize + 1));
}

#[test]
fn what_a_client_chooses_freely_does_not_make_it_another() {
    let records = (0..=u16::MAX).map(|number| {
        let mut record = intercept(RefusalReason::ClaimRateLimited);
        let [high, low] = number.to_be_bytes();
        (record.fingerprint, record.hint) = key(low);
        record.client_ip =
            ClientIp::new(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(high)).into());
        record.path = format!("/{number}");
        record.user_agent = format!("agent {number}");
        record
    });
    let (rows, _) = folded(records);
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize + 1);
}

#[test]
fn the_rest_names_a_key_only_if_all_of_it_had_that_one() {
    for (others, named) in [(1, true), (2, false)] {
        let records = (0..100).map(|number| {
            let mut record = intercept(RefusalReason::ClaimRateLimited);
            (record.fingerprint, record.hint) = key(if number == 99 { others } else { 1 });
            record
        });
        let (rows, _) = folded(records);
        let rest = rows.last().expect("rows");
        assert_eq!(rest.fingerprint.is_some(), named);
        assert_eq!(rest.hint.is_some(), named);
    }
}

#[test]
fn the_clock_may_stand_go_on_and_go_back() {
    // Each with the number of seconds that it begins anew.
    for (seconds, begun) in [
        (&[7, 7, 7][..], 1),
        (&[7, 8, 9], 3),
        // From core to core, a record may be late by a little.
        (&[7, 8, 7, 8, 7, 8], 2),
        (&[3_600, 10, 10, 11], 3),
        (&[-2, -1, -2, -1], 2),
    ] {
        let records = seconds.iter().flat_map(|second| {
            let mut record = intercept(RefusalReason::KeyMissing);
            record.at = Timestamp::from_unix_ms(second * 1_000 + 999);
            vec![record; 100]
        });
        let (rows, _) = folded(records);
        assert_eq!(rows.len(), begun * (FOLD_WHOLE_MAX as usize + 1), "{seconds:?}");
    }
}

#[test]
fn many_clients_together_write_so_many_whole_ones_and_a_stolen_key_is_still_seen() {
    let clients = u8::try_from(SECOND_WHOLE_MAX / FOLD_WHOLE_MAX + 1).expect("few");
    let records = (0..clients)
        .flat_map(|client| (0..20).map(move |_| from([10, 0, 0, client], RefusalReason::KeyMissing)))
        .chain([intercept(RefusalReason::KeyIpMismatch)]);
    let (rows, given_back) = folded(records);
    assert_eq!(given_back, 0);
    let (whole, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.count == 1);
    assert_eq!(whole.len(), SECOND_WHOLE_MAX as usize + 1);
    assert_eq!(rest.len(), usize::from(clients));
    assert!(whole.iter().any(|row| row.reason == RefusalReason::KeyIpMismatch));
}

#[test]
fn groups_have_a_maximum_and_a_reserve() {
    let (mut fold, mut rows) = (Fold::default(), Vec::new());
    let mut given_back = |reason, addresses: std::ops::Range<usize>| {
        addresses
            .filter_map(|number| {
                let [_, _, high, low] = u32::try_from(number).expect("small").to_be_bytes();
                fold.take(from([10, 0, high, low], reason), &mut rows)
            })
            .count()
    };
    let cheap = GROUPS_MAX - GROUPS_RESERVE;
    assert_eq!(given_back(RefusalReason::KeyMissing, 0..cheap), 0);
    assert_eq!(given_back(RefusalReason::KeyMissing, cheap..cheap + 3), 3);
    assert_eq!(
        given_back(RefusalReason::KeyMissing, 0..3),
        0,
        "a known group stays open"
    );
    assert_eq!(given_back(RefusalReason::KeyBanned, 0..GROUPS_RESERVE), 0);
    assert_eq!(given_back(RefusalReason::KeyBanned, cheap..cheap + 3), 3);
    fold.end(&mut rows);
    assert!(fold.groups.is_empty());
    assert_eq!(
        rows.iter().map(|row| row.count as usize).sum::<usize>(),
        GROUPS_MAX + 3
    );
}

#[test]
fn a_count_that_is_full_begins_another_row() {
    let records = (0..FOLD_WHOLE_MAX + 3).map(|_| {
        let mut record = intercept(RefusalReason::KeyMissing);
        record.count = u32::MAX / 2;
        record
    });
    let (rows, _) = folded(records);
    let sum: u64 = rows.iter().map(|row| u64::from(row.count)).sum();
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize + 2);
    assert_eq!(sum, u64::from(u32::MAX / 2) * u64::from(FOLD_WHOLE_MAX + 3));
}

/// One record of a flood: which rule, from where, against which binding, how many milliseconds after the one before.
type Step = (usize, u8, Option<i64>, i64);

fn flood() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![20 => Just(0), 2 => 0..700_i64, 1 => -3_000..0_i64];
    let step = (
        0..RefusalReason::ALL.len(),
        0..3_u8,
        proptest::option::of(0..2_i64),
        pause,
    );
    prop::collection::vec(step, 0..2_000)
}

proptest! {
    #[test]
    fn no_request_goes_uncounted(steps in flood()) {
        let mut at = 0;
        let (mut fold, mut rows) = (Fold::default(), Vec::new());
        let mut sent = HashMap::new();
        for (reason, client, binding, pause) in steps {
            at += pause;
            let mut record = from([192, 0, 2, client], RefusalReason::ALL[reason]);
            record.binding = binding.map(BindingId);
            record.at = Timestamp::from_unix_ms(at);
            *sent.entry(Group::of(&record)).or_insert(0) += record.count;
            prop_assert_eq!(fold.take(record, &mut rows), None);
        }
        fold.end(&mut rows);
        let mut counted = HashMap::new();
        for row in &rows {
            *counted.entry(Group::of(row)).or_insert(0) += row.count;
        }
        prop_assert!(sent == counted);
    }
}
