//! What every shared cache promises, whatever keeps it.
//!
//! A cache joins with `shared_cache_suite!(fixture)`, where `fixture` makes an empty one.

mod interleavings;

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::binding::{Binding, BindingId, BindingStatus, Version};
use sentinel_core::policy::{Mode, PolicyOverride};
use sentinel_core::ports::Found;

use super::{ABSENT_LIFE, KEPT_MAX, SharedCache, SharedEntry, Standing, TOMBSTONE_LIFE};
use crate::conformance::{at, fingerprint, network};

pub(crate) use interleavings::no_order_of_loads_brings_an_old_binding_back;

/// A cache that a test can let grow old.
#[async_trait]
pub(crate) trait SharedFixture: Send + Sync {
    fn cache(&self) -> &dyn SharedCache;

    /// Lets everything that is held be older by so much.
    async fn age_by(&self, duration: Duration);

    /// Forgets everything.
    async fn clear(&self);
}

/// Makes one test of each promise, on the cache that `$fixture` gives; or, with `together`, one test of all, where a cache takes long to
/// make.
macro_rules! shared_cache_suite {
    ($fixture:path) => {
        crate::shared::conformance::shared_cache_suite! { @promises each $fixture }
    };
    (together $fixture:path) => {
        crate::shared::conformance::shared_cache_suite! { @promises together $fixture }
    };
    (@promises $how:ident $fixture:path) => {
        crate::shared::conformance::shared_cache_suite! { @$how $fixture;
            what_is_put_is_given_with_its_age
            a_binding_comes_back_whole
            an_age_begins_where_the_authority_was_asked
            the_younger_word_stays
            a_binding_is_kept_for_a_day
            an_older_version_is_refused
            a_writer_who_had_seen_the_newer_one_is_believed
            an_absence_is_short_lived_and_then_a_tombstone
            an_absence_never_hides_a_newer_binding
            a_tombstone_keeps_loads_under_way_out
            a_tombstone_lets_newer_bindings_pass
            a_tombstone_never_replaces_what_is_newer
            no_order_of_loads_brings_an_old_binding_back
        }
    };
    (@each $fixture:path; $($promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                crate::shared::conformance::$promise(&$fixture().await).await;
            }
        )+
    };
    (@together $fixture:path; $($promise:ident)+) => {
        #[tokio::test]
        async fn every_promise_is_kept() {
            let fixture = $fixture().await;
            $(
                crate::shared::conformance::$promise(&fixture).await;
                fixture.clear().await;
            )+
        }
    };
}
pub(crate) use shared_cache_suite;

/// What real time may pass in a test without being noticed.
const SLACK: Duration = Duration::from_millis(1_500);

pub(crate) fn binding(version: i64) -> Binding {
    Binding {
        id: BindingId(7),
        fingerprint: fingerprint(1),
        status: BindingStatus::Active,
        networks: network("192.0.2.0/24").into(),
        policy: PolicyOverride::NONE.into(),
        version: Version(version),
        bound_at: at(1_000),
    }
}

/// Nothing was seen.
pub(crate) const NOTHING: Standing = Standing::NOTHING;

/// The binding of this version was seen.
pub(crate) fn saw(version: i64) -> Standing {
    Standing::of_binding(Version(version))
}

/// A tombstone of this version was seen.
fn saw_gone(absence: i64) -> Standing {
    Standing::of_absence(Version(absence))
}

fn buried(absence: i64) -> SharedEntry {
    SharedEntry::Missing(saw_gone(absence))
}

pub(crate) async fn put(cache: &dyn SharedCache, version: i64, seen: Standing) {
    let found = Found::from(binding(version));
    cache.put(&found, seen).await.expect("a cache that works");
}

async fn put_absent(cache: &dyn SharedCache, seen: Standing) {
    let outcome = cache.put_absent(&fingerprint(1), seen).await;
    outcome.expect("a cache that works");
}

async fn bury(cache: &dyn SharedCache, absence: i64) {
    let outcome = cache.bury(&fingerprint(1), Version(absence)).await;
    outcome.expect("a cache that works");
}

pub(crate) async fn get(cache: &dyn SharedCache) -> SharedEntry {
    cache.get(&fingerprint(1)).await.expect("a cache that works")
}

/// The version of the binding that is held; none when there is none.
async fn held(cache: &dyn SharedCache) -> Option<i64> {
    match get(cache).await {
        SharedEntry::Binding(binding, _) => Some(binding.version.0),
        _ => None,
    }
}

async fn age(cache: &dyn SharedCache) -> Duration {
    match get(cache).await {
        SharedEntry::Binding(_, age) => age,
        other => panic!("a binding was to be held, not {other:?}"),
    }
}

fn assert_about(age: Duration, expected: Duration) {
    assert!(
        age + Duration::from_millis(2) >= expected && age < expected + SLACK,
        "{age:?} is not about {expected:?}"
    );
}

pub(crate) async fn what_is_put_is_given_with_its_age(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    assert_eq!(get(cache).await, SharedEntry::NOTHING);
    put(cache, 5, NOTHING).await;
    assert_about(age(cache).await, Duration::ZERO);
    fixture.age_by(Duration::from_secs(3)).await;
    assert_about(age(cache).await, Duration::from_secs(3));
    put(cache, 5, saw(5)).await;
    assert_about(age(cache).await, Duration::ZERO);
    assert_eq!(
        cache.get(&fingerprint(2)).await,
        Ok(SharedEntry::NOTHING),
        "another key's binding"
    );
}

pub(crate) async fn a_binding_comes_back_whole(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    let whole = Binding {
        id: BindingId(i64::MAX),
        status: BindingStatus::Banned,
        networks: ["0.0.0.0/0", "2001:db8::/64", "198.51.100.7"]
            .into_iter()
            .map(network)
            .collect(),
        policy: PolicyOverride {
            mode: Some(Mode::Observe),
            slots: Some(u16::MAX),
            learning_window_seconds: Some(u64::MAX),
        }
        .into(),
        version: Version(i64::MAX),
        bound_at: at(i64::MIN),
        ..binding(1)
    };
    let found = Found::from(whole.clone());
    cache.put(&found, NOTHING).await.expect("a cache that works");
    match get(cache).await {
        SharedEntry::Binding(binding, _) => assert_eq!(binding, whole),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn an_age_begins_where_the_authority_was_asked(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    let found = Found {
        binding: binding(5),
        age: Duration::from_secs(2),
    };
    cache.put(&found, NOTHING).await.expect("a cache that works");
    assert_about(age(cache).await, Duration::from_secs(2));
}

pub(crate) async fn the_younger_word_stays(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 5, NOTHING).await;
    let slow = Found {
        binding: binding(5),
        age: Duration::from_secs(2),
    };
    cache.put(&slow, NOTHING).await.expect("a cache that works");
    assert_about(age(cache).await, Duration::ZERO);
}

pub(crate) async fn a_binding_is_kept_for_a_day(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 5, NOTHING).await;
    let nearly = KEPT_MAX.saturating_sub(Duration::from_secs(5));
    fixture.age_by(nearly).await;
    assert_about(age(cache).await, nearly);
    fixture.age_by(Duration::from_secs(5)).await;
    assert_eq!(get(cache).await, SharedEntry::NOTHING);
}

pub(crate) async fn an_older_version_is_refused(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 5, NOTHING).await;
    put(cache, 4, NOTHING).await;
    put(cache, 4, saw(4)).await;
    assert_eq!(held(cache).await, Some(5));
    put(cache, 6, NOTHING).await;
    assert_eq!(held(cache).await, Some(6));
}

pub(crate) async fn a_writer_who_had_seen_the_newer_one_is_believed(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 100, NOTHING).await;
    put(cache, 50, saw(100)).await;
    assert_eq!(held(cache).await, Some(50));
    put(cache, 51, NOTHING).await;
    assert_eq!(held(cache).await, Some(51));
    put_absent(cache, saw(51)).await;
    assert_eq!(get(cache).await, SharedEntry::Absent);
    put(cache, 20, saw_gone(52)).await;
    assert_eq!(held(cache).await, Some(20));
}

pub(crate) async fn an_absence_is_short_lived_and_then_a_tombstone(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put_absent(cache, NOTHING).await;
    assert_eq!(get(cache).await, SharedEntry::Absent);
    fixture.age_by(ABSENT_LIFE).await;
    assert_eq!(
        get(cache).await,
        SharedEntry::NOTHING,
        "strange keys fill no memory"
    );

    put(cache, 5, NOTHING).await;
    put_absent(cache, saw(5)).await;
    assert_eq!(get(cache).await, SharedEntry::Absent);
    fixture.age_by(ABSENT_LIFE).await;
    assert_eq!(get(cache).await, buried(6));
    put(cache, 5, saw(5)).await;
    assert_eq!(held(cache).await, None, "a load that was under way");
    put_absent(cache, saw_gone(6)).await;
    put(cache, 5, saw(5)).await;
    assert_eq!(get(cache).await, SharedEntry::Absent, "asked again");
    fixture.age_by(TOMBSTONE_LIFE).await;
    assert_eq!(get(cache).await, SharedEntry::NOTHING);
}

pub(crate) async fn an_absence_never_hides_a_newer_binding(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 5, NOTHING).await;
    put_absent(cache, NOTHING).await;
    put_absent(cache, saw(4)).await;
    assert_eq!(held(cache).await, Some(5));
    fixture.clear().await;
    put_absent(cache, NOTHING).await;
    put(cache, 1, NOTHING).await;
    assert_eq!(held(cache).await, Some(1), "claimed since");
    bury(cache, 2).await;
    put(cache, 2, NOTHING).await;
    put_absent(cache, saw_gone(2)).await;
    assert_eq!(
        held(cache).await,
        Some(2),
        "the next row may have the tombstone's version"
    );
}

pub(crate) async fn a_tombstone_keeps_loads_under_way_out(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 5, NOTHING).await;
    bury(cache, 6).await;
    let tombstone = buried(6);
    assert_eq!(get(cache).await, tombstone);
    for seen in [NOTHING, saw(5)] {
        put(cache, 5, seen).await;
        put_absent(cache, seen).await;
        assert_eq!(get(cache).await, tombstone);
    }
    put_absent(cache, saw_gone(6)).await;
    assert_eq!(get(cache).await, SharedEntry::Absent);
    put(cache, 5, saw(5)).await;
    assert_eq!(get(cache).await, SharedEntry::Absent, "not the old one either");
    fixture.age_by(TOMBSTONE_LIFE).await;
    assert_eq!(get(cache).await, SharedEntry::NOTHING);
}

pub(crate) async fn a_tombstone_lets_newer_bindings_pass(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    bury(cache, 6).await;
    put(cache, 6, NOTHING).await;
    assert_eq!(held(cache).await, Some(6));
    bury(cache, 9).await;
    put(cache, 3, saw_gone(9)).await;
    assert_eq!(held(cache).await, Some(3), "the authority went back");
}

pub(crate) async fn a_tombstone_never_replaces_what_is_newer(fixture: &dyn SharedFixture) {
    let cache = fixture.cache();
    put(cache, 6, NOTHING).await;
    bury(cache, 6).await;
    bury(cache, 5).await;
    assert_eq!(held(cache).await, Some(6));
    bury(cache, 7).await;
    bury(cache, 6).await;
    assert_eq!(get(cache).await, buried(7));
}
