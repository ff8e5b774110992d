use std::net::Ipv6Addr;

use sentinel_testkit::bounded;

use super::*;
use crate::testing::intercept;

/// As many as this, each from another network.
fn from_networks(count: usize) -> impl Iterator<Item = Intercept> {
    (0..count).map(|number| {
        let number = u128::try_from(number).expect("small") << 80;
        let from = Ipv6Addr::from(u128::from(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 1)) | number);
        intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), &from.to_string())
    })
}

#[tokio::test]
async fn equal_refusals_are_one_sighting_and_its_first_is_looked_at_at_once() {
    let tally = Tally::default();
    let record = intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), "198.51.100.7");
    tally.saw(&[]);
    for _ in 0..1_000 {
        tally.saw(&[record.clone(), record.clone()]);
    }
    bounded("something to arrive", tally.arrived()).await;
    let seen: Vec<(Subject, Box<Sighting>)> = tally.take().into_subjects().collect();
    assert_eq!(seen.len(), 2, "the key and the address");
    for (_, sighting) in &seen {
        assert_eq!(
            (sighting.seen.count, sighting.members.len()),
            (2_000 * u64::from(record.count), 1)
        );
    }
    assert!(tally.take().is_empty(), "each is taken once");
}

#[test]
fn so_many_addresses_have_room_and_do_not_crowd_out_keys() {
    let mut sightings = Sightings::default();
    from_networks(SUBJECTS_MAX).for_each(|record| sightings.note(&record));
    assert_eq!(sightings.lost(), 0);
    let mut other = intercept(RefusalReason::KeyIpMismatch, Some(8), Some(2), "198.51.100.7");
    other.count = 5;
    sightings.note(&other);
    assert_eq!(sightings.lost(), 5);
    assert_eq!(sightings.of_addresses.len(), SUBJECTS_MAX);
    let of_other = &sightings.of_keys[&Subject::Binding(BindingId(8))];
    assert_eq!(of_other.seen.count, 5);
}

#[test]
fn so_many_different_things_are_noted_of_one_and_of_all() {
    let mut sightings = Sightings::default();
    let networks: Vec<Intercept> = from_networks(MEMBERS_MAX + 10).collect();
    let keys = i64::try_from(MEMBERS_SHARED_MAX / (MEMBERS_MAX - MEMBERS_SURE) + 2).expect("small");
    for key in 0..keys {
        for record in &networks {
            let binding = Some(BindingId(key));
            sightings.note(&Intercept {
                binding,
                ..record.clone()
            });
        }
    }
    let members = |key| sightings.of_keys[&Subject::Binding(BindingId(key))].members.len();
    assert_eq!(members(0), MEMBERS_MAX);
    assert_eq!(members(keys - 1), MEMBERS_SURE);
    let beyond: usize = (0..keys).map(|key| members(key) - MEMBERS_SURE).sum();
    assert_eq!(beyond, MEMBERS_SHARED_MAX);
    let all: u64 = sightings
        .of_keys
        .values()
        .map(|sighting| sighting.seen.count)
        .sum();
    let sent = networks.len() * usize::try_from(keys).expect("small") * 3;
    assert_eq!(all, u64::try_from(sent).expect("small"), "all are counted");
}

#[test]
fn the_room_of_what_was_counted_is_used_again_and_nothing_else_of_it() {
    let tally = Tally::default();
    let look = |records: &[Intercept]| {
        tally.saw(records);
        let seen: Vec<(Subject, Box<Sighting>)> = tally.take().into_subjects().collect();
        let (mut used, count) = (Used::default(), seen.len());
        used.add(seen.into_iter().map(|(_, sighting)| sighting));
        tally.take_back(used);
        count
    };
    let many: Vec<Intercept> = from_networks(MEMBERS_MAX).collect();
    assert_eq!(look(&many), MEMBERS_MAX + 1, "an address each, and the key");
    assert_eq!(tally.lock().spare.len(), MEMBERS_MAX + 1);
    let mut other = intercept(RefusalReason::KeyMissing, None, None, "198.51.100.7");
    other.hint = None;
    tally.saw(std::slice::from_ref(&other));
    let again = tally.take();
    let fresh = Sightings::of(std::slice::from_ref(&other));
    let shown = |sightings: &Sightings| format!("{:?}", sightings.of_addresses);
    assert_eq!(shown(&again), shown(&fresh));
    assert_eq!(look(&[other]), 1);
    assert_eq!(tally.lock().spare.len(), 1, "no more than the last time");
}

#[test]
fn a_refusal_like_those_before_it_allocates_nothing() {
    let tally = Tally::default();
    let record = intercept(RefusalReason::KeyIpMismatch, Some(7), Some(1), "198.51.100.7");
    tally.saw(std::slice::from_ref(&record));
    let measured = allocation_counter::measure(|| tally.saw(std::slice::from_ref(&record)));
    assert_eq!(measured.count_total, 0);
}
