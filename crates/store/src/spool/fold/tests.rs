use std::collections::HashMap;

use proptest::prelude::*;
use sentinel_core::fingerprint::KeyHint;
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

fn against(binding: i64, address: [u8; 4]) -> Intercept {
    let mut record = from(address, RefusalReason::KeyIpMismatch);
    record.binding = Some(BindingId(binding));
    (record.fingerprint, record.hint) = key(u8::try_from(binding % 256).expect("small"));
    record
}

/// The rows that entries make, as whoever reads the log makes them.
fn rows_of(entries: Vec<Kept>) -> Vec<Intercept> {
    let mut open = std::collections::BTreeMap::new();
    let mut rows = Vec::new();
    for kept in entries {
        match kept.entry {
            Entry::Session { .. } => {}
            Entry::Whole(record) => rows.push(record),
            Entry::Opens(slot, record) => assert!(open.insert(slot, record).is_none(), "slot {slot} is open"),
            Entry::Adds(added) => {
                let row: &mut Intercept = open.get_mut(&added.slot).expect("an open row");
                row.count = row.count.checked_add(added.count).expect("it fits");
                row.last_at = row.last_at.max(added.last_at);
                if added.is_mixed {
                    (row.fingerprint, row.hint) = (None, None);
                }
            }
            Entry::Ends => rows.extend(std::mem::take(&mut open).into_values()),
        }
    }
    assert!(open.is_empty(), "the last second was ended");
    rows
}

/// Puts all in, so many in each batch; gives all rows.
fn folded_in(batch: usize, records: &[Intercept]) -> Vec<Intercept> {
    let (mut fold, mut all) = (Fold::default(), Vec::new());
    for records in records.chunks(batch) {
        let mut entries = Vec::new();
        fold.begin_batch();
        for record in records {
            fold.take(record.clone(), &mut entries);
        }
        all.append(&mut entries);
    }
    fold.end(&mut all);
    rows_of(all)
}

fn folded(records: impl IntoIterator<Item = Intercept>) -> Vec<Intercept> {
    folded_in(97, &records.into_iter().collect::<Vec<_>>())
}

fn total(rows: &[Intercept]) -> u64 {
    rows.iter().map(|row| u64::from(row.count)).sum()
}

#[test]
fn the_first_are_whole_and_one_stands_for_the_rest() {
    let records: Vec<_> = (0..50_000)
        .map(|number| {
            let mut record = intercept(RefusalReason::KeyMissing);
            record.at = Timestamp::from_unix_ms(number / 100);
            record.last_at = record.at;
            record
        })
        .collect();
    let rows = folded(records.clone());
    let whole = FOLD_WHOLE_MAX as usize;
    assert_eq!(rows.len(), whole + 1);
    assert_eq!(rows[..whole], records[..whole]);
    assert_eq!(rows[whole].reference, records[whole].reference);
    assert_eq!(rows[whole].count, 50_000 - FOLD_WHOLE_MAX);
    assert_eq!(
        (rows[whole].at, rows[whole].last_at),
        (records[whole].at, records[49_999].at)
    );
}

#[test]
fn a_flood_costs_few_bytes_before_it_is_rows() {
    let (mut fold, mut entries) = (Fold::default(), Vec::new());
    for _ in 0..100 {
        let mut batch = Vec::new();
        fold.begin_batch();
        for _ in 0..500 {
            fold.take(intercept(RefusalReason::KeyMissing), &mut batch);
        }
        entries.append(&mut batch);
    }
    // Of each batch one entry adds to the row.
    assert_eq!(entries.len(), FOLD_WHOLE_MAX as usize + 1 + 100);
    fold.end(&mut entries);
    assert_eq!(total(&rows_of(entries)), 50_000);
}

#[test]
fn exactly_the_first_ones_need_no_row_for_the_rest() {
    let rows = folded((0..FOLD_WHOLE_MAX).map(|_| intercept(RefusalReason::KeyMissing)));
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
    assert_eq!(folded(records).len(), kinds.len() * (FOLD_WHOLE_MAX as usize + 1));
}

#[test]
fn what_a_client_chooses_freely_does_not_make_it_another() {
    let rows = folded((0..=u16::MAX).map(|number| {
        let mut record = intercept(RefusalReason::ClaimRateLimited);
        let [high, low] = number.to_be_bytes();
        (record.fingerprint, record.hint) = key(low);
        record.client_ip =
            ClientIp::new(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(high)).into());
        record.path = format!("/{number}");
        record.user_agent = format!("agent {number}");
        record
    }));
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize + 1);
}

#[test]
fn the_rest_names_a_key_only_if_all_of_it_had_that_one() {
    for (others, named) in [(1, true), (2, false)] {
        let rows = folded((0..100).map(|number| {
            let mut record = intercept(RefusalReason::ClaimRateLimited);
            (record.fingerprint, record.hint) = key(if number == 99 { others } else { 1 });
            record
        }));
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
        let rows = folded(seconds.iter().flat_map(|second| {
            let mut record = intercept(RefusalReason::KeyMissing);
            record.at = Timestamp::from_unix_ms(second * 1_000 + 999);
            vec![record; 100]
        }));
        assert_eq!(rows.len(), begun * (FOLD_WHOLE_MAX as usize + 1), "{seconds:?}");
    }
}

#[test]
fn many_clients_together_have_so_many_whole_ones_and_a_stolen_key_is_still_seen() {
    let clients = u8::try_from(SECOND_WHOLE_MAX / FOLD_WHOLE_MAX + 1).expect("few");
    let records = (0..clients)
        .flat_map(|client| (0..20).map(move |_| from([10, 0, 0, client], RefusalReason::KeyMissing)))
        .chain([against(1, [192, 0, 2, 1])]);
    let (whole, rest): (Vec<_>, Vec<_>) = folded(records).into_iter().partition(|row| row.count == 1);
    assert_eq!(whole.len(), SECOND_WHOLE_MAX as usize + 1);
    assert_eq!(rest.len(), usize::from(clients));
    assert!(whole.iter().any(|row| row.reason == RefusalReason::KeyIpMismatch));
}

#[test]
fn an_attack_costs_so_many_rows_and_no_more() {
    let addresses = |count: u16| {
        (0..count).map(|number| {
            let [high, low] = number.to_be_bytes();
            [10, 0, high, low]
        })
    };
    let attack: Vec<_> = addresses(1_000)
        .flat_map(|address| (0..100).map(move |binding| against(binding, address)))
        .chain(addresses(u16::MAX).map(|address| from(address, RefusalReason::KeyMissing)))
        .collect();
    let rows = folded(attack.clone());
    assert_eq!(total(&rows), attack.len() as u64);
    let rows_max = 2 * SECOND_WHOLE_MAX as usize + GROUPS_MAX + 2 * RefusalReason::ALL.len();
    assert!(rows.len() <= rows_max, "{} rows", rows.len());
    let wide: Vec<_> = rows
        .iter()
        .filter(|row| row.client_ip == SEVERAL_CLIENTS)
        .collect();
    let of_bindings = wide.iter().filter(|row| row.binding.is_some());
    assert_eq!(
        of_bindings.count(),
        100,
        "each key is named with all of its addresses"
    );
    let others: Vec<_> = wide.iter().filter(|row| row.binding.is_none()).collect();
    assert_eq!(others.len(), 1);
    assert!(others[0].fingerprint.is_none() && others[0].networks.is_empty());
}

#[test]
fn groups_have_their_bounds() {
    let (mut fold, mut entries) = (Fold::default(), Vec::new());
    for number in 0..GROUPS_MAX {
        let [_, _, high, low] = u32::try_from(number).expect("small").to_be_bytes();
        fold.take(from([10, 0, high, low], RefusalReason::KeyMissing), &mut entries);
    }
    assert_eq!(fold.groups.len(), CHEAP_GROUPS_MAX + 1);
    for address in 0..=u8::try_from(BINDING_GROUPS_MAX).expect("few") {
        fold.take(against(1, [10, 0, 0, address]), &mut entries);
    }
    assert_eq!(
        fold.groups.len(),
        CHEAP_GROUPS_MAX + 1 + BINDING_GROUPS_MAX as usize + 1
    );
    for binding in 0..2 * i64::try_from(GROUPS_MAX).expect("small") {
        fold.take(against(binding, [10, 0, 0, 1]), &mut entries);
    }
    assert!(
        fold.groups.len() <= GROUPS_MAX + 2,
        "{} groups",
        fold.groups.len()
    );
    let with_address = fold.groups.keys().filter(|group| group.network.is_some());
    assert!(with_address.count() <= ADDRESS_GROUPS_MAX);
}

#[test]
fn a_count_that_is_full_begins_another_row() {
    let rows = folded((0..FOLD_WHOLE_MAX + 3).map(|_| {
        let mut record = intercept(RefusalReason::KeyMissing);
        record.count = u32::MAX / 2;
        record
    }));
    assert_eq!(rows.len(), FOLD_WHOLE_MAX as usize + 2);
    assert_eq!(
        total(&rows),
        u64::from(u32::MAX / 2) * u64::from(FOLD_WHOLE_MAX + 3)
    );
}

#[test]
fn nothing_is_added_to_a_row_that_could_not_be_opened() {
    let (mut fold, mut entries) = (Fold::default(), Vec::new());
    for _ in 0..=FOLD_WHOLE_MAX {
        fold.take(intercept(RefusalReason::KeyMissing), &mut entries);
    }
    let Some(Kept {
        entry: Entry::Opens(slot, _),
        ..
    }) = entries.pop()
    else {
        panic!("the last one opens a row");
    };
    fold.forget(slot);
    fold.begin_batch();
    entries.clear();
    fold.take(intercept(RefusalReason::KeyMissing), &mut entries);
    assert!(matches!(entries[0].entry, Entry::Opens(other, _) if other != slot));
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
    fn no_request_goes_uncounted(steps in flood(), batch in 1..500_usize) {
        let mut at = 0;
        let mut sent = HashMap::new();
        let mut records = Vec::new();
        for (reason, client, binding, pause) in steps {
            at += pause;
            let mut record = from([192, 0, 2, client], RefusalReason::ALL[reason]);
            record.binding = binding.map(BindingId);
            record.at = Timestamp::from_unix_ms(at);
            *sent.entry(Group::of(&record)).or_insert(0) += record.count;
            records.push(record);
        }
        let mut counted = HashMap::new();
        for row in folded_in(batch, &records) {
            *counted.entry(Group::of(&row)).or_insert(0) += row.count;
        }
        prop_assert!(sent == counted);
    }
}

#[test]
fn a_refusal_that_is_added_to_an_open_row_allocates_nothing() {
    let (mut fold, mut entries) = (Fold::default(), Vec::with_capacity(20));
    let mut records = vec![against(1, [198, 51, 100, 7]); 14];
    let last = records.split_off(13);
    fold.begin_batch();
    for record in records {
        fold.take(record, &mut entries);
    }
    let measured = allocation_counter::measure(|| {
        for record in last {
            fold.take(record, &mut entries);
        }
    });
    assert_eq!(measured.count_total, 0);
    assert!(matches!(
        entries.last(),
        Some(Kept {
            entry: Entry::Adds(_),
            count: 3,
            ..
        })
    ));
}
