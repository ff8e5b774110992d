//! A clock that jumps, forwards and back: no binding is given past its life, and none is stuck.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::binding::{BindingStatus, NewBinding};
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::ports::{BindingAdmin as _, BindingLookup as _, BindingStore as _};
use sentinel_core::time::{Clock as _, Timestamp};
use sentinel_store::{CacheBounds, CachedLookup, MemoryStore};
use sentinel_testkit::SettableClock;

const HOUR_MS: i64 = 3_600_000;
const FINGERPRINT: KeyFingerprint = KeyFingerprint::from_bytes([1; 32]);

struct Jumping {
    store: Arc<MemoryStore>,
    lookup: CachedLookup,
    clock: SettableClock,
}

impl Jumping {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let jumping = Self {
            lookup: CachedLookup::new(store.clone(), &CacheBounds::default()),
            clock: SettableClock::at(Timestamp::from_unix_ms(1_790_000_000_000)),
            store,
        };
        let new = NewBinding {
            fingerprint: FINGERPRINT,
            previous: None,
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1/32".parse().expect("a network"),
            bound_at: jumping.clock.now(),
            profile: "".into(),
        };
        jumping.lookup.claim(new).await.expect("memory works");
        jumping
    }

    fn jump(&self, by_ms: i64) {
        let now = self.clock.now().unix_ms();
        self.clock.set(Timestamp::from_unix_ms(now + by_ms));
    }

    fn is_cached(&self) -> bool {
        self.lookup.cached(&FINGERPRINT, self.clock.now()).is_some()
    }

    async fn status(&self) -> BindingStatus {
        let found = self.lookup.find(&FINGERPRINT, self.clock.now()).await;
        found.expect("memory works").expect("it is bound").binding.status
    }

    /// Another process bans the key, and nobody hears of it.
    async fn ban_unheard(&self) {
        let found = self.store.find(&FINGERPRINT).await.expect("memory works");
        let actor = Actor {
            name: "root".to_owned(),
            client_ip: None,
            at: self.clock.now(),
        };
        let id = found.expect("it is bound").binding.id;
        self.store
            .ban(id, String::new(), actor)
            .await
            .expect("memory works");
    }
}

#[tokio::test]
async fn after_a_jump_in_either_direction_the_store_is_asked_and_then_no_more_than_ever() {
    for by_ms in [HOUR_MS, -HOUR_MS] {
        let jumping = Jumping::start().await;
        assert!(jumping.is_cached());
        jumping.ban_unheard().await;
        jumping.jump(by_ms);
        assert!(!jumping.is_cached(), "{by_ms}: nobody knows how old it is");
        assert_eq!(jumping.status().await, BindingStatus::Banned, "{by_ms}");
        // It lives again as any other does, and no longer.
        assert!(jumping.is_cached(), "{by_ms}: it is not stuck");
        let life = CacheBounds::default().fresh;
        jumping
            .clock
            .advance(life.checked_sub(Duration::from_millis(1)).expect("longer"));
        assert!(jumping.is_cached(), "{by_ms}");
        jumping.clock.advance(Duration::from_millis(1));
        assert!(!jumping.is_cached(), "{by_ms}");
    }
}

#[tokio::test]
async fn a_clock_that_goes_to_and_fro_gives_nothing_an_hour_more() {
    let jumping = Jumping::start().await;
    jumping.jump(HOUR_MS);
    assert_eq!(jumping.status().await, BindingStatus::Active);
    jumping.ban_unheard().await;
    // Installed by a clock that was ahead: its end is an hour away by the one that is right.
    jumping.jump(-HOUR_MS);
    assert!(!jumping.is_cached());
    assert_eq!(jumping.status().await, BindingStatus::Banned);
    jumping.jump(HOUR_MS);
    assert!(!jumping.is_cached());
    assert_eq!(jumping.status().await, BindingStatus::Banned);
}

#[tokio::test]
async fn a_renewal_after_a_jump_brings_what_holds() {
    let jumping = Jumping::start().await;
    let life_ms = i64::try_from(CacheBounds::default().fresh.as_millis()).expect("short");
    // Close to its end: its renewal is asked for, and the clock jumps before that is made.
    jumping.jump(life_ms - 1);
    assert!(jumping.is_cached());
    jumping.ban_unheard().await;
    jumping.jump(-HOUR_MS);
    assert_eq!(jumping.lookup.renew_due(jumping.clock.now()).await, 1);
    assert!(jumping.is_cached(), "by the clock that holds now");
    assert_eq!(jumping.status().await, BindingStatus::Banned);
}
