//! What is found under our keys and is not ours: it is as if nothing were there, it is counted, and it gives way.

use sentinel_core::binding::{Binding, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::Found;

use super::support::OnOneServer;
use crate::conformance::fingerprint;
use crate::redis::entry;
use crate::shared::conformance::{NOTHING, binding, get, put};
use crate::shared::{SharedCache as _, SharedEntry};

/// Whether the entry gives way to the authority's next word: a binding, and the same after an absence.
async fn gives_way(on: &OnOneServer, planted: &[&str]) {
    for is_absent in [false, true] {
        let _: redis::Value = on.server.command(&["FLUSHALL"]).await;
        let _: redis::Value = on.server.command(planted).await;
        let found = get(&on.cache).await;
        assert!(matches!(found, SharedEntry::Missing(_)), "{planted:?}: {found:?}");
        if is_absent {
            let told = on.cache.put_absent(&fingerprint(1), found.seen()).await;
            told.expect("a cache that works");
            assert_eq!(get(&on.cache).await, SharedEntry::Absent, "{planted:?}");
        } else {
            put(&on.cache, 1, found.seen()).await;
            let entry = get(&on.cache).await;
            assert!(
                matches!(&entry, SharedEntry::Binding(here, _) if *here == binding(1)),
                "{planted:?}: {entry:?}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_is_not_ours_gives_way() {
    let on = OnOneServer::start().await;
    let key = on.cache.key(&fingerprint(1));
    let whole = entry::of_binding(&binding(9));
    let damaged = whole.replace("192.0.2", "198.51.");
    let later = whole.replacen('1', "2", 1);
    let other = entry::of_binding(&Binding {
        fingerprint: fingerprint(2),
        ..binding(9)
    });
    let texts = [
        "",
        "1",
        "1B",
        "OK",
        &damaged,
        &later,
        &other,
        &whole[..whole.len() - 1],
        "1T99999999999999999999",
        "1B18446744073709551615",
        "1A00000000000000000042{}",
    ];
    for text in texts {
        gives_way(&on, &["SET", &key, text]).await;
    }
    assert_eq!(on.cache.counts().unreadable, 2 * texts.len() as u64);
    gives_way(&on, &["LPUSH", &key, "a list"]).await;
    gives_way(&on, &["HSET", &key, "a", "map"]).await;
}

#[tokio::test]
async fn a_writer_who_saw_nothing_gives_way_to_a_damaged_entry_that_claims_to_be_newer() {
    let on = OnOneServer::start().await;
    let key = on.cache.key(&fingerprint(1));
    let damaged = entry::of_binding(&binding(9)).replace("192.0.2", "198.51.");
    let _: redis::Value = on.server.command(&["SET", &key, &damaged]).await;
    put(&on.cache, 8, NOTHING).await;
    assert!(matches!(get(&on.cache).await, SharedEntry::Missing(_)));
    put(&on.cache, 9, NOTHING).await;
    assert!(
        matches!(get(&on.cache).await, SharedEntry::Binding(..)),
        "the same version is written anew"
    );
}

#[tokio::test]
async fn keys_are_spread_by_the_fingerprints_first_byte() {
    let on = OnOneServer::start().await;
    let found = Found::from(Binding {
        fingerprint: KeyFingerprint::from_bytes([0xA5; 32]),
        version: Version(1),
        ..binding(1)
    });
    on.cache.put(&found, NOTHING).await.expect("a cache that works");
    let keys: Vec<String> = on.server.command(&["KEYS", "*:binding:*"]).await;
    assert_eq!(keys, [format!("sentinel:{{a5}}:binding:{}", "a5".repeat(32))]);
}
