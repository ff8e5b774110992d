use sentinel_core::binding::BINDING_NETWORKS_MAX;

use super::*;
use crate::conformance::{fingerprint, network};
use crate::shared::conformance::binding;

const KEPT_MS: i64 = 86_400_000;

fn read_own(entry: &[u8]) -> Result<SharedEntry, (Unreadable, Standing)> {
    read(entry, KEPT_MS - 3_000, &fingerprint(1))
}

#[test]
fn a_binding_is_read_as_it_was_written() {
    let binding = binding(5);
    let entry = of_binding(&binding);
    assert_eq!(
        read_own(entry.as_bytes()),
        Ok(SharedEntry::Binding(binding, Duration::from_secs(3)))
    );
    assert!(
        entry.starts_with("1B00000000000000000010"),
        "the standing of version 5: {entry}"
    );
}

#[test]
fn a_binding_with_all_the_networks_that_it_may_have_is_read() {
    let longest = network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
    let binding = Binding {
        networks: std::iter::repeat_n(longest, BINDING_NETWORKS_MAX).collect(),
        ..binding(5)
    };
    let entry = of_binding(&binding);
    assert!(entry.len() <= ENTRY_BYTES_MAX / 2, "{} bytes", entry.len());
    assert!(matches!(read_own(entry.as_bytes()), Ok(SharedEntry::Binding(..))));
    let mut longer = entry.into_bytes();
    longer.resize(ENTRY_BYTES_MAX + 1, b' ');
    let standing = Standing::of_binding(Version(5));
    assert_eq!(read_own(&longer), Err((Unreadable::Damaged, standing)));
}

#[test]
fn every_changed_byte_of_a_binding_is_noticed() {
    let entry = of_binding(&binding(5)).into_bytes();
    for place in 0..entry.len() {
        for changed in [entry[place] ^ 1, b'0', 0xFF] {
            let mut damaged = entry.clone();
            damaged[place] = changed;
            let read = read_own(&damaged);
            assert!(read.is_err() || damaged == entry, "byte {place}: {read:?}");
        }
        assert!(read_own(&entry[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_later_encoding_and_another_keys_entry_are_told_apart() {
    let mut later = of_binding(&binding(5));
    later.replace_range(..1, "2");
    assert_eq!(
        read_own(later.as_bytes()),
        Err((Unreadable::Encoding, Standing::NOTHING))
    );
    let other = read(of_binding(&binding(5)).as_bytes(), KEPT_MS, &fingerprint(2));
    let standing = Standing::of_binding(Version(5));
    assert_eq!(other, Err((Unreadable::OtherKey, standing)));
}

/// An entry whose check is right.
fn whole(json: &str) -> String {
    let head = format!("1B{}", digits(Standing::of_binding(Version(5))));
    format!("{head}{}{json}", check(&head, json))
}

#[test]
fn what_is_whole_and_not_understood_is_a_later_versions() {
    let written = |text: &str| text[HEAD_BYTES + CHECK_BYTES..].to_owned();
    let json = written(&of_binding(&binding(5)));
    let changes = [
        ("\"active\"", "\"paused\""),
        ("192.0.2.0/24", "2001:db8::/129"),
        ("\"id\":7", "\"id\":7,\"tags\":[]"),
        ("\"policy\":{}", "\"policy\":{\"hours\":8}"),
    ];
    for (from, to) in changes {
        let changed = json.replace(from, to);
        assert_ne!(changed, json, "{from}");
        let read = read_own(whole(&changed).as_bytes());
        assert!(matches!(read, Err((Unreadable::Encoding, _))), "{to}: {read:?}");
    }
    let contradictory = json.replace("\"version\":5", "\"version\":6");
    let read = read_own(whole(&contradictory).as_bytes());
    assert!(matches!(read, Err((Unreadable::Damaged, _))), "{read:?}");
}

#[test]
fn an_unreadable_entry_tells_the_standing_that_it_claims() {
    let claims = |entry: &[u8]| read_own(entry).map_err(|(_, claimed)| claimed.number());
    assert_eq!(claims(b""), Err(0));
    assert_eq!(claims(b"1"), Err(0));
    assert_eq!(claims(b"1X00000000000000000042"), Err(42));
    assert_eq!(claims(b"1T00000000000000000042 and more"), Err(42));
    assert_eq!(claims(b"1B00000000000000000042\xFF\xFF"), Err(42));
    assert_eq!(
        claims(b"1T99999999999999999999"),
        Err(0),
        "more than a standing can be"
    );
    assert_eq!(claims(b"1T+0000000000000000042"), Err(0));
}

#[test]
fn an_absence_is_an_answer_for_a_moment() {
    let standing = Standing::of_absence(Version(6));
    let entry = absent(standing);
    let life_ms = 60_000;
    let after = |age_ms: i64| read(entry.as_bytes(), life_ms - age_ms, &fingerprint(1));
    assert_eq!(after(999), Ok(SharedEntry::Absent));
    assert_eq!(after(1_000), Ok(SharedEntry::Missing(standing)));
    let of_nothing = absent(Standing::NOTHING.removed());
    let strange = |kept_ms: i64| read(of_nothing.as_bytes(), kept_ms, &fingerprint(1));
    assert_eq!(strange(1_000), Ok(SharedEntry::Absent));
    assert_eq!(strange(1), Ok(SharedEntry::Absent), "the server forgets it then");
    let tombstone = tombstone(standing);
    let read = read(tombstone.as_bytes(), life_ms, &fingerprint(1));
    assert_eq!(read, Ok(SharedEntry::Missing(standing)));
}

#[test]
fn what_is_kept_for_longer_than_can_be_is_as_old_as_can_be() {
    let entry = of_binding(&binding(5));
    for kept_ms in [KEPT_MS + 1, i64::MAX, -1, i64::MIN] {
        let read = read(entry.as_bytes(), kept_ms, &fingerprint(1));
        assert!(
            matches!(read, Ok(SharedEntry::Binding(_, KEPT_MAX))),
            "{kept_ms}: {read:?}"
        );
        let absent = self::read(absent(Standing::NOTHING).as_bytes(), kept_ms, &fingerprint(1));
        assert_eq!(absent, Ok(SharedEntry::NOTHING));
    }
}
